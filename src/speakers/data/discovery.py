"""Find the recordings of a dataset: its layout, its speakers, and why files are left out.

scan = scan_dataset(Path("LibriSpeech/train-clean-100"))
scan.recordings, scan.left_out
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import AppError
from core.paths import quote_for_message
from core.serialization import suggest_similar
from speakers.data.layouts import LAYOUTS, Layout, get_layout
from speakers.data.metadata import TextFileError, parse_gender, read_table, read_text
from speakers.data.options import LAYOUT_NAMES
from speakers.data.scan import (
    LeftOut,
    Scan,
    SpeakerFacts,
    explain_other_file,
    is_audio,
    leave_out_duplicates,
    make_recordings,
    merge_scans,
    walk_files,
)

PATH_COLUMNS = ("path", "file", "audio", "wav", "filename")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id", "singer")
NEAR_SPEAKERS = 2  # folders with recordings that a dataset needs beside a given one


def scan_dataset(root: Path, layout: str = "auto") -> Scan:
    """Return the recordings of a folder or CSV file.

    layout: one of LAYOUT_NAMES; "auto" finds it, also of several datasets below one folder.
    Raises AppError where there is nothing to read at all, naming what is there.
    """
    _check_root(root, layout)
    if root.is_file():
        return leave_out_duplicates(_scan_csv(root))
    files = list(walk_files(root))
    scan = _scan_files(root, files, layout)
    if not scan.recordings:
        raise AppError(_explain_nothing(scan), code="missing_file")
    return leave_out_duplicates(replace(scan, left_out=(*scan.left_out, *_find_empty(root))))


def _scan_files(root: Path, files: Sequence[Path], layout: str) -> Scan:
    if layout != "auto":
        known = get_layout(layout)
        return _scan_layout(known, root, files) if known else _scan_folders(root, files)
    audio = [path for path in files if _is_recording(path, root)]
    counts = Counter(
        known.name
        for known in LAYOUTS
        for path in audio
        if known.find_speaker(path.absolute()) is not None
    )
    if not counts:
        return _scan_folders(root, files)
    if len(counts) > 1 and (parts := _split_by_folder(root, files)):
        scans = [_scan_files(folder, below, "auto") for folder, below in parts.items() if folder]
        joined = merge_scans([scan for scan in scans if scan.recordings or scan.left_out], root)
        beside = [
            LeftOut(path=path, reason="lies beside the datasets, not in one of them")
            for path in files
            if path.parent == root
        ]
        return replace(joined, left_out=(*joined.left_out, *beside))
    best = max(LAYOUTS, key=lambda known: counts[known.name])
    return _scan_layout(best, root, files)


def _scan_layout(layout: Layout, root: Path, files: Sequence[Path]) -> Scan:
    owned: list[tuple[Path, str]] = []
    left_out: list[LeftOut] = []
    texts: list[Path] = []
    facts, metadata, remarks = _read_metadata(layout, root)
    for path in files:
        if not _is_recording(path, root):
            if layout.text and layout.text.search(path.absolute().as_posix()):
                texts.append(path)
            elif path not in metadata:
                left_out.append(LeftOut(path=path, reason=explain_other_file(path, root)))
        elif reason := layout.explain(path.absolute()):
            left_out.append(LeftOut(path=path, reason=reason))
        else:
            owned.append((path, layout.find_speaker(path.absolute()) or ""))
    if layout.name == "LJSpeech":
        left_out += _find_missing(texts, {path for path, _ in owned})
    return _finish(layout.name, root, owned, facts, [*left_out], [*metadata, *texts], remarks)


def _scan_folders(root: Path, files: Sequence[Path]) -> Scan:
    """Scan a folder with one folder for each speaker; facts come from a speakers.csv."""
    owned: list[tuple[Path, str]] = []
    left_out: list[LeftOut] = []
    texts: list[Path] = []
    stems = {path.with_suffix("") for path in files if _is_recording(path, root)}
    table = root / "speakers.csv"
    facts = _read_speaker_table(table) if table.is_file() else {}
    for path in files:
        parts = path.relative_to(root).parts
        if not _is_recording(path, root):
            if path.suffix.lower() == ".txt" and path.with_suffix("") in stems:
                texts.append(path)
            elif path != table:
                left_out.append(LeftOut(path=path, reason=explain_other_file(path, root)))
        elif len(parts) > 1:
            owned.append((path, parts[0]))
        else:
            left_out.append(LeftOut(path=path, reason=_explain_loose(root)))
    used = [*texts, *([table] if table.is_file() else [])]
    return _finish("folders", root, owned, facts, left_out, used, [])


def _finish(
    layout: str,
    root: Path,
    owned: Iterable[tuple[Path, str]],
    facts: dict[str, SpeakerFacts],
    left_out: list[LeftOut],
    used: list[Path],
    remarks: list[LeftOut],
) -> Scan:
    """Check the encodings of the texts, and name the recordings."""
    broken: list[LeftOut] = []
    for path in used:
        try:
            _, encoding = read_text(path)
            if not encoding.startswith("utf-8"):
                remarks.append(LeftOut(path=path, reason=f"not UTF-8; read as {encoding}"))
        except TextFileError as error:
            broken.append(LeftOut(path=path, reason=str(error)))
    unreadable = {item.path for item in broken}
    recordings = make_recordings(owned, root)
    if facts:
        unknown = sorted({item.speaker for item in recordings} - facts.keys())
        remarks += [
            LeftOut(path=root / name, reason=f"speaker {name} is not in the metadata")
            for name in unknown
        ]
    return Scan(
        layout=layout,
        root=root,
        recordings=recordings,
        facts=facts,
        left_out=(*left_out, *broken),
        used=tuple(path for path in used if path not in unreadable),
        remarks=tuple(remarks),
    )


def _read_metadata(
    layout: Layout, root: Path
) -> tuple[dict[str, SpeakerFacts], list[Path], list[LeftOut]]:
    facts: dict[str, SpeakerFacts] = {}
    paths: list[Path] = []
    remarks: list[LeftOut] = []
    for path, read in layout.iter_metadata(root):
        try:
            facts |= read(path)
            paths.append(path)
        except TextFileError as error:
            remarks.append(LeftOut(path=path, reason=f"{error}; genders are unknown"))
            paths.append(path)
    return facts, paths, remarks


def _read_speaker_table(path: Path) -> dict[str, SpeakerFacts]:
    rows = read_table(path)
    return {
        row.get("speaker", ""): SpeakerFacts(
            name=row.get("name", ""), gender=parse_gender(row.get("gender", ""))
        )
        for row in rows
    }


def _scan_csv(table: Path) -> Scan:
    """Scan a CSV with the columns path and speaker, and perhaps gender and name."""
    try:
        rows = read_table(table)
    except (TextFileError, csv.Error) as error:
        raise AppError(f"{table.name} {error}. Save it as a CSV file in UTF-8.") from error
    columns = list(rows[0]) if rows else []
    path_column = next((name for name in PATH_COLUMNS if name in columns), None)
    speaker_column = next((name for name in SPEAKER_COLUMNS if name in columns), None)
    if path_column is None or speaker_column is None:
        raise AppError(
            f"{table.name} needs the columns path and speaker (and may have gender and name); it "
            f"has {', '.join(columns) or 'no rows'}.",
            code="bad_request",
        )
    owned: list[tuple[Path, str]] = []
    left_out: list[LeftOut] = []
    facts: dict[str, SpeakerFacts] = {}
    seen: set[Path] = set()
    for number, row in enumerate(rows, start=2):
        written, speaker = row.get(path_column, ""), row.get(speaker_column, "")
        path = Path(os.path.normpath(table.parent / written))
        reason = ""
        if not written or not speaker:
            path, reason = table, f"line {number} names no {'path' if not written else 'speaker'}"
        elif path in seen:
            reason = f"named again in line {number} of {table.name}"
        elif not path.is_file():
            reason = f"named in line {number} of {table.name}, but there is no such file"
        if reason:
            left_out.append(LeftOut(path=path, reason=reason))
            continue
        seen.add(path)
        owned.append((path, speaker))
        gender = parse_gender(row.get("gender", ""))
        facts[speaker] = SpeakerFacts(name=row.get("name", ""), gender=gender)
    return _finish("CSV", table.parent, owned, facts, left_out, [table], [])


def _find_missing(indexes: Iterable[Path], present: set[Path]) -> list[LeftOut]:
    """Name the recordings that a metadata.csv lists and that do not exist."""
    stems = {path.stem for path in present}
    listed = ((index, name) for index in indexes for name in _read_first_column(index))
    missing = (
        (index.parent / "wavs" / f"{name}.wav", index)
        for index, name in listed
        if name not in stems and "/" not in name
    )
    return [
        LeftOut(path=path, reason=f"named in {index.name}, but there is no such file")
        for path, index in missing
        if not path.exists()
    ]


def _read_first_column(index: Path) -> list[str]:
    """Return the first column of a table with "|" between columns; none of an unreadable one."""
    try:
        text, _ = read_text(index)
    except TextFileError:
        return []  # reported with the other texts
    return [name for line in text.splitlines() if (name := line.partition("|")[0].strip())]


def _split_by_folder(root: Path, files: Sequence[Path]) -> dict[Path, list[Path]]:
    parts: dict[Path, list[Path]] = {}
    for path in files:
        if path.parent != root:
            parts.setdefault(root / path.relative_to(root).parts[0], []).append(path)
    return parts


def _is_recording(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return is_audio(path) and not hidden and not (path.is_symlink() and not path.exists())


def _find_empty(root: Path) -> list[LeftOut]:
    """Name folders without a single file, and those of known datasets that lack recordings."""
    found = []
    for parent, folders, names in os.walk(root):
        if not folders and not names:
            found.append(LeftOut(path=Path(parent), reason="empty folder"))
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        known = next((item for item in LAYOUTS if folder.name.lower() in _names_of(item)), None)
        if known and not any(_is_recording(path, root) for path in walk_files(folder)):
            reason = f"no recordings in it; {known.name} keeps them as {known.shape}"
            found.append(LeftOut(path=folder, reason=reason))
    return found


def _names_of(layout: Layout) -> tuple[str, ...]:
    return (layout.name.lower(), f"{layout.name.lower()}-corpus", layout.name.lower() + "-1.1")


def _check_root(root: Path, layout: str) -> None:
    if layout.lower() not in {name.lower() for name in LAYOUT_NAMES}:
        hint = suggest_similar(layout, LAYOUT_NAMES)
        raise AppError(
            f"{quote_for_message(layout)} is not a layout.{hint} Known are: "
            f"{', '.join(LAYOUT_NAMES)}.",
            code="bad_request",
        )
    if root.is_file() and root.suffix.lower() not in (".csv", ".tsv"):
        raise AppError(f"{root} is a file. Give the folder of a dataset, or a CSV file.")
    if root.exists():
        return
    near = next(folder for folder in root.absolute().parents if folder.is_dir())
    there = sorted(path.name for path in near.iterdir() if path.is_dir())[:8]
    raise AppError(
        f"{root} does not exist. {near} contains the folders {', '.join(there) or '(none)'}.",
        code="missing_file",
    )


def _explain_loose(root: Path) -> str:
    return f"lies in no folder of a speaker; expected {root.name}/SPEAKER/FILE"


def _explain_nothing(scan: Scan) -> str:
    """Return why a folder has no recordings, with counts of what it has instead."""
    reasons = Counter(item.reason for item in scan.left_out).most_common(4)
    if not reasons:
        return f"{scan.root} is empty. Give the folder that contains the dataset."
    told = "; ".join(f"{count} times: {reason}" for reason, count in reasons)
    hint = suggest_other_folder(scan.root)
    return f"There is no recording to use in {scan.root}: {told}.{hint}"


def suggest_other_folder(root: Path) -> str:
    """Return a sentence that names the parent where it looks like the folder of the dataset."""
    for parent in list(root.absolute().parents)[:2]:
        folders = [path for path in parent.iterdir() if path.is_dir()]
        speaking = sum(any(is_audio(file) for file in walk_files(path)) for path in folders[:50])
        if speaking >= NEAR_SPEAKERS:
            return (
                f" {root.name} seems to be the folder of one speaker: {parent} has {speaking} "
                "folders with recordings. Give that one."
            )
    return ""
