"""testudo history: search, star, rename, delete and export generated clips."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_line, print_table
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import parse_path, quote_for_message
from core.progress import ProgressReporter
from studio.app.studio import Studio
from studio.history.likeness import MeasureLikenessRequest
from studio.history.query import PAGE_SIZE, SORT_ORDERS, ClipSummary, Search
from studio.history.service import History
from studio.subtitles.cues import format_subtitles
from studio.subtitles.word_times import LocateWordsRequest

MAX_COUNT = 1_000_000  # maximum of --count
MAX_PAGE = 1_000_000  # maximum of --page
CLIP_HELP = "Clip, as listed by `testudo history list`: voice/name.wav"
ClipsArgument = Annotated[list[str], typer.Argument(metavar="CLIP...", help=CLIP_HELP)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFlags:
    """The flags of `list` and `search`."""

    voice: Annotated[str, typer.Option(metavar="NAME", help="Only this voice.")] = ""
    engine: Annotated[str, typer.Option(metavar="NAME", help="Only this engine.")] = ""
    model: Annotated[str, typer.Option(metavar="NAME", help="Only this model.")] = ""
    starred: Annotated[bool, typer.Option("--starred", help="Starred only.")] = False
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="From this day, such as 2026-01-31.")
    ] = None
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Up to this day.")] = None
    min_s: Annotated[
        float | None, typer.Option("--min-length", metavar="S", help="At least this many seconds.")
    ] = None
    max_s: Annotated[
        float | None, typer.Option("--max-length", metavar="S", help="At most this many seconds.")
    ] = None
    min_score: Annotated[float | None, typer.Option(metavar="X", help="At least this score.")] = (
        None
    )
    order: Annotated[
        str, typer.Option(metavar="{" + ",".join(SORT_ORDERS) + "}", help="Sort order.")
    ] = "newest"
    count: Annotated[int, typer.Option(metavar="N", help="Clips per page.")] = PAGE_SIZE
    page: Annotated[int, typer.Option(metavar="N", help="Page number.")] = 1


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `history` to the program."""
    group = create_app(help)
    for action, help_text, function in (
        ("list", "list clips, newest first", run_list),
        ("search", "list the clips that contain all words", run_search),
        ("show", "show the files and settings of clips", run_show),
        ("star", "star clips", run_star),
        ("unstar", "remove the star of clips", run_unstar),
        ("rename", "rename a clip", run_rename),
        ("delete", "move clips to the trash", run_delete),
        ("undelete", "restore deleted clips", run_undo),
        ("trash", "list the trash", run_list_trash),
        ("empty-trash", "delete the contents of the trash for good", run_empty_trash),
        ("export", "export clips as a zip file", run_export),
        ("subtitles", "print the subtitles of a clip", run_subtitles),
        ("rebuild", "rebuild the index from the clips", run_rebuild),
    ):
        add_command(group, action, help_text)(function)
    for old, function in (
        ("undo", run_undo),
        ("bin", run_list_trash),
        ("empty-bin", run_empty_trash),
    ):
        add_command(group, old, "former name", hidden=True)(function)
    app.add_typer(group, name=name, help=help)


def run_list(flags: SearchFlags, as_json: JsonFlag = False) -> int:
    return _list_clips("", flags, as_json)


def run_search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words of the text or file name.")
    ],
    flags: SearchFlags,
    as_json: JsonFlag = False,
) -> int:
    return _list_clips(" ".join(words), flags, as_json)


def run_show(clips: ClipsArgument, as_json: JsonFlag = False) -> int:
    history = _open_history(as_json)
    for ref in clips:
        row, parts = history.get_clip(ref), history.list_files(ref)
        record = None if row.foreign else history.read_metadata(row.path)
        scores = ("" if part.score is None else f"  score {part.score:.4g}" for part in parts)
        lines = [f"    {part.path}{score}" for part, score in zip(parts, scores, strict=True)]
        head = "  ".join(_list_cells(row))
        emit({"clip": row, "files": parts, "settings": record}, [head, *lines], as_json)
    return 0


def run_star(clips: ClipsArgument, as_json: JsonFlag = False) -> int:
    _open_history(as_json).set_starred(clips, True)
    return emit({"starred": clips}, f"Starred: {', '.join(clips)}.", as_json)


def run_unstar(clips: ClipsArgument, as_json: JsonFlag = False) -> int:
    _open_history(as_json).set_starred(clips, False)
    return emit({"unstarred": clips}, f"Star removed: {', '.join(clips)}.", as_json)


def run_rename(
    clip: Annotated[str, typer.Argument(help=CLIP_HELP)],
    name: Annotated[str, typer.Argument(help="New name, without a folder.")],
    as_json: JsonFlag = False,
) -> int:
    new = _open_history(as_json).rename(clip, name)
    return emit({"clip": new}, f"Renamed to {new}.", as_json)


def run_delete(clips: ClipsArgument, as_json: JsonFlag = False) -> int:
    deletion = _open_history(as_json).delete(clips)
    number = len(deletion.clips)
    moved = "1 clip is" if number == 1 else f"{number} clips are"
    text = f"{moved} in the trash. Restore with: testudo history undelete {deletion.id}"
    return emit(deletion, text, as_json)


