#!/usr/bin/env bash
# Download the newest Testudo and update the environment. Your own files are not changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

git pull --ff-only
exec ./start.sh --no-launch
