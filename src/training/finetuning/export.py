"""Export a checkpoint as a model in models/finetunes/, with speaker latents of its voice.

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

from core.files import copy_file, replace_folder, restore_replaced_folder
from core.paths import CONSENT_FILE
from core.progress import ProgressReporter
from tortoise.checkpoints.layout import compute_weights_id
from tortoise.checkpoints.loading import load_model
from tortoise.engine import TortoiseEngine
from training.dataset_prep.manifest import Dataset, ManifestError, read_dataset
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    VOICE_LATENTS_FILE,
    FinetuneMetadata,
    RunPaths,
    get_checkpoint_dir,
    read_checkpoints,
    write_info_file,
)
from training.finetuning.checkpoints.selection import CheckpointInfo
from training.finetuning.checkpoints.store import add_adapter, assemble_model, list_network_files
from training.finetuning.config.schema import CONFIG_FILE, read_config
from training.finetuning.dataset import DatasetSplits, load_run_dataset
from training.finetuning.gpt_task import GPT_HOP
from training.finetuning.sample_speech import compute_speaker_latents, select_reference_clips


class ExportError(ValueError):
    """A checkpoint cannot be exported."""


def export_checkpoint(run: Path, step: int, paths: RunPaths, report: ProgressReporter) -> Path:
    """Export a checkpoint, replacing the model that a finetune exported there before.

    Raises ExportError where there is no such checkpoint, or the folder is no finetune.
    """
    target = paths.publish
    if target is None:
        raise ExportError("No export folder was given.")
    part = target.with_name(f".{target.name}.part")
    restore_replaced_folder(target)
    shutil.rmtree(part, ignore_errors=True)
    if target.exists() and not (target / FINETUNE_FILE).is_file():
        raise ExportError(
            f"{target} already exists and is not a finetuned model. Choose another name."
        )
    known = {about.step: about for about in read_checkpoints(run)}
    if step not in known:
        there = ", ".join(map(str, known)) or "none"
        raise ExportError(f"There is no checkpoint of step {step}; available: {there}.")
    config = read_config(run / CONFIG_FILE)
    base = load_model(paths.bundle)
    clips = load_run_dataset(run, paths.dataset, config.dataset, base, report)
    metadata = _collect_metadata(run, paths, known[step], clips, config.dataset.name)
    try:
        about = f"{paths.bundle.name} finetuned on {metadata.dataset}, step {step}"
        checkpoint = get_checkpoint_dir(run, step)
        assemble_model(paths.bundle, list_network_files(checkpoint), part, about)
        add_adapter(checkpoint, paths.bundle, part)
        engine = TortoiseEngine.load(part, torch.device("cpu"))
        voice = compute_speaker_latents(engine, select_reference_clips(clips.train), report)
        voice.save(part / VOICE_LATENTS_FILE)
        write_info_file(part / FINETUNE_FILE, metadata)
        if (run / CONSENT_FILE).is_file():
            copy_file(run / CONSENT_FILE, part / CONSENT_FILE)
        replace_folder(target, part)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _collect_metadata(
    run: Path, paths: RunPaths, about: CheckpointInfo, clips: DatasetSplits, dataset: str
) -> FinetuneMetadata:
    dataset_info = Dataset(name=dataset)
    with suppress(ManifestError):  # the dataset may be deleted, or not made by this program
        dataset_info = read_dataset(paths.dataset)
    measured = {"wer": about.wer, "similarity": about.similarity}
    return FinetuneMetadata(
        voice=dataset_info.voice,
        dataset=dataset,
        base=paths.bundle.name,
        base_weights_id=compute_weights_id(paths.bundle),
        run=run.name,
        step=about.step,
        loss=about.loss,
        train_loss=about.train_loss,
        clips=len(clips.train),
        seconds=round(sum(len(clip.gpt_mel) for clip in clips.train) * GPT_HOP / 22_050, 1),
        created=time.time(),
        scores={name: value for name, value in measured.items() if value is not None},
        sources={row.path: (row.size, row.modified_ns) for row in dataset_info.sources},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an export from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--step", type=int, required=True, help="step of the checkpoint")
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--publish", type=Path, required=True, help="folder of the new model")
    parsed = parser.parse_args(arguments)
    paths = RunPaths(bundle=parsed.bundle, dataset=parsed.dataset, publish=parsed.publish)
    try:
        export_checkpoint(parsed.run, parsed.step, paths, ProgressReporter())
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