def run_undo(
    deletion: Annotated[
        str | None, typer.Argument(metavar="ID", help="Deletion id; default: the latest.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    back = _open_history(as_json).restore(deletion)
    text = f"Restored: {', '.join(back)}." if back else "None of its files could be restored."
    return emit({"clips": back}, text, as_json)


def run_list_trash(as_json: JsonFlag = False) -> int:
    found = History.open(Studio.open().layout).list_trash()
    lines = [f"{one.id}  {', '.join(clip.ref for clip in one.clips)}" for one in found]
    return emit(found, lines or "The trash is empty.", as_json)


def run_empty_trash(
    yes: Annotated[bool, typer.Option("--yes", help="Confirm; this cannot be undone.")] = False,
    as_json: JsonFlag = False,
) -> int:
    history = History.open(Studio.open().layout)
    if not yes:
        raise AppError(
            f"The trash contains {history.compute_trash_size() / 1e6:.1f} MB. Emptying it "
            "cannot be "
            "undone: add --yes to do it."
        )
    freed = history.empty_trash()
    return emit({"freed": freed}, f"The trash is empty; {freed / 1e6:.1f} MB freed.", as_json)


def run_export(
    clips: ClipsArgument,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Zip file; default a new one.", parser=parse_path),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    if out is not None and out.exists():
        raise AppError(f"{out} already exists. Choose another file with --out.")
    path = _open_history(as_json).export(clips, create_reporter(as_json))
    if out is not None:
        with translate_write_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, out)
    return emit({"path": str(out or path)}, str(out or path), as_json)


def run_subtitles(
    clip: Annotated[str, typer.Argument(help=CLIP_HELP)],
    format: Annotated[str, typer.Option(metavar="{srt,vtt}", help="Format of the file.")] = "srt",
    words: Annotated[
        bool, typer.Option("--words", help="Time stamps of the words (vtt), found if needed.")
    ] = False,
    as_json: JsonFlag = False,
) -> int:
    history = _open_history(as_json)
    if words and format != "vtt":
        raise AppError("Only vtt has time stamps of words.", cli_hint="Add --format vtt.")
    if words and not all(line.words for line in history.list_words(clip)):
        locate_words(Studio.open(), clip, create_reporter(as_json))
    cues = history.list_cues(clip, words=words)
    return emit(cues, format_subtitles(cues, format).rstrip("\n"), as_json)


def locate_words(studio: Studio, clip: str, report: ProgressReporter) -> None:
    """Find when the words of a clip are spoken, in this process."""
    task = import_module("studio.workers.synthesis.word_times").locate_words_task
    line = 0
    while line >= 0:
        line = task(studio, LocateWordsRequest(clip=clip, line=line), report).next_line


def run_rebuild(as_json: JsonFlag = False) -> int:
    number = History.open(Studio.open().layout).rebuild(create_reporter(as_json))
    return emit({"files": number}, f"{number:,} files were read.", as_json)


def _list_clips(words: str, flags: SearchFlags, as_json: bool) -> int:
    if not 0 < flags.count <= MAX_COUNT:
        raise AppError(
            f"--count is {flags.count}; it must be from 1 to {MAX_COUNT:,}.", code="bad_request"
        )
    if not 0 < flags.page <= MAX_PAGE:
        raise AppError(f"--page is {flags.page}; it must be from 1 to {MAX_PAGE:,}.")
    with reraise_as_app_error(ValueError):
        search = Search(
            words=words,
            voice=flags.voice,
            engine=flags.engine,
            model=flags.model,
            starred=flags.starred,
            since=_parse_day(flags.since, 0),
            until=_parse_day(flags.until, 1),
            min_s=flags.min_s,
            max_s=flags.max_s,
            min_score=flags.min_score,
            order=flags.order,
        )
    history = _open_history(as_json)
    if search.order == "likeness":
        task = import_module("studio.workers.encoders.likeness").measure_likeness_task
        task(Studio.open(), MeasureLikenessRequest(), create_reporter(as_json))
    listing = history.find(search, (flags.page - 1) * flags.count, flags.count)
    if as_json:
        return emit({"total": listing.total, "clips": listing.rows}, "", True)
    print_table(
        ["clip", "created", "length", "text"], [[*_list_cells(row)] for row in listing.rows]
    )
    print_line(f"{listing.total:,} {'clip' if listing.total == 1 else 'clips'}")
    return 0


def _list_cells(row: ClipSummary) -> Iterator[str]:
    yield f"{'*' if row.starred else ' '} {row.ref}"
    yield datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
    yield "" if row.seconds is None else f"{row.seconds:.1f} s"
    text = "(no settings in it)" if row.foreign else row.text.replace("\n", " ")
    yield text if len(text) <= 60 else text[:59] + "…"


def _open_history(as_json: bool) -> History:
    history = History.open(Studio.open().layout)
    history.scan_if_changed(create_reporter(as_json))
    return history


def _parse_day(typed: str | None, days_later: int) -> float | None:
    if typed is None:
        return None
    try:
        day = datetime.strptime(typed, "%Y-%m-%d") + timedelta(days=days_later)
        return day.timestamp()
    except (ValueError, OverflowError, OSError):
        raise AppError(
            f"{quote_for_message(typed)} is not a date. Write it as 2026-01-31."
        ) from None
