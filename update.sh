#!/usr/bin/env bash
# Fetch the newest Testudo and bring the environment up to date. Your own files stay as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

git pull --ff-only
exec ./start.sh --no-launch
