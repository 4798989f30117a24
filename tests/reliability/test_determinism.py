"""The same seed gives the same samples in every run, process and batch size, for as much work."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from campaigns.processes import call
from core.progress import ProgressReporter
from support.studio_fixtures import tone
from support.tiny_bundle import make_tiny_bundle
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions

RUNS = 10
BUDGET = Path(__file__).with_name("work_budget.json")
MAX_WORSE = 1.2  # of the stored work; an update of torch may count operations differently
TEXT = "a cat sat on the mat"


def speak(engine: TortoiseEngine, **changes: Any) -> list[torch.Tensor]:
    speaker = engine.condition([tone(4.0)], ProgressReporter())
    options = TortoiseOptions(
        **{"samples": 16, "iterations": 4, "candidates": 1, "seed": 5, **changes}
    )
    found = engine.synthesize(TEXT, speaker, options, ProgressReporter())
    return [candidate.clip.wave for candidate in found.candidates]


def _digests(folder: Path, runs: int, batch: int) -> list[str]:
    """The samples of some runs in a process of its own."""
    torch.set_num_threads(1)
    engine = TortoiseEngine.load(folder, torch.device("cpu"))
    waves = [speak(engine, sample_batch_size=batch)[0] for _ in range(runs)]
    return [hashlib.sha256(wave.numpy().tobytes()).hexdigest() for wave in waves]


def test_a_seed_gives_the_same_samples_in_ten_runs_two_processes_and_two_batch_sizes(
    tmp_path: Path,
) -> None:
    folder = make_tiny_bundle(tmp_path / "tiny")
    found = call(_digests, folder, RUNS // 2, 16) + call(_digests, folder, RUNS // 2, 1)
    assert len(found) == RUNS and len(set(found)) == 1


class OperationCounter(TorchDispatchMode):
    """Counts the operations of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.counts[str(operation)] += 1
        return operation(*args, **(kwargs or {}))


def measure_work(folder: Path) -> Mapping[str, int]:
    """Operations and floating-point operations of a sentence, which no busy machine changes."""
    engine = TortoiseEngine.load(folder, torch.device("cpu"))
    speak(engine)
    with OperationCounter() as counter:
        speak(engine)
    with FlopCounterMode(display=False) as flops:
        speak(engine)
    return {"operations": counter.counts.total(), "flops": flops.get_total_flops()}


def test_a_sentence_takes_no_more_work_than_before(tmp_path: Path) -> None:
    stored = json.loads(BUDGET.read_text(encoding="utf-8"))
    found = measure_work(make_tiny_bundle(tmp_path / "tiny"))
    for name, number in found.items():
        assert number <= MAX_WORSE * stored[name], f"{name}: {number:,}, before {stored[name]:,}"


def test_more_work_is_noticed(tmp_path: Path) -> None:
    stored = json.loads(BUDGET.read_text(encoding="utf-8"))
    engine = TortoiseEngine.load(make_tiny_bundle(tmp_path / "tiny"), torch.device("cpu"))
    with OperationCounter() as counter, FlopCounterMode(display=False) as flops:
        speak(engine, samples=64, iterations=8)
    found = {"operations": counter.counts.total(), "flops": flops.get_total_flops()}
    assert all(found[waste] > MAX_WORSE * stored[waste] for waste in found)
