"""Finetune the networks of a bundle on a dataset: what the training process runs.

    python -m training.finetune RUN --bundle DIR --dataset DIR --publish DIR

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

from engines.device import pick_device
from jobs.detached import HELD_VARIABLE, STOP, holding
from jobs.job import JobError
from jobs.report import Cancelled, Reporter
from tortoise.gpt import Gpt
from tortoise.tensor_files import fill_network
from tortoise.weights import Bundle, build_network, load_bundle
from training.clips_of_dataset import HeardClips, clips_of_run
from training.config import CONFIG_FILE, FinetuneConfig, read_config
from training.distributed import Ranks, is_joined, joined, leads, start_together
from training.finetune_about import Outcome, Places, checkpoint_folder, read_checkpoints
from training.finetune_board import board_of
from training.finetune_checkpoint import sweep
from training.finetune_course import Course, Stretch, walk, was_asked
from training.finetune_diary import Diary
from training.finetune_diffusion import CLIP as DIFFUSION_CLIP
from training.finetune_diffusion import diffusion_stage
from training.finetune_gpt import gpt_stage, network_file_name
from training.finetune_judge import Score, score_of
from training.finetune_publish import publish
from training.finetune_update import (
    Machine,
    OutOfMemory,
    Stage,
    checked_within,
    machine_of,
)
from training.finetune_voice import Speak, speaker_of
from training.keeping import best_of
from training.run import Diverged
from training.train_state import fall_back, is_full, load_state


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What a run has around it. asked: raises `Cancelled` when it is to stop."""

    run: Path
    places: Places
    config: FinetuneConfig
    ranks: Ranks
    diary: Diary
    asked: Reporter
    speak: Speak | None
    score: Score | None

    @property
    def stretches(self) -> dict[str, Stretch]:
        """The stages that there are, and the steps of each."""
        config = self.config
        middle, last = config.schedule.steps, config.total_steps
        found = {}
        if middle:
            found["gpt"] = Stretch(first=0, last=middle, rate=config.optimizer.rate)
        if last > middle:
            found["diffusion"] = Stretch(first=middle, last=last, rate=config.diffusion.rate)
        return found

    @property
    def scoring(self) -> Score | None:
        """How sentences are judged, None where they are not to be."""
        if not self.config.samples.judge:
            return None
        return self.score or score_of(self.places.dataset, self.config.dataset, self.diary.note)

    def best(self, stage: str) -> int | None:
        """The step of the checkpoint of a stage that is taken."""
        points = read_checkpoints(self.run)
        return best_of(points, stage, self.config.checkpoints.keep_best)


def finetune(
    run: Path,
    places: Places,
    report: Reporter,
    speak: Speak | None = None,
    score: Score | None = None,
) -> Outcome:
    """Train until the last step, or until asked to stop; goes on from a saved state.

    speak: how the sentence is spoken at each checkpoint, None for the bundle's own way;
    score: says how well it was spoken, None for what `training.judging` has to say.
    Raises ConfigError for a configuration that cannot be read.
    """
    config = read_config(run / CONFIG_FILE)
    asked = Reporter(stopped=lambda: (run / STOP).exists() or was_asked(report))
    with joined(pick_device(config.machine.device)) as ranks:
        diary = Diary(run=run, leads=ranks.leads, report=report)
        if ranks.leads:
            diary.board = board_of(run)
        setting = Setting(
            run=run,
            places=places,
            config=config,
            ranks=ranks,
            diary=diary,
            asked=asked,
            speak=speak,
            score=score,
        )
        try:
            outcome = _train(setting)
        except Cancelled:
            outcome = Outcome(state="stopped", cause="asked", message="Saved, and stopped.")
        except (Diverged, OutOfMemory, OSError, ValueError) as error:
            outcome = _failed(setting, error)
        outcome = replace(outcome, best_step=_best(setting))
        diary.end(outcome)
    return outcome


