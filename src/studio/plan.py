"""From a request to the lines it speaks, each with its own voice and options; nothing heavy yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engines.knobs import knobs_of
from engines.registry import options_class
from jobs.plain import from_plain
from speech.script import VOICE, Line, ScriptError, parse_script
from studio.errors import StudioError, refusing
from studio.layout import Layout
from studio.speaking import SpeakRequest
from studio.voices import check_voices, pin_random

HIGHEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A part of a text: heard, or only steered by."""

    text: str
    heard: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLine:
    """One line of the script, who speaks it, and how."""

    line: Line
    voice: str
    options: Any  # the engine's own, checked
    plain_options: Mapping[str, Any]


def plan_lines(request: SpeakRequest, layout: Layout) -> list[PlannedLine]:
    """Read the script of a request and check every line of it.

    Raises StudioError naming the line: for an override that does not fit, a voice that is missing.
    """
    cls = options_class(request.engine)
    known = [knob.name for knob in knobs_of(cls)]
    delivery = request.delivery
    with refusing(ScriptError):
        lines = parse_script(
            request.text, delivery.delimiter, known=known, steering=delivery.steering
        )
    if not lines:
        raise StudioError("There is nothing to speak in the text: no line has a letter or digit.")
    return [plan_line(line, request, cls, layout) for line in lines]


def plan_line(line: Line, request: SpeakRequest, cls: type[Any], layout: Layout) -> PlannedLine:
    """Check one line: its override, and the voice that speaks it.  cls: the engine's options.

    Raises StudioError naming the line where it differs from the others.
    """
    turned = {key: value for key, value in line.override.items() if key != VOICE}
    about = f"Line {line.number}"
    plain = {**request.options, **turned}
    voice = pin_random(str(line.override.get(VOICE, request.voice)), request.seed)
    try:
        check_voices(layout, voice)
        with refusing(ValueError):
            options = from_plain(cls, plain)
    except StudioError as refusal:
        told = f"{about}: {refusal}" if line.override else str(refusal)
        raise StudioError(told, cause=refusal.cause) from refusal
    return PlannedLine(line=line, voice=voice, options=options, plain_options=plain)


def passages_of(line: Line) -> list[Passage]:
    """Return the parts of a line in order; brackets are gone, blank parts left out."""
    passages, place = [], 0
    for start, end in [*line.spans, (len(line.text), len(line.text))]:
        passages.append(Passage(text=line.text[place:start].strip()))
        passages.append(Passage(text=line.text[start:end].strip("[] \n"), heard=False))
        place = end
    return [passage for passage in passages if passage.text]


def seed_of(seed: int, index: int) -> int:
    """Return the seed of a piece: each draws its own numbers, all follow from the request's."""
    return (seed + index) % (HIGHEST_SEED + 1)
