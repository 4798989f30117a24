"""The clips of a dataset as a run will take them: what fits, what is left out, and why. Light.

One rule for the pre-flight, the plan and the trainer: a clip with a `problem` is not learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import soundfile

from tortoise.measure import TextMeasure
from training.manifest import AUDIO, ManifestError, read_lines
from training.suggest_facts import BundleFacts

SHORTEST_S = 0.6
"""As published: what is shorter says too little to learn from."""

PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "outside": "names a file outside the dataset",
        "missing": "has no sound file",
        "unreadable": "has a sound file that cannot be read",
        "too_short": f"is shorter than {SHORTEST_S} s",
        "too_long": "is longer than this model can speak at once",
        "no_text": "has no text",
        "much_text": "has more text than this model can read at once",
        "unreadable_text": "has a text of which this model can read nothing",
    }
)
"""Why a clip is left out, in words that go on from "this clip"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """One line of train.txt or validation.txt, looked at.

    audio: as the line names it;  path: where the sound lies;  problem: a key of PROBLEMS, or "";
    unknown: words and signs that the model cannot read, which are lost.
    """

    audio: str
    text: str
    path: Path | None = None
    seconds: float = 0.0
    tokens: int = 0
    codes: int = 0
    problem: str = ""
    unknown: tuple[str, ...] = ()


def look_at_clips(
    folder: Path, lines: str, bundle: BundleFacts, measure: TextMeasure
) -> tuple[ClipFacts, ...]:
    """Look at every line of a list of clips; reads the headers of the sound files only.

    lines: name of the list.  Raises ManifestError where it cannot be read at all.
    """
    return tuple(
        _look(folder, audio, text, bundle, measure) for audio, text in read_lines(folder / lines)
    )


def find_audio(folder: Path, named: str) -> Path | None:
    """Say where the sound of a line lies, the suffix or the folder left out or not; None: nowhere.

    Raises ManifestError for a path that leads out of the dataset.
    """
    if Path(named).is_absolute() or ".." in Path(named).parts or "\0" in named:
        raise ManifestError(f"{named!r} leads out of {folder}.")
    places = (named, f"{named}.wav", f"{AUDIO}/{named}", f"{AUDIO}/{named}.wav")
    return next((folder / place for place in places if (folder / place).is_file()), None)


def codes_in(seconds: float, bundle: BundleFacts) -> int:
    """Say how many codes so much speech makes."""
    return int(seconds * bundle.gpt_rate) // bundle.samples_per_code + 1


def _look(
    folder: Path, audio: str, text: str, bundle: BundleFacts, measure: TextMeasure
) -> ClipFacts:
    try:
        path = find_audio(folder, audio)
    except ManifestError:
        return ClipFacts(audio=audio, text=text, problem="outside")
    if path is None:
        return ClipFacts(audio=audio, text=text, problem="missing")
    try:
        seconds = float(soundfile.info(str(path)).duration)
    except (soundfile.SoundFileError, OSError):
        return ClipFacts(audio=audio, text=text, path=path, problem="unreadable")
    tokens, codes = measure.count_tokens(text), codes_in(seconds, bundle)
    problem = _sound_problem(seconds, codes, bundle) or _text_problem(text, tokens, measure)
    return ClipFacts(
        audio=audio,
        text=text,
        path=path,
        seconds=seconds,
        tokens=tokens,
        codes=codes,
        problem=problem,
        unknown=measure.unknown(text),
    )


def _sound_problem(seconds: float, codes: int, bundle: BundleFacts) -> str:
    if seconds < SHORTEST_S:
        return "too_short"
    return "too_long" if codes > bundle.max_codes else ""


def _text_problem(text: str, tokens: int, measure: TextMeasure) -> str:
    if not text.strip():
        return "no_text"
    if tokens == 0:
        return "unreadable_text"
    return "much_text" if tokens > measure.text_limit else ""
