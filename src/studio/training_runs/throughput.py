"""How long a step takes here: tried before, or learnt from earlier runs of the dataset. Light."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from core.serialization import ValidationError, from_dict, to_dict
from studio.training_runs.event_log_reader import EventLogReader, RunMetrics
from training.dataset_prep.manifest import write_json
from training.finetuning.config.facts import MachineFacts
from training.finetuning.config.schema import CONFIG_FILE, ConfigError, FinetuneConfig, read_config
from training.finetuning.config.suggest import StepTimes

THROUGHPUT_FILE = "pace.json"
CACHE_DIR = ".cache"
MAX_SAMPLES = 20
MAX_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputSample:
    """What a dry step found.

    work: names all that makes one clip take as long as another;  clip_s, stretch_s: seconds that
    the GPT takes for a clip and the diffusion network for a stretch of `window` codes.
    """

    work: str
    clip_s: float
    stretch_s: float = 0.0


def estimate_step_times(
    dataset: Path, config: FinetuneConfig, machine: MachineFacts
) -> StepTimes | None:
    """Say how long steps and checkpoints take, None where nothing is known of such work.

    A run that was tells more than a trial, which tries the longest clips and no checkpoint.
    """
    ran = next(_iter_run_step_times(dataset, config, machine), None)
    if ran is not None and (ran.diffusion_s or not config.diffusion.steps):
        return ran
    work = build_workload_key(config, machine)
    tried = next((trial for trial in reversed(_read_samples(dataset)) if trial.work == work), None)
    if tried is None or (config.diffusion.steps and not tried.stretch_s):
        return None
    return StepTimes(
        gpt_s=tried.clip_s * config.optimizer.clips_per_step,
        diffusion_s=tried.stretch_s * config.diffusion.batch,
    )


def save_throughput_sample(dataset: Path, trial: ThroughputSample) -> None:
    """Keep what a dry step found, and forget the oldest."""
    others = [known for known in _read_samples(dataset) if known.work != trial.work]
    folder = dataset / CACHE_DIR
    folder.mkdir(exist_ok=True)
    write_json(folder / THROUGHPUT_FILE, to_dict([*others, trial][-MAX_SAMPLES:]))


def build_workload_key(config: FinetuneConfig, machine: MachineFacts) -> str:
    """Name all that makes one clip take as long as another."""
    weights, optimizer, place = config.weights, config.optimizer, config.machine
    device = place.device or machine.device
    parts = (weights.bundle, weights.method, *weights.frozen, optimizer.precision)
    return " ".join(
        str(part) for part in (*parts, device, place.processes, config.diffusion.window)
    )


def _iter_run_step_times(
    dataset: Path, config: FinetuneConfig, machine: MachineFacts
) -> Iterator[StepTimes]:
    runs = dataset / "runs"
    folders = [path for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    latest = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[:MAX_RUNS]
    for folder in latest:
        with suppress(ConfigError):
            before = read_config(folder / CONFIG_FILE)
            pace = _compute_step_times(
                EventLogReader(folder / "events.jsonl").read(), before, config
            )
            if pace is not None and build_workload_key(before, machine) == build_workload_key(
                config, machine
            ):
                yield pace


def _compute_step_times(
    told: RunMetrics, before: FinetuneConfig, config: FinetuneConfig
) -> StepTimes | None:
    """Return the pace of a run, for as many clips a step as are wanted now."""
    steps = {name: [value for _, value in told.points[name, "seconds"]]
             for name in ("gpt", "diffusion")}  # fmt: skip
    if not steps["gpt"]:
        return None
    gpt_s, diffusion_s = (median(steps[name]) if steps[name] else 0.0 for name in steps)
    return StepTimes(
        gpt_s=gpt_s * config.optimizer.clips_per_step / before.optimizer.clips_per_step,
        diffusion_s=diffusion_s * config.diffusion.batch / before.diffusion.batch,
        checkpoint_s=_compute_checkpoint_seconds(told, gpt_s, diffusion_s),
    )


def _compute_checkpoint_seconds(told: RunMetrics, gpt_s: float, diffusion_s: float) -> float:
    """Return what is left of the time for each checkpoint when all steps are taken off it."""
    if (
        told.start_event is None
        or told.start_event.step
        or not told.checkpoints
        or told.time is None
    ):
        return 0.0
    learned = min(told.step, told.start_event.gpt_steps or told.step)
    steps_s = learned * gpt_s + (told.step - learned) * diffusion_s
    return max(0.0, told.time - (told.start_event.time or 0.0) - steps_s) / len(told.checkpoints)


def _read_samples(dataset: Path) -> Sequence[ThroughputSample]:
    try:
        plain = json.loads((dataset / CACHE_DIR / THROUGHPUT_FILE).read_text(encoding="utf-8"))
        return [from_dict(ThroughputSample, one) for one in plain]
    except (OSError, ValueError, TypeError, ValidationError):  # none yet, or no longer readable
        return []
