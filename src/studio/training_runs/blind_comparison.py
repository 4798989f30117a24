"""A blind comparison of checkpoints: the same sentences from each, in a hidden order.

The file blind.json in the folder of a run keeps the samples, their order and what was chosen.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import AppError
from core.files import parse_json, write_json
from core.serialization import from_dict, to_dict
from studio.training_runs.run_status import SAMPLES_DIR, RunStatus

COMPARISON_FILE = "blind.json"
BASE_STEP = 0  # the model before the training
MAX_CHECKPOINTS = 3
MAX_SENTENCES, MAX_SENTENCE_CHARS = 5, 300
DEFAULT_SENTENCES = (
    "The morning was quiet, and nobody had yet opened the shutters.",
    "Are you sure that this is the right way to the station?",
    "He counted to twenty three, smiled, and put the letter back.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareBlindRequest:
    """Synthesize each sentence with each step; 0 is the model before the training."""

    dataset: str
    run: str
    steps: tuple[int, ...]
    sentences: tuple[str, ...] = DEFAULT_SENTENCES

    def __post_init__(self) -> None:
        checkpoints = [step for step in self.steps if step != BASE_STEP]
        if len(self.steps) < 2 or len(set(self.steps)) < len(self.steps):
            raise AppError("Give two or more different steps to compare.", code="bad_request")
        if len(checkpoints) > MAX_CHECKPOINTS:
            raise AppError(
                f"{len(checkpoints)} checkpoints are given; at most {MAX_CHECKPOINTS} can be told "
                "apart by ear.",
                code="bad_request",
            )
        if not 0 < len(self.sentences) <= MAX_SENTENCES:
            raise AppError(f"Give 1 to {MAX_SENTENCES} sentences.", code="bad_request")
        if any(not 0 < len(text.strip()) <= MAX_SENTENCE_CHARS for text in self.sentences):
            raise AppError(
                f"A sentence has 1 to {MAX_SENTENCE_CHARS} characters.", code="bad_request"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSentence:
    """A sentence and its samples in hidden order.

    files: below samples/, with names that say nothing;  steps: of each file;  choice: index of the
    best one, None before the choice.
    """

    text: str
    files: tuple[str, ...]
    steps: tuple[int, ...]
    choice: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindComparison:
    """A comparison. is_revealed: the steps are shown, and nothing can be chosen any more."""

    sentences: tuple[BlindSentence, ...]
    is_revealed: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the best of every sentence was chosen."""
        return all(sentence.choice is not None for sentence in self.sentences)

    @property
    def wins(self) -> dict[int, int]:
        """How often each step was chosen, the most first; 0 for one that never was."""
        chosen = Counter(one.steps[one.choice] for one in self.sentences if one.choice is not None)
        steps = sorted({step for one in self.sentences for step in one.steps})
        return dict(sorted(((step, chosen[step]) for step in steps), key=lambda item: -item[1]))


def suggest_steps(run: RunStatus) -> list[int]:
    """Return step 0, the best kept checkpoint, the latest and one between, as far as there are."""
    kept = sorted(one.step for one in run.checkpoints if one.there)
    best = next((one.step for one in run.checkpoints if one.best and one.there), None)
    wanted = [best, kept[-1], kept[len(kept) // 2], kept[0]] if kept else []
    found = dict.fromkeys(step for step in wanted if step is not None)
    return sorted([BASE_STEP, *list(found)[:MAX_CHECKPOINTS]])


def plan_comparison(request: CompareBlindRequest) -> BlindComparison:
    """Return a comparison with a hidden order and file names for every sentence."""
    hidden = random.Random(secrets.randbits(64))
    sentences = []
    for text in request.sentences:
        steps = hidden.sample(request.steps, len(request.steps))
        files = tuple(f"blind-{secrets.token_hex(8)}.wav" for _ in steps)
        sentences.append(BlindSentence(text=text.strip(), files=files, steps=tuple(steps)))
    return BlindComparison(sentences=tuple(sentences))


def read_comparison(run: Path) -> BlindComparison | None:
    """Return the comparison of a run; None where there is none, or a damaged one."""
    try:
        return from_dict(
            BlindComparison, parse_json((run / COMPARISON_FILE).read_text(encoding="utf-8"))
        )
    except (OSError, ValueError):
        return None


def save_comparison(run: Path, comparison: BlindComparison) -> None:
    """Write the comparison of a run, and delete samples of an earlier one."""
    kept = {name for sentence in comparison.sentences for name in sentence.files}
    write_json(run / COMPARISON_FILE, to_dict(comparison))
    for path in (run / SAMPLES_DIR).glob("blind-*.wav"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def choose_sample(run: Path, sentence: int, choice: int) -> BlindComparison:
    """Save which sample of a sentence is the best.  Raises AppError once the steps are shown."""
    comparison = _require_comparison(run)
    if comparison.is_revealed:
        raise AppError("The checkpoints are shown already. Compare again to choose anew.")
    sentences = list(comparison.sentences)
    if not 0 <= sentence < len(sentences) or not 0 <= choice < len(sentences[sentence].files):
        raise AppError("There is no such sample. Reload the page.", code="bad_request")
    sentences[sentence] = replace(sentences[sentence], choice=choice)
    comparison = replace(comparison, sentences=tuple(sentences))
    save_comparison(run, comparison)
    return comparison


def reveal_steps(run: Path) -> BlindComparison:
    """Show the steps from now on.  Raises AppError before a choice for every sentence."""
    comparison = _require_comparison(run)
    if not comparison.is_complete:
        raise AppError("Choose the best sample of every sentence first.")
    comparison = replace(comparison, is_revealed=True)
    save_comparison(run, comparison)
    return comparison


def parse_steps(text: str) -> tuple[int, ...]:
    """Return the steps of a text such as `0, 500, 1000`."""
    words = text.replace(",", " ").split()
    wrong = next((word for word in words if not (word.isascii() and word.isdecimal())), None)
    if wrong is not None or any(len(word) > 9 for word in words):
        raise AppError("Give the steps as numbers, such as 0, 500, 1000.", code="bad_request")
    return tuple(int(word) for word in words)


def check_steps(run: RunStatus, steps: Sequence[int]) -> None:
    """Raise AppError for a step whose checkpoint is not kept."""
    kept = sorted(one.step for one in run.checkpoints if one.there)
    for step in steps:
        if step != BASE_STEP and step not in kept:
            there = ", ".join(f"{one:,}" for one in kept) or "none"
            raise AppError(f"There is no checkpoint of step {step:,}; kept are: {there}.")


def _require_comparison(run: Path) -> BlindComparison:
    comparison = read_comparison(run)
    if comparison is None:
        raise AppError("There is no comparison of this run. Press Compare blind.")
    return comparison
