"""Which transcribers this machine has, and what is missing for the others.

Light: looks at folders and installed packages, and loads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from training.asr.base import (
    FASTER_WHISPER,
    POCKETSPHINX,
    TRANSCRIBERS,
    WHISPER,
    TranscribeError,
)

SIZES_WITH_ENGLISH_MODEL = ("tiny", "base", "small", "medium")  # there is an .en of each
WHISPER_MODELS = (
    *("turbo", "large-v3-turbo", "large", "large-v3", "large-v2", "large-v1"),
    *(name for size in reversed(SIZES_WITH_ENGLISH_MODEL) for name in (size, f"{size}.en")),
)
"""Every name of a published Whisper model, the best first."""
_FILE_STEMS = {"turbo": "large-v3-turbo", "large": "large-v3"}
PIP_INSTALL = ".venv/bin/python -m pip install"  # the pip of this Python, not of another
REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")
CONVERSION_HINT = (
    "`ct2-transformers-converter --model FOLDER --output_dir models/whisper/NAME --copy_files "
    "tokenizer.json preprocessor_config.json` makes one"
)
INSTALL_EXTRAS_COMMAND = f"{PIP_INSTALL} -r requirements-extra.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriberInfo:
    """One transcriber as a person chooses it.

    help: in a line;  why_not: what is missing, "" where it can listen at once;  models: those
    that are here, the best first.
    """

    name: str
    help: str
    unavailable_reason: str = ""
    models: tuple[str, ...] = ()

    @property
    def is_available(self) -> bool:
        """Whether it can listen at once."""
        return not self.unavailable_reason


def probe_transcribers(models: Path) -> tuple[TranscriberInfo, ...]:
    """Return every transcriber and whether it can be had.  models: the folder of Whisper models."""
    missing = {
        WHISPER: _explain_missing_whisper(models),
        FASTER_WHISPER: _explain_missing_faster_whisper(models),
        POCKETSPHINX: _explain_missing_package(
            "pocketsphinx", f"{PIP_INSTALL} -r requirements.txt"
        ),
    }
    here = {WHISPER: list_local_models(models), FASTER_WHISPER: list_converted_models(models)}
    return tuple(
        TranscriberInfo(
            name=name,
            help=help,
            unavailable_reason=missing.get(name, ""),
            models=here.get(name, ()),
        )
        for name, help in TRANSCRIBERS.items()
    )


def select_auto_transcriber(models: Path, language: str = "") -> str:
    """Return what `auto` takes where no words are given.  language: a code, "" for any."""
    suiting = select_best_model(list_local_models(models), language)
    return WHISPER if suiting and not _explain_missing_whisper(models) else POCKETSPHINX


def get_model_file(models: Path, name: str) -> Path:
    """Return where a published model lies, or would lie."""
    return models / f"{_FILE_STEMS.get(name, name)}.pt"


def list_local_models(models: Path) -> tuple[str, ...]:
    """Return the Whisper models in the folder: published ones, the best first, then own ones."""
    there = {path.stem for path in models.glob("*.pt")} if models.is_dir() else set()
    published = [name for name in WHISPER_MODELS if name in there]
    return (*published, *sorted(there - set(published)))


def select_best_model(names: Sequence[str], language: str = "") -> str:
    """Return the best model for a language, "" where none suits.

    For English the .en of a size hears better; for any other language it does not count.
    """
    suiting = [name for name in names if language == "en" or not name.endswith(".en")]
    best = suiting[0] if suiting else ""
    return f"{best}.en" if language == "en" and f"{best}.en" in names else best


def list_converted_models(models: Path) -> tuple[str, ...]:
    """Return the folders of models that CTranslate2 has converted."""
    found = models.glob("*/model.bin") if models.is_dir() else ()
    return tuple(sorted(path.parent.name for path in found))


def find_whisper_model(models: Path, name: str) -> Path:
    """Return the file of a model: a published one or an own one in the folder, or any path.

    Raises TranscribeError saying how it can be fetched.
    """
    if name.endswith(".pt"):
        own = Path(name).expanduser()
        path = models / name if (models / name).is_file() else own
        if not path.is_file():
            raise TranscribeError(f"There is no file {path}. Name a .pt file of openai-whisper.")
        return path
    path = get_model_file(models, name)
    if not path.is_file():
        raise TranscribeError(
            f"The Whisper model {name!r} is not in {models}. {format_download_command(name)} "
            f"brings it; or "
            "put the .pt file there yourself. Nothing is fetched unasked."
        )
    return path


def find_converted_model(models: Path, name: str) -> Path:
    """Return the folder of a converted model: one of `models`, any path, the first for "".

    Raises TranscribeError saying how one is made.
    """
    here = list_converted_models(models)
    if not name and not here:
        raise TranscribeError(
            f"There is no converted Whisper model in {models}. {CONVERSION_HINT}."
        )
    own = models / (name or here[0])
    folder = own if own.is_dir() else Path(name).expanduser()
    missing = [part for part in REQUIRED_FILES if not (folder / part).is_file()]
    if missing:
        raise TranscribeError(
            f"{folder} is no Whisper model for faster-whisper: it lacks {', '.join(missing)}. "
            f"{CONVERSION_HINT}."
        )
    return folder


def format_download_command(name: str) -> str:
    """Return the one command that brings a published model."""
    return f"`testudo models download whisper-{name}`"


def _explain_missing_whisper(models: Path) -> str:
    missing = _explain_missing_package("whisper", f"{PIP_INSTALL} -r requirements.txt")
    if missing or list_local_models(models):
        return missing
    return f"no model in {models}; {format_download_command('base')} brings one"


def _explain_missing_faster_whisper(models: Path) -> str:
    missing = _explain_missing_package("faster_whisper", INSTALL_EXTRAS_COMMAND)
    if missing or list_converted_models(models):
        return missing
    return f"no converted model in {models}: a folder with model.bin, as ct2-transformers-converter"


def _explain_missing_package(package: str, command: str) -> str:
    return "" if find_spec(package) else f"the package is not installed: `{command}`"
