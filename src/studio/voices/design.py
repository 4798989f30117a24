"""Voices designed by sliders: draws of the random voice, measured once per model, the nearest ones.

The draws are the random voices of the seeds 1 to 64. What was measured is kept in
state/voice_design/<id of the weights>.json.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from core.files import make_private_folder, parse_json, write_json
from core.options import OptionInfo, validate_options
from core.paths import ProjectPaths
from core.serialization import from_dict, to_dict

DRAWS = 64
OFFERED = 3
SENTENCE = "We saw the old mill by the river."  # short: models limit the tokens of a text
TRAITS = ("woman", "age", "pitch", "brightness", "pace")
UNASKED_WEIGHT = 0.2  # of a trait whose slider is in the middle, of one at an end
SPEED_RANGE = 2.0  # of the slowest pace that is asked for to the fastest


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignVoiceRequest:
    """Find random voices with some traits.

    Each trait is a share of the draws: 0 for the lowest of them, 1 for the highest. Where an engine
    has a speed, the pace is that speed instead.
    bundle, device: "" for those of the settings.
    """

    woman: Annotated[
        float, OptionInfo(0.0, 1.0, 0.05, "Man (0) to woman (1), estimated by pitch and resonance")
    ] = 0.5
    age: Annotated[
        float,
        OptionInfo(
            0.0,
            1.0,
            0.05,
            "Younger (0) to older (1) in sound, estimated by pitch, resonance and steadiness",
        ),
    ] = 0.5
    pitch: Annotated[float, OptionInfo(0.0, 1.0, 0.05, "Low (0) to high (1)")] = 0.5
    brightness: Annotated[float, OptionInfo(0.0, 1.0, 0.05, "Dark (0) to bright (1)")] = 0.5
    pace: Annotated[float, OptionInfo(0.0, 1.0, 0.05, "Slow (0) to fast (1)")] = 0.5
    bundle: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVoice:
    """The random voice of a seed.

    pitch, brightness: median pitch and centroid of the spectrum in Hz;  pace: letters per second;
    woman, age: estimates, higher for a woman and for an older voice, see voice_traits.
    """

    seed: int
    pitch: float
    brightness: float
    pace: float
    woman: float
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedVoice:
    """A voice to hear.  path: of a clip of it."""

    voice: MeasuredVoice
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignVoiceResult:
    """The voices nearest to the traits, the nearest first.

    measured: number of draws;  speed: that they speak at, kept with the voice.
    """

    bundle: str
    measured: int
    voices: tuple[OfferedVoice, ...]
    speed: float = 1.0


def get_speed(pace: float) -> float:
    """Return the speed of a pace between 0 and 1; 1 in the middle."""
    speed: float = SPEED_RANGE ** (pace - 0.5)
    return round(speed, 2)


def select_nearest_voices(
    draws: Sequence[MeasuredVoice], request: DesignVoiceRequest, count: int = OFFERED
) -> list[MeasuredVoice]:
    """Return the draws whose ranks in all traits are nearest to those asked for.

    A trait counts the more, the further from the middle it is asked for. Equal draws share their
    mean rank, so that a trait in which a model does not vary decides nothing.
    """
    last = max(1, len(draws) - 1)
    distances = dict.fromkeys((draw.seed for draw in draws), 0.0)
    for trait in TRAITS:
        asked = getattr(request, trait)
        weight = UNASKED_WEIGHT + (1 - UNASKED_WEIGHT) * abs(2 * asked - 1)
        ordered = sorted(getattr(draw, trait) for draw in draws)
        for draw in draws:
            value = getattr(draw, trait)
            rank = (bisect_left(ordered, value) + bisect_right(ordered, value) - 1) / 2
            distances[draw.seed] += weight * (rank / last - asked) ** 2
    return sorted(draws, key=lambda draw: (distances[draw.seed], draw.seed))[:count]


def read_measured_voices(layout: ProjectPaths, weights_id: str) -> list[MeasuredVoice]:
    """Return what was measured of a model; [] for nothing, and for a damaged file."""
    try:
        content = parse_json(_get_path(layout, weights_id).read_text(encoding="utf-8"))
        return [from_dict(MeasuredVoice, item) for item in content]
    except (OSError, ValueError, TypeError):
        return []


def write_measured_voices(
    layout: ProjectPaths, weights_id: str, draws: Sequence[MeasuredVoice]
) -> None:
    """Keep what was measured of a model."""
    path = _get_path(layout, weights_id)
    make_private_folder(layout.state)
    path.parent.mkdir(exist_ok=True)
    write_json(path, [to_dict(draw) for draw in draws], indent=None)


def _get_path(layout: ProjectPaths, weights_id: str) -> Path:
    return layout.state / "voice_design" / f"{weights_id}.json"
