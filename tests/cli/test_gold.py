"""testudo dataset: refusals, and which steps run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.main import main
from studio.datasets.dataset_reports import DatasetReportRequest, DatasetReportResult
from studio.datasets.gold_request import STEPS, GoldRequest, GoldResult


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    return tmp_path


def replace_worker(monkeypatch: pytest.MonkeyPatch) -> list[GoldRequest]:
    asked: list[GoldRequest] = []

    def make(layout: Any, request: GoldRequest, report: Any) -> GoldResult:
        asked.append(request)
        return GoldResult(
            name=request.project_name,
            folder="folder",
            ran=request.steps,
            turns=3,
            flagged=1,
            utterances=2,
            left_out=1,
            seconds=90.0,
        )

    worker = SimpleNamespace(make_gold_dataset=make)
    monkeypatch.setattr("cli.training.gold.import_module", lambda name: worker)
    return asked


def test_gold_runs_all_steps(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = replace_worker(monkeypatch)
    assert main(["dataset", "gold", "talk.wav", "talk.txt", "--speaker", "Ann"]) == 0
    assert asked[0].steps == STEPS and asked[0].speaker == "Ann"
    printed = capsys.readouterr().out
    assert "1 of 3 turns are to be looked at" in printed and "1.5 minutes" in printed


@pytest.mark.parametrize("step", STEPS[:-1])
def test_each_step_runs_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    asked = replace_worker(monkeypatch)
    assert main(["dataset", step, "talk", "--json"]) == 0
    assert asked[0].steps == (step,)
    assert json.loads(capsys.readouterr().out)["name"] == "talk"


def test_the_report_of_any_dataset_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[DatasetReportRequest] = []

    def write(layout: Any, request: DatasetReportRequest, report: Any) -> DatasetReportResult:
        asked.append(request)
        return DatasetReportResult(name="nora", kind="prepared", path="report.html", rows=3)

    worker = SimpleNamespace(write_dataset_report=write)
    monkeypatch.setattr("cli.training.gold.import_module", lambda name: worker)
    assert main(["dataset", "report", "prepared/nora"]) == 0
    assert asked == [DatasetReportRequest(name="prepared/nora")]
    assert "3 utterances (prepared): report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gold", "none.wav", "none.txt"], "There is no file none.wav"),
        (["gold", "a.wav", "b.txt", "--method", "magic"], "method is 'magic'"),
        (["check", "nothing"], "There is no gold-standard project 'nothing'"),
        (["check", "../up"], "project"),
        (["report", "nothing"], "There is no dataset 'nothing'"),
        (["report", "gold/../up"], "dataset"),
    ],
)
def test_refusals(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["dataset", *arguments]) == 2
    assert message in capsys.readouterr().err
