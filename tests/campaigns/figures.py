"""What a campaign counts."""

from __future__ import annotations

import resource
from dataclasses import dataclass, fields

MAXIMA = ("peak_mb", "median_ms", "p95_ms", "bytes_per_job")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts of one campaign.

    peak_mb: memory above what the process had before;  median_ms, p95_ms: of a poll of the job
    list;  bytes_per_job: of memory that stays.
    """

    files: int = 0
    kills: int = 0
    requests: int = 0
    names: int = 0
    lost: int = 0
    doubled: int = 0
    half_written: int = 0
    peak_mb: int = 0
    median_ms: int = 0
    p95_ms: int = 0
    bytes_per_job: int = 0

    def __add__(self, other: Figures) -> Figures:
        both = {
            field.name: (getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        }
        return Figures(
            **{name: (max if name in MAXIMA else sum)(pair) for name, pair in both.items()}
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled or half written."""
        return not (self.lost or self.doubled or self.half_written)


def peak_mb() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
