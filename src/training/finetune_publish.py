"""A checkpoint becomes a bundle of its own under models/finetunes/, with the voice it learned.

python -m training.finetune_publish RUN --step 400 --bundle DIR --dataset DIR --publish DIR
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

from jobs.report import Reporter
from tortoise.bundle import weights_id
from tortoise.engine import TortoiseEngine
from tortoise.weights import load_bundle
from training.clips_of_dataset import HeardClips, clips_of_run
from training.config import CONFIG_FILE, read_config
from training.finetune_about import (
    FINETUNE_FILE,
    VOICE_FILE,
    Finetune,
    Places,
    checkpoint_folder,
    read_checkpoints,
    write_about,
)
from training.finetune_checkpoint import assemble, networks_in
from training.finetune_gpt import GPT_HOP
from training.finetune_voice import clips_to_hear, hear_voice
from training.keeping import Point
from training.manifest import Dataset, ManifestError, read_dataset


class NotPublished(ValueError):
    """A checkpoint cannot become a bundle: what came, what to do."""


def publish(run: Path, step: int, places: Places, report: Reporter) -> Path:
    """Make the bundle of one checkpoint, in the place of what the same run published before.

    Raises NotPublished where there is no such checkpoint, or the place is taken by something else.
    """
    target = places.publish
    if target is None:
        raise NotPublished("No folder was named to publish into.")
    beside, old = (target.with_name(f".{target.name}{end}") for end in (".part", ".old"))
    _tidy(target, beside, old)
    if target.exists() and not (target / FINETUNE_FILE).is_file():
        raise NotPublished(f"{target} is there already and is no finetune. Choose another name.")
    known = {about.step: about for about in read_checkpoints(run)}
    if step not in known:
        there = ", ".join(map(str, known)) or "none"
        raise NotPublished(f"There is no checkpoint of step {step} any more; there is: {there}.")
    config = read_config(run / CONFIG_FILE)
    base = load_bundle(places.bundle)
    clips = clips_of_run(run, places.dataset, config.dataset, base, report)
    told = _told(run, places, known[step], clips, config.dataset.name)
    try:
        about = f"{places.bundle.name} finetuned on {told.dataset}, step {step}"
        assemble(places.bundle, networks_in(checkpoint_folder(run, step)), beside, about)
        engine = TortoiseEngine.load(beside, torch.device("cpu"))
        voice = hear_voice(engine, clips_to_hear(clips.train), report)
        voice.save(beside / VOICE_FILE)
        write_about(beside / FINETUNE_FILE, told)
        _replace(target, beside, old)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _told(run: Path, places: Places, about: Point, clips: HeardClips, dataset: str) -> Finetune:
    prepared = Dataset(name=dataset)
    with suppress(ManifestError):  # the dataset may be gone, or of the user's own making
        prepared = read_dataset(places.dataset)
    measured = {"wer": about.wer, "similarity": about.similarity}
    return Finetune(
        voice=prepared.voice,
        dataset=dataset,
        base=places.bundle.name,
        base_weights_id=weights_id(places.bundle),
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


def _tidy(target: Path, new: Path, old: Path) -> None:
    """Clear away what an earlier process left when it was killed, and bring back what it moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _replace(target: Path, new: Path, old: Path) -> None:
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
    places = Places(bundle=asked.bundle, dataset=asked.dataset, publish=asked.publish)
    try:
        publish(asked.run, asked.step, places, Reporter())
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
