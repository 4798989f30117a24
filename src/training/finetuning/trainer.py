"""Finetune the networks of a bundle on a dataset: what the training process runs.

    python -m training.finetuning.trainer RUN --bundle DIR --dataset DIR --publish DIR

It reads `train.yaml` in the folder of the run, tells what it does in `events.jsonl`, and goes on
from `state.pt` where there is one: an interrupted run ends with the same numbers as one that was
not. It saves and ends when a file `stop` appears there, or at SIGTERM. Under torchrun, or with
`machine.processes`, several processes share each step.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

import torch

from core.progress import Cancelled, ProgressReporter
from engines.device import pick_device
from jobs.detached import LOCKED_FOLDER_ENV_VAR, STOP_FILE, hold_folder_lock
from jobs.models import JobError
from tortoise.checkpoints.loading import TortoiseModel, build_network, load_model
from tortoise.checkpoints.safetensors_io import load_weights_strict
from tortoise.modules.gpt import Gpt
from training.finetuning.checkpoints.retention import find_best_step
from training.finetuning.checkpoints.run_layout import (
    RunPaths,
    TrainResult,
    get_checkpoint_dir,
    read_checkpoints,
)
from training.finetuning.checkpoints.state import is_disk_full_error, load_state, restore_good_state
from training.finetuning.checkpoints.store import delete_unfinished_files
from training.finetuning.config.schema import CONFIG_FILE, FinetuneConfig, read_config
from training.finetuning.dataset import DatasetSplits, load_run_dataset
from training.finetuning.diffusion_task import GRAD_CLIP as DIFFUSION_CLIP
from training.finetuning.diffusion_task import create_diffusion_task
from training.finetuning.distributed import (
    DistributedContext,
    init_distributed,
    is_main_process,
    is_torchrun_process,
    launch_torchrun,
)
from training.finetuning.evaluation import SampleScorer, create_sample_scorer
from training.finetuning.event_log import EventLogger, create_tensorboard_logger
from training.finetuning.export import export_checkpoint
from training.finetuning.gpt_task import create_gpt_task, get_network_file_name
from training.finetuning.optim.divergence import DivergenceError
from training.finetuning.sample_speech import SampleSynthesizer, create_sample_synthesizer
from training.finetuning.train_loop import StageTrainer, StepRange, is_cancel_requested, train_stage
from training.finetuning.train_step import (
    OutOfMemory,
    StepExecutor,
    TrainingTask,
    create_step_executor,
    register_cancel_checks,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainContext:
    """What a run has around it. asked: raises `Cancelled` when it is to stop."""

    run: Path
    paths: RunPaths
    config: FinetuneConfig
    distributed: DistributedContext
    event_logger: EventLogger
    cancellation: ProgressReporter
    synthesize_sample: SampleSynthesizer | None
    score_sample: SampleScorer | None

    @property
    def stage_ranges(self) -> dict[str, StepRange]:
        """The stages that there are, and the steps of each."""
        config = self.config
        middle, last = config.schedule.steps, config.total_steps
        found = {}
        if middle:
            found["gpt"] = StepRange(first=0, last=middle, rate=config.optimizer.rate)
        if last > middle:
            found["diffusion"] = StepRange(first=middle, last=last, rate=config.diffusion.rate)
        return found

    @property
    def sample_scorer(self) -> SampleScorer | None:
        """How sentences are judged, None where they are not to be."""
        if not self.config.samples.judge:
            return None
        return self.score_sample or create_sample_scorer(
            self.paths.dataset, self.config.dataset, self.event_logger.note
        )

    def find_best_step(self, stage: str) -> int | None:
        """The step of the checkpoint of a stage that is taken."""
        points = read_checkpoints(self.run)
        return find_best_step(points, stage, self.config.checkpoints.keep_best)


def finetune(
    run: Path,
    places: RunPaths,
    report: ProgressReporter,
    speak: SampleSynthesizer | None = None,
    score: SampleScorer | None = None,
) -> TrainResult:
    """Train until the last step, or until asked to stop; goes on from a saved state.

    speak: how the sentence is spoken at each checkpoint, None for the bundle's own way;
    score: says how well it was spoken, None for what `training.finetuning.evaluation` has to say.
    Raises ConfigError for a configuration that cannot be read.
    """
    config = read_config(run / CONFIG_FILE)
    asked = ProgressReporter(
        stopped=lambda: (run / STOP_FILE).exists() or is_cancel_requested(report)
    )
    with init_distributed(pick_device(config.machine.device)) as ranks:
        diary = EventLogger(run=run, is_main_process=ranks.is_main_process, report=report)
        if ranks.is_main_process:
            diary.log_to_tensorboard = create_tensorboard_logger(run)
        setting = TrainContext(
            run=run,
            paths=places,
            config=config,
            distributed=ranks,
            event_logger=diary,
            cancellation=asked,
            synthesize_sample=speak,
            score_sample=score,
        )
        try:
            outcome = _train(setting)
        except Cancelled:
            outcome = TrainResult(state="stopped", cause="asked", message="Saved, and stopped.")
        except (DivergenceError, OutOfMemory, OSError, ValueError) as error:
            outcome = _make_failed_result(setting, error)
        outcome = replace(outcome, best_step=_find_final_step(setting))
        diary.log_end(outcome)
    return outcome


def _train(setting: TrainContext) -> TrainResult:
    """Walk all stages, then publish the best checkpoint of the last."""
    bundle = load_model(setting.paths.bundle)
    setting.event_logger.note("Listening to the clips.")
    clips = _load_dataset(setting, bundle)
    state = load_state(setting.run)
    if state is not None and state["stage"] not in setting.stage_ranges:
        raise ValueError(
            f"The run was at its stage {state['stage']}, which the configuration leaves out now. "
            "Put it back, or begin a new run."
        )
    if not setting.stage_ranges:
        raise ValueError(
            "schedule.steps and diffusion.steps are both 0, so there is nothing to learn. "
            "Give one of them steps."
        )
    _log_start(setting, clips, state)
    for name in setting.stage_ranges:
        if state is None or state["stage"] in (name, "gpt"):
            _run_stage(name, setting, bundle, clips, state)
    if setting.paths.publish is None or not setting.distributed.is_main_process:
        return TrainResult(state="done", message="Finished.")
    best = _find_final_step(setting)
    assert best is not None  # the last step of every stage has a checkpoint
    export_checkpoint(setting.run, best, setting.paths, setting.cancellation)
    return TrainResult(state="done", message=f"Finished: {setting.paths.publish.name} is ready.")


def _load_dataset(setting: TrainContext, bundle: TortoiseModel) -> DatasetSplits:
    """What the run learns from; the leading process hears it, the others read it then."""
    run, dataset, choice = setting.run, setting.paths.dataset, setting.config.dataset
    if setting.distributed.is_main_process:
        load_run_dataset(run, dataset, choice, bundle, setting.cancellation)
    setting.distributed.any_process(False)  # waits for all
    return load_run_dataset(run, dataset, choice, bundle, setting.cancellation)


def _log_start(
    setting: TrainContext, clips: DatasetSplits, state: Mapping[str, Any] | None
) -> None:
    """Say what is about to happen, and clear away what an earlier process left unfinished."""
    config, diary = setting.config, setting.event_logger
    diary.step = 0 if state is None else state["step"]
    if setting.distributed.is_main_process:
        delete_unfinished_files(setting.run, diary.step)
    diary.log(
        "begin",
        steps=config.total_steps,
        gpt_steps=config.schedule.steps,
        diffusion_steps=config.diffusion.steps,
        clips=len(clips.train),
        validation_clips=len(clips.validation),
        device=str(setting.distributed.device),
        processes=setting.distributed.world_size,
        batch=config.optimizer.clips_per_step,
        resumed=state is not None,
    )
    for reason in clips.left_out:
        diary.warn(reason)
    if not clips.validation:
        diary.warn("No clip is kept for validation, so the latest checkpoint counts as the best.")


def _run_stage(
    name: str,
    setting: TrainContext,
    bundle: TortoiseModel,
    clips: DatasetSplits,
    state: Mapping[str, Any] | None,
) -> None:
    """Load a stage and take all its steps that are left."""
    config, weights = setting.config, setting.config.weights
    learned = setting.find_best_step("gpt") if name == "diffusion" else None
    before = None if learned is None else get_checkpoint_dir(setting.run, learned)
    machine = _create_executor(name, setting)
    device = setting.distributed.device
    if name == "gpt":
        stage: TrainingTask = create_gpt_task(bundle, clips, config, device)
    else:
        gpt = (
            bundle.gpt.to(device) if before is None else _load_finetuned_gpt(before, bundle, device)
        )
        stage = create_diffusion_task(bundle, gpt, clips, config, device)
    course = StageTrainer(
        run=setting.run,
        base=bundle.folder,
        config=config,
        task=stage,
        step_range=setting.stage_ranges[name],
        clips=clips,
        executor=machine,
        event_logger=setting.event_logger,
        cancellation=setting.cancellation,
        identity={
            "bundle": bundle.weights_id,
            "method": f"{weights.method} {weights.rank} {weights.alpha}",
            "frozen": ", ".join(weights.frozen),
        },
        gpt_checkpoint=before,
        synthesize_sample=setting.synthesize_sample
        or create_sample_synthesizer(clips.train, device, setting.cancellation),
        score_sample=setting.sample_scorer,
    )
    course.restore(state)
    with register_cancel_checks(stage.module, machine.check_cancelled):
        train_stage(course)


def _create_executor(name: str, setting: TrainContext) -> StepExecutor:
    """What computes a stage.  Raises ValueError where its batch cannot be shared."""
    config, ranks = setting.config, setting.distributed
    chosen = config.optimizer
    machine = create_step_executor(
        chosen.precision, chosen.seed, ranks, setting.cancellation, setting.event_logger.warn
    )
    machine.grad_clip = chosen.clip if name == "gpt" else DIFFUSION_CLIP
    rows = chosen.batch if name == "gpt" else config.diffusion.batch
    if rows < ranks.world_size:
        raise ValueError(
            f"{ranks.world_size} processes cannot share a batch of {rows}. Raise the batch of the "
            f"stage {name}, or use fewer processes."
        )
    machine.micro_batch_size = rows // ranks.world_size
    return machine


def _load_finetuned_gpt(checkpoint: Path, bundle: TortoiseModel, device: torch.device) -> Gpt:
    """The finetuned GPT, which only listens from now on."""
    gpt = build_network("gpt", bundle.config.architecture("gpt"))
    assert isinstance(gpt, Gpt)
    load_weights_strict(gpt, checkpoint / get_network_file_name("gpt"))
    return gpt.requires_grad_(False).eval().to(device)


def _find_final_step(setting: TrainContext) -> int | None:
    """The checkpoint to take: the best of the last stage that has any."""
    found = (setting.find_best_step(name) for name in reversed(setting.stage_ranges))
    return next((step for step in found if step is not None), None)


def _make_failed_result(setting: TrainContext, error: Exception) -> TrainResult:
    """Say what went wrong and what to do; after a divergence, go back to what was sound."""
    if isinstance(error, DivergenceError):
        step = setting.event_logger.step
        if setting.distributed.is_main_process:
            restore_good_state(setting.run)
        rate = setting.config.optimizer.rate
        message = (
            f"Learning went wrong at step {step}: {error}. What was sound before is kept. "
            f"Lower the learning rate (it is {rate:g}; try {rate / 3:.1g}) and resume, or take an "
            "earlier checkpoint."
        )
        return TrainResult(state="failed", cause="diverged", message=message)
    if isinstance(error, OSError):
        if is_disk_full_error(error):
            return TrainResult(state="failed", cause="disk", message=error.strerror or str(error))
        where = f"{error.filename}: " if error.filename else ""
        return TrainResult(
            state="failed", cause="files", message=f"{where}{error.strerror or error}."
        )
    cause = "memory" if isinstance(error, OutOfMemory) else "refused"
    return TrainResult(state="failed", cause=cause, message=str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one finetuning from the command line; 0 where it ended as it was meant to."""
    parser = argparse.ArgumentParser(description="Finetune a model on a dataset.")
    parser.add_argument("run", type=Path, help="the folder of the run, with train.yaml in it")
    parser.add_argument("--bundle", type=Path, required=True, help="the model to begin with")
    parser.add_argument("--dataset", type=Path, required=True, help="the folder of the dataset")
    parser.add_argument("--publish", type=Path, help="the folder that the new model becomes")
    asked = parser.parse_args(arguments)
    run: Path = asked.run.absolute()
    places = RunPaths(
        bundle=asked.bundle.absolute(),
        dataset=asked.dataset.absolute(),
        publish=asked.publish and asked.publish.absolute(),
    )
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with hold_folder_lock(run) if is_main_process() else nullcontext():
            processes = (
                1 if is_torchrun_process() else read_config(run / CONFIG_FILE).machine.processes
            )
            if processes > 1:
                return _run_distributed(processes, run, places)
            return _exit_code(finetune(run, places, ProgressReporter(stopped=stopped.is_set)))
    except (JobError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run_distributed(processes: int, run: Path, places: RunPaths) -> int:
    """Let several processes do it, and wait for them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (run / STOP_FILE).touch())
    arguments = [str(run), "--bundle", str(places.bundle), "--dataset", str(places.dataset)]
    arguments += ["--publish", str(places.publish)] if places.publish else []
    held = {LOCKED_FOLDER_ENV_VAR: str(run)}
    return launch_torchrun(processes, "training.finetuning.trainer", arguments, held).wait()


def _exit_code(outcome: TrainResult) -> int:
    return 1 if outcome.state == "failed" else 0


if __name__ == "__main__":
    sys.exit(main())
