#!/usr/bin/env bash
# The environment for an NVIDIA GPU. On Linux the default torch already includes CUDA, so this only
# checks the driver, installs, and reports whether torch finds the GPU.
#
# For another CUDA version set TESTUDO_TORCH_INDEX to the address that PyTorch's "Get Started" page
# shows after --index-url.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

command -v nvidia-smi >/dev/null || {
    echo "setup-cuda.sh: there is no NVIDIA driver here (no nvidia-smi). Install it first." >&2
    exit 2
}
./start.sh --no-launch
exec .venv/bin/python -c '
import sys, torch
seen = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
sys.exit(None if seen else "setup-cuda.sh: torch sees no GPU. It may want a newer driver.")'
