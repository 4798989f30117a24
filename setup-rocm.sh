#!/usr/bin/env bash
# The environment for an AMD GPU on Linux. Not tried on one yet.
#
# The ROCm build of torch is not on the default package index. Set TESTUDO_TORCH_INDEX to the address
# that PyTorch's "Get Started" page shows after --index-url for ROCm; the choice is remembered.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ -z "${TESTUDO_TORCH_INDEX-}" ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
./start.sh --no-launch
exec .venv/bin/python -c '
import sys, torch
if torch.version.hip is None:
    sys.exit("setup-rocm.sh: this torch was not built for ROCm. Check TESTUDO_TORCH_INDEX.")
if not torch.cuda.is_available():
    sys.exit("setup-rocm.sh: torch sees no GPU. Is the ROCm driver installed?")'
