"""The diary of a run: one line of `events.jsonl` for everything that a person may want to see."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from jobs.report import Event, Reporter
from training.finetune_about import EVENTS, Outcome

QUIET_S = 5.0
"""Steps are told at least so often, however rarely they are due."""
POINTS = 20
"""Points of a curve between two checkpoints, at least."""


@dataclass(kw_only=True, eq=False)
class Diary:
    """Writes events of one process; those who do not lead keep silent."""

    run: Path
    leads: bool
    report: Reporter
    board: Callable[[Mapping[str, Any]], None] = lambda event: None
    step: int = 0

    def tell(self, kind: str, **data: Any) -> None:
        """Add a line. Numbers that are none are written as null.  Any: JSON values."""
        if not self.leads:
            return
        line = {"kind": kind, "time": round(time.time(), 3), "step": self.step}
        line |= {name: _plain(value) for name, value in data.items()}
        with (self.run / EVENTS).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self.board(line)
        self.report.emit(Event(kind=kind, stage="training", done=self.step, data=line))

    def warn(self, message: str) -> None:
        """Say something the user should know."""
        self.tell("warning", message=message)

    def note(self, message: str) -> None:
        """Say something worth showing."""
        self.tell("note", message=message)

    def end(self, outcome: Outcome) -> None:
        """Say how the run ended."""
        self.tell(
            "end",
            state=outcome.state,
            cause=outcome.cause,
            message=outcome.message,
            best_step=outcome.best_step,
        )


@dataclass(kw_only=True, eq=False)
class StepNotes:
    """Gathers steps until there are enough, or time enough has passed, for a line."""

    diary: Diary
    every: int
    device: torch.device
    gathered: list[dict[str, float]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def add(self, stage: str, figures: dict[str, float], rate: float, last: bool) -> None:
        """Take in the figures of the step that the diary has come to."""
        self.gathered.append(figures)
        waited = time.monotonic() - self.began
        due = self.diary.step % self.every == 0 or last or waited >= QUIET_S
        if not due:
            return
        count = len(self.gathered)
        means = {name: sum(f[name] for f in self.gathered) / count for name in figures}
        memory = memory_of(self.device)
        self.diary.tell(
            "step", stage=stage, rate=rate, seconds=waited / count, memory=memory, **means
        )
        self.restart()

    def restart(self) -> None:
        """Begin to gather anew; what took time meanwhile was no step."""
        self.gathered = []
        self.began = time.monotonic()


def notes_for(diary: Diary, checkpoint_every: int, device: torch.device) -> StepNotes:
    """Gather so that a curve has points enough between two checkpoints."""
    return StepNotes(diary=diary, every=max(1, checkpoint_every // POINTS), device=device)


def memory_of(device: torch.device) -> int:
    """The most bytes of a GPU that were taken; else those of this process, 0 if nobody tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 8) if math.isfinite(value) else None
    return value
