"""The clips that a browser has before it stay where they are while a person works on them.

Mending a clip makes it less doubtful, so the order of the list would change under the hand that
mends. It is sorted anew when another page, filter or data set is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from studio.datasets import ClipRow

REPLACED = ("merged", "split")
TOUCHING_S = 0.02  # clips that share less lie beside each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one browser looks at.

    of: the data set, the filters and the page;  ids: the clips of it, in the order shown.
    """

    of: tuple[object, ...] = ()
    ids: tuple[str, ...] = ()


def held_rows(
    ids: Sequence[str], clips: Sequence[ClipRow], fresh: Sequence[ClipRow], most: int
) -> tuple[ClipRow, ...]:
    """Return the clips of these names as they are now, and fresh ones where there is room.

    What was joined or cut is there as what became of it.
    """
    by_id = {clip.id: clip for clip in clips}
    shown: dict[str, ClipRow] = {}
    for id in ids:
        shown |= {clip.id: clip for clip in _as_now(by_id.get(id), by_id)}
    for clip in fresh:
        if len(shown) < most:
            shown.setdefault(clip.id, clip)
    return tuple(shown.values())


def _as_now(clip: ClipRow | None, by_id: Mapping[str, ClipRow]) -> Iterator[ClipRow]:
    if clip is None:
        return
    if clip.reason not in REPLACED:
        yield clip
        return
    for other in by_id.values():
        shared = min(clip.stop_s, other.stop_s) - max(clip.start_s, other.start_s)
        if other.source == clip.source and other.reason not in REPLACED and shared > TOUCHING_S:
            yield other
