"""The weights a studio has: listed, checked, downloaded, and taken over from published files."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, quote_for_message
from core.progress import ProgressReporter
from tortoise.checkpoints.layout import (
    CONFIG_FILE,
    ModelFileError,
    compute_weights_id,
    find_missing_files,
    get_network_path,
    list_tensor_files,
    read_json,
)
from tortoise.checkpoints.published import (
    PUBLISHED_FILES,
    PUBLISHED_MODEL_NAME,
    PublishedFile,
    find_published_files,
)

if TYPE_CHECKING:
    from studio.model_store.download import DownloadProgress

RESERVED_DISK_BYTES = 200_000_000
"""Room to leave on the disk beside what a download or an import needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """One bundle as a listing shows it.

    networks: what it holds;  missing: files it needs before it can speak;  size: bytes;
    problem: why its config cannot be read, "" if it can.
    """

    name: str
    path: Path
    about: str
    networks: tuple[str, ...]
    size: int
    weights_id: str
    missing: tuple[str, ...] = ()
    problem: str = ""

    @property
    def speaks(self) -> bool:
        """Whether the bundle is whole enough to be spoken with."""
        return not self.missing and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """What was found about one file of a bundle."""

    file: str
    good: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyModelResult:
    """What was found about a whole bundle."""

    name: str
    checks: tuple[FileCheck, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.good for check in self.checks)


def list_models(layout: ProjectPaths) -> list[ModelSummary]:
    """Return every bundle under models/, fine-tunes last."""
    names = [path.name for path in _list_subfolders(layout.models) if path.name != "finetunes"]
    names += [f"finetunes/{path.name}" for path in _list_subfolders(layout.models / "finetunes")]
    return [
        summarize_model(layout, name) for name in names if _is_model_folder(layout.models / name)
    ]


def get_models_fingerprint(layout: ProjectPaths) -> str:
    """Name what the models folder holds now: another stamp, another list. Cheap to ask often."""
    told = []
    for folder in (
        *_list_subfolders(layout.models),
        *_list_subfolders(layout.models / "finetunes"),
    ):
        with suppress(OSError):  # it is just being replaced
            told.append(f"{folder.name} {folder.stat().st_mtime_ns}")
    return " ".join(told)


def summarize_model(layout: ProjectPaths, name: str) -> ModelSummary:
    """Describe one bundle from its files, without opening a network."""
    folder = find_model_folder(layout, name)
    try:
        config = read_json(folder / CONFIG_FILE)
        problem = "" if isinstance(config, dict) else f"{CONFIG_FILE} is not a table"
    except ModelFileError as error:
        config, problem = {}, str(error)
    described = config if isinstance(config, dict) else {}
    held = [file.stem for file in list_tensor_files(folder)]
    return ModelSummary(
        name=name,
        path=folder,
        about=str(described.get("about", "")),
        networks=tuple(stem for stem in held if stem in described),
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        weights_id=compute_weights_id(folder),
        missing=tuple(find_missing_files(folder)),
        problem=problem,
    )


