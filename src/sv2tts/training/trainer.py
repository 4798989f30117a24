"""Train a synthesizer or a vocoder; the program of the training process.

    python -m sv2tts.training.trainer RUN --dataset DIR [--force-restart]

It reads `synthesizer.yaml`, `vocoder.yaml` or `tacotron_2.yaml` in the folder of the run, logs to
`events.jsonl`, and resumes from `state.pt` where there is one: an interrupted run ends with the
same weights as one that was not. It saves and ends when a file `stop` appears there, or at SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from core.errors import InvalidValueError
from core.progress import ProgressReporter
from engines.device import pick_device
from runs.event_log import EventLogger
from runs.events import BeginEvent, TrainResult
from runs.loop import LoopOptions, RunLoop, run_to_end
from runs.program import run_program
from sv2tts.data.train_list import (
    SYNTHESIZED_FILE,
    TRAIN_FILE,
    VALIDATION_FILE,
    TrainItem,
    load_mel,
    read_train_list,
    split_validation,
)
from sv2tts.training.config import (
    SYNTHESIZER_FILE,
    TACOTRON_2_FILE,
    VOCODER_FILE,
    SynthesizerTrainConfig,
    Tacotron2TrainConfig,
    VocoderTrainConfig,
    read_config,
)
from sv2tts.training.synthesizer_task import (
    SynthesizerTask,
    adopt_model_reading,
    create_synthesizer,
)
from sv2tts.training.tacotron2_task import Tacotron2Task
from sv2tts.training.vocoder_task import VocoderTask, create_vocoder


def train(run: Path, dataset: Path, report: ProgressReporter) -> TrainResult:
    """Train until the last step, a limit or a stop request; resumes from a saved state."""
    return run_to_end(run, report, lambda logger: create_loop(run, dataset, logger, report))


def create_loop(run: Path, dataset: Path, logger: EventLogger, report: ProgressReporter) -> RunLoop:
    """Read configuration and dataset, build the network and restore the saved state."""
    config: SynthesizerTrainConfig | Tacotron2TrainConfig | VocoderTrainConfig
    task: SynthesizerTask | Tacotron2Task | VocoderTask
    if (run / SYNTHESIZER_FILE).is_file():
        config = read_config(run / SYNTHESIZER_FILE, SynthesizerTrainConfig)
        task = _create_synthesizer_task(dataset, config)
    elif (run / TACOTRON_2_FILE).is_file():
        config = read_config(run / TACOTRON_2_FILE, Tacotron2TrainConfig)
        task = Tacotron2Task.create(dataset, config)
    else:
        config = read_config(run / VOCODER_FILE, VocoderTrainConfig)
        task = _create_vocoder_task(dataset, config)
    options = LoopOptions.from_config(config, config.steps, config.eval_every)
    loop = RunLoop(run=run, task=task, options=options, logger=logger, report=report)
    is_resumed = loop.restore()
    logger.log(
        BeginEvent(
            steps=config.steps,
            clips=len(task.train),
            validation_clips=len(task.validation),
            device=str(task.device),
            processes=1,
            resumed=is_resumed,
        )
    )
    return loop


def _create_synthesizer_task(dataset: Path, config: SynthesizerTrainConfig) -> SynthesizerTask:
    config = adopt_model_reading(config)
    items = _read_short_items(dataset, TRAIN_FILE, config)
    if not items:
        raise InvalidValueError(
            f"{dataset / TRAIN_FILE} has no utterance of at most {config.max_mel_frames} frames."
        )
    train, validation = items, _read_validation(dataset, config)
    if not validation:
        train, validation = split_validation(items, config.validation_share, config.seed)
    device = pick_device(config.device)
    model = create_synthesizer(config).to(device)
    bands, made = len(load_mel(dataset, items[0])), model.config.n_mels
    if bands != made:
        raise InvalidValueError(
            f"The mels of {dataset} have {bands} bands, those of the network {made}. Preprocess "
            "the recordings for the model that the training starts from.",
            cli_hint="testudo synthesizer preprocess FOLDER --model NAME",
        )
    return SynthesizerTask(
        folder=dataset,
        config=config,
        train=train,
        validation=validation,
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        device=device,
    )


def _read_validation(dataset: Path, config: SynthesizerTrainConfig) -> list[TrainItem]:
    """Return the utterances that the dataset keeps apart, if it does."""
    if not (dataset / VALIDATION_FILE).is_file():
        return []
    return _read_short_items(dataset, VALIDATION_FILE, config)


def _read_short_items(dataset: Path, name: str, config: SynthesizerTrainConfig) -> list[TrainItem]:
    items = read_train_list(dataset, name)
    return [item for item in items if item.frames <= config.max_mel_frames]


def _create_vocoder_task(dataset: Path, config: VocoderTrainConfig) -> VocoderTask:
    name = TRAIN_FILE if config.ground_truth else SYNTHESIZED_FILE
    items = read_train_list(dataset, name)
    if not items:
        raise InvalidValueError(f"{dataset / name} has no utterances.")
    train, validation = split_validation(items, config.validation_share, config.seed)
    device = pick_device(config.device)
    model = create_vocoder(config).to(device)
    return VocoderTask(
        folder=dataset,
        config=config,
        train=train,
        validation=validation,
        model=model,
        optimizer=torch.optim.Adam(
            (value for value in model.parameters() if value.requires_grad),
            lr=config.learning_rate,
        ),
        device=device,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training from the command line; return 0 where it was done or stopped."""
    return run_program("Train an SV2TTS synthesizer or vocoder.", train, arguments)


if __name__ == "__main__":
    sys.exit(main())
