"""The weights a studio has: listed, checked, downloaded, and taken over from published files."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.report import Reporter
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout, shown
from tortoise.bundle import (
    CONFIG_FILE,
    BundleError,
    missing_to_speak,
    network_file,
    read_json,
    tensor_files,
    weights_id,
)
from tortoise.published import BUNDLE, FILES, PublishedFile, find_files

if TYPE_CHECKING:
    from studio.hub import Meter

SPARE_BYTES = 200_000_000
"""Room to leave on the disk beside what a download or an import needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSummary:
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
class Check:
    """What was found about one file of a bundle."""

    file: str
    good: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found about a whole bundle."""

    name: str
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.good for check in self.checks)


def list_bundles(layout: Layout) -> list[BundleSummary]:
    """Return every bundle under models/, fine-tunes last."""
    names = [path.name for path in _folders(layout.models) if path.name != "finetunes"]
    names += [f"finetunes/{path.name}" for path in _folders(layout.models / "finetunes")]
    return [summarise(layout, name) for name in names if _is_bundle(layout.models / name)]


def models_stamp(layout: Layout) -> str:
    """Name what the models folder holds now: another stamp, another list. Cheap to ask often."""
    told = []
    for folder in (*_folders(layout.models), *_folders(layout.models / "finetunes")):
        with suppress(OSError):  # it is just being replaced
            told.append(f"{folder.name} {folder.stat().st_mtime_ns}")
    return " ".join(told)


def summarise(layout: Layout, name: str) -> BundleSummary:
    """Describe one bundle from its files, without opening a network."""
    folder = existing_bundle(layout, name)
    try:
        config = read_json(folder / CONFIG_FILE)
        problem = "" if isinstance(config, dict) else f"{CONFIG_FILE} is not a table"
    except BundleError as error:
        config, problem = {}, str(error)
    described = config if isinstance(config, dict) else {}
    held = [file.stem for file in tensor_files(folder)]
    return BundleSummary(
        name=name,
        path=folder,
        about=str(described.get("about", "")),
        networks=tuple(stem for stem in held if stem in described),
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        weights_id=weights_id(folder),
        missing=tuple(missing_to_speak(folder)),
        problem=problem,
    )


def existing_bundle(layout: Layout, name: str) -> Path:
    """Return the folder of a bundle that is there; refuse a name that is not."""
    folder = layout.bundle(name)
    if folder.is_dir():
        return folder
    there = ", ".join(path.name for path in _folders(layout.models)) or "none"
    raise StudioError(
        f"There are no weights {shown(name)} in {layout.models} (there: {there}). "
        f"`testudo models download {BUNDLE}` fetches the published ones."
    )


def verify(layout: Layout, name: str, report: Reporter) -> Verification:
    """Open every file of a bundle: is it what was written, does it fit, can it speak?"""
    from tortoise.verify import check_bundle

    folder = existing_bundle(layout, name)
    checks = check_bundle(folder, report)
    return Verification(
        name=name,
        checks=tuple(Check(file=file, good=not wrong, message=wrong) for file, wrong in checks),
    )


def download(
    layout: Layout,
    name: str,
    report: Reporter,
    also: Sequence[str] = (),
    precision: str = "fp32",
) -> BundleSummary:
    """Fetch the published weights and make a bundle of them; goes on where an attempt stopped.

    also: optional networks ("bigvgan");  precision: fp32, fp16 or bf16.
    """
    if name != BUNDLE:
        raise StudioError(f"Only {BUNDLE!r} can be downloaded, not {shown(name)}.")
    from studio.hub import Meter
    from tortoise.convert import holds, start_bundle

    wanted = _wanted_files(also)
    _check_precision(precision)
    workplace = _workplace(layout, name)
    parts = layout.models / f".{name}.download"
    with refusing(BundleError), writing_to(workplace):
        sizes = _sizes([file for file in wanted if not holds(workplace, file)], report)
        _check_room(layout, sum(sizes.values()) + max(sizes.values(), default=0))
        start_bundle(workplace)
        meter = Meter(sum(sizes.values()), report)
        for file in sizes:
            with _perhaps_without(file, report), report.stage("download"):
                _fetch_and_convert(file, parts, workplace, precision, meter)
        shutil.rmtree(parts, ignore_errors=True)
        _put_in_place(workplace, layout.bundle(name))
    return summarise(layout, name)


def import_folder(
    layout: Layout, folder: Path, report: Reporter, name: str = BUNDLE, precision: str = "fp32"
) -> BundleSummary:
    """Make a bundle of published files that somebody already has; the files stay as they are.

    Refuses a folder that lacks what speaking needs, with a list.
    """
    if not folder.is_dir():
        raise StudioError(f"There is no folder {folder}. Name the one with the published files.")
    _check_precision(precision)
    found = find_files(folder)
    target = layout.bundle(name)
    _check_enough(folder, found, target)
    _check_room(layout, sum(path.stat().st_size for path in found.values()))
    from tortoise.convert import start_bundle

    with refusing(BundleError), writing_to(target), _fresh_or(target) as workplace:
        start_bundle(workplace)
        for file in report.track(_one_per_network(found), "convert"):
            _convert(file, found[file.name], workplace, precision, report)
        _put_in_place(workplace, target)
    return summarise(layout, name)


def _sizes(files: Sequence[PublishedFile], report: Reporter) -> dict[PublishedFile, int]:
    """Ask how large each file is, leaving out those that are gone and not needed."""
    from studio.hub import offers

    sizes = {}
    for file in files:
        with _perhaps_without(file, report):
            sizes[file] = next(offers(file)).size
    return sizes


def _fetch_and_convert(
    file: PublishedFile, parts: Path, workplace: Path, precision: str, meter: Meter
) -> None:
    from studio.hub import NotAsPublished, fetch

    came = fetch(file, parts, meter)
    try:
        _convert(file, came, workplace, precision, meter.report)
    except BundleError as error:
        if isinstance(error.__cause__, OSError):
            raise  # the disk, not the file
        raise NotAsPublished(str(error)) from error
    finally:
        came.unlink()


@contextmanager
def _perhaps_without(file: PublishedFile, report: Reporter) -> Iterator[None]:
    """Do without a file that cannot be had as it was published, if speaking does not need it."""
    from studio.hub import NotAsPublished

    try:
        yield
    except NotAsPublished as refusal:
        if file.needed:
            raise
        report.warn(f"{refusal} The bundle goes without {file.network}.", stage="download")


def _convert(
    file: PublishedFile, source: Path, folder: Path, precision: str, report: Reporter
) -> None:
    from tortoise.convert import convert

    report.note(f"converting {file.name}", stage="convert")
    unknown = convert(file, source, folder, precision)
    if unknown:
        report.warn(
            f"{file.name} holds {len(unknown)} tensors that nothing is known of; they were left "
            f"out: {', '.join(unknown[:5])}.",
            stage="convert",
        )


def _wanted_files(also: Sequence[str]) -> list[PublishedFile]:
    known = {file.network for file in FILES if file.network}
    for name in also:
        if name not in known:
            raise StudioError(
                f"{shown(name)} is no part of the published weights; these are: "
                f"{', '.join(sorted(known))}."
            )
    parts = {file.name: file for file in FILES if not file.optional or file.network in also}
    return _one_per_network(parts)


def _check_precision(precision: str) -> None:
    if precision not in ("fp32", "fp16", "bf16"):
        raise StudioError(f"Weights are stored as fp32, fp16 or bf16, not {shown(precision)}.")


def _check_enough(folder: Path, found: Mapping[str, Path], target: Path) -> None:
    def there(file: PublishedFile) -> bool:
        if file.name in found:
            return True
        if file.network:
            return network_file(target, file.network).is_file()
        return (target / file.name.replace("mel_norms.pth", "mel_stats.safetensors")).is_file()

    missing = [file.name for file in FILES if file.needed and not there(file)]
    if missing:
        hint = " tokenizer.json and mel_norms.pth lie in tortoise/data of the original's source."
        about_data = hint if {"tokenizer.json", "mel_norms.pth"} & set(missing) else ""
        raise StudioError(
            f"{folder} is not enough to speak with: {', '.join(missing)} missing.{about_data} "
            f"Put them into the folder, or fetch all with `testudo models download {BUNDLE}`."
        )


def _check_room(layout: Layout, needed: int) -> None:
    layout.models.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(layout.models).free
    if needed and free < needed + SPARE_BYTES:
        raise StudioError(
            f"{layout.models} has {_gigabytes(free)} free; {_gigabytes(needed + SPARE_BYTES)} are "
            "needed. Free some space, or set another folder for models."
        )


def _one_per_network(found: Container[str]) -> list[PublishedFile]:
    """The named files in the table's order, the first only of several for one network."""
    chosen: dict[str, PublishedFile] = {}
    for file in FILES:
        if file.name in found:
            chosen.setdefault(file.network or file.name, file)
    return list(chosen.values())


def _workplace(layout: Layout, name: str) -> Path:
    """Where a bundle grows: in place if it is there already, else hidden until it is whole."""
    target = layout.bundle(name)
    return target if (target / CONFIG_FILE).is_file() else layout.models / f".{name}.part"


@contextmanager
def _fresh_or(target: Path) -> Iterator[Path]:
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


def _put_in_place(workplace: Path, target: Path) -> None:
    if workplace != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        workplace.replace(target)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_bundle(folder: Path) -> bool:
    return (folder / CONFIG_FILE).is_file() or bool(tensor_files(folder))


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
