"""Post-processing of sampled mel codes before decoding.

Shapes: m codes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.checkpoints.config import ModelConventions


def overwrite_after_stop(codes: Tensor, stop_code: int, conventions: ModelConventions) -> Tensor:
    """Replace the codes from the first stop on by silence, ending with the fix-up codes.

    Published weights need it: CLVP and the second GPT pass were used only with such rows. A row
    without stop is not changed. codes: (m,). Returns (m,).
    """
    stops = (codes == stop_code).nonzero()
    if len(stops) == 0:
        return codes
    fixed = codes.clone()
    fixed[int(stops[0]) :] = conventions.calm_code
    ending = torch.tensor(conventions.fixup_codes, device=codes.device)
    fixed[-len(ending) :] = ending
    return fixed


def pad_codes(
    codes: Tensor, finished: bool, stop_code: int, conventions: ModelConventions
) -> Tensor:
    """Pad a candidate as the published CLVP expects it.

    codes: (m,). Returns (max_codes,) or longer.
    """
    missing = max(conventions.max_codes - len(codes), int(finished))
    return overwrite_after_stop(F.pad(codes, (0, missing), value=stop_code), stop_code, conventions)


def find_silence_start(codes: Tensor, conventions: ModelConventions) -> int:
    """Find the silence code that follows `calm_run` silence codes, else the end of the row.

    codes: (m,).  Returns how many codes to keep.
    """
    run = 0
    for place, code in enumerate(codes.tolist()):
        run = run + 1 if code == conventions.calm_code else 0
        if run > conventions.calm_run:
            return place
    return len(codes)


def prepare_spoken_codes(
    codes: Tensor, finished: bool, pause: int, conventions: ModelConventions
) -> Tensor:
    """Trim a candidate to the codes to decode, with up to `pause` silence codes at the end.

    The original cuts every candidate at its first run of nine silence codes, even at a pause
    between two sentences. Here a candidate with a stop code is decoded to its end; only one without
    is cut there, since such a run is seldom followed by speech. Silence codes are added only if the
    weights were trained with them at the end; see `count_missing_pause_codes`. codes: (m,). Returns
    (m',), m' >= 1.
    """
    kept = codes if finished else codes[: find_silence_start(codes, conventions)]
    end = len(kept) - _count_trailing_silence(kept, conventions)
    if conventions.calm_follows or end + pause == 0 or len(kept) == 0:
        return F.pad(kept[:end], (0, max(pause, 1 - end)), value=conventions.calm_code)
    return kept[: end + pause]


def count_missing_pause_codes(codes: Tensor, pause: int, conventions: ModelConventions) -> int:
    """Return the number of missing silence codes at the end of a row (m,)."""
    return max(0, pause - _count_trailing_silence(codes, conventions))


def _count_trailing_silence(codes: Tensor, conventions: ModelConventions) -> int:
    voiced = (codes != conventions.calm_code).nonzero()
    return len(codes) - (int(voiced[-1]) + 1 if len(voiced) else 0)
