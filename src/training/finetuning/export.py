"""A checkpoint becomes a bundle of its own under models/finetunes/, with the voice it learned.

python -m training.finetuning.export RUN --step 400 --bundle DIR --dataset DIR --publish DIR
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from core.progress import ProgressReporter
from tortoise.checkpoints.layout import compute_weights_id
from tortoise.checkpoints.loading import load_model
from tortoise.engine import TortoiseEngine
from training.dataset_prep.manifest import Dataset, ManifestError, read_dataset
from training.finetuning.checkpoints.retention import CheckpointInfo
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    VOICE_LATENTS_FILE,
    FinetuneMetadata,
    RunPaths,
    get_checkpoint_dir,
    read_checkpoints,
    write_info_file,
)
from training.finetuning.checkpoints.store import assemble_model, list_network_files
from training.finetuning.config.schema import CONFIG_FILE, read_config
from training.finetuning.dataset import DatasetSplits, load_run_dataset
from training.finetuning.gpt_task import GPT_HOP
from training.finetuning.sample_speech import compute_speaker_latents, select_reference_clips


class ExportError(ValueError):
    """A checkpoint cannot become a bundle: what came, what to do."""


def export_checkpoint(run: Path, step: int, places: RunPaths, report: ProgressReporter) -> Path:
    """Make the bundle of one checkpoint, in the place of what the same run published before.

    Raises NotPublished where there is no such checkpoint, or the place is taken by something else.
    """
    target = places.publish
    if target is None:
        raise ExportError("No folder was named to publish into.")
    beside, old = (target.with_name(f".{target.name}{end}") for end in (".part", ".old"))
    _clean_up_interrupted_export(target, beside, old)
    if target.exists() and not (target / FINETUNE_FILE).is_file():
        raise ExportError(f"{target} is there already and is no finetune. Choose another name.")
    known = {about.step: about for about in read_checkpoints(run)}
    if step not in known:
        there = ", ".join(map(str, known)) or "none"
        raise ExportError(f"There is no checkpoint of step {step} any more; there is: {there}.")
    config = read_config(run / CONFIG_FILE)
    base = load_model(places.bundle)
    clips = load_run_dataset(run, places.dataset, config.dataset, base, report)
    told = _collect_metadata(run, places, known[step], clips, config.dataset.name)
    try:
        about = f"{places.bundle.name} finetuned on {told.dataset}, step {step}"
        assemble_model(
            places.bundle, list_network_files(get_checkpoint_dir(run, step)), beside, about
        )
        engine = TortoiseEngine.load(beside, torch.device("cpu"))
        voice = compute_speaker_latents(engine, select_reference_clips(clips.train), report)
        voice.save(beside / VOICE_LATENTS_FILE)
        write_info_file(beside / FINETUNE_FILE, told)
        _replace_folder(target, beside, old)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _collect_metadata(
    run: Path, places: RunPaths, about: CheckpointInfo, clips: DatasetSplits, dataset: str
) -> FinetuneMetadata:
    prepared = Dataset(name=dataset)
    with suppress(ManifestError):  # the dataset may be gone, or of the user's own making
        prepared = read_dataset(places.dataset)
    measured = {"wer": about.wer, "similarity": about.similarity}
    return FinetuneMetadata(
        voice=prepared.voice,
        dataset=dataset,
        base=places.bundle.name,
        base_weights_id=compute_weights_id(places.bundle),
        run=run.name,
        step=about.step,
        loss=about.loss,
        train_loss=about.train_loss,
        clips=len(clips.train),
        seconds=round(sum(len(clip.gpt_mel) for clip in clips.train) * GPT_HOP / 22_050, 1),
        created=time.time(),
        scores={name: value for name, value in measured.items() if value is not None},
        sources={row.path: (row.size, row.modified_ns) for row in prepared.sources},
    )


def _clean_up_interrupted_export(target: Path, new: Path, old: Path) -> None:
    """Clear away what an earlier process left when it was killed, and bring back what it moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _replace_folder(target: Path, new: Path, old: Path) -> None:
    """Put a folder where another one was; the other goes only after."""
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", type=Path, help="the folder of the run")
    parser.add_argument("--step", type=int, required=True, help="which checkpoint")
    parser.add_argument("--bundle", type=Path, required=True, help="the model it began with")
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--publish", type=Path, required=True, help="the folder of the new model")
    asked = parser.parse_args(arguments)
    places = RunPaths(bundle=asked.bundle, dataset=asked.dataset, publish=asked.publish)
    try:
        export_checkpoint(asked.run, asked.step, places, ProgressReporter())
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
