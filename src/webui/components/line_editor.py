"""The lines of a clip as rows to play, edit, regenerate and put in order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import AppError
from core.options import OptionField, list_option_fields, validate_option
from engines.registry import get_options_class
from jobs.models import Job
from studio.synthesis.line_takes import LineTakes, LineTakesFile, SavedTake, join_faults
from text.speakers import fold_speaker
from webui.components.option_controls import (
    from_control_value,
    get_name_label,
    get_option_label,
)
from webui.languages.catalogue import translate

# Any: an option has a value of its own type.

CHARS_PER_SECOND = 16.7  # of speech at speed 1
LENGTH_RATIO = 2.0  # of the expected length, from which a line is marked
MIN_EXPECTED_S = 1.0  # shorter lines are not judged
SPEAKER_HUES = (200, 25, 280, 120, 330, 55, 240, 165)  # degrees, of voices in their order
NOT_IN_GRID = ("seed", "candidates", "sample_batch_size")  # they do not change a take
EDIT_TASKS = ("redo", "rejoin", "edit_lines")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeButton:
    """A take to choose.

    note: its seed and score;  words: how many of its words are right, "" where it was not heard;
    faults: what its check found;  voice: similarity to the voice, "" where it was not measured;
    settings: the options that differ among the takes of the line, "" for none.
    """

    number: int
    file: str
    is_chosen: bool
    note: str
    seconds: float
    score: float | None
    words: str
    faults: str
    voice: str
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorLine:
    """A row of the editor.

    speaker: its voice, with the name of the speaker where it is known;  hue: of the colour of the
    voice, in degrees, None in a clip of one voice;  start, end: seconds in the clip;  mark: what is
    unusual about the line, "" for nothing;
    state: of a job about the line, "" for none.
    """

    index: int
    key: str
    text: str
    voice: str
    speaker: str
    hue: int | None
    seed: int
    seconds: float
    start: float
    end: float
    mark: str
    state: str
    takes: tuple[TakeButton, ...]


def build_editor_lines(
    lines: LineTakesFile, jobs: Sequence[Job] = (), max_lines: int = 100
) -> list[EditorLine]:
    """Return the rows of a clip.  jobs: those about the clip that are not over."""
    rows: list[EditorLine] = []
    states = {job.request.get("line"): job.state for job in jobs}
    shown = zip(lines.lines[:max_lines], lines.list_spans(), strict=False)
    colours = _choose_colours(lines)
    for index, (line, (start, end)) in enumerate(shown):
        take = get_take_in_use(line)
        span = round(start, 3), round(end, 3)
        row = _build_row(index, line, take, span, states.get(index, ""))
        speaker = _describe_speaker(take.voice, lines.request.speaker_voices)
        rows.append(replace(row, speaker=speaker, hue=colours.get(take.voice)))
    return rows


def get_take_in_use(line: LineTakes) -> SavedTake:
    """Return the selected take of a line, or the first one."""
    return line.take(line.chosen) if line.chosen else line.takes[0]


def _choose_colours(lines: LineTakesFile) -> dict[str, int]:
    """Return the hue of each voice of a clip, in degrees; {} for a clip of one voice."""
    voices = list(dict.fromkeys(get_take_in_use(line).voice for line in lines.lines if line.takes))
    if len(voices) < 2:
        return {}
    return {voice: SPEAKER_HUES[at % len(SPEAKER_HUES)] for at, voice in enumerate(voices)}


def _describe_speaker(voice: str, speaker_voices: Mapping[str, str]) -> str:
    """Return the name of the speaker and the voice; only the voice where several share it."""
    names = [name for name, own in speaker_voices.items() if own == voice]
    has_own_name = len(names) == 1 and fold_speaker(names[0]) != fold_speaker(voice)
    return f"{names[0]} ({voice})" if has_own_name else voice


def filter_edit_jobs(jobs: Sequence[Job], clip: str) -> list[Job]:
    """Return the jobs that change the lines of a clip and are not over."""
    return [
        job
        for job in jobs
        if job.task in EDIT_TASKS and not job.is_over and job.request.get("clip") == clip
    ]


def list_grid_settings(engine: str) -> list[tuple[str, str]]:
    """Return (name, label) of the options of an engine to compare; [] for an unknown engine."""
    return [(field.name, get_option_label(field)) for field in _list_grid_fields(engine).values()]


def parse_grid(engine: str, typed: Mapping[str, str]) -> dict[str, tuple[Any, ...]]:
    """Return options and their values.  typed: names of options to values with commas between.

    Raises AppError for an unknown option or an invalid value.
    """
    fields = _list_grid_fields(engine)
    grid: dict[str, tuple[Any, ...]] = {}
    for name, values in typed.items():
        if name not in fields:
            raise AppError("Choose a setting from the list.")
        words = re.split(r"[,;\s]+", values.strip(" ,;"))
        grid[name] = tuple(_parse_value(fields[name], word) for word in words)
    return grid


def _build_row(
    index: int, line: LineTakes, take: SavedTake, span: tuple[float, float], state: str
) -> EditorLine:
    varied = _list_varied_options(line.takes)
    return EditorLine(
        index=index,
        key=line.takes[0].file,
        text=take.text,
        voice=take.voice,
        speaker=take.voice,
        hue=None,
        seed=take.seed,
        seconds=take.seconds,
        start=span[0],
        end=span[1],
        mark=describe_length(take.heard, take.seconds),
        state=state,
        takes=tuple(
            _build_take(number, other, varied, is_chosen=other.file == take.file)
            for number, other in enumerate(line.takes, start=1)
        ),
    )


def _list_varied_options(takes: Sequence[SavedTake]) -> list[str]:
    """Return the options, but the seed, whose values are not the same in all takes."""
    names = dict.fromkeys(name for take in takes for name in take.options if name != "seed")
    return [name for name in names if len({repr(take.options.get(name)) for take in takes}) > 1]


def _build_take(
    number: int, take: SavedTake, varied: Sequence[str], *, is_chosen: bool
) -> TakeButton:
    check = take.check
    settings = [f"{translate(get_name_label(name))} {take.options.get(name)}" for name in varied]
    return TakeButton(
        number=number,
        file=take.file,
        is_chosen=is_chosen,
        note=_describe_take(take),
        seconds=take.seconds,
        score=take.score,
        words="" if check is None else f"{check.words - check.word_errors} of {check.words}",
        faults="" if check is None else join_faults(check),
        voice="" if take.likeness is None else f"{take.likeness:.2f}",
        settings=", ".join(settings),
    )


def describe_length(text: str, seconds: float) -> str:
    """Return what is unusual about the length of a spoken text; "" for nothing."""
    expected = len(text) / CHARS_PER_SECOND
    if expected < MIN_EXPECTED_S or not seconds:
        return ""
    if seconds > LENGTH_RATIO * expected:
        return "longer than expected"
    return "shorter than expected" if seconds * LENGTH_RATIO < expected else ""


def _describe_take(take: SavedTake) -> str:
    parts = [f"seed {take.seed}", f"{take.seconds:.1f} s"]
    if take.candidate > 1:
        parts.append(f"candidate {take.candidate}")
    if take.score is not None:
        parts.append(f"score {take.score:.3f}")
    if take.check is not None:
        parts.append("passed the check" if take.check.passed else join_faults(take.check))
    return " · ".join(parts)


def _parse_value(field: OptionField, word: str) -> Any:
    value = from_control_value(field, word)
    try:
        validate_option(field, value)
    except ValueError as error:
        raise AppError(str(error).replace(field.name, get_option_label(field), 1)) from error
    return value


def _list_grid_fields(engine: str) -> dict[str, OptionField]:
    try:
        fields = list_option_fields(get_options_class(engine))
    except ValueError:
        return {}  # an engine of a package that is not installed any more
    shown = [field for field in fields if field.name not in NOT_IN_GRID]
    return {
        field.name: field
        for field in shown
        if field.info.choices or field.plain_type in (int, float)
    }
