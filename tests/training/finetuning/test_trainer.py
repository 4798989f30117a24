"""A finetuning on the tiny bundle: what it writes, how it ends, and that nothing interrupts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from audio.io import read_clip
from core.progress import ProgressEvent, ProgressReporter
from engines.model_files import get_network_path
from engines.safetensors_io import read_tensors
from engines.speaker_latents import SpeakerLatents
from runs import state as train_state
from runs.events import EVENTS_FILE
from support.finetune_helpers import Case, fingerprint, make_case
from tortoise.checkpoints.config import read_config as read_bundle_config
from tortoise.checkpoints.config import write_config as write_bundle_config
from tortoise.checkpoints.layout import compute_weights_id
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions
from training.finetuning import train_loop as finetune_course
from training.finetuning import train_step as finetune_update
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    VOICE_LATENTS_FILE,
    get_checkpoint_dir,
    get_sample_path,
    read_checkpoints,
    read_finetune_metadata,
)
from training.finetuning.config.schema import ConfigError
from training.finetuning.export import ExportError, export_checkpoint
from training.finetuning.train_step import StepExecutor, TrainingTask
from training.finetuning.trainer import main

SRC = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A whole run of both stages."""
    case = make_case(tmp_path_factory.mktemp("finished"))
    outcome = case.train()
    assert (outcome.state, outcome.best_step) == (
        "done",
        read_finetune_metadata(published(case)).step,
    )
    return case


def published(case: Case) -> Path:
    assert case.places.publish is not None
    return case.places.publish


def test_a_run_tells_what_it_does_step_by_step(finished: Case) -> None:
    (begin,) = finished.events("begin")
    assert (begin["steps"], begin["gpt_steps"], begin["diffusion_steps"]) == (7, 4, 3)
    assert (begin["clips"], begin["validation_clips"], begin["resumed"]) == (4, 2, False)
    steps = finished.events("step")
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert [event["stage"] for event in steps] == ["gpt"] * 4 + ["diffusion"] * 3
    for name in ("loss", "mel", "rate", "gradient", "seconds"):
        assert all(event[name] > 0 for event in steps), name
    assert "text" in steps[0] and {"noise", "bound"} <= set(steps[-1])
    judged = [(event["step"], event["stage"]) for event in finished.events("validation")]
    assert judged == [
        (0, "gpt"), (2, "gpt"), (4, "gpt"), (4, "diffusion"), (6, "diffusion"), (7, "diffusion")
    ]  # fmt: skip
    (end,) = finished.events("end")
    assert end["state"] == "done" and finished.events()[-1] == end


def test_the_sentence_is_spoken_at_every_checkpoint(finished: Case) -> None:
    told = finished.events("sample")
    assert [event["step"] for event in told] == [2, 4, 6, 7]
    for event in told:
        assert finished.run / event["path"] == get_sample_path(finished.run, event["step"])
        assert get_sample_path(finished.run, event["step"]).read_bytes() == b"a cat. with .speaking"
    assert not (finished.run / ".speaking").exists()


