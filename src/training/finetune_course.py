"""One stage on its way, from step to step: told of, saved, judged and thinned out as it goes.

Everything that a step does follows from the seed and its number, and everything else from what is
saved, so it makes no difference where a run was interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.report import Cancelled, Reporter
from training.clips_of_dataset import HeardClips
from training.config import FinetuneConfig
from training.finetune_about import SPEAKING, checkpoint_folder, read_checkpoints, sample_file
from training.finetune_checkpoint import (
    begin_checkpoint,
    finish_checkpoint,
    is_whole,
    link_or_copy,
    networks_in,
    thin_out,
)
from training.finetune_diary import Diary, notes_for
from training.finetune_judge import Score
from training.finetune_update import Machine, Stage, take_step
from training.finetune_voice import Speak, whole_bundle
from training.finetune_watch import Watch
from training.keeping import Point, best_of
from training.rates import rate_at
from training.run import Diverged
from training.suggest import checkpoint_steps
from training.train_state import StateError, keep_good, save_state

SAVE_EVERY_S = 120.0
MOST_VALIDATED = 64
"""Clips that are judged at each checkpoint; more tell little more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The steps of a stage among those of the run. rate: its highest learning rate."""

    first: int
    last: int
    rate: float

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.last - self.first


@dataclass(kw_only=True, eq=False)
class Course:
    """A stage with all that walks it.

    base: the bundle it began with;  gpt: the checkpoint whose GPT this stage goes with, if any;
    identity: what the state belongs to, so that it is not gone on from with something else.
    """

    run: Path
    base: Path
    config: FinetuneConfig
    stage: Stage
    stretch: Stretch
    clips: HeardClips
    machine: Machine
    diary: Diary
    asked: Reporter
    identity: Mapping[str, str]
    gpt: Path | None = None
    speak: Speak | None = None
    score: Score | None = None
    watch: Watch = field(default_factory=Watch)
    done: int = 0

    def take_up(self, state: Mapping[str, Any] | None) -> None:
        """Go on from a saved state, None for the stage's beginning.

        Raises StateError for one of another choice.
        """
        self.done = self.diary.step = self.stretch.first
        if state is None or state["stage"] != self.stage.name:
            return
        if state["identity"] != dict(self.identity):
            raise StateError(
                "The saved state belongs to another model, method or choice of frozen parts. "
                "Put the configuration back, or begin a new run."
            )
        for name, part in self.stage.parts.items():
            part.load_state_dict(state["parts"][name])
        self.watch.load_state_dict(state["watch"])
        self.machine.scaler.load_state_dict(state["scaler"])
        self.machine.rows = min(self.machine.rows, state["rows"])
        self.done = self.diary.step = state["step"]

    def save(self) -> None:
        """Write down where the course is; only the leading process does."""
        if not self.machine.ranks.leads:
            return
        parts = {name: part.state_dict() for name, part in self.stage.parts.items()}
        state = {
            "step": self.done,
            "stage": self.stage.name,
            "identity": dict(self.identity),
            "rows": self.machine.rows,
            "watch": self.watch.state_dict(),
            "scaler": self.machine.scaler.state_dict(),
            "parts": parts,
        }
        save_state(self.run, state)

    def stop_if_asked(self) -> None:
        """Raise `Cancelled` in every process when one was asked to stop."""
        if self.machine.ranks.anyone(was_asked(self.asked)):
            raise Cancelled("stopped on request")


def walk(course: Course) -> None:
    """Take every step that is left of a stage.

    Raises Cancelled when asked to stop, after saving; Diverged, DiskFull and OutOfMemory.
    """
    stretch, schedule = course.stretch, course.config.schedule
    due = set(checkpoint_steps(course.config))
    notes = notes_for(course.diary, course.config.checkpoints.every, course.machine.ranks.device)
    saved_at = time.monotonic()
    if course.done == stretch.first:
        validate(course)
    try:
        while True:
            if course.done in due and course.done > stretch.first:
                look_at(course)
                notes.restart()
                saved_at = time.monotonic()
            course.stop_if_asked()
            if course.done >= stretch.last:
                return
            step = course.done - stretch.first
            rate = rate_at(schedule, stretch.rate, step, stretch.steps)
            figures = take_step(course.stage, step, rate, course.machine)
            course.done = course.diary.step = course.done + 1
            course.watch.feed(figures["loss"], figures[course.stage.judged])
            notes.add(course.stage.name, figures, rate, course.done == stretch.last)
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                course.save()
                saved_at = time.monotonic()
    except Cancelled:
        course.save()
        raise


def look_at(course: Course) -> None:
    """Save; then judge, speak and keep the checkpoint of this step, unless that was done.

    Asked to stop meanwhile, it ends early and is done again when the run goes on.
    """
    course.save()
    if course.machine.ranks.leads and not is_whole(course.run, course.done):
        with suppress(Cancelled):
            make_checkpoint(course)
            course.watch.recent = []
    else:
        course.watch.recent = []


def make_checkpoint(course: Course) -> None:
    """Judge the stage as it is, speak with it, keep it, and let go of what is not needed.

    Raises Cancelled when asked to stop, leaving nothing.
    """
    train_loss = course.watch.mean
    loss = validate(course, train_loss)
    keep_good(course.run)
    folder = begin_checkpoint(course.run, course.done, course.stage.checkpoint(), course.base)
    for network in networks_in(course.gpt) if course.gpt else ():
        link_or_copy(network, folder / network.name)
    wer, similarity = _sample(course, folder)
    point = Point(
        step=course.done,
        stage=course.stage.name,
        loss=loss,
        train_loss=train_loss,
        wer=wer,
        similarity=similarity,
    )
    size = finish_checkpoint(course.run, point)
    best = best_of(read_checkpoints(course.run), course.stage.name) == course.done
    told = _within(course.run, checkpoint_folder(course.run, course.done))
    course.diary.tell("checkpoint", path=told, bytes=size, loss=loss, best=best)
    kept = course.config.checkpoints
    thin_out(course.run, kept.keep_last, kept.keep_best)


def validate(course: Course, train_loss: float | None = None) -> float | None:
    """Judge the stage on clips it never learned from, None where there are none.

    Raises Diverged where what it says is not a number.
    """
    clips = course.clips.validation[:MOST_VALIDATED]
    if not clips or not course.machine.ranks.leads:
        return None
    course.asked.check()
    with course.machine.autocast():
        loss = course.stage.validate(clips)
    course.diary.tell("validation", stage=course.stage.name, loss=loss, train_loss=train_loss)
    if not math.isfinite(loss):
        raise Diverged("the validation loss is not a number")
    return loss


def _sample(course: Course, folder: Path) -> tuple[float | None, float | None]:
    """Speak the sentence with the networks of a checkpoint; returns how it was judged."""
    text, path = course.config.samples.text.strip(), sample_file(course.run, course.done)
    if not text or course.speak is None:
        return None, None
    try:
        with whole_bundle(course.base, networks_in(folder), course.run / SPEAKING) as bundle:
            course.speak(bundle, text, path)
        wer, similarity = course.score(path, text) if course.score else (None, None)
    except (ValueError, RuntimeError, MemoryError, OSError) as error:  # no reason to end a run
        course.diary.warn(f"The sentence could not be spoken: {error}")
        return None, None
    told = _within(course.run, path)
    course.diary.tell("sample", path=told, text=text, wer=wer, similarity=similarity)
    return wer, similarity


def _within(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()


def was_asked(report: Reporter) -> bool:
    """Whether the work was asked to stop."""
    try:
        report.check()
    except Cancelled:
        return True
    return False
