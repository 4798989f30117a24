"""Seconds per step, from a test run or from earlier runs of the dataset. Light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from core.files import parse_json, write_json
from core.serialization import ValidationError, from_dict, to_dict
from runs.event_log_reader import EventLogReader, RunMetrics
from training.finetuning.config.facts import MachineFacts
from training.finetuning.config.schema import CONFIG_FILE, ConfigError, FinetuneConfig, read_config
from training.finetuning.config.suggest import StepTimes

THROUGHPUT_FILE = "pace.json"
CACHE_DIR = ".cache"
MAX_SAMPLES = 20
MAX_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputSample:
    """The result of a test run.

    work: the workload key;  clip_s, stretch_s: seconds for a clip of the GPT, and for a window of
    the diffusion network.
    """

    work: str
    clip_s: float
    stretch_s: float = 0.0


def estimate_step_times(
    dataset: Path, config: FinetuneConfig, machine: MachineFacts
) -> StepTimes | None:
    """Estimate the seconds of steps and checkpoints, None where nothing was measured.

    Earlier runs are preferred to a test run, which takes the longest clips and no checkpoint.
    """
    measured = next(_iter_run_step_times(dataset, config, machine), None)
    if measured is not None and (measured.diffusion_s or not config.diffusion.steps):
        return measured
    work = build_workload_key(config, machine)
    samples = reversed(_read_samples(dataset))
    sample = next((one for one in samples if one.work == work), None)
    if sample is None or (config.diffusion.steps and not sample.stretch_s):
        return None
    return StepTimes(
        gpt_s=sample.clip_s * config.optimizer.clips_per_step,
        diffusion_s=sample.stretch_s * config.diffusion.batch,
    )


def save_throughput_sample(dataset: Path, sample: ThroughputSample) -> None:
    """Save the result of a test run; drop the oldest."""
    others = [known for known in _read_samples(dataset) if known.work != sample.work]
    folder = dataset / CACHE_DIR
    folder.mkdir(exist_ok=True)
    write_json(folder / THROUGHPUT_FILE, to_dict([*others, sample][-MAX_SAMPLES:]), indent=None)


def build_workload_key(config: FinetuneConfig, machine: MachineFacts) -> str:
    """Return a key that is equal where a clip takes equally long."""
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
            previous = read_config(folder / CONFIG_FILE)
            times = _compute_step_times(
                EventLogReader(folder / "events.jsonl").read(), previous, config
            )
            if times is not None and build_workload_key(previous, machine) == build_workload_key(
                config, machine
            ):
                yield times


def _compute_step_times(
    metrics: RunMetrics, previous: FinetuneConfig, config: FinetuneConfig
) -> StepTimes | None:
    """Scale the step times of a run to the batch size of `config`."""
    steps = {name: [value for _, value in metrics.points[name, "seconds"]]
             for name in ("gpt", "diffusion")}  # fmt: skip
    if not steps["gpt"]:
        return None
    gpt_s, diffusion_s = (median(steps[name]) if steps[name] else 0.0 for name in steps)
    return StepTimes(
        gpt_s=gpt_s * config.optimizer.clips_per_step / previous.optimizer.clips_per_step,
        diffusion_s=diffusion_s * config.diffusion.batch / previous.diffusion.batch,
        checkpoint_s=_compute_checkpoint_seconds(metrics, gpt_s, diffusion_s),
    )


def _compute_checkpoint_seconds(metrics: RunMetrics, gpt_s: float, diffusion_s: float) -> float:
    """Return the time of a run that its steps do not account for, for each checkpoint."""
    if (
        metrics.start_event is None
        or metrics.start_event.step
        or not metrics.checkpoints
        or metrics.time is None
    ):
        return 0.0
    gpt_steps = min(metrics.step, metrics.start_event.gpt_steps or metrics.step)
    steps_s = gpt_steps * gpt_s + (metrics.step - gpt_steps) * diffusion_s
    return max(0.0, metrics.time - (metrics.start_event.time or 0.0) - steps_s) / len(
        metrics.checkpoints
    )


def _read_samples(dataset: Path) -> Sequence[ThroughputSample]:
    try:
        plain = parse_json((dataset / CACHE_DIR / THROUGHPUT_FILE).read_text(encoding="utf-8"))
        return [from_dict(ThroughputSample, one) for one in plain]
    except (OSError, ValueError, TypeError, ValidationError):  # none yet, or no longer readable
        return []
