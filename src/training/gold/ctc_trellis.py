"""CTC forced alignment of a text to the emissions of an acoustic model.

In each frame the alignment stays, at the cost of the blank, or moves to the next token. Shapes:
f frames, k labels, n tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from core.errors import InvalidValueError

WORD_BREAK = "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A token or a word. start, end: frames, the end is not included; score: 0 to 1."""

    label: str
    start: int
    end: int
    score: float

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedWord(Span):
    """A word; start_score, end_score: of its first and its last character."""

    start_score: float
    end_score: float


def compute_trellis(log_probs: np.ndarray, tokens: Sequence[int], blank: int = 0) -> np.ndarray:
    """Return the log-probability of having read j tokens after t frames: (f + 1, n + 1).

    log_probs: (f, k). The last n rows of the first column are infinite, since the text could no
    longer be finished from there.
    """
    frames, count = len(log_probs), len(tokens)
    if count > frames:
        raise InvalidValueError(
            f"{count} characters do not fit into {frames} frames of audio. The text does not "
            "belong to this part of the recording."
        )
    trellis = np.full((frames + 1, count + 1), -np.inf)
    trellis[0, 0] = 0.0
    trellis[1:, 0] = np.cumsum(log_probs[:, blank])
    trellis[frames + 1 - count :, 0] = np.inf
    moves = log_probs[:, list(tokens)]  # (f, n)
    for frame in range(frames):
        stayed = trellis[frame, 1:] + log_probs[frame, blank]
        trellis[frame + 1, 1:] = np.maximum(stayed, trellis[frame, :-1] + moves[frame])
    return trellis


def find_path(
    trellis: np.ndarray, log_probs: np.ndarray, tokens: Sequence[int], blank: int = 0
) -> list[tuple[int, int, float]]:
    """Return token, frame and probability of each frame of the best path."""
    position = len(tokens)
    last = int(trellis[:, position].argmax())
    path: list[tuple[int, int, float]] = []
    for frame in range(last - 1, -1, -1):
        stayed = trellis[frame, position] + log_probs[frame, blank]
        moved = trellis[frame, position - 1] + log_probs[frame, tokens[position - 1]]
        label = tokens[position - 1] if moved > stayed else blank
        path.append((position - 1, frame, float(np.exp(log_probs[frame, label]))))
        if moved > stayed:
            position -= 1
            if position == 0:
                return path[::-1]
    raise InvalidValueError("The text could not be aligned with this part of the recording.")


def align_tokens(
    log_probs: np.ndarray, text: str, labels: Sequence[str], blank: int = 0
) -> list[Span]:
    """Align each character of a text. text: words joined by "|". Returns one span each."""
    unknown = sorted({character for character in text if character not in labels})
    if unknown:
        raise InvalidValueError(
            f"The acoustic model has no {', '.join(map(repr, unknown))}; write the text in words "
            "of the letters A to Z."
        )
    tokens = [labels.index(character) for character in text]
    path = find_path(compute_trellis(log_probs, tokens, blank), log_probs, tokens, blank)
    spans = []
    for token, steps in groupby(path, key=lambda step: step[0]):
        run = list(steps)
        score = sum(step[2] for step in run) / len(run)
        spans.append(Span(label=text[token], start=run[0][1], end=run[-1][1] + 1, score=score))
    return spans


def merge_words(spans: Sequence[Span]) -> list[AlignedWord]:
    """Join the characters between word breaks; a word's score is weighted by their lengths."""
    words = []
    for is_break, group in groupby(spans, key=lambda span: span.label == WORD_BREAK):
        run = list(group)
        if is_break:
            continue
        length = sum(span.length for span in run)
        words.append(
            AlignedWord(
                label="".join(span.label for span in run),
                start=run[0].start,
                end=run[-1].end,
                score=sum(span.score * span.length for span in run) / length,
                start_score=run[0].score,
                end_score=run[-1].score,
            )
        )
    return words
