"""Whether voicefixer, an extra that restores recordings with a network, can be used here. Light.

The package fetches its weights while it is imported. So it is imported only in a process of its
own that may not reach the network, and only once both files lie where it looks for them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

REQUIRED_PACKAGES = ("voicefixer", "librosa", "torchlibrosa", "matplotlib")
WEIGHT_FILES = (
    "analysis_module/checkpoints/vf.ckpt",
    "synthesis_module/44100/model.ckpt-1490000_trimed.pt",
)
PIP_INSTALL = ".venv/bin/python -m pip install"
INSTALL_COMMAND = (
    f"{PIP_INSTALL} --no-deps voicefixer==0.1.3 && {PIP_INSTALL} librosa torchlibrosa matplotlib"
)


def missing_packages() -> list[str]:
    """Name the packages that voicefixer lacks here, itself among them."""
    return [name for name in REQUIRED_PACKAGES if find_spec(name) is None]


def describe_voicefixer_problem(home: Path | None = None) -> str:
    """Say why voicefixer cannot be used, and what to do; "" where it can."""
    if missing := missing_packages():
        return (
            f"It is not installed ({', '.join(missing)} missing). Install it with: "
            f"{INSTALL_COMMAND}. "
            "Then put its two files of weights in place; the built-in clean-up needs neither."
        )
    cache = (home or Path.home()) / ".cache" / "voicefixer"
    absent = [name for name in WEIGHT_FILES if not (cache / name).is_file()]
    if absent:
        return (
            f"Its weights are not here: {' and '.join(absent)} belong into {cache}. They are at "
            "zenodo.org/record/5600188 and zenodo.org/record/5469951. "
            "Testudo does not let it fetch them by itself."
        )
    return ""
