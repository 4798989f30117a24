"""The words between a finetuning and those who watch it: places, outcomes, files. Light.

training/<dataset>/runs/<run>/
    train.yaml events.jsonl console.log lock stop
    state.pt, state.good.pt     for going on, and the last state that was judged sound
    clips.safetensors           what the run learns from
    checkpoints/<step>/         gpt.safetensors, diffusion.safetensors, about.json
    samples/<step>.wav
models/finetunes/<name>/        a bundle, with finetune.json and voice.latents
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jobs.plain import from_plain, to_plain
from training.keeping import Point
from training.manifest import write_json

EVENTS = "events.jsonl"
CHECKPOINTS, SAMPLES, ABOUT = "checkpoints", "samples", "about.json"
SPEAKING = ".speaking"
"""A bundle made for a moment, to speak a sentence with a checkpoint."""
FINETUNE_FILE = "finetune.json"
VOICE_FILE = "voice.latents"
"""The dataset's voice as the finetuned networks hear it: an `engines.conditioning` file."""

State = Literal["done", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run reads from, and the folder of models/finetunes that it publishes into."""

    bundle: Path
    dataset: Path
    publish: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    cause: "", or a word for what stopped it: asked, diverged, disk, files, memory, refused.
    """

    state: State
    cause: str = ""
    message: str = ""
    best_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune:
    """What finetune.json says of a published bundle.

    scores: what judges found, such as {"wer": 0.2};  seconds: of speech it learned from;
    sources: the recordings of the voice, path to (size, modified_ns), as they were prepared.
    """

    voice: str
    dataset: str
    base: str
    base_weights_id: str
    run: str
    step: int
    loss: float | None
    train_loss: float | None
    clips: int
    seconds: float
    created: float
    scores: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def checkpoint_folder(run: Path, step: int) -> Path:
    """Say where the checkpoint of a step lies."""
    return run / CHECKPOINTS / f"{step:06d}"


def sample_file(run: Path, step: int) -> Path:
    """Say where the sentence spoken at a step lies."""
    return run / SAMPLES / f"{step:06d}.wav"


def read_checkpoints(run: Path) -> list[Point]:
    """List the whole checkpoints of a run, by step."""
    found = []
    for folder in sorted((run / CHECKPOINTS).glob("[0-9]*")):
        if folder.suffix != ".part" and (folder / ABOUT).is_file():
            found.append(from_plain(Point, read_plain(folder / ABOUT)))
    return sorted(found, key=lambda about: about.step)


def read_finetune(bundle: Path) -> Finetune:
    """Read what a published bundle was made from.  Raises ValueError for a damaged file."""
    return from_plain(Finetune, read_plain(bundle / FINETUNE_FILE))


def write_about(path: Path, about: Point | Finetune) -> None:
    """Write such a file, whole or not at all."""
    write_json(path, to_plain(about))


def read_plain(path: Path) -> Any:  # Any: plain data
    """Read a JSON file.  Raises ValueError for one that is none."""
    return json.loads(path.read_text(encoding="utf-8"))
