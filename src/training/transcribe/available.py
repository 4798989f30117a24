"""Which transcribers this machine has, and what is missing for the others.

Light: looks at folders and installed packages, and loads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from training.transcribe.base import (
    FASTER_WHISPER,
    POCKETSPHINX,
    TRANSCRIBERS,
    WHISPER,
    TranscribeError,
)

ENGLISH_TOO = ("tiny", "base", "small", "medium")  # there is an .en of each
WHISPER_MODELS = (
    *("turbo", "large-v3-turbo", "large", "large-v3", "large-v2", "large-v1"),
    *(name for size in reversed(ENGLISH_TOO) for name in (size, f"{size}.en")),
)
"""Every name of a published Whisper model, the best first."""
_FILES = {"turbo": "large-v3-turbo", "large": "large-v3"}
PIP = ".venv/bin/python -m pip install"  # the pip of this Python, not of another
NEEDED = ("model.bin", "config.json", "tokenizer.json")
CONVERT = (
    "`ct2-transformers-converter --model FOLDER --output_dir models/whisper/NAME --copy_files "
    "tokenizer.json preprocessor_config.json` makes one"
)
EXTRA = f"{PIP} -r requirements-extra.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One transcriber as a person chooses it.

    help: in a line;  why_not: what is missing, "" where it can listen at once;  models: those
    that are here, the best first.
    """

    name: str
    help: str
    why_not: str = ""
    models: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether it can listen at once."""
        return not self.why_not


def available(models: Path) -> tuple[Choice, ...]:
    """Return every transcriber and whether it can be had.  models: the folder of Whisper models."""
    missing = {
        WHISPER: _missing_whisper(models),
        FASTER_WHISPER: _missing_faster(models),
        POCKETSPHINX: _missing_package("pocketsphinx", f"{PIP} -r requirements.txt"),
    }
    here = {WHISPER: local_models(models), FASTER_WHISPER: converted_models(models)}
    return tuple(
        Choice(name=name, help=help, why_not=missing.get(name, ""), models=here.get(name, ()))
        for name, help in TRANSCRIBERS.items()
    )


def automatic(models: Path, language: str = "") -> str:
    """Return what `auto` takes where no words are given.  language: a code, "" for any."""
    suiting = best_model(local_models(models), language)
    return WHISPER if suiting and not _missing_whisper(models) else POCKETSPHINX


def model_file(models: Path, name: str) -> Path:
    """Return where a published model lies, or would lie."""
    return models / f"{_FILES.get(name, name)}.pt"


def local_models(models: Path) -> tuple[str, ...]:
    """Return the Whisper models in the folder: published ones, the best first, then own ones."""
    there = {path.stem for path in models.glob("*.pt")} if models.is_dir() else set()
    published = [name for name in WHISPER_MODELS if name in there]
    return (*published, *sorted(there - set(published)))


def best_model(names: Sequence[str], language: str = "") -> str:
    """Return the best model for a language, "" where none suits.

    For English the .en of a size hears better; for any other language it does not count.
    """
    suiting = [name for name in names if language == "en" or not name.endswith(".en")]
    best = suiting[0] if suiting else ""
    return f"{best}.en" if language == "en" and f"{best}.en" in names else best


def converted_models(models: Path) -> tuple[str, ...]:
    """Return the folders of models that CTranslate2 has converted."""
    found = models.glob("*/model.bin") if models.is_dir() else ()
    return tuple(sorted(path.parent.name for path in found))


def find_whisper(models: Path, name: str) -> Path:
    """Return the file of a model: a published one or an own one in the folder, or any path.

    Raises TranscribeError saying how it can be fetched.
    """
    if name.endswith(".pt"):
        own = Path(name).expanduser()
        path = models / name if (models / name).is_file() else own
        if not path.is_file():
            raise TranscribeError(f"There is no file {path}. Name a .pt file of openai-whisper.")
        return path
    path = model_file(models, name)
    if not path.is_file():
        raise TranscribeError(
            f"The Whisper model {name!r} is not in {models}. {how_to_fetch(name)} brings it; or "
            "put the .pt file there yourself. Nothing is fetched unasked."
        )
    return path


def find_converted(models: Path, name: str) -> Path:
    """Return the folder of a converted model: one of `models`, any path, the first for "".

    Raises TranscribeError saying how one is made.
    """
    here = converted_models(models)
    if not name and not here:
        raise TranscribeError(f"There is no converted Whisper model in {models}. {CONVERT}.")
    own = models / (name or here[0])
    folder = own if own.is_dir() else Path(name).expanduser()
    missing = [part for part in NEEDED if not (folder / part).is_file()]
    if missing:
        raise TranscribeError(
            f"{folder} is no Whisper model for faster-whisper: it lacks {', '.join(missing)}. "
            f"{CONVERT}."
        )
    return folder


def how_to_fetch(name: str) -> str:
    """Return the one command that brings a published model."""
    return f"`testudo models download whisper-{name}`"


def _missing_whisper(models: Path) -> str:
    missing = _missing_package("whisper", f"{PIP} -r requirements.txt")
    if missing or local_models(models):
        return missing
    return f"no model in {models}; {how_to_fetch('base')} brings one"


def _missing_faster(models: Path) -> str:
    missing = _missing_package("faster_whisper", EXTRA)
    if missing or converted_models(models):
        return missing
    return f"no converted model in {models}: a folder with model.bin, as ct2-transformers-converter"


def _missing_package(package: str, command: str) -> str:
    return "" if find_spec(package) else f"the package is not installed: `{command}`"
