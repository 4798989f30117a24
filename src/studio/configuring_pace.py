"""How long a step takes here: tried before, or learnt from earlier runs of the dataset. Light."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from jobs.plain import PlainError, from_plain, to_plain
from studio.runs_events import Diary, Figures
from training.config import CONFIG_FILE, ConfigError, FinetuneConfig, read_config
from training.manifest import write_json
from training.suggest import Pace
from training.suggest_facts import MachineFacts

FILE = "pace.json"
CACHE = ".cache"
MOST_TRIALS = 20
RUNS_ASKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a dry step found.

    work: names all that makes one clip take as long as another;  clip_s, stretch_s: seconds that
    the GPT takes for a clip and the diffusion network for a stretch of `window` codes.
    """

    work: str
    clip_s: float
    stretch_s: float = 0.0


def known_pace(dataset: Path, config: FinetuneConfig, machine: MachineFacts) -> Pace | None:
    """Say how long steps and checkpoints take, None where nothing is known of such work.

    A run that was tells more than a trial, which tries the longest clips and no checkpoint.
    """
    ran = next(_paces_of_runs(dataset, config, machine), None)
    if ran is not None and (ran.diffusion_s or not config.diffusion.steps):
        return ran
    work = work_of(config, machine)
    tried = next((trial for trial in reversed(_trials(dataset)) if trial.work == work), None)
    if tried is None or (config.diffusion.steps and not tried.stretch_s):
        return None
    return Pace(
        gpt_s=tried.clip_s * config.optimizer.clips_per_step,
        diffusion_s=tried.stretch_s * config.diffusion.batch,
    )


def remember_trial(dataset: Path, trial: Trial) -> None:
    """Keep what a dry step found, and forget the oldest."""
    others = [known for known in _trials(dataset) if known.work != trial.work]
    folder = dataset / CACHE
    folder.mkdir(exist_ok=True)
    write_json(folder / FILE, to_plain([*others, trial][-MOST_TRIALS:]))


def work_of(config: FinetuneConfig, machine: MachineFacts) -> str:
    """Name all that makes one clip take as long as another."""
    weights, optimizer, place = config.weights, config.optimizer, config.machine
    device = place.device or machine.device
    parts = (weights.bundle, weights.method, *weights.frozen, optimizer.precision)
    return " ".join(
        str(part) for part in (*parts, device, place.processes, config.diffusion.window)
    )


def _paces_of_runs(dataset: Path, config: FinetuneConfig, machine: MachineFacts) -> Iterator[Pace]:
    runs = dataset / "runs"
    folders = [path for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    latest = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[:RUNS_ASKED]
    for folder in latest:
        with suppress(ConfigError):
            before = read_config(folder / CONFIG_FILE)
            pace = _pace_of(Diary(folder / "events.jsonl").read(), before, config)
            if pace is not None and work_of(before, machine) == work_of(config, machine):
                yield pace


def _pace_of(told: Figures, before: FinetuneConfig, config: FinetuneConfig) -> Pace | None:
    """Return the pace of a run, for as many clips a step as are wanted now."""
    steps = {name: [value for _, value in told.points[name, "seconds"]]
             for name in ("gpt", "diffusion")}  # fmt: skip
    if not steps["gpt"]:
        return None
    gpt_s, diffusion_s = (median(steps[name]) if steps[name] else 0.0 for name in steps)
    return Pace(
        gpt_s=gpt_s * config.optimizer.clips_per_step / before.optimizer.clips_per_step,
        diffusion_s=diffusion_s * config.diffusion.batch / before.diffusion.batch,
        checkpoint_s=_checkpoint_s(told, gpt_s, diffusion_s),
    )


def _checkpoint_s(told: Figures, gpt_s: float, diffusion_s: float) -> float:
    """Return what is left of the time for each checkpoint when all steps are taken off it."""
    if told.begun is None or told.begun.step or not told.checkpoints or told.time is None:
        return 0.0
    learned = min(told.step, told.begun.parts.get("gpt", told.step))
    steps_s = learned * gpt_s + (told.step - learned) * diffusion_s
    return max(0.0, told.time - told.begun.time - steps_s) / len(told.checkpoints)


def _trials(dataset: Path) -> Sequence[Trial]:
    try:
        plain = json.loads((dataset / CACHE / FILE).read_text(encoding="utf-8"))
        return [from_plain(Trial, one) for one in plain]
    except (OSError, ValueError, TypeError, PlainError):  # none yet, or no longer readable
        return []
