"""Finetune the networks of a model on a dataset; the program of the training process.

    python -m training.finetuning.trainer RUN --bundle DIR --dataset DIR --publish DIR

It reads `train.yaml` in the folder of the run, logs to `events.jsonl`, and resumes from `state.pt`
where there is one: an interrupted run ends with the same numbers as one that was not. It saves and
ends when a file `stop` appears there, or at SIGTERM. Under torchrun, or with `machine.processes`,
several processes divide each step among them.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

from core.progress import Cancelled, ProgressReporter
from engines.device import pick_device
from engines.safetensors_io import load_weights_strict
from jobs.detached import LOCKED_FOLDER_ENV_VAR, STOP_FILE, hold_folder_lock
from jobs.models import JobError
from runs.event_log import EventLogger, create_tensorboard_logger
from runs.events import BeginEvent, TrainResult
from runs.state import is_disk_full_error, load_state, restore_good_state
from tortoise.checkpoints.loading import TortoiseModel, build_network, load_model
from tortoise.modules.gpt import Gpt
from training.finetuning.checkpoints.run_layout import (
    RunPaths,
    get_checkpoint_dir,
)
from training.finetuning.checkpoints.store import delete_unfinished_files
from training.finetuning.codec_task import create_second_task
from training.finetuning.config.schema import CONFIG_FILE, read_config
from training.finetuning.dataset import DatasetSplits, load_run_dataset
from training.finetuning.diffusion_task import GRAD_CLIP as DIFFUSION_CLIP
from training.finetuning.distributed import (
    init_distributed,
    is_main_process,
    is_torchrun_process,
    launch_torchrun,
)
from training.finetuning.evaluation import SampleScorer, create_sample_scorer
from training.finetuning.export import export_checkpoint
from training.finetuning.gpt_task import create_gpt_task, get_network_file_name
from training.finetuning.optim.divergence import DivergenceError
from training.finetuning.sample_speech import SampleSynthesizer, create_sample_synthesizer
from training.finetuning.train_loop import StageTrainer, TrainContext, is_cancel_requested
from training.finetuning.train_step import OutOfMemory, TrainingTask, create_step_executor


def finetune(
    run: Path,
    paths: RunPaths,
    report: ProgressReporter,
    synthesize_sample: SampleSynthesizer | None = None,
    score_sample: SampleScorer | None = None,
) -> TrainResult:
    """Train until the last step or a stop request; resumes from a saved state.

    synthesize_sample: None for the engine's own way;  score_sample: None for
    `training.finetuning.evaluation`.
    Raises ConfigError for a configuration that cannot be read.
    """
    config = read_config(run / CONFIG_FILE)
    cancellation = ProgressReporter(
        stopped=lambda: (run / STOP_FILE).exists() or is_cancel_requested(report)
    )
    with init_distributed(pick_device(config.machine.device)) as distributed:
        logger = EventLogger(run=run, is_main_process=distributed.is_main_process, report=report)
        if distributed.is_main_process:
            logger.log_to_tensorboard = create_tensorboard_logger(run)
        if config.samples.judge and score_sample is None:
            score_sample = create_sample_scorer(paths.dataset, config.dataset, logger.note)
        context = TrainContext(
            run=run,
            paths=paths,
            config=config,
            distributed=distributed,
            event_logger=logger,
            cancellation=cancellation,
            synthesize_sample=synthesize_sample,
            score_sample=score_sample if config.samples.judge else None,
        )
        try:
            result = _train(context)
        except Cancelled:
            result = TrainResult(state="stopped", cause="asked", message="Saved, and stopped.")
        except (DivergenceError, OutOfMemory, OSError, ValueError) as error:
            result = _make_failed_result(context, error)
        result = replace(result, best_step=context.find_final_step())
        logger.log_end(result)
    return result


def _train(context: TrainContext) -> TrainResult:
    """Train all stages, then export the best checkpoint of the last."""
    model = load_model(context.paths.bundle)
    context.event_logger.note("Reading the clips.")
    clips = _load_dataset(context, model)
    state = load_state(context.run)
    if state is not None and state["stage"] not in context.stages:
        raise ValueError(
            f"The run was at its stage {state['stage']}, which the configuration leaves out "
            "now. Add it again, or start a new run."
        )
    if not context.stages:
        raise ValueError(
            "schedule.steps and diffusion.steps are both 0, so there is nothing to train. Set "
            "steps for one of them."
        )
    _log_start(context, clips, state)
    for name in context.stages:
        if state is None or state["stage"] in (name, "gpt"):
            trainer = _create_stage(name, context, model, clips)
            trainer.restore(state)
            trainer.train()
    if context.paths.publish is None or not context.distributed.is_main_process:
        return TrainResult(state="done", message="Finished.")
    best = context.find_final_step()
    assert best is not None  # the last step of every stage has a checkpoint
    export_checkpoint(context.run, best, context.paths, context.cancellation)
    name = "/".join(context.paths.publish.parts[-2:])
    return TrainResult(state="done", message=f"Finished: the model {name} is ready.")


def _load_dataset(context: TrainContext, model: TortoiseModel) -> DatasetSplits:
    """Extract the features in the main process, then read them in all."""
    run, dataset, choice = context.run, context.paths.dataset, context.config.dataset
    if context.distributed.is_main_process:
        load_run_dataset(run, dataset, choice, model, context.cancellation)
    context.distributed.any_process(False)  # waits for all
    return load_run_dataset(run, dataset, choice, model, context.cancellation)


def _log_start(
    context: TrainContext, clips: DatasetSplits, state: Mapping[str, Any] | None
) -> None:
    """Log the start, and delete unfinished files of an earlier process."""
    config, logger = context.config, context.event_logger
    logger.step = 0 if state is None else state["step"]
    if context.distributed.is_main_process:
        delete_unfinished_files(context.run, logger.step)
    logger.log(
        BeginEvent(
            steps=config.total_steps,
            gpt_steps=config.schedule.steps,
            diffusion_steps=config.diffusion.steps,
            clips=len(clips.train),
            validation_clips=len(clips.validation),
            device=str(context.distributed.device),
            processes=context.distributed.world_size,
            batch=config.optimizer.clips_per_step,
            resumed=state is not None,
        )
    )
    for reason in clips.left_out:
        logger.warn(reason)
    if not clips.validation:
        logger.warn("No clip is kept for validation, so the latest checkpoint counts as the best.")


def _create_stage(
    name: str, context: TrainContext, model: TortoiseModel, clips: DatasetSplits
) -> StageTrainer:
    """Load the networks of a stage.  Raises ValueError where its batch cannot be divided."""
    config, weights, device = context.config, context.config.weights, context.distributed.device
    executor = create_step_executor(
        config.optimizer.precision,
        config.optimizer.seed,
        context.distributed,
        context.cancellation,
        context.event_logger.warn,
    )
    executor.grad_clip = config.optimizer.clip if name == "gpt" else DIFFUSION_CLIP
    batch, processes = (
        config.optimizer.batch if name == "gpt" else config.diffusion.batch,
        context.distributed.world_size,
    )
    if batch < processes:
        raise ValueError(
            f"{processes} processes cannot share a batch of {batch}. Raise the batch of the "
            f"stage {name}, or use fewer processes."
        )
    executor.micro_batch_size = batch // processes
    best = context.find_best_step("gpt") if name == "diffusion" else None
    gpt_checkpoint = None if best is None else get_checkpoint_dir(context.run, best)
    if name == "gpt":
        task: TrainingTask = create_gpt_task(model, clips, config, device)
    else:
        gpt = _load_finetuned_gpt(gpt_checkpoint, model) if gpt_checkpoint else model.gpt
        task = create_second_task(model, gpt, clips, config, device)
    if context.synthesize_sample is None:
        synthesize = create_sample_synthesizer(clips.train, device, context.cancellation)
        context = replace(context, synthesize_sample=synthesize)
    return StageTrainer(
        context=context,
        task=task,
        executor=executor,
        identity={
            "bundle": model.weights_id,
            "method": f"{weights.method} {weights.rank} {weights.alpha}",
            "frozen": ", ".join(weights.frozen),
        },
        gpt_checkpoint=gpt_checkpoint,
    )


def _load_finetuned_gpt(checkpoint: Path, model: TortoiseModel) -> Gpt:
    gpt = build_network("gpt", model.config.architecture("gpt"))
    assert isinstance(gpt, Gpt)
    load_weights_strict(gpt, checkpoint / get_network_file_name("gpt"))
    return gpt.requires_grad_(False).eval()


def _make_failed_result(context: TrainContext, error: Exception) -> TrainResult:
    """Describe an error and what to do; after a divergence, restore the last good state."""
    if isinstance(error, DivergenceError):
        if context.distributed.is_main_process:
            restore_good_state(context.run)
        lr = context.config.optimizer.rate
        message = (
            f"The training diverged at step {context.event_logger.step}: {error}. Saved "
            f"checkpoints are kept. Lower the learning rate (it is {lr:g}; try {lr / 3:.1g}) "
            "and resume, "
            "or use an earlier checkpoint."
        )
        return TrainResult(state="failed", cause="diverged", message=message)
    if isinstance(error, OSError):
        message = error.strerror or str(error)
        if is_disk_full_error(error):
            return TrainResult(state="failed", cause="disk", message=message)
        where = f"{error.filename}: " if error.filename else ""
        return TrainResult(state="failed", cause="files", message=f"{where}{message}.")
    cause = "memory" if isinstance(error, OutOfMemory) else "refused"
    return TrainResult(state="failed", cause=cause, message=str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one finetuning from the command line; return 0 where it was done or stopped."""
    parser = argparse.ArgumentParser(description="Finetune a model on a dataset.")
    parser.add_argument("run", type=Path, help="folder of the run, with train.yaml in it")
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--publish", type=Path, help="folder that the new model is written to")
    parsed = parser.parse_args(arguments)
    run: Path = parsed.run.absolute()
    paths = RunPaths(
        bundle=parsed.bundle.absolute(),
        dataset=parsed.dataset.absolute(),
        publish=parsed.publish and parsed.publish.absolute(),
    )
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with hold_folder_lock(run) if is_main_process() else nullcontext():
            config = None if is_torchrun_process() else read_config(run / CONFIG_FILE)
            if config is not None and config.machine.processes > 1:
                return _run_distributed(config.machine.processes, run, paths)
            result = finetune(run, paths, ProgressReporter(stopped=stopped.is_set))
            return int(result.state == "failed")
    except (JobError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run_distributed(processes: int, run: Path, paths: RunPaths) -> int:
    """Start the training in several processes, and wait for them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (run / STOP_FILE).touch())
    arguments = [str(run), "--bundle", str(paths.bundle), "--dataset", str(paths.dataset)]
    arguments += ["--publish", str(paths.publish)] if paths.publish else []
    variables = {LOCKED_FOLDER_ENV_VAR: str(run)}
    return launch_torchrun(processes, "training.finetuning.trainer", arguments, variables).wait()


if __name__ == "__main__":
    sys.exit(main())
