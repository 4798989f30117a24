"""The files of a run and of a finetuned model, and what is in them. Light.

training/<dataset>/runs/<run>/
    train.yaml events.jsonl console.log lock stop
    state.pt, state.good.pt     the saved state, and the last one with a finite validation loss
    clips.safetensors           features of the clips
    checkpoints/<step>/         gpt.safetensors, diffusion.safetensors, about.json
    samples/<step>.wav
models/finetunes/<name>/        a bundle, with finetune.json and voice.latents
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.files import parse_json, write_json
from core.serialization import from_dict, to_dict
from training.finetuning.checkpoints.selection import CheckpointInfo

CHECKPOINTS_DIR, SAMPLES_DIR, CHECKPOINT_INFO_FILE = "checkpoints", "samples", "about.json"
TEMPORARY_MODEL_DIR = ".speaking"
"""A temporary model to synthesize the sample of a checkpoint with."""
FINETUNE_FILE = "finetune.json"
VOICE_LATENTS_FILE = "voice.latents"
"""Speaker latents of the dataset's voice: an `engines.speaker_latents` file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaths:
    """The base model, the dataset, and the folder in models/finetunes to export to."""

    bundle: Path
    dataset: Path
    publish: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneMetadata:
    """The content of finetune.json in a finetuned model.

    scores: of the sample, such as {"wer": 0.2};  seconds: of speech trained on;
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


def get_checkpoint_dir(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step."""
    return run / CHECKPOINTS_DIR / f"{step:06d}"


def get_sample_path(run: Path, step: int) -> Path:
    """Return the path of the sample of a step."""
    return run / SAMPLES_DIR / f"{step:06d}.wav"


def read_checkpoints(run: Path) -> list[CheckpointInfo]:
    """List the complete checkpoints of a run, by step."""
    found = []
    for folder in sorted((run / CHECKPOINTS_DIR).glob("[0-9]*")):
        if folder.suffix != ".part" and (folder / CHECKPOINT_INFO_FILE).is_file():
            found.append(from_dict(CheckpointInfo, load_json(folder / CHECKPOINT_INFO_FILE)))
    return sorted(found, key=lambda about: about.step)


def read_finetune_metadata(bundle: Path) -> FinetuneMetadata:
    """Read finetune.json of a model.  Raises ValueError for a damaged file."""
    return from_dict(FinetuneMetadata, load_json(bundle / FINETUNE_FILE))


def write_info_file(path: Path, about: CheckpointInfo | FinetuneMetadata) -> None:
    """Write the info file of a checkpoint or model atomically."""
    write_json(path, to_dict(about), indent=None)


def load_json(path: Path) -> Any:  # Any: plain data
    """Read a JSON file.  Raises ValueError for an invalid one."""
    return parse_json(path.read_text(encoding="utf-8"))