def _train(setting: Setting) -> Outcome:
    """Walk all stages, then publish the best checkpoint of the last."""
    bundle = load_bundle(setting.places.bundle)
    setting.diary.note("Listening to the clips.")
    clips = _clips(setting, bundle)
    state = load_state(setting.run)
    if state is not None and state["stage"] not in setting.stretches:
        raise ValueError(
            f"The run was at its stage {state['stage']}, which the configuration leaves out now. "
            "Put it back, or begin a new run."
        )
    if not setting.stretches:
        raise ValueError(
            "schedule.steps and diffusion.steps are both 0, so there is nothing to learn. "
            "Give one of them steps."
        )
    _begin(setting, clips, state)
    for name in setting.stretches:
        if state is None or state["stage"] in (name, "gpt"):
            _walk_stage(name, setting, bundle, clips, state)
    if setting.places.publish is None or not setting.ranks.leads:
        return Outcome(state="done", message="Finished.")
    best = _best(setting)
    assert best is not None  # the last step of every stage has a checkpoint
    publish(setting.run, best, setting.places, setting.asked)
    return Outcome(state="done", message=f"Finished: {setting.places.publish.name} is ready.")


def _clips(setting: Setting, bundle: Bundle) -> HeardClips:
    """What the run learns from; the leading process hears it, the others read it then."""
    run, dataset, choice = setting.run, setting.places.dataset, setting.config.dataset
    if setting.ranks.leads:
        clips_of_run(run, dataset, choice, bundle, setting.asked)
    setting.ranks.anyone(False)  # waits for all
    return clips_of_run(run, dataset, choice, bundle, setting.asked)


def _begin(setting: Setting, clips: HeardClips, state: Mapping[str, Any] | None) -> None:
    """Say what is about to happen, and clear away what an earlier process left unfinished."""
    config, diary = setting.config, setting.diary
    diary.step = 0 if state is None else state["step"]
    if setting.ranks.leads:
        sweep(setting.run, diary.step)
    diary.tell(
        "begin",
        steps=config.total_steps,
        gpt_steps=config.schedule.steps,
        diffusion_steps=config.diffusion.steps,
        clips=len(clips.train),
        validation_clips=len(clips.validation),
        device=str(setting.ranks.device),
        processes=setting.ranks.count,
        batch=config.optimizer.clips_per_step,
        resumed=state is not None,
    )
    for reason in clips.left_out:
        diary.warn(reason)
    if not clips.validation:
        diary.warn("No clip is kept for validation, so the latest checkpoint counts as the best.")


def _walk_stage(
    name: str,
    setting: Setting,
    bundle: Bundle,
    clips: HeardClips,
    state: Mapping[str, Any] | None,
) -> None:
    """Load a stage and take all its steps that are left."""
    config, weights = setting.config, setting.config.weights
    learned = setting.best("gpt") if name == "diffusion" else None
    before = None if learned is None else checkpoint_folder(setting.run, learned)
    machine = _machine_of(name, setting)
    device = setting.ranks.device
    if name == "gpt":
        stage: Stage = gpt_stage(bundle, clips, config, device)
    else:
        gpt = bundle.gpt.to(device) if before is None else _gpt_in(before, bundle, device)
        stage = diffusion_stage(bundle, gpt, clips, config, device)
    course = Course(
        run=setting.run,
        base=bundle.folder,
        config=config,
        stage=stage,
        stretch=setting.stretches[name],
        clips=clips,
        machine=machine,
        diary=setting.diary,
        asked=setting.asked,
        identity={
            "bundle": bundle.weights_id,
            "method": f"{weights.method} {weights.rank} {weights.alpha}",
            "frozen": ", ".join(weights.frozen),
        },
        gpt=before,
        speak=setting.speak or speaker_of(clips.train, device, setting.asked),
        score=setting.scoring,
    )
    course.take_up(state)
    with checked_within(stage.module, machine.check):
        walk(course)


