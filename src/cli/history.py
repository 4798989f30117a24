"""testudo history: find what was spoken, and keep it in order."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.options import Parser
from cli.output import create_reporter, print_json, print_line
from core.errors import AppError, reraise_as_app_error
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.history.query import PAGE_SIZE, SORT_ORDERS, ClipSummary, Search
from studio.history.service import History
from studio.history.trash import Deletion

MAX_COUNT = 1_000_000  # rows that --count may ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySearchResult:
    """What a search found: one page of it, and how many clips in all."""

    total: int
    clips: tuple[ClipSummary, ...]


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `history` to the program."""
    parser = commands.add_parser("history", help="find, star, rename, delete and export clips")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_search(actions)
    clips = ("clips", "CLIP", "+", "as `testudo history list` names it: voice/name.wav")
    for name, help, run, argument in (
        ("show", "all files of a clip and how it was spoken", run_show, clips),
        ("star", "give clips a star", run_star, clips),
        ("unstar", "take the star away", run_unstar, clips),
        ("delete", "move clips into the bin", run_delete, clips),
        ("export", "write clips into a zip file", run_export, clips),
        ("undo", "bring back what was deleted", run_undo, ("id", "ID", "?", "default: the latest")),
        ("bin", "list what is in the bin", run_list_trash, None),
        ("rebuild", "make the index anew from the clips", run_rebuild, None),
    ):
        action = _add_action(actions, name, help, run)
        if argument is not None:
            action.add_argument(
                argument[0], metavar=argument[1], nargs=argument[2], help=argument[3]
            )
    rename = _add_action(actions, "rename", "give a clip another name", run_rename)
    rename.add_argument("clip", metavar="CLIP", help=clips[3])
    rename.add_argument("name", metavar="NAME", help="the new name, without a folder")
    empty = _add_action(actions, "empty-bin", "delete for good what is in the bin", run_empty_trash)
    empty.add_argument("--yes", action="store_true", help="really: it cannot be undone")


def run_list(parsed: argparse.Namespace) -> int:
    """List clips."""
    if not 0 < parsed.count <= MAX_COUNT:
        raise AppError(
            f"--count is {parsed.count}; it must be from 1 to {MAX_COUNT:,}.", code="bad_request"
        )
    if parsed.page < 1:
        raise AppError(f"--page is {parsed.page}; the first is 1.")
    with reraise_as_app_error(ValueError):
        search = Search(
            words=" ".join(parsed.words),
            voice=parsed.voice,
            engine=parsed.engine,
            model=parsed.model,
            starred=parsed.starred,
            since=_parse_day(parsed.since, 0),
            until=_parse_day(parsed.until, 1),
            order=parsed.order,
        )
    listing = _open_history(parsed).find(search, (parsed.page - 1) * parsed.count, parsed.count)
    if parsed.json:
        print_json(HistorySearchResult(total=listing.total, clips=listing.rows))
        return 0
    for row in listing.rows:
        print_line(format_clip_line(row))
    print_line(f"{listing.total:,} {'clip' if listing.total == 1 else 'clips'}")
    return 0


def run_show(parsed: argparse.Namespace) -> int:
    """Tell all about clips."""
    history = _open_history(parsed)
    for ref in parsed.clips:
        row, parts = history.get_clip(ref), history.list_files(ref)
        record = None if row.foreign else history.read_metadata(row.path)
        if parsed.json:
            print_json({"clip": row, "files": parts, "settings": record})
            continue
        print_line(format_clip_line(row))
        for part in parts:
            score = "" if part.score is None else f"  score {part.score:.4g}"
            print_line(f"    {part.path}{score}")
    return 0


def run_star(parsed: argparse.Namespace) -> int:
    """Give clips a star."""
    _open_history(parsed).set_starred(parsed.clips, True)
    return _print_result(parsed, {"starred": parsed.clips}, f"Starred: {', '.join(parsed.clips)}.")


def run_unstar(parsed: argparse.Namespace) -> int:
    """Take the star from clips."""
    _open_history(parsed).set_starred(parsed.clips, False)
    return _print_result(
        parsed, {"unstarred": parsed.clips}, f"No star: {', '.join(parsed.clips)}."
    )


def run_rename(parsed: argparse.Namespace) -> int:
    """Rename a clip."""
    new = _open_history(parsed).rename(parsed.clip, parsed.name)
    return _print_result(parsed, {"clip": new}, f"It is now {new}.")


def run_delete(parsed: argparse.Namespace) -> int:
    """Delete clips."""
    deletion = _open_history(parsed).delete(parsed.clips)
    number = len(deletion.clips)
    moved = "1 clip is" if number == 1 else f"{number} clips are"
    return _print_result(
        parsed, deletion, f"{moved} in the bin. Back with: testudo history undo {deletion.id}"
    )


