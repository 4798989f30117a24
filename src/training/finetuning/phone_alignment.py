"""When each token of a clip's text is spoken: by PocketSphinx, or by the classifier of a codec.

A GPT with a text aligner learns from these durations. Only the tokens of phones must be spoken; a
pause or a word boundary may have no time of its own.
Shapes: t text tokens, p phone classes, m codes, n places: the lead and the tokens, 1 + t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text.phones import SILENCE, UNKNOWN_PHONE
from tortoise.modules.speaker_codec import HALVES

if TYPE_CHECKING:
    from training.asr.phone_times import PhoneSpan

DELAY_S = 0.07  # by which the durations of the starter's corpus are later than PocketSphinx's
GAP_CODES = 1.0  # that a word boundary has in that corpus, also where there is no silence
MAX_SKIPPED = 2  # optional tokens in a row, as a comma and a space
NEVER = -1e9


def time_tokens(spans: Sequence[PhoneSpan], classes: Tensor, codes: int, code_s: float) -> Tensor:
    """Return the durations in codes of the lead and of each token, (1 + t,); their sum is m.

    spans: of the phones among the tokens, from `find_phone_spans`; classes: (t,). A silence counts
    to the mark or the word boundary in front of the next phone, else to the phone before it.
    """
    places = [place for place, kind in enumerate(classes.tolist(), 1) if kind > SILENCE]
    durations = torch.zeros(len(classes) + 1)
    owner = 0
    for span in spans:
        if span.index is not None:
            owner = places[span.index]
        elif 0 < owner < len(classes) and int(classes[owner]) <= SILENCE:
            owner += 1
        durations[owner] += (span.stop_s - span.start_s) / code_s
    for place in places[1:]:
        if int(classes[place - 2]) == UNKNOWN_PHONE:
            missing = max(0.0, GAP_CODES - float(durations[place - 1]))
            moved = min(missing, float(durations[place]) / 2)
            durations[place - 1] += moved
            durations[place] -= moved
    durations[0] += DELAY_S / code_s
    durations[-1] = max(0.0, codes - float(durations[:-1].sum()))
    return durations * (codes / durations.sum())


def align_tokens(log_probs: Tensor, classes: Tensor) -> Tensor | None:
    """Return the durations in codes of the lead and of each token, (1 + t,); their sum is m.

    log_probs: (p, 2 m) of one clip, from `SpeakerCodec.classify_phones`; classes: (t,) of its
    tokens. None where the clip is too short for its phones.
    """
    kinds = torch.cat([torch.tensor([SILENCE]), classes.cpu()])
    optional = (kinds == SILENCE) | (kinds == UNKNOWN_PHONE)
    scores = log_probs.cpu()[kinds.where(kinds != UNKNOWN_PHONE, torch.tensor(SILENCE))]
    path = _find_path(scores.T.double().numpy(), optional.numpy())
    if path is None:
        return None
    counts = np.bincount(path, minlength=len(kinds))
    return torch.from_numpy(counts).float() / HALVES


def _find_path(scores: NDArray[np.float64], optional: NDArray[np.bool_]) -> list[int] | None:
    """Return the place of each half code on the best monotonic path (Viterbi).

    scores: (2 m, n);  optional: (n,) places that may be left out.
    """
    steps, places = scores.shape
    reach = [_find_skips(optional, skipped) for skipped in range(MAX_SKIPPED + 1)]
    total = np.full(places, NEVER)
    first = next((place for place in range(places) if not optional[place]), places - 1)
    total[: first + 1] = scores[0, : first + 1]
    moves = np.zeros((steps, places), np.int64)
    for step in range(1, steps):
        best, move = total.copy(), np.zeros(places, np.int64)
        for skipped, allowed in enumerate(reach):
            jump = skipped + 1
            moved = np.full(places, NEVER)
            moved[jump:] = np.where(allowed[jump:], total[:-jump], NEVER)
            move[moved > best] = jump
            best = np.maximum(best, moved)
        total, moves[step] = best + scores[step], move
    last = next((place for place in reversed(range(places)) if not optional[place]), 0)
    place = last + int(total[last:].argmax())
    if total[place] < NEVER / 2:
        return None
    path = [place]
    for step in range(steps - 1, 0, -1):
        place -= int(moves[step, place])
        path.append(place)
    return path[::-1]


def _find_skips(optional: NDArray[np.bool_], skipped: int) -> NDArray[np.bool_]:
    """Return the places that may follow when the `skipped` places before them are left out."""
    allowed = np.ones(len(optional), bool)
    for back in range(1, skipped + 1):
        allowed[back:] &= optional[:-back]
        allowed[:back] = False
    return allowed
