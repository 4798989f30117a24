"""Models: list, verify, download, import from published files."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import replace_folder, tree_size
from core.paths import ProjectPaths, quote_for_message
from core.progress import ProgressReporter
from core.serialization import suggest_similar
from engines.model_files import (
    CONFIG_FILE,
    ModelFileError,
    get_network_path,
    list_tensor_files,
    read_json,
)
from studio.model_store.model_engine import (
    SV2TTS,
    TORTOISE,
    check_model_files,
    compute_model_id,
    find_missing_model_files,
    get_model_engine,
    holds_published_sv2tts,
    refuse_other_engine,
)
from studio.model_store.work_folder import prepare_work_folder
from tortoise.checkpoints.published import (
    PUBLISHED_FILES,
    PUBLISHED_MODEL_NAME,
    PublishedFile,
    find_published_files,
)

if TYPE_CHECKING:
    from studio.model_store.download import DownloadProgress

PUBLISHED_SV2TTS_NAME = "rtvc"
STARTER_MODEL = "starter"
SHIPPED_MODELS = (STARTER_MODEL, "starter-sv2tts")
FINETUNES_DIR = "finetunes"
RESERVED_DISK_BYTES = 200_000_000  # to leave free after a download or an import


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model folder in a list.

    networks: in the folder;  missing: files that speech needs;  size: bytes;  problem: why the
    config cannot be read, "" for none;  converts: whether it has a speaker codec, for voice
    conversion;  engine: that speaks with it.
    """

    name: str
    path: Path
    about: str
    networks: tuple[str, ...]
    size: int
    weights_id: str
    missing: tuple[str, ...] = ()
    problem: str = ""
    converts: bool = False
    engine: str = TORTOISE

    @property
    def speaks(self) -> bool:
        """Return whether the model can be used for speech."""
        return not self.missing and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """The result of verifying one file."""

    file: str
    good: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyModelResult:
    """The result of verifying a model."""

    name: str
    checks: tuple[FileCheck, ...]

    @property
    def good(self) -> bool:
        """Return whether every file is good."""
        return all(check.good for check in self.checks)


def list_models(layout: ProjectPaths) -> list[ModelSummary]:
    """List the models under models/, finetuned ones last."""
    names = [folder.relative_to(layout.models).as_posix() for folder in _list_folders(layout)]
    return [
        summarize_model(layout, name) for name in names if _is_model_folder(layout.models / name)
    ]


def get_models_fingerprint(layout: ProjectPaths) -> str:
    """Return a text that changes with the list of models; opens no file."""
    states = []
    for folder in _list_folders(layout):
        with suppress(OSError):  # it is being replaced
            states.append(f"{folder.name} {folder.stat().st_mtime_ns}")
    return " ".join(states)


def summarize_model(layout: ProjectPaths, name: str) -> ModelSummary:
    """Describe one model from its files, without loading a network."""
    folder = find_model_folder(layout, name)
    try:
        config = read_json(folder / CONFIG_FILE)
        problem = "" if isinstance(config, dict) else f"{CONFIG_FILE} is not a table"
    except ModelFileError as error:
        config, problem = {}, str(error)
    described = config if isinstance(config, dict) else {}
    stems = [file.stem for file in list_tensor_files(folder)]
    return ModelSummary(
        name=name,
        path=folder,
        about=str(described.get("about", "")),
        networks=tuple(stem for stem in stems if stem in described),
        size=tree_size(folder),
        weights_id=compute_model_id(folder),
        missing=tuple(find_missing_model_files(folder)),
        engine=get_model_engine(folder) or TORTOISE,
        problem=problem,
        converts="dvae" in stems and "speaker_encoder" in (described.get("dvae") or {}),
    )


