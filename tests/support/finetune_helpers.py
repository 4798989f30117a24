"""A tiny run of finetuning for tests: a dataset of noise, a bundle, a folder with train.yaml."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import write_clip
from core.progress import ProgressReporter
from runs.events import EVENTS_FILE, TrainResult
from support.tiny_bundle import make_tiny_bundle
from training.finetuning.checkpoints.run_layout import RunPaths
from training.finetuning.config.schema import CONFIG_FILE, parse_config, write_config
from training.finetuning.trainer import finetune

RATE = 22_050
TEXTS = ("a cat sat", "the dog ran off", "so it goes", "we are here", "all is well", "far away")
CONFIG: Mapping[str, Mapping[str, Any]] = {
    "dataset": {"name": "tiny"},
    "weights": {"bundle": "tiny"},
    "optimizer": {"batch": 2, "rate": 1e-3, "seed": 3},
    "schedule": {"steps": 4},
    "diffusion": {"steps": 3, "batch": 2, "window": 8, "rate": 1e-3, "average": 0.5},
    "checkpoints": {"every": 2},
    "samples": {"text": "a cat.", "judge": False},
    "machine": {"device": "cpu"},
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run and what it needs."""

    run: Path
    places: RunPaths

    def train(self, report: ProgressReporter | None = None, **options: Any) -> TrainResult:
        options.setdefault("synthesize_sample", say_nothing)
        return finetune(self.run, self.places, report or ProgressReporter(), **options)

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        lines = (self.run / EVENTS_FILE).read_text(encoding="utf-8").splitlines()
        return [event for event in map(json.loads, lines) if kind in ("", event["kind"])]

    def curve(self) -> dict[int, float]:
        return {event["step"]: event["loss"] for event in self.events("step")}

    def write(self, **sections: Mapping[str, Any]) -> None:
        plain = {name: {**CONFIG[name], **sections.get(name, {})} for name in CONFIG}
        write_config(self.run / CONFIG_FILE, parse_config(plain))


def say_nothing(bundle: Path, text: str, out: Path) -> None:
    """Stand in for the engine, which takes most of the time of a tiny run."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(f"{text} with {bundle.name}".encode())


def make_case(folder: Path, name: str = "1", clips: int = 6, held: int = 2) -> Case:
    """Write a dataset of some clips, `held` of them for validation, a bundle and a run."""
    bundle, dataset = folder / "models" / "tiny", folder / "training" / "tiny"
    if not bundle.exists():
        make_tiny_bundle(bundle)
    if not dataset.exists():
        make_dataset(dataset, clips, held)
    case = Case(
        run=dataset / "runs" / name,
        places=RunPaths(
            bundle=bundle, dataset=dataset, publish=folder / "models" / "finetunes" / name
        ),
    )
    case.run.mkdir(parents=True)
    case.write()
    return case


def make_dataset(folder: Path, clips: int, held: int) -> None:
    generator = torch.Generator().manual_seed(0)
    (folder / "audio").mkdir(parents=True)
    lines = []
    for number in range(clips):
        wave = torch.rand(15_000 + 700 * number, generator=generator) * 0.6 - 0.3
        path = folder / "audio" / f"c{number}.wav"
        write_clip(path, Clip(wave=wave, sample_rate=RATE))
        lines.append(f"audio/{path.name}|{TEXTS[number % len(TEXTS)]}\n")
    (folder / "train.txt").write_text("".join(lines[: clips - held]), encoding="utf-8")
    (folder / "validation.txt").write_text("".join(lines[clips - held :]), encoding="utf-8")


def fingerprint(run: Path) -> str:
    """A hash of every weight, moment and number that the last saved state holds."""
    state = torch.load(run / "state.pt", weights_only=True)
    digest = hashlib.sha256()
    for path, value in _leaves(state):
        raw = value.numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode()
        digest.update(path.encode() + raw)
    return digest.hexdigest()


def _leaves(state: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(state, Mapping):
        items = [(str(key), value) for key, value in state.items()]
    elif isinstance(state, (list, tuple)):
        items = [(str(place), value) for place, value in enumerate(state)]
    else:
        return [(path, state)]
    return [leaf for key, value in items for leaf in _leaves(value, f"{path}/{key}")]