def find_model_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a bundle that is there; refuse a name that is not."""
    folder = layout.model(name)
    if folder.is_dir():
        return folder
    there = ", ".join(path.name for path in _list_subfolders(layout.models)) or "none"
    raise AppError(
        f"There are no weights {quote_for_message(name)} in {layout.models} (there: {there}). "
        f"`testudo models download {PUBLISHED_MODEL_NAME}` fetches the published ones.",
        code="missing_weights",
    )


def verify_model_files(
    layout: ProjectPaths, name: str, report: ProgressReporter
) -> VerifyModelResult:
    """Open every file of a bundle: is it what was written, does it fit, can it speak?"""
    from tortoise.checkpoints.verify import verify_model_folder

    folder = find_model_folder(layout, name)
    checks = verify_model_folder(folder, report)
    return VerifyModelResult(
        name=name,
        checks=tuple(FileCheck(file=file, good=not wrong, message=wrong) for file, wrong in checks),
    )


def download_published_model(
    layout: ProjectPaths,
    name: str,
    report: ProgressReporter,
    also: Sequence[str] = (),
    precision: str = "fp32",
) -> ModelSummary:
    """Fetch the published weights and make a bundle of them; goes on where an attempt stopped.

    also: optional networks ("bigvgan");  precision: fp32, fp16 or bf16.
    """
    if name != PUBLISHED_MODEL_NAME:
        raise AppError(
            f"Only {PUBLISHED_MODEL_NAME!r} can be downloaded, not {quote_for_message(name)}."
        )
    from studio.model_store.download import DownloadProgress
    from tortoise.checkpoints.convert import create_model_folder, is_converted

    wanted = _select_files(also)
    _check_precision(precision)
    workplace = _get_work_folder(layout, name)
    parts = layout.models / f".{name}.download"
    with reraise_as_app_error(ModelFileError), translate_write_errors(workplace):
        sizes = _fetch_file_sizes(
            [file for file in wanted if not is_converted(workplace, file)], report
        )
        _check_disk_space(layout, sum(sizes.values()) + max(sizes.values(), default=0))
        create_model_folder(workplace)
        meter = DownloadProgress(sum(sizes.values()), report)
        for file in sizes:
            with _skip_if_optional(file, report), report.stage("download"):
                _fetch_and_convert(file, parts, workplace, precision, meter)
        shutil.rmtree(parts, ignore_errors=True)
        _move_into_place(workplace, layout.model(name))
    return summarize_model(layout, name)


def import_model_folder(
    layout: ProjectPaths,
    folder: Path,
    report: ProgressReporter,
    name: str = PUBLISHED_MODEL_NAME,
    precision: str = "fp32",
) -> ModelSummary:
    """Make a bundle of published files that somebody already has; the files stay as they are.

    Refuses a folder that lacks what speaking needs, with a list.
    """
    if not folder.is_dir():
        raise AppError(f"There is no folder {folder}. Name the one with the published files.")
    _check_precision(precision)
    found = find_published_files(folder)
    target = layout.model(name)
    _check_required_files(folder, found, target)
    _check_disk_space(layout, sum(path.stat().st_size for path in found.values()))
    from tortoise.checkpoints.convert import create_model_folder

    with (
        reraise_as_app_error(ModelFileError),
        translate_write_errors(target),
        _open_work_folder(target) as workplace,
    ):
        create_model_folder(workplace)
        for file in report.track(_select_one_per_network(found), "convert"):
            _convert(file, found[file.name], workplace, precision, report)
        _move_into_place(workplace, target)
    return summarize_model(layout, name)


def _fetch_file_sizes(
    files: Sequence[PublishedFile], report: ProgressReporter
) -> dict[PublishedFile, int]:
    """Ask how large each file is, leaving out those that are gone and not needed."""
    from studio.model_store.download import find_remote_files

    sizes = {}
    for file in files:
        with _skip_if_optional(file, report):
            sizes[file] = next(find_remote_files(file)).size
    return sizes


def _fetch_and_convert(
    file: PublishedFile, parts: Path, workplace: Path, precision: str, meter: DownloadProgress
) -> None:
    from studio.model_store.download import PublishedFileError, download_file

    came = download_file(file, parts, meter)
    try:
        _convert(file, came, workplace, precision, meter.report)
    except ModelFileError as error:
        if isinstance(error.__cause__, OSError):
            raise  # the disk, not the file
        raise PublishedFileError(str(error), code="not_published") from error
    finally:
        came.unlink()


@contextmanager
def _skip_if_optional(file: PublishedFile, report: ProgressReporter) -> Iterator[None]:
    """Do without a file that cannot be had as it was published, if speaking does not need it."""
    from studio.model_store.download import PublishedFileError

    try:
        yield
    except PublishedFileError as refusal:
        if file.needed:
            raise
        report.warn(f"{refusal} The bundle goes without {file.network}.", stage="download")


def _convert(
    file: PublishedFile, source: Path, folder: Path, precision: str, report: ProgressReporter
) -> None:
    from tortoise.checkpoints.convert import convert_published_file

    report.note(f"converting {file.name}", stage="convert")
    unknown = convert_published_file(file, source, folder, precision)
    if unknown:
        report.warn(
            f"{file.name} holds {len(unknown)} tensors that nothing is known of; they were left "
            f"out: {', '.join(unknown[:5])}.",
            stage="convert",
        )


def _select_files(also: Sequence[str]) -> list[PublishedFile]:
    known = {file.network for file in PUBLISHED_FILES if file.network}
    for name in also:
        if name not in known:
            raise AppError(
                f"{quote_for_message(name)} is no part of the published weights; these are: "
                f"{', '.join(sorted(known))}."
            )
    parts = {
        file.name: file for file in PUBLISHED_FILES if not file.optional or file.network in also
    }
    return _select_one_per_network(parts)


def _check_precision(precision: str) -> None:
    if precision not in ("fp32", "fp16", "bf16"):
        raise AppError(
            f"Weights are stored as fp32, fp16 or bf16, not {quote_for_message(precision)}."
        )


def _check_required_files(folder: Path, found: Mapping[str, Path], target: Path) -> None:
    def there(file: PublishedFile) -> bool:
        if file.name in found:
            return True
        if file.network:
            return get_network_path(target, file.network).is_file()
        return (target / file.name.replace("mel_norms.pth", "mel_stats.safetensors")).is_file()

    missing = [file.name for file in PUBLISHED_FILES if file.needed and not there(file)]
    if missing:
        hint = " tokenizer.json and mel_norms.pth lie in tortoise/data of the original's source."
        about_data = hint if {"tokenizer.json", "mel_norms.pth"} & set(missing) else ""
        raise AppError(
            f"{folder} is not enough to speak with: {', '.join(missing)} missing.{about_data} "
            f"Put them into the folder, or fetch all with `testudo models download "
            f"{PUBLISHED_MODEL_NAME}`.",
            code="missing_weights",
        )


def _check_disk_space(layout: ProjectPaths, needed: int) -> None:
    layout.models.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(layout.models).free
    if needed and free < needed + RESERVED_DISK_BYTES:
        raise AppError(
            f"{layout.models} has {_format_gigabytes(free)} free; "
            f"{_format_gigabytes(needed + RESERVED_DISK_BYTES)} are "
            "needed. Free some space, or set another folder for models."
        )


def _select_one_per_network(found: Container[str]) -> list[PublishedFile]:
    """The named files in the table's order, the first only of several for one network."""
    chosen: dict[str, PublishedFile] = {}
    for file in PUBLISHED_FILES:
        if file.name in found:
            chosen.setdefault(file.network or file.name, file)
    return list(chosen.values())


def _get_work_folder(layout: ProjectPaths, name: str) -> Path:
    """Where a bundle grows: in place if it is there already, else hidden until it is whole."""
    target = layout.model(name)
    return target if (target / CONFIG_FILE).is_file() else layout.models / f".{name}.part"


@contextmanager
def _open_work_folder(target: Path) -> Iterator[Path]:
    """Work in the bundle if there is one, else in a hidden folder that a failure takes away."""
    if (target / CONFIG_FILE).is_file():
        yield target
        return
    fresh = target.with_name(f".{target.name}.import")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _move_into_place(workplace: Path, target: Path) -> None:
    if workplace != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        workplace.replace(target)


def _list_subfolders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_model_folder(folder: Path) -> bool:
    return (folder / CONFIG_FILE).is_file() or bool(list_tensor_files(folder))


def _format_gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
