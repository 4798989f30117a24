"""testudo train and runs: begun, watched, stopped and gone on with from a terminal."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cli.training import watch as cli_follow
from core.paths import ProjectPaths
from studio.schemas.checkpoint_export import ExportCheckpointRequest, ExportCheckpointResult
from studio.training_runs.service import TrainingRunService
from support.training_run_helpers import make_dataset, until, use_fake_trainer

Testudo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runs(layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingRunService]:
    use_fake_trainer(monkeypatch)
    monkeypatch.setattr("cli.training.watch.POLL_S", 0.02)
    opened = TrainingRunService(layout)
    yield opened
    for row in opened.list():
        opened.terminate(row.dataset, row.name, 0.0)


def test_a_training_is_begun_and_leaves_the_terminal_at_once(
    testudo: Testudo, runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout, mode="wait")
    code, out, _ = testudo("train", "alice", "--name", "night")
    assert code == 0 and "alice/night runs in the background" in out
    until(runs, "alice", "night", "running", step=15)
    code, out, _ = testudo("runs", "alice/night")
    assert "alice/night: running. gpt step 15 of 40, loss 3.250" in out
    assert "checkpoint 10, validation loss 2.750, WER 10%, similarity 0.70, best" in out
    code, out, _ = testudo("runs")
    assert out == "alice/night  running, step 15 of 40, best 10\n"
    said = testudo("speak", "Hello.", "--voice", "bob")
    assert said[0] == 0 and "A training is running on this machine" in said[2]
    code, out, _ = testudo("train", "stop", "alice/night")
    assert code == 0 and out == "alice/night saves a checkpoint, then stops.\n"
    until(runs, "alice", "night", "stopped")
    assert testudo("train", "stop", "alice/night")[1] == "alice/night is stopped already.\n"


def test_a_voice_that_a_training_creates_is_announced(
    testudo: Testudo, runs: TrainingRunService, layout: ProjectPaths
) -> None:
    folder = make_dataset(layout, "talks")
    shutil.copyfile(layout.voice("alice") / "one.wav", folder / "one.wav")
    (folder / "train.txt").write_text("one.wav|Good evening.\n")
    code, _, err = testudo("train", "talks")
    assert code == 0 and re.search(r"Copied 1 training clips? to voices/talks", err)
    assert layout.voice("talks").is_dir()
    until(runs, "talks", "1", "done")
    testudo("train", "talks")
    assert "Copied" not in testudo("runs", "talks/2")[1]


def test_a_followed_training_tells_each_checkpoint_and_its_end(
    testudo: Testudo, runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout)
    code, out, _ = testudo("train", "alice", "--follow")
    assert code == 0
    lines = out.splitlines()
    assert sum(line.startswith("checkpoint ") for line in lines) == 4
    assert "alice/1: done at step 40 of 40. Finished." in lines
    assert any(line.startswith("Step 40: the lowest validation loss") for line in lines)


def test_ctrl_c_ends_the_watching_and_not_the_run(
    testudo: Testudo,
    runs: TrainingRunService,
    layout: ProjectPaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_dataset(layout, mode="wait")
    testudo("train", "alice")
    until(runs, "alice", "1", "running", step=15)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_follow, "time", SimpleNamespace(sleep=interrupt, monotonic=lambda: 0.0))
    code, out, _ = testudo("train", "watch", "alice/1")
    assert code == 0 and "alice/1 continues." in out and "testudo train stop alice/1" in out
    assert runs.view("alice", "1").state == "running"


def test_a_training_that_died_is_reported_and_goes_on(
    testudo: Testudo, runs: TrainingRunService, layout: ProjectPaths
) -> None:
    folder = make_dataset(layout, mode="killed")
    code, out, _ = testudo("train", "alice", "--follow")
    assert code == 2 and "died at step 15 of 40" in out and "signal 9" in out
    assert "testudo train resume alice/1" in out
    (folder / "mode").write_text("done")
    code, out, _ = testudo("train", "resume", "alice/1", "--follow")
    assert code == 0 and "done at step 40" in out


def test_a_training_that_does_not_listen_is_ended_for_good(
    testudo: Testudo,
    runs: TrainingRunService,
    layout: ProjectPaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_dataset(layout, mode="deaf")
    testudo("train", "alice")
    until(runs, "alice", "1", "running", step=15)
    monkeypatch.setattr(TrainingRunService.terminate, "__defaults__", (0.1,))
    code, out, _ = testudo("train", "stop", "alice/1", "--now")
    assert code == 0 and "alice/1 ended at step 15" in out


def test_what_is_wrong_is_one_sentence(
    testudo: Testudo, runs: TrainingRunService, layout: ProjectPaths
) -> None:
    for words, told in (
        (("train", "nobody"), "There is no dataset 'nobody'"),
        (("train", "pause", "alice/1"), "'pause alice/1' is not a command"),
        (("train", "stop", "alice"), "'alice' is not a run"),
        (("train", "stop"), "Name the run: testudo train stop DATASET/RUN"),
        (("train", "alice/1"), "is a run, not a dataset. To resume it: testudo train resume alice"),
        (("train", "watch", "alice/9"), "There is no run '9'"),
        (("train", "publish", "alice/9"), "There is no run '9'"),
        (("train", "delete", "alice/../x"), "is not a valid run name"),
        (("runs", "alice/9"), "There is no run '9'"),
    ):
        code, out, err = testudo(*words)
        assert code == 2 and told in err and not out and err.count("\n") == 1, (words, err)
    assert testudo("runs")[1].startswith("There are no training runs yet.")


def test_json_is_for_programs(
    testudo: Testudo, runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout)
    started = json.loads(testudo("train", "alice", "--json")[1])
    assert (started["dataset"], started["name"]) == ("alice", "1")
    until(runs, "alice", "1", "done")
    shown = json.loads(testudo("runs", "alice/1", "--json")[1])
    assert shown["state"] == "done" and shown["curves"][0]["points"][0] == [1, 3.95]
    (row,) = json.loads(testudo("runs", "--json")[1])
    assert row["best"] == 40


def test_a_run_is_published_and_deleted(
    testudo: Testudo,
    runs: TrainingRunService,
    layout: ProjectPaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_dataset(layout)
    testudo("train", "alice", "--follow")
    asked: list[ExportCheckpointRequest] = []

    def publish(
        context: Any, request: ExportCheckpointRequest, report: Any
    ) -> ExportCheckpointResult:
        asked.append(request)
        return ExportCheckpointResult(bundle="finetunes/alice-1", voice="alice", step=request.step)

    monkeypatch.setattr(
        "cli.training.train.import_module", lambda _: SimpleNamespace(export_run_checkpoint=publish)
    )
    code, out, _ = testudo("train", "publish", "alice/1")
    assert code == 0 and "--voice 'alice' --model 'finetunes/alice-1'" in out
    testudo("train", "publish", "alice/1", "--step", "10", "--name", "early")
    assert [(item.step, item.name) for item in asked] == [(40, ""), (10, "early")]
    code, out, _ = testudo("train", "delete", "alice/1")
    assert code == 0 and "alice/1 moved to the trash" in out and runs.list() == []
    where = out.split()[-1]
    assert out.endswith(f"testudo train undelete {where}\n")
    assert testudo("train", "trash", "alice")[1] == f"{where}  1\n"
    assert testudo("train", "undelete", where)[1] == "alice/1 restored.\n"
    assert [row.name for row in runs.list()] == ["1"]
