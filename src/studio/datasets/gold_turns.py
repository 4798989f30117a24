"""Correct the speaker turns of a gold-standard project: rename, merge, split, move, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from core.errors import AppError, InvalidValueError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from studio.datasets.gold_request import find_gold_project
from training.gold.diary import Turn, merge_turns, read_diary, rename_speakers, write_diary
from training.gold.project_files import DIARY_FILE

MIN_TURN_S = 0.05
EditTurns = Callable[[Sequence[Turn], int, Mapping[str, str]], list[Turn]]
"""The turns, the number of one of them and the fields of a form -> the new turns."""


def edit_turns(
    layout: ProjectPaths, name: str, action: str, index: int, fields: Mapping[str, str]
) -> list[Turn]:
    """Apply a key of TURN_ACTIONS to the turn of this number, and write the diary.

    fields: start, stop, speaker or at, as text; was: the turn as the page showed it, so that a
    turn that has changed meanwhile is left alone. Raises AppError where it cannot be done.
    """
    path = find_gold_project(layout, name) / DIARY_FILE
    if not path.is_file():
        raise AppError("There are no turns yet. Run the step diarize first.")
    with reraise_as_app_error(InvalidValueError):
        turns = read_diary(path)
    if action not in ROW_ACTIONS and action not in ALL_ACTIONS:
        raise AppError("Unknown action. Reload the page.")
    if action in ROW_ACTIONS:
        if not 0 <= index < len(turns) or describe_turn(turns[index]) != fields.get("was"):
            raise AppError("The turns have changed in the meantime. Try again.")
        edited = ROW_ACTIONS[action](turns, index, fields)
    else:
        edited = ALL_ACTIONS[action](turns, index, fields)
    with translate_write_errors(path):
        write_diary(path, edited)
    return edited


def describe_turn(turn: Turn) -> str:
    """Return a turn as text, to recognize it."""
    return f"{turn.start:.3f} {turn.stop:.3f} {turn.speaker}"


def _change(turns: Sequence[Turn], index: int, fields: Mapping[str, str]) -> list[Turn]:
    times = [_parse_seconds(fields.get(name, "")) for name in ("start", "stop")]
    speaker = _clean_name(fields.get("speaker", ""))
    with reraise_as_app_error(InvalidValueError):
        turn = Turn(start=times[0], stop=times[1], speaker=speaker)
    if turn.duration < MIN_TURN_S:
        raise AppError(f"A turn lasts at least {MIN_TURN_S} s; this one {turn.duration:.2f} s.")
    changed = [*turns[:index], turn, *turns[index + 1 :]]
    return sorted(changed, key=lambda one: one.start)


def _delete(turns: Sequence[Turn], index: int, fields: Mapping[str, str]) -> list[Turn]:
    return [*turns[:index], *turns[index + 1 :]]


def _merge(turns: Sequence[Turn], index: int, fields: Mapping[str, str]) -> list[Turn]:
    if index + 1 >= len(turns):
        raise AppError("This is the last turn; there is none to join it with.")
    joined = replace(turns[index], stop=max(turns[index].stop, turns[index + 1].stop))
    return [*turns[:index], joined, *turns[index + 2 :]]


def _split(turns: Sequence[Turn], index: int, fields: Mapping[str, str]) -> list[Turn]:
    turn = turns[index]
    given = fields.get("at", "")
    at = _parse_seconds(given) if given else (turn.start + turn.stop) / 2
    if not turn.start + MIN_TURN_S <= at <= turn.stop - MIN_TURN_S:
        at = (turn.start + turn.stop) / 2  # the player is elsewhere
    if turn.duration < 2 * MIN_TURN_S:
        raise AppError(f"A turn of {turn.duration:.2f} s is too short to split.")
    halves = [replace(turn, stop=round(at, 3)), replace(turn, start=round(at, 3))]
    return [*turns[:index], *halves, *turns[index + 1 :]]


def _rename(turns: Sequence[Turn], index: int, fields: Mapping[str, str]) -> list[Turn]:
    before, after = fields.get("was", ""), _clean_name(fields.get("speaker", ""))
    if before not in {turn.speaker for turn in turns}:
        raise AppError("The turns have changed in the meantime. Try again.")
    return rename_speakers(turns, {before: after})


def _merge_all(turns: Sequence[Turn], index: int, fields: Mapping[str, str]) -> list[Turn]:
    return merge_turns(turns)


def _parse_seconds(text: str) -> float:
    try:
        return round(float(text), 3)
    except ValueError as error:
        raise AppError(f"{text!r} is not a time in seconds, such as 12.5.") from error


def _clean_name(text: str) -> str:
    name = " ".join(text.replace("|", " ").split())
    if not name:
        raise AppError("Enter the name of the speaker.")
    return name


ROW_ACTIONS: Mapping[str, EditTurns] = MappingProxyType(
    {"change": _change, "delete": _delete, "merge": _merge, "split": _split}
)
"""Of one turn."""
ALL_ACTIONS: Mapping[str, EditTurns] = MappingProxyType(
    {"rename": _rename, "merge-all": _merge_all}
)
"""Of all turns. rename: to the name of another speaker merges the two."""
