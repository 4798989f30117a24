"""Train a speaker encoder; the program of the training process.

    python -m speakers.training.trainer RUN --dataset DIR [--force-restart]

It reads `encoder.yaml` in the folder of the run, logs to `events.jsonl`, and resumes from
`state.pt` where there is one: an interrupted run ends with the same weights as one that was not. It
saves and ends when a file `stop` appears there, or at SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.progress import ProgressReporter
from engines.device import pick_device
from runs.event_log import EventLogger
from runs.events import BeginEvent, TrainResult
from runs.loop import LoopOptions, RunLoop, run_to_end
from runs.program import run_program
from runs.state import link_or_copy
from speakers.dataset import read_speaker_dataset, suggest_batch_shape
from speakers.training.config import (
    CONFIG_FILE,
    EncoderTrainConfig,
    read_encoder_config,
    with_batch_shape,
)
from speakers.training.networks import create_network, create_optimizer
from speakers.training.run_files import (
    BACKUP_FILE,
    BEST_FILE,
    ENCODER_FILE,
    get_final_path,
    write_description,
)
from speakers.training.sampler import (
    BatchSampler,
    FeatureStore,
    SpeakerSplit,
    compute_cycle_steps,
    split_speakers,
)
from speakers.training.task import EncoderTask

MIN_CYCLE_STEPS = 10  # a small dataset is not validated after every few steps


def train_encoder(run: Path, dataset: Path, report: ProgressReporter) -> TrainResult:
    """Train until the last step, a limit or a stop request; resumes from a saved state."""
    result = run_to_end(run, report, lambda logger: create_loop(run, dataset, logger, report))
    if result.state == "done":
        link_or_copy(run / ENCODER_FILE, get_final_path(run))
    return result


def create_loop(run: Path, dataset: Path, logger: EventLogger, report: ProgressReporter) -> RunLoop:
    """Read configuration and dataset, build the network and restore the saved state."""
    config = read_encoder_config(run / CONFIG_FILE)
    content = read_speaker_dataset(dataset)
    split = split_speakers(content, config.validation_share, config.seed)
    config = with_batch_shape(
        config, suggest_batch_shape([len(speaker.files) for speaker in split.train])
    )
    store, device = FeatureStore(dataset, content), pick_device(config.device)
    model = create_network(config, content.features.bins, len(split.train)).to(device)
    task = EncoderTask(
        run=run,
        config=config,
        dataset=content,
        split=split,
        store=store,
        model=model,
        optimizer=create_optimizer(model, config),
        sampler=BatchSampler(store, split.train, config, config.seed, augment=True),
        device=device,
    )
    options = _get_loop_options(config, split)
    loop = RunLoop(run=run, task=task, options=options, logger=logger, report=report)
    is_resumed = loop.restore()
    if not is_resumed:
        example = BatchSampler(store, split.train, config, config.seed, augment=False).draw()
        write_description(run, model, config, example.frames)
    logger.log(_describe_begin(config, split, str(device), is_resumed=is_resumed))
    return loop


def _get_loop_options(config: EncoderTrainConfig, split: SpeakerSplit) -> LoopOptions:
    cycle = config.train_iters or compute_cycle_steps(split.train, config, MIN_CYCLE_STEPS)
    return replace(
        LoopOptions.from_config(config, config.steps, cycle),
        threshold=config.threshold,
        backup_file=BACKUP_FILE,
        best_file=BEST_FILE,
    )


def _describe_begin(
    config: EncoderTrainConfig, split: SpeakerSplit, device: str, *, is_resumed: bool
) -> BeginEvent:
    return BeginEvent(
        steps=config.steps,
        clips=sum(len(speaker.files) for speaker in split.train),
        validation_clips=sum(len(speaker.files) for speaker in split.validation),
        speakers=len(split.train),
        validation_speakers=len(split.validation),
        device=device,
        processes=1,
        batch=config.speakers_per_batch * config.utterances_per_speaker,
        resumed=is_resumed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training from the command line; return 0 where it was done or stopped."""
    return run_program("Train a speaker encoder.", train_encoder, arguments)


if __name__ == "__main__":
    sys.exit(main())