def _machine_of(name: str, setting: Setting) -> Machine:
    """What computes a stage.  Raises ValueError where its batch cannot be shared."""
    config, ranks = setting.config, setting.ranks
    chosen = config.optimizer
    machine = machine_of(chosen.precision, chosen.seed, ranks, setting.asked, setting.diary.warn)
    machine.clip = chosen.clip if name == "gpt" else DIFFUSION_CLIP
    rows = chosen.batch if name == "gpt" else config.diffusion.batch
    if rows < ranks.count:
        raise ValueError(
            f"{ranks.count} processes cannot share a batch of {rows}. Raise the batch of the "
            f"stage {name}, or use fewer processes."
        )
    machine.rows = rows // ranks.count
    return machine


def _gpt_in(checkpoint: Path, bundle: Bundle, device: torch.device) -> Gpt:
    """The finetuned GPT, which only listens from now on."""
    gpt = build_network("gpt", bundle.config.architecture("gpt"))
    assert isinstance(gpt, Gpt)
    fill_network(gpt, checkpoint / network_file_name("gpt"))
    return gpt.requires_grad_(False).eval().to(device)


def _best(setting: Setting) -> int | None:
    """The checkpoint to take: the best of the last stage that has any."""
    found = (setting.best(name) for name in reversed(setting.stretches))
    return next((step for step in found if step is not None), None)


def _failed(setting: Setting, error: Exception) -> Outcome:
    """Say what went wrong and what to do; after a divergence, go back to what was sound."""
    if isinstance(error, Diverged):
        step = setting.diary.step
        if setting.ranks.leads:
            fall_back(setting.run)
        rate = setting.config.optimizer.rate
        message = (
            f"Learning went wrong at step {step}: {error}. What was sound before is kept. "
            f"Lower the learning rate (it is {rate:g}; try {rate / 3:.1g}) and resume, or take an "
            "earlier checkpoint."
        )
        return Outcome(state="failed", cause="diverged", message=message)
    if isinstance(error, OSError):
        if is_full(error):
            return Outcome(state="failed", cause="disk", message=error.strerror or str(error))
        where = f"{error.filename}: " if error.filename else ""
        return Outcome(state="failed", cause="files", message=f"{where}{error.strerror or error}.")
    cause = "memory" if isinstance(error, OutOfMemory) else "refused"
    return Outcome(state="failed", cause=cause, message=str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one finetuning from the command line; 0 where it ended as it was meant to."""
    parser = argparse.ArgumentParser(description="Finetune a model on a dataset.")
    parser.add_argument("run", type=Path, help="the folder of the run, with train.yaml in it")
    parser.add_argument("--bundle", type=Path, required=True, help="the model to begin with")
    parser.add_argument("--dataset", type=Path, required=True, help="the folder of the dataset")
    parser.add_argument("--publish", type=Path, help="the folder that the new model becomes")
    asked = parser.parse_args(arguments)
    run: Path = asked.run.absolute()
    places = Places(
        bundle=asked.bundle.absolute(),
        dataset=asked.dataset.absolute(),
        publish=asked.publish and asked.publish.absolute(),
    )
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with holding(run) if leads() else nullcontext():
            processes = 1 if is_joined() else read_config(run / CONFIG_FILE).machine.processes
            if processes > 1:
                return _run_together(processes, run, places)
            return _exit_code(finetune(run, places, Reporter(stopped=stopped.is_set)))
    except (JobError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run_together(processes: int, run: Path, places: Places) -> int:
    """Let several processes do it, and wait for them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (run / STOP).touch())
    arguments = [str(run), "--bundle", str(places.bundle), "--dataset", str(places.dataset)]
    arguments += ["--publish", str(places.publish)] if places.publish else []
    held = {HELD_VARIABLE: str(run)}
    return start_together(processes, "training.finetune", arguments, held).wait()


def _exit_code(outcome: Outcome) -> int:
    return 1 if outcome.state == "failed" else 0


if __name__ == "__main__":
    sys.exit(main())
