"""Judge a synthesis by its alignment: did the attention read the text once, in order, to its end?

Shapes: d decoder steps, t characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MIN_FOCUS = 0.25  # the mean largest weight of a step; an unformed attention has about 1 / t
MAX_JUMP = 6  # characters by which the attention may move forwards or backwards in one step
MAX_UNREAD = 3  # characters at the end that may stay unread, such as punctuation
MAX_HELD_S = 2.0  # on one character; longer is a stuck attention


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionReport:
    """What an alignment says about a synthesis.

    focus: mean of the largest weight of each step, 0 to 1;  coverage: share of the characters that
    were read;  problems: what is wrong, in words, empty if nothing is.
    """

    focus: float
    coverage: float
    problems: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.problems


def check_attention(attention: Tensor, *, step_s: float, ended: bool) -> AttentionReport:
    """Judge an alignment.

    attention: (d, t) weights of one text, without its padding; step_s: seconds of audio per step;
    ended: whether the stop output ended the speech.
    """
    characters = attention.shape[-1]
    focus = float(attention.amax(-1).mean())
    position = attention.argmax(-1)  # (d,)
    coverage = _measure_coverage(position, characters)
    moves = position.diff()
    problems = []
    if focus < MIN_FOCUS:
        problems.append(f"the attention is blurred (focus {focus:.2f})")
    if bool((moves < -MAX_JUMP).any()):
        problems.append("a part is repeated")
    if bool((moves > MAX_JUMP).any()):
        problems.append("a part is skipped")
    if int(position.amax()) < characters - 1 - MAX_UNREAD:
        problems.append("the end is missing")
    if not ended:
        problems.append("the speech does not end")
    elif _longest_stay(position) * step_s > MAX_HELD_S:
        problems.append("a sound is held too long")
    return AttentionReport(focus=focus, coverage=coverage, problems=tuple(problems))


def attention_score(attention: Tensor) -> float:
    """Return how far a training's attention has formed: focus times monotonicity, 0 to 1.

    attention: (d, t). A diagonal scores near 1, an unformed attention near 0.
    """
    if len(attention) < 2:
        return 0.0
    position = (attention * torch.arange(attention.shape[-1])).sum(-1)
    reached = float((position[-1] - position[0]).clamp(min=0) / max(attention.shape[-1] - 1, 1))
    forwards = float((position.diff() >= -1.0).float().mean())
    return float(attention.amax(-1).mean()) * forwards * reached


def character_times(attention: Tensor, step_s: float) -> list[float]:
    """Return when each character starts, in seconds, never decreasing. attention: (d, t)."""
    position = attention.argmax(-1).cummax(0).values
    characters = torch.arange(attention.shape[-1])
    first = torch.searchsorted(position.contiguous(), characters)
    return [float(step) * step_s for step in first]


def _measure_coverage(position: Tensor, characters: int) -> float:
    """A character counts as read if the attention came within two characters of it."""
    near = (position.unsqueeze(-1) - torch.arange(characters)).abs() <= 2
    return float(near.any(0).float().mean())


def _longest_stay(position: Tensor) -> int:
    """Return the most steps that the attention stays on one character, the last one left out."""
    inner = position[position < position.amax()]
    if not len(inner):
        return 0
    _, counts = torch.unique_consecutive(inner, return_counts=True)
    return int(counts.amax())
