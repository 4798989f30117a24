"""Train a speaker encoder; the program of the training process.

    python -m speakers.training.trainer RUN --dataset DIR [--force-restart]

It reads `encoder.yaml` in the folder of the run, logs to `events.jsonl`, and resumes from
`state.pt` where there is one: an interrupted run ends with the same weights as one that was not. It
saves and ends when a file `stop` appears there, or at SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.progress import Cancelled, ProgressReporter
from engines.device import pick_device
from runs.event_log import EventLogger, create_tensorboard_logger
from runs.events import BeginEvent, TrainResult
from runs.program import run_program
from runs.state import is_disk_full_error
from speakers.dataset import read_speaker_dataset, suggest_batch_shape
from speakers.training.config import CONFIG_FILE, read_encoder_config, with_batch_shape
from speakers.training.early_stopping import EarlyStopping
from speakers.training.loop import EncoderTrainer, TrainingDivergedError
from speakers.training.networks import create_network, create_optimizer
from speakers.training.run_files import write_description
from speakers.training.sampler import BatchSampler, FeatureStore, split_speakers


def train_encoder(run: Path, dataset: Path, report: ProgressReporter) -> TrainResult:
    """Train until the last step, a limit or a stop request; resumes from a saved state.

    Raises InvalidValueError for a configuration or dataset that cannot be used.
    """
    logger = EventLogger(run=run, is_main_process=True, report=report)
    logger.log_to_tensorboard = create_tensorboard_logger(run)
    try:
        trainer = create_trainer(run, dataset, logger, report)
        reason = trainer.train()
        result = TrainResult(state="done", message=f"Finished: the training {reason}.")
    except Cancelled:
        result = TrainResult(state="stopped", cause="asked", message="Saved, and stopped.")
    except (TrainingDivergedError, OSError, ValueError) as error:
        result = _make_failed_result(error)
    logger.log_end(result)
    return result


def create_trainer(
    run: Path, dataset: Path, logger: EventLogger, report: ProgressReporter
) -> EncoderTrainer:
    """Read configuration and dataset, build the network and restore the saved state."""
    config = read_encoder_config(run / CONFIG_FILE)
    content = read_speaker_dataset(dataset)
    split = split_speakers(content, config.validation_share, config.seed)
    config = with_batch_shape(
        config, suggest_batch_shape([len(speaker.files) for speaker in split.train])
    )
    store, device = FeatureStore(dataset, content), pick_device(config.device)
    model = create_network(config, content.features.bins, len(split.train)).to(device)
    sampler = BatchSampler(store, split.train, config, config.seed, augment=True)
    trainer = EncoderTrainer(
        run=run,
        config=config,
        dataset=content,
        split=split,
        store=store,
        model=model,
        optimizer=create_optimizer(model, config),
        sampler=sampler,
        stopping=EarlyStopping(patience=config.patience, threshold=config.threshold),
        device=device,
        logger=logger,
        report=report,
    )
    is_resumed = trainer.restore()
    if not is_resumed:
        example = BatchSampler(store, split.train, config, config.seed, augment=False).draw()
        write_description(run, model, config, example.frames)
    logger.log(
        BeginEvent(
            steps=config.steps,
            clips=sum(len(speaker.files) for speaker in split.train),
            validation_clips=sum(len(speaker.files) for speaker in split.validation),
            speakers=len(split.train),
            validation_speakers=len(split.validation),
            device=str(device),
            processes=1,
            batch=config.speakers_per_batch * config.utterances_per_speaker,
            resumed=is_resumed,
        )
    )
    return trainer


def _make_failed_result(error: Exception) -> TrainResult:
    if isinstance(error, TrainingDivergedError):
        message = f"The training diverged: {error}. Lower learning_rate and resume."
        return TrainResult(state="failed", cause="diverged", message=message)
    if isinstance(error, OSError):
        cause = "disk" if is_disk_full_error(error) else "files"
        return TrainResult(state="failed", cause=cause, message=str(error))
    return TrainResult(state="failed", cause="refused", message=str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training from the command line; return 0 where it was done or stopped."""
    return run_program("Train a speaker encoder.", train_encoder, arguments)


if __name__ == "__main__":
    sys.exit(main())