def run_undo(parsed: argparse.Namespace) -> int:
    """Bring back what was deleted."""
    back = _open_history(parsed).restore(parsed.id)
    return _print_result(
        parsed, {"clips": back}, f"Back: {', '.join(back) or 'nothing was left of it'}."
    )


def run_list_trash(parsed: argparse.Namespace) -> int:
    """List the bin."""
    found = History.open(Studio.open().layout).list_trash()
    lines = "\n".join(f"{one.id}  {_format_clip_refs(one)}" for one in found)
    return _print_result(parsed, found, lines or "The bin is empty.")


def run_empty_trash(parsed: argparse.Namespace) -> int:
    """Empty the bin."""
    history = History.open(Studio.open().layout)
    if not parsed.yes:
        raise AppError(
            f"The bin holds {history.compute_trash_size() / 1e6:.1f} MB. Emptying it cannot be "
            f"undone: "
            "add --yes to do it."
        )
    freed = history.empty_trash()
    return _print_result(
        parsed, {"freed": freed}, f"The bin is empty; {freed / 1e6:.1f} MB are free."
    )


def run_export(parsed: argparse.Namespace) -> int:
    """Export clips."""
    path = _open_history(parsed).export(parsed.clips, create_reporter(parsed.json))
    return _print_result(parsed, {"path": str(path)}, str(path))


def run_rebuild(parsed: argparse.Namespace) -> int:
    """Make the index anew."""
    number = History.open(Studio.open().layout).rebuild(create_reporter(parsed.json))
    return _print_result(parsed, {"files": number}, f"{number:,} files were read.")


def format_clip_line(row: ClipSummary) -> str:
    """Describe a clip in one line."""
    when = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
    length = "" if row.seconds is None else f"{row.seconds:.1f} s"
    says = "(no settings in it)" if row.foreign else row.text.replace("\n", " ")
    short = says if len(says) <= 60 else says[:59] + "…"
    return f"{'*' if row.starred else ' '} {row.ref}  {when}  {length}  {short}"


def _add_search(actions: argparse._SubParsersAction[Parser]) -> None:
    listing = _add_action(actions, "list", "list clips, the newest first", run_list)
    listing.set_defaults(words=[])
    search = _add_action(actions, "search", "list the clips that hold these words", run_list)
    search.add_argument("words", metavar="WORD", nargs="+", help="all of them, in text or name")
    for parser in (listing, search):
        parser.add_argument("--voice", default="", metavar="NAME", help="only of this voice")
        parser.add_argument("--engine", default="", metavar="NAME", help="only of this engine")
        parser.add_argument("--model", default="", metavar="NAME", help="only of these weights")
        parser.add_argument("--starred", action="store_true", help="only with a star")
        parser.add_argument("--since", metavar="DAY", help="from this day on, as 2026-01-31")
        parser.add_argument("--until", metavar="DAY", help="up to and with this day")
        parser.add_argument(
            "--order",
            default="newest",
            metavar="{" + ",".join(SORT_ORDERS) + "}",
            help="what comes first (default newest)",
        )
        parser.add_argument(
            "--count", type=int, default=PAGE_SIZE, metavar="N", help="how many at once"
        )
        parser.add_argument("--page", type=int, default=1, metavar="N", help="which so many")


def _add_action(
    actions: argparse._SubParsersAction[Parser],
    name: str,
    help: str,
    run: Callable[[argparse.Namespace], int],
) -> Parser:
    action = actions.add_parser(name, help=help)
    action.add_argument("--json", action="store_true", help="print JSON")
    action.set_defaults(run=run)
    return action


def _open_history(parsed: argparse.Namespace) -> History:
    """Open the history as it is on disk now."""
    history = History.open(Studio.open().layout)
    history.scan(create_reporter(parsed.json))
    return history


def _parse_day(typed: str | None, after: int) -> float | None:
    """Return when a day begins, or the one `after` it."""
    if typed is None:
        return None
    try:
        day = datetime.strptime(typed, "%Y-%m-%d") + timedelta(days=after)
        return day.timestamp()
    except (ValueError, OverflowError, OSError):
        raise AppError(f"{quote_for_message(typed)} is no day. Write it as 2026-01-31.") from None


def _format_clip_refs(deletion: Deletion) -> str:
    return ", ".join(clip.ref for clip in deletion.clips)


def _print_result(parsed: argparse.Namespace, answer: object, words: str) -> int:
    if parsed.json:
        print_json(answer)
    else:
        print_line(words)
    return 0
