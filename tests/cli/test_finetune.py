"""testudo finetune: prepare, configure, train and follow, each with the others' words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.training import finetune as cli_finetune
from core.paths import ProjectPaths
from studio.datasets.service import PrepareRequest
from studio.training_runs.service import TrainingRunService
from support.training_run_helpers import make_dataset, use_fake_trainer

Testudo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[PrepareRequest]]:
    """What was asked to be prepared; preparing and looking at the machine cost nothing here."""
    use_fake_trainer(monkeypatch)
    monkeypatch.setattr("cli.training.watch.POLL_S", 0.02)
    requests: list[PrepareRequest] = []

    def prepared(context: Any, request: PrepareRequest, report: Any) -> Any:
        requests.append(request)
        if not layout.dataset(request.dataset_name).exists():
            make_dataset(layout, request.dataset_name)
        return SimpleNamespace(name=request.dataset_name, split="1 to learn from.")

    tasks = SimpleNamespace(prepare_from_request=prepared)
    monkeypatch.setattr(cli_finetune, "import_module", lambda name: tasks)
    monkeypatch.setattr(cli_finetune, "format_dataset_report", lambda report: "20 clips kept")
    monkeypatch.setattr(cli_finetune.Datasets, "report", lambda self, name: None)
    monkeypatch.setattr(cli_finetune, "is_machine_known", lambda layout: True)
    yield requests
    for row in TrainingRunService(layout).list():
        TrainingRunService(layout).terminate(row.dataset, row.name, 0.0)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the pre-flight finds; nothing, unless a test adds to it."""
    found: list[str] = []

    def examine(layout: ProjectPaths, config: Any, device: str) -> Any:
        return SimpleNamespace(config=config, blocking_findings=found)

    monkeypatch.setattr(cli_finetune.configuring, "check_config", examine)
    monkeypatch.setattr(cli_finetune, "print_config_report", lambda seen, reasons, tried: None)
    return found


def test_a_voice_is_finetuned_in_one_command(
    testudo: Testudo, asked: list[PrepareRequest], stops: list[str], layout: ProjectPaths
) -> None:
    code, out, err = testudo(
        "finetune", "alice", "--set", "schedule.steps=30", "--language", "en-GB"
    )
    assert code == 0, err
    assert (asked[0].voice, asked[0].folder, asked[0].language) == ("alice", "", "en-GB")
    assert "Preparing alice: 2 recordings" in out and "20 clips kept" in out
    assert "Training alice/1. Ctrl-C does not stop it." in out and "done at step 40" in out
    assert "steps: 30" in (layout.run("alice", "1") / "train.yaml").read_text()


def test_any_folder_is_finetuned_under_a_name(
    testudo: Testudo,
    asked: list[PrepareRequest],
    stops: list[str],
    layout: ProjectPaths,
    tmp_path: Path,
) -> None:
    (tmp_path / "tapes").mkdir()
    (layout.voices / "alice" / "one.wav").rename(tmp_path / "tapes" / "one.wav")
    code, out, err = testudo("finetune", str(tmp_path / "tapes"), "--name", "uncle")
    assert code == 0 and "Training uncle/1" in out, err
    assert (asked[0].voice, asked[0].dataset_name) == ("", "uncle")


def test_a_training_that_would_end_badly_is_not_begun(
    testudo: Testudo, asked: list[PrepareRequest], stops: list[str], layout: ProjectPaths
) -> None:
    stops.append("too few clips")
    code, out, _ = testudo("finetune", "alice")
    assert code == 2 and "Training" not in out
    assert not (layout.dataset("alice") / "runs").exists()


def test_what_is_neither_voice_nor_folder_is_refused(
    testudo: Testudo, asked: list[PrepareRequest], layout: ProjectPaths
) -> None:
    code, out, err = testudo("finetune", "nobody")
    assert (
        code == 2 and "is neither a voice (installed: alice, bob) nor a folder" in err and not out
    )
    code, _, err = testudo("finetune", "alice", "--transcriber", "parrot")
    assert code == 2 and "no transcriber 'parrot'" in err
    assert asked == []
