"""The named parts of the speaking network (GPT) that can be kept from learning. Light."""

from __future__ import annotations

import re

from jobs.plain import nearest

PARTS = ("text", "conditioning", "codes", "heads")
"""What letters mean, how a voice is heard, what sounds mean, how sounds are chosen."""
LAYERS = re.compile(r"layers (\d{1,4})(?:-(\d{1,4}))?")


def layers_of(part: str) -> range:
    """Return the layers that a part means: of "layers 0-2" three, of "text" none.

    Raises ValueError for what is no part.
    """
    found = LAYERS.fullmatch(part)
    if part in PARTS:
        return range(0)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise ValueError(
            f"frozen names {part!r}; it may name {', '.join(PARTS)}, or layers such as "
            f"'layers 0-2', counted from 0.{nearest(part, PARTS)}"
        )
    return range(int(found[1]), int(found[2] or found[1]) + 1)
