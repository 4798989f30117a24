"""The training loop that all recipes share: seeds, steps, saved states, metrics."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from core.progress import ProgressEvent, ProgressReporter
from runs.events import EVENTS_FILE
from runs.state import STATE_FILE, save_state
from tortoise.modules.linear_formats import is_format_available
from training.finetuning.optim.divergence import DivergenceError
from training.finetuning.optim.freezing import get_trainable_parameters
from training.finetuning.optim.optimizers import clip_grad_norm, set_lr

SAVE_INTERVAL_S = 180.0
Module = TypeVar("Module", bound=nn.Module)
StatePart = nn.Module | torch.optim.Optimizer


class TrainingLoop:
    """The folder of one training: `events.jsonl`, `state.pt`, and `stop`, which ends it.

        loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
        for step in loop.steps(recipe.steps, "gpt"):
            loss = …
            norm = optimizer_step(loss, model, [optimizer], lr)
            loop.log_metrics(step + 1, loss=loss.item(), gradient=norm)

    It resumes from a saved state, saves every three minutes and at the end. export: called after
    each save.
    """

    def __init__(
        self,
        folder: Path,
        report: ProgressReporter,
        export: Callable[[], object] | None = None,
        **parts: StatePart,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.report = report
        self.step = load_state(folder, **parts)
        self._export = export
        self._parts = parts
        self._saved_at = self._started_at = time.monotonic()

    def steps(self, last: int, stage: str) -> Iterator[int]:
        """Yield the remaining steps up to `last`; end early, without error, at a `stop` file."""
        for step in self.report.track(range(self.step, last), stage):
            if (self.folder / "stop").exists():
                break
            yield step
            self.step = step + 1
            if time.monotonic() - self._saved_at >= SAVE_INTERVAL_S:
                self._save()
        self._save()

    def log_metrics(self, step: int, **metrics: float) -> None:
        """Append a line to the event log.  Raises DivergenceError when a metric is NaN."""
        seconds = round(time.monotonic() - self._started_at, 2)
        line = {"step": step, "seconds": seconds} | {k: round(v, 5) for k, v in metrics.items()}
        with (self.folder / EVENTS_FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        wrong = [name for name, value in metrics.items() if value != value]
        if wrong:
            raise DivergenceError(
                f"{', '.join(wrong)} at step {step} is not finite; lower the learning rate"
            )

    def _save(self) -> None:
        states = {name: part.state_dict() for name, part in self._parts.items()}
        save_state(self.folder, {"step": self.step, **states})
        if self._export is not None:
            self._export()
        self._saved_at = time.monotonic()


def load_state(folder: Path, **parts: StatePart) -> int:
    """Load the saved state of each part; return its step, 0 where nothing is saved."""
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    missing = sorted(set(parts) - set(state))
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}; it was saved by another recipe")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])


def build_seeded(seed: int, build: Callable[[], Module]) -> Module:
    """Build a network with the random weights of a seed, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().train()


def optimizer_step(
    loss: Tensor,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    lr: float,
    max_norm: float = 1.0,
) -> float:
    """Update the trainable weights of `model` by the gradients of `loss`; return their norm."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    norm = clip_grad_norm(get_trainable_parameters(model), max_norm)
    for optimizer in optimizers:
        set_lr(optimizer, lr)
        optimizer.step()
    return norm


def autocast_bfloat16(enabled: bool = True) -> torch.autocast:
    """Return the context that computes in bfloat16, which does nothing on a processor without it.

    There PyTorch would emulate it: a step of the codec took 38 s in place of 3 s.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled and is_format_available("bfloat16"))


def make_step_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator of one step, the same in a resumed and in an uninterrupted run."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


def random_int(low: int, high: int, generator: torch.Generator) -> int:
    """Draw one of low..high-1."""
    return int(torch.randint(low, high, (1,), generator=generator))


class ProgressPrinter:
    """Print progress to one line of standard error, at most once a second."""

    def __init__(self) -> None:
        self._printed_at = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        if time.monotonic() - self._printed_at >= 1.0:
            self._printed_at = time.monotonic()
            sys.stderr.write(f"\r{event.stage} {event.done}/{event.total} {event.message}")
