"""Whether voicefixer, an extra that restores recordings with a network, can be used here. Light.

The package downloads its weights while it is imported. So it is imported only in a subprocess that
may not reach the network, and only once Testudo has downloaded and checked both files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

REQUIRED_PACKAGES = ("voicefixer", "librosa", "torchlibrosa", "matplotlib")
WEIGHTS_URL = "https://zenodo.org/record/5600188/files/"
PIP_INSTALL = ".venv/bin/python -m pip install"
INSTALL_COMMAND = (
    f"{PIP_INSTALL} --no-deps voicefixer==0.1.3 && "
    f"{PIP_INSTALL} librosa==0.11.0 torchlibrosa==0.1.0 matplotlib==3.11.2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of weights.

    path: below the cache folder of voicefixer;  md5: as its publisher lists it.
    """

    path: str
    url: str
    md5: str


WEIGHTS = (
    WeightFile(
        path="analysis_module/checkpoints/vf.ckpt",
        url=f"{WEIGHTS_URL}vf.ckpt?download=1",
        md5="1f479dabb9fa5724de5e20f2164cbc7a",
    ),
    WeightFile(
        path="synthesis_module/44100/model.ckpt-1490000_trimed.pt",
        url=f"{WEIGHTS_URL}model.ckpt-1490000_trimed.pt?download=1",
        md5="ac6de16561dd6042daf8bb3a806dc818",
    ),
)
WEIGHT_FILES = tuple(file.path for file in WEIGHTS)


def missing_packages() -> list[str]:
    """Return the missing packages of voicefixer, itself included."""
    return [name for name in REQUIRED_PACKAGES if find_spec(name) is None]


def get_weights_folder(home: Path | None = None) -> Path:
    """Return the folder in which voicefixer looks for its weights."""
    return (home or Path.home()) / ".cache" / "voicefixer"


def describe_voicefixer_problem(home: Path | None = None, *, can_download: bool = False) -> str:
    """Return why voicefixer cannot be used and what to do; "" where it can.

    can_download: missing weights are no problem, since they are downloaded on first use.
    """
    if missing := missing_packages():
        return (
            f"It is not installed ({', '.join(missing)} missing). Install it with: "
            f"{INSTALL_COMMAND}. Its weights are downloaded on first use."
        )
    folder = get_weights_folder(home)
    absent = [name for name in WEIGHT_FILES if not (folder / name).is_file()]
    if absent and not can_download:
        return (
            f"Its weights are missing: {' and '.join(absent)} must be in {folder}. Allow "
            "downloads in Settings and use it once, or put the files there: "
            f"{WEIGHTS_URL.removesuffix('/files/')}."
        )
    return ""