def test_the_bundle_speaks_it_by_itself_with_the_networks_that_learned(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    case.write(schedule={"steps": 1}, diffusion={"steps": 1}, optimizer={"rate": 0.1})
    case.train(synthesize_sample=None)
    assert case.events("warning") == []
    first, second = (read_clip(get_sample_path(case.run, step)) for step in (1, 2))
    assert first.sample_rate == 24_000 and first.duration_s > 0.1
    assert first.wave.shape != second.wave.shape or not torch.equal(first.wave, second.wave)


def test_only_the_best_of_each_stage_and_the_latest_checkpoints_stay(finished: Case) -> None:
    points = read_checkpoints(finished.run)
    best = min((p for p in points if p.stage == "gpt"), key=lambda point: point.loss or 9.9)
    assert {point.step for point in points} == {best.step, 6, 7}
    gpt = read_tensors(get_checkpoint_dir(finished.run, best.step) / "gpt.safetensors")
    later = read_tensors(get_checkpoint_dir(finished.run, 7) / "gpt.safetensors")
    assert all(torch.equal(gpt[name], later[name]) for name in gpt)


def test_what_is_published_is_a_whole_bundle_that_speaks_with_its_own_voice(finished: Case) -> None:
    folder = published(finished)
    told = read_finetune_metadata(folder)
    assert (told.dataset, told.base, told.run, told.clips) == ("tiny", "tiny", "1", 4)
    assert (
        told.base_weights_id
        == compute_weights_id(finished.places.bundle)
        != compute_weights_id(folder)
    )
    engine = TortoiseEngine.load(folder, torch.device("cpu"))
    voice = SpeakerLatents.load(folder / VOICE_LATENTS_FILE)
    options = TortoiseOptions(samples=1, iterations=2, seed=0, max_codes=8)
    (take,) = engine.synthesize("a cat.", voice, options, ProgressReporter()).candidates
    clip = take.clip
    assert clip.duration_s > 0
    old, new = (read_tensors(get_network_path(f, "gpt")) for f in (finished.places.bundle, folder))
    assert old.keys() == new.keys() and all(old[k].dtype == new[k].dtype for k in old)
    assert not torch.equal(old["mel_head.weight"], new["mel_head.weight"])
    same = get_network_path(folder, "clvp").stat().st_ino
    assert same == get_network_path(finished.places.bundle, "clvp").stat().st_ino


def test_the_voice_is_what_the_engine_hears_in_the_clips_that_were_learned(finished: Case) -> None:
    folder, audio = published(finished), finished.places.dataset / "audio"
    clips = [read_clip(audio / f"c{number}.wav") for number in range(4)]
    heard = TortoiseEngine.load(folder, torch.device("cpu")).condition(clips, ProgressReporter())
    kept = SpeakerLatents.load(folder / VOICE_LATENTS_FILE)
    assert kept.weights_id == heard.weights_id and kept.tensors.keys() == heard.tensors.keys()
    for name, tensor in heard.tensors.items():
        torch.testing.assert_close(kept.tensors[name], tensor, rtol=0.02, atol=0.02)


def test_publishing_again_replaces_its_own_work_and_nothing_else(finished: Case) -> None:
    folder = published(finished)
    export_checkpoint(finished.run, 6, finished.places, ProgressReporter())
    assert read_finetune_metadata(folder).step == 6
    with pytest.raises(ExportError, match="There is no checkpoint of step 3; available: "):
        export_checkpoint(finished.run, 3, finished.places, ProgressReporter())
    assert read_finetune_metadata(folder).step == 6
    (folder / FINETUNE_FILE).rename(folder / "other.json")
    with pytest.raises(ExportError, match="is not a finetuned model"):
        export_checkpoint(finished.run, 6, finished.places, ProgressReporter())
    (folder / "other.json").rename(folder / FINETUNE_FILE)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_a_killed_process_left_beside_a_finetune_is_put_in_order(finished: Case) -> None:
    folder = published(finished)
    folder.rename(folder.with_name(f".{folder.name}.old"))
    folder.with_name(f".{folder.name}.part").mkdir()
    with pytest.raises(ExportError, match="no checkpoint of step 3"):
        export_checkpoint(finished.run, 3, finished.places, ProgressReporter())
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_finetune_stays_when_its_replacement_cannot_be_moved(
    finished: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = published(finished), Path.rename

    def refuse_part(path: Path, target: Path) -> Path:
        if path.name.endswith(".part"):
            raise PermissionError("in use")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse_part)
        with pytest.raises(PermissionError, match="in use"):
            export_checkpoint(finished.run, 6, finished.places, ProgressReporter())
    assert (folder / FINETUNE_FILE).is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_learning_lowers_the_loss_of_both_stages(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    case.write(
        schedule={"steps": 12, "shape": "constant"},
        diffusion={"steps": 8},
        checkpoints={"every": 50},
        optimizer={"rate": 3e-3},
    )
    case.train()
    told = {(e["step"], e["stage"]): e["loss"] for e in case.events("validation")}
    assert told[12, "gpt"] < 0.95 * told[0, "gpt"]
    assert told[20, "diffusion"] < told[12, "diffusion"]


class Killed(BaseException):
    """The process is gone: nothing below may answer."""


def killer(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], None]:
    """Kill the run as it takes its `at`-th step; returns what makes it immortal again."""
    taken = 0
    real = finetune_update.training_step

    def take_step(
        stage: TrainingTask, step: int, rate: float, machine: StepExecutor
    ) -> dict[str, float]:
        nonlocal taken
        taken += 1
        if taken == at:
            raise Killed
        return real(stage, step, rate, machine)

    monkeypatch.setattr(finetune_course, "training_step", take_step)
    return lambda: monkeypatch.setattr(finetune_course, "training_step", real)


@pytest.mark.parametrize("at", [1, 4, 6, 7])
def test_a_run_that_was_killed_ends_with_the_numbers_of_one_that_was_not(
    finished: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    case = make_case(tmp_path)
    monkeypatch.setattr(finetune_course, "SAVE_INTERVAL_S", 0.0 if at % 2 else 120.0)
    revive = killer(monkeypatch, at)
    with pytest.raises(Killed):
        case.train()
    assert case.events("end") == []
    revive()
    assert case.train().state == "done"
    assert fingerprint(case.run) == fingerprint(finished.run)
    assert case.curve() == finished.curve()
    assert [e["step"] for e in case.events("begin")][1] <= at


def test_a_killed_run_of_a_network_that_says_velocity_ends_alike_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = make_case(tmp_path, "whole"), make_case(tmp_path, "killed")
    config = read_bundle_config(whole.places.bundle)
    velocity = replace(config.architecture("diffusion"), predicts="velocity")
    write_bundle_config(whole.places.bundle, config.with_network("diffusion", velocity))
    for case in (whole, killed):
        case.write(schedule={"steps": 0}, diffusion={"steps": 4})
    whole.train()
    revive = killer(monkeypatch, 4)
    with pytest.raises(Killed):
        killed.train()
    revive()
    assert killed.train().state == "done"
    assert fingerprint(killed.run) == fingerprint(whole.run)
    moved = state_of(whole)["parts"]["optimizer0"]["state"]
    assert moved and all("momentum_buffer" in kept for kept in moved.values())
    same = get_network_path(published(whole), "gpt").stat().st_ino
    assert same == get_network_path(whole.places.bundle, "gpt").stat().st_ino


def state_of(case: Case) -> Any:
    return torch.load(case.run / "state.pt", weights_only=True)


@pytest.fixture(scope="module")
def accumulated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A whole run with two micro-batches a step."""
    case = make_case(tmp_path_factory.mktemp("accumulated"))
    case.write(optimizer={"batch": 1, "accumulate": 2})
    case.train()
    return case


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_run_stopped_in_the_middle_of_a_step_goes_on_as_if_it_had_not(
    accumulated: Case, tmp_path: Path, looks: int
) -> None:
    case = make_case(tmp_path)
    case.write(optimizer={"batch": 1, "accumulate": 2})
    seen: list[str] = []

    def stop_within_the_third() -> bool:
        seen.append("look" if case_steps(case) == 2 else "")
        return seen.count("look") > looks

    outcome = case.train(ProgressReporter(stopped=stop_within_the_third))
    assert (outcome.state, outcome.cause) == ("stopped", "asked")
    assert case.events()[-1]["state"] == "stopped" and case_steps(case) == 2
    assert case.train().state == "done"
    assert [e["resumed"] for e in case.events("begin")] == [False, True]
    assert fingerprint(case.run) == fingerprint(accumulated.run)


def test_a_file_named_stop_stops_it_at_once(finished: Case, tmp_path: Path) -> None:
    case = make_case(tmp_path)
    stop = case.run / "stop"

    def ask(event: ProgressEvent) -> None:
        if event.kind == "step":
            stop.touch()

    assert case.train(ProgressReporter(ask)).state == "stopped" and case_steps(case) == 1
    stop.unlink()
    assert case.train().state == "done"
    assert fingerprint(case.run) == fingerprint(finished.run)


def test_a_stop_while_the_sentence_is_spoken_leaves_that_checkpoint_for_later(
    finished: Case, tmp_path: Path
) -> None:
    case = make_case(tmp_path)
    asked = False

    def stop_while_speaking(bundle: Path, text: str, out: Path) -> None:
        nonlocal asked
        asked = True
        ProgressReporter(stopped=lambda: True).check_cancelled()

    outcome = case.train(
        ProgressReporter(stopped=lambda: asked), synthesize_sample=stop_while_speaking
    )
    assert outcome.state == "stopped" and read_checkpoints(case.run) == []
    case.train()
    assert [e["step"] for e in case.events("checkpoint")] == [2, 4, 6, 7]
    assert fingerprint(case.run) == fingerprint(finished.run)


def test_accumulating_or_holding_fewer_clips_at_once_learns_the_same(tmp_path: Path) -> None:
    curves = []
    for name, batch, accumulate in (("whole", 4, 1), ("added", 1, 4)):
        case = make_case(tmp_path, name)
        case.write(optimizer={"batch": batch, "accumulate": accumulate}, diffusion={"steps": 0})
        case.train()
        curves.append(case.curve())
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_half_precision_learns_nearly_the_same(finished: Case, tmp_path: Path) -> None:
    case = make_case(tmp_path)
    case.write(optimizer={"precision": "bf16"})
    assert case.train().state == "done"
    assert case.curve() != finished.curve()
    assert case.curve() == pytest.approx(finished.curve(), rel=0.05)


def test_16_bits_with_a_narrow_range_are_refused_on_a_processor(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    case.write(optimizer={"precision": "fp16"}, machine={"device": ""})
    outcome = case.train()
    assert outcome.cause == "refused" and "not supported on a CPU" in outcome.message


def test_memory_that_runs_out_halves_the_batch_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, plain = make_case(tmp_path, "full"), make_case(tmp_path, "plain")
    for one in (case, plain):
        one.write(optimizer={"batch": 4}, diffusion={"steps": 0})
    plain.train()
    real = finetune_update._accumulate_gradients

    def too_much(stage: TrainingTask, work: Any, machine: StepExecutor) -> dict[str, Tensor]:
        if machine.micro_batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(stage, work, machine)

    monkeypatch.setattr(finetune_update, "_accumulate_gradients", too_much)
    assert case.train().state == "done"
    warned = [e["message"] for e in case.events("warning")]
    assert len(warned) == 2 and "micro-batch size is now 1" in warned[1]
    assert case.curve() == pytest.approx(plain.curve(), rel=1e-4)


def test_memory_that_holds_not_even_one_clip_ends_the_run_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(stage: TrainingTask, work: Any, machine: StepExecutor) -> dict[str, Tensor]:
        raise MemoryError

    monkeypatch.setattr(finetune_update, "_accumulate_gradients", never)
    outcome = make_case(tmp_path).train()
    assert (outcome.state, outcome.cause) == ("failed", "memory")
    assert "Choose lora" in outcome.message


def test_a_loss_that_is_no_number_stops_the_run_at_its_last_sound_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(tmp_path)
    monkeypatch.setattr(finetune_course, "SAVE_INTERVAL_S", 0.0)
    real = finetune_update._accumulate_gradients

    def poisoned(stage: TrainingTask, work: Any, machine: StepExecutor) -> dict[str, Tensor]:
        sums = real(stage, work, machine)
        return sums if case_steps(case) < 3 else {**sums, "loss": sums["loss"] * float("nan")}

    monkeypatch.setattr(finetune_update, "_accumulate_gradients", poisoned)
    outcome = case.train()
    assert (outcome.state, outcome.cause, outcome.best_step) == ("failed", "diverged", 2)
    assert "loss is not a number" in outcome.message and "try 0.0003" in outcome.message
    assert state_of(case)["step"] == 2
    assert case.events()[-1]["state"] == "failed"
    monkeypatch.setattr(finetune_update, "_accumulate_gradients", real)
    case.write(optimizer={"rate": 3e-4})
    assert case.train().state == "done"


def case_steps(case: Case) -> int:
    there = (case.run / EVENTS_FILE).is_file()
    return len(case.events("step")) if there else 0


def test_a_full_disk_ends_the_run_and_keeps_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(tmp_path)
    real = train_state.check_disk_space

    def full(folder: Path, needed: int) -> None:
        real(folder, needed if case_steps(case) < 3 else 10**18)

    monkeypatch.setattr(train_state, "check_disk_space", full)
    outcome = case.train()
    assert (outcome.state, outcome.cause) == ("failed", "disk")
    assert "Free some space" in outcome.message
    assert state_of(case)["step"] == 2
    monkeypatch.setattr(train_state, "check_disk_space", real)
    assert case.train().state == "done"


def test_a_dataset_that_vanishes_is_not_missed_by_a_run_that_has_begun(
    finished: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(tmp_path)
    revive = killer(monkeypatch, 3)
    with pytest.raises(Killed):
        case.train()
    revive()
    for name in ("audio", ".cache"):
        shutil.rmtree(case.places.dataset / name)
    (case.places.dataset / "train.txt").unlink()
    assert case.train().state == "done"
    assert fingerprint(case.run) == fingerprint(finished.run)


def test_clips_that_cannot_be_learned_from_are_left_out_and_named(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    dataset = case.places.dataset
    (dataset / "audio" / "c1.wav").write_bytes(b"no sound at all")
    (dataset / "audio" / "c2.wav").unlink()
    with (dataset / "train.txt").open("a", encoding="utf-8") as file:
        file.write(f"audio/c0.wav|{'long ' * 40}\n")
    case.write(schedule={"steps": 1}, diffusion={"steps": 0})
    assert case.train().state == "done"
    told = " ".join(event["message"] for event in case.events("warning"))
    for reason in ("cannot be read: c1.", "missing: c2.", "too long for the model: c0."):
        assert reason in told
    assert case.events("begin")[0]["clips"] == 2


def test_a_dataset_with_nothing_to_learn_is_refused_before_anything_begins(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    shutil.rmtree(case.places.dataset / "audio")
    outcome = case.train()
    assert (outcome.state, outcome.cause) == ("failed", "refused")
    assert "nothing to train on. Left out because the file is missing: c0" in outcome.message
    assert case.events("begin") == []


def test_one_clip_alone_and_none_for_validation_can_be_learned_from(tmp_path: Path) -> None:
    case = make_case(tmp_path, clips=1, held=0)
    outcome = case.train()
    assert (outcome.state, outcome.best_step) == ("done", 7)
    assert "No clip is kept for validation" in case.events("warning")[0]["message"]
    assert case.events("validation") == []


def test_a_state_is_not_gone_on_from_with_another_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(tmp_path)
    revive = killer(monkeypatch, 4)
    with pytest.raises(Killed):
        case.train()
    revive()
    case.write(weights={"frozen": ["text"]})
    outcome = case.train()
    assert outcome.cause == "refused" and "belongs to another model, method" in outcome.message


def test_a_sentence_that_cannot_be_spoken_is_a_warning_and_no_end(tmp_path: Path) -> None:
    def refuse(bundle: Path, text: str, out: Path) -> None:
        raise ValueError("There is nothing to speak.")

    case = make_case(tmp_path)
    case.write(schedule={"steps": 2}, diffusion={"steps": 0})
    assert case.train(synthesize_sample=refuse).state == "done"
    assert "could not be synthesized: There is nothing" in case.events("warning")[0]["message"]


def test_what_judges_a_sentence_decides_which_checkpoint_is_taken(tmp_path: Path) -> None:
    scores = {"000002": (0.1, 0.9), "000004": (0.9, 0.2)}
    case = make_case(tmp_path)
    case.write(diffusion={"steps": 0}, samples={"judge": True})
    outcome = case.train(score_sample=lambda path, text: scores[path.stem])
    assert outcome.best_step == 2
    assert read_finetune_metadata(published(case)).scores == {"wer": 0.1, "similarity": 0.9}
    assert [e["best"] for e in case.events("checkpoint")] == [True, False]


def arguments(case: Case) -> list[str]:
    places = case.places
    return [
        str(case.run), "--bundle", str(places.bundle),
        "--dataset", str(places.dataset), "--publish", str(places.publish),
    ]  # fmt: skip


def test_a_missing_configuration_is_a_sentence_and_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = make_case(tmp_path)
    (case.run / "train.yaml").write_text("schedule: [", encoding="utf-8")
    with pytest.raises(ConfigError):
        case.train()
    assert main(arguments(case)) == 1
    assert "train.yaml" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_process_that_is_ended_can_be_begun_again(
    finished: Case, tmp_path: Path, how: str
) -> None:
    case = make_case(tmp_path)
    slow = "import time, training.finetuning.train_loop as c; real = c.training_step\n"
    slow += "def training_step(*given):\n time.sleep(0.5)\n return real(*given)\n"
    slow += "c.training_step = training_step; c.SAVE_INTERVAL_S = 0\n"
    slow += "from training.finetuning.trainer import main; import sys; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", slow, *arguments(case)], env=environment, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: case_steps(case) >= 2)
    process.send_signal(getattr(signal, how))
    code = process.wait(timeout=60)
    if how != "SIGKILL":
        (end,) = case.events("end")
        assert (code, end["state"]) == (0, "stopped")
    assert case.train().state == "done"
    assert fingerprint(case.run) == fingerprint(finished.run)


def wait_for(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_no_line_of_the_diary_holds_what_json_does_not_know(finished: Case) -> None:
    for line in (finished.run / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line, parse_constant=lambda word: pytest.fail(word))
        assert {"kind", "time", "step"} <= event.keys()