def find_model_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a model.  Raises AppError where there is none of that name."""
    folder = layout.model(name)
    if folder.is_dir():
        return folder
    names = [model.name for model in list_models(layout)]
    known = ", ".join(names) or "none"
    same = [one for one in names if one.rpartition("/")[2] == name]
    similar = suggest_similar(same[0] if same else name, names)
    raise AppError(
        f"There is no model {quote_for_message(name)} in {layout.models} (there: {known})."
        f"{similar}",
        code="missing_weights",
        cli_hint=f"`testudo models download {PUBLISHED_MODEL_NAME}` downloads the published ones.",
    )


def verify_model_files(
    layout: ProjectPaths, name: str, report: ProgressReporter
) -> VerifyModelResult:
    """Check every file of a model: checksum, shapes, and whether speech needs more."""
    checks = check_model_files(find_model_folder(layout, name), report)
    return VerifyModelResult(
        name=name,
        checks=tuple(FileCheck(file=file, good=not error, message=error) for file, error in checks),
    )


def download_published_model(
    layout: ProjectPaths,
    name: str,
    report: ProgressReporter,
    also: Sequence[str] = (),
    precision: str = "fp32",
    mirror: str = "",
) -> ModelSummary:
    """Download the published weights and convert them; resume an interrupted attempt.

    An existing model of that name is replaced only when everything is complete. also: optional
    networks ("bigvgan"); precision: fp32, fp16 or bf16;  mirror: of the hub.
    """
    if name != PUBLISHED_MODEL_NAME:
        raise AppError(
            f"{quote_for_message(name)} cannot be downloaded. Choose {PUBLISHED_MODEL_NAME!r}, a "
            "Whisper model such as whisper-base, or owner/name of a repository of the Hugging Face "
            "hub."
        )
    from studio.model_store.download import DownloadProgress
    from tortoise.checkpoints.convert import create_model_folder, is_converted

    wanted = _select_files(also)
    _check_precision(precision)
    target = layout.model(name)
    parts = layout.models / f".{name}.download"
    with reraise_as_app_error(ModelFileError), translate_write_errors(target):
        workplace = prepare_work_folder(target, "part")
        pending = [file for file in wanted if not is_converted(workplace, file)]
        sizes = _fetch_file_sizes(pending, report, mirror)
        _check_disk_space(layout, sum(sizes.values()) + max(sizes.values(), default=0))
        create_model_folder(workplace)
        meter = DownloadProgress(sum(sizes.values()), report, mirror)
        for file in sizes:
            with _skip_if_optional(file, report), report.stage("download"):
                _fetch_and_convert(file, parts, workplace, precision, meter)
        shutil.rmtree(parts, ignore_errors=True)
        replace_folder(target, workplace)
    return summarize_model(layout, name)


def import_model_folder(
    layout: ProjectPaths,
    folder: Path,
    report: ProgressReporter,
    name: str = "",
    precision: str = "fp32",
) -> ModelSummary:
    """Convert published files that the user already has; the files are not changed.

    name: "" for the usual name of what the folder holds. An existing model of that name is replaced
    only when everything is converted. Raises AppError listing the missing files.
    """
    if not folder.is_dir():
        raise AppError(f"There is no folder {folder}. Give the folder with the published files.")
    _check_precision(precision)
    if holds_published_sv2tts(folder):
        return _import_sv2tts(layout, folder, name or PUBLISHED_SV2TTS_NAME)
    found = find_published_files(folder)
    name = name or PUBLISHED_MODEL_NAME
    target = layout.model(name)
    refuse_other_engine(target, TORTOISE)
    _check_required_files(folder, found, target)
    _check_disk_space(layout, sum(path.stat().st_size for path in found.values()))
    from tortoise.checkpoints.convert import create_model_folder
    from tortoise.checkpoints.verify import require_verified

    with _import_into(target) as workplace:
        create_model_folder(workplace)
        for file in report.track(_select_one_per_network(found), "convert"):
            _convert(file, found[file.name], workplace, precision, report)
        require_verified(workplace)
    return summarize_model(layout, name)


def _import_sv2tts(layout: ProjectPaths, folder: Path, name: str) -> ModelSummary:
    """Convert encoder.pt, synthesizer.pt and vocoder.pt of Real-Time Voice Cloning."""
    from sv2tts.checkpoints import import_published

    target = layout.model(name)
    refuse_other_engine(target, SV2TTS)
    with _import_into(target) as workplace:
        import_published(folder, workplace, about="Real-Time Voice Cloning, published weights")
    return summarize_model(layout, name)


@contextmanager
def _import_into(target: Path) -> Iterator[Path]:
    """Yield a work folder, which becomes the model where nothing fails."""
    with reraise_as_app_error(ModelFileError), translate_write_errors(target):
        workplace = prepare_work_folder(target, "import")
        try:
            yield workplace
            replace_folder(target, workplace)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


def _fetch_file_sizes(
    files: Sequence[PublishedFile], report: ProgressReporter, mirror: str
) -> dict[PublishedFile, int]:
    from studio.model_store.download import find_remote_files

    sizes = {}
    for file in files:
        with _skip_if_optional(file, report):
            sizes[file] = next(find_remote_files(file, mirror)).size
    return sizes


def _fetch_and_convert(
    file: PublishedFile, parts: Path, workplace: Path, precision: str, meter: DownloadProgress
) -> None:
    from studio.model_store.download import PublishedFileError, download_file

    downloaded = download_file(file, parts, meter)
    try:
        _convert(file, downloaded, workplace, precision, meter.report)
    except ModelFileError as error:
        if isinstance(error.__cause__, OSError):
            raise  # the disk, not the file
        raise PublishedFileError(str(error), code="not_published") from error
    finally:
        downloaded.unlink()


@contextmanager
def _skip_if_optional(file: PublishedFile, report: ProgressReporter) -> Iterator[None]:
    """Turn the failure of a file that speech does not need into a warning."""
    from studio.model_store.download import PublishedFileError

    try:
        yield
    except PublishedFileError as error:
        if file.needed:
            raise
        report.warn(f"{error} The model is installed without {file.network}.", stage="download")


def _convert(
    file: PublishedFile, source: Path, folder: Path, precision: str, report: ProgressReporter
) -> None:
    from tortoise.checkpoints.convert import convert_published_file

    report.note(f"converting {file.name}", stage="convert")
    unknown = convert_published_file(file, source, folder, precision)
    if unknown:
        report.warn(
            f"{file.name} contains {len(unknown)} unknown tensors, which were left out: "
            f"{', '.join(unknown[:5])}.",
            stage="convert",
        )


def _select_files(also: Sequence[str]) -> list[PublishedFile]:
    known = {file.network for file in PUBLISHED_FILES if file.network}
    for name in also:
        if name not in known:
            raise AppError(
                f"{quote_for_message(name)} is not an optional part of the published weights. "
                "Choose from: "
                f"{', '.join(sorted(known))}."
            )
    parts = {
        file.name: file for file in PUBLISHED_FILES if not file.optional or file.network in also
    }
    return _select_one_per_network(parts)


def _check_precision(precision: str) -> None:
    if precision not in ("fp32", "fp16", "bf16"):
        raise AppError(f"The precision is fp32, fp16 or bf16, not {quote_for_message(precision)}.")


def _check_required_files(folder: Path, found: Mapping[str, Path], target: Path) -> None:
    def is_present(file: PublishedFile) -> bool:
        if file.name in found:
            return True
        if file.network:
            return get_network_path(target, file.network).is_file()
        return (target / file.name.replace("mel_norms.pth", "mel_stats.safetensors")).is_file()

    missing = [file.name for file in PUBLISHED_FILES if file.needed and not is_present(file)]
    if missing:
        hint = " tokenizer.json and mel_norms.pth are in tortoise/data of the original source code."
        about_data = hint if {"tokenizer.json", "mel_norms.pth"} & set(missing) else ""
        raise AppError(
            f"{folder} lacks required files: {', '.join(missing)} missing.{about_data} "
            "Put them into the folder, or download the published model.",
            code="missing_weights",
            cli_hint=f"`testudo models download {PUBLISHED_MODEL_NAME}` downloads it.",
        )


def _check_disk_space(layout: ProjectPaths, needed: int) -> None:
    layout.models.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(layout.models).free
    if needed and free < needed + RESERVED_DISK_BYTES:
        raise AppError(
            f"{layout.models} has {free / 1e9:.1f} GB free; "
            f"{(needed + RESERVED_DISK_BYTES) / 1e9:.1f} GB are needed. Free some space, or set "
            "another folder for models."
        )


def _select_one_per_network(found: Container[str]) -> list[PublishedFile]:
    """Return the found files in the order of PUBLISHED_FILES, one for each network."""
    chosen: dict[str, PublishedFile] = {}
    for file in PUBLISHED_FILES:
        if file.name in found:
            chosen.setdefault(file.network or file.name, file)
    return list(chosen.values())


def _list_folders(layout: ProjectPaths) -> list[Path]:
    folders = [path for path in _list_subfolders(layout.models) if path.name != FINETUNES_DIR]
    return folders + _list_subfolders(layout.models / FINETUNES_DIR)


def _list_subfolders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_model_folder(folder: Path) -> bool:
    return (folder / CONFIG_FILE).is_file() or bool(list_tensor_files(folder))
