"""Report torch's devices as JSON, in a separate process so that the caller does not load torch.

python -m studio.workers.torch_probe      one JSON object: versions, devices, or why torch fails
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from core.error_classifier import classify_error


def collect_torch_info() -> Mapping[str, Any]:  # Any: plain values
    """Return the versions of torch and torchaudio, and the devices."""
    info: dict[str, Any] = {"torch": "", "torchaudio": "", "cuda": "", "devices": []}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _collect_torch_devices(info)
            import torchaudio

            info["torchaudio"] = str(torchaudio.__version__)
        except (ImportError, OSError, RuntimeError, AssertionError) as cause:
            info |= {
                "cause": classify_error(cause),
                "problem": f"{type(cause).__name__}: {cause}"[:500],
            }
    info["driver_warnings"] = [
        str(one.message)[:300] for one in caught if "driver" in str(one.message).lower()
    ]
    return info


def _collect_torch_devices(info: dict[str, Any]) -> None:
    import torch

    from engines.device import list_devices

    info["torch"] = str(torch.__version__)
    info["cuda"] = str(torch.version.cuda or torch.version.hip or "")
    info["devices"] = [
        {"name": device.name, "label": device.label, "memory": device.memory}
        for device in list_devices()
    ]
    info["unsuited"] = [
        torch.cuda.get_device_name(index)
        for index in range(torch.cuda.device_count())
        if torch.version.cuda and not _supports_capability(torch.cuda.get_device_capability(index))
    ]


def _supports_capability(capability: tuple[int, int]) -> bool:
    """Return whether this torch has code that the GPU can run: of its generation, or older PTX."""
    import torch

    wanted = 10 * capability[0] + capability[1]
    for name in torch.cuda.get_arch_list():
        kind, _, number = name.partition("_")
        digits = "".join(letter for letter in number if letter.isdecimal())
        built = int(digits or 0)
        same_generation = built // 10 == capability[0] and built <= wanted
        if (kind == "sm" and same_generation) or (kind == "compute" and built <= wanted):
            return True
    return False


if __name__ == "__main__":
    sys.stdout.write(json.dumps(collect_torch_info()))
