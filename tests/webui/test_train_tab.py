"""Begin, watch, stop, go on, delete: what the part Train does when its buttons are pressed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from jobs.detached import is_alive
from studio.app.studio import Studio
from studio.model_store.bundles import get_models_fingerprint
from studio.training_runs.run_status import RunStatus
from support.counting import count_calls
from support.html_reader import Reader
from support.inline_worker import InlineStudio
from support.training_run_helpers import make_dataset, until, use_fake_trainer
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    FinetuneMetadata,
    write_info_file,
)
from webui.training.train_actions import (
    handle_run_action,
    list_configured_datasets,
    parse_run_title,
)
from webui.training.train_tab import TrainSessionState, get_run_updates

NOTHING = gr.skip()


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio whose trainer only tells events, with the dataset alice."""
    use_fake_trainer(monkeypatch)
    (tmp_path / "models" / "starter").mkdir(parents=True)
    (tmp_path / "models" / "starter" / "weights").write_bytes(b"some numbers")
    studio = InlineStudio.open(tmp_path)
    make_dataset(studio.layout)
    yield studio
    for row in studio.runs.list():
        studio.runs.terminate(row.dataset, row.name, 5.0)
    studio.close()


def look(studio: Studio, chosen: str = "", seen: TrainSessionState | None = None) -> list[Any]:
    return get_run_updates(studio, chosen, seen or TrainSessionState())


def begin(studio: Studio, mode: str = "done", *, name: str, step: int = 0) -> RunStatus:
    """Start a run and wait until it is over, or waits at a step."""
    (studio.layout.dataset("alice") / "mode").write_text(mode)
    studio.runs.start("alice", name)
    return until(studio.runs, "alice", name, "done" if mode == "done" else "running", step=step)


def publish(studio: Studio, bundle: str, step: int, voice: str) -> None:
    """A model as a run publishes it."""
    folder = studio.layout.model(bundle)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"about": "a finetune"}')
    learned = FinetuneMetadata(
        voice=voice,
        dataset="alice",
        base="starter",
        base_weights_id="b" * 16,
        run="first",
        step=step,
        loss=2.0,
        train_loss=2.0,
        clips=8,
        seconds=20.0,
        created=1.0,
    )
    write_info_file(folder / FINETUNE_FILE, learned)


def test_before_the_first_run_the_page_says_what_to_do(training: Studio) -> None:
    _, html, config, stop, resume = look(training)
    assert "Nothing has been trained yet" in html
    assert config["choices"] == ["alice"] and config["value"] == "alice"
    assert not stop["interactive"] and not resume["interactive"]


def test_a_page_that_saw_everything_is_sent_nothing(training: Studio) -> None:
    seen = look(training)[0]
    assert look(training, seen=seen) == [NOTHING] * 5


def test_a_run_is_shown_to_its_end_and_found_again_by_another_studio(training: Studio) -> None:
    begin(training, name="first")
    _, html, _, stop, resume = look(training)
    assert "40 of 40" in html and len(Reader(html).all("audio")) == 4
    assert not stop["interactive"] and not resume["interactive"]
    training.close()
    again = InlineStudio.open(training.layout.root)
    assert look(again)[1] == html
    again.close()


def test_what_is_stopped_can_be_resumed(training: Studio) -> None:
    begin(training, "wait", name="first", step=15)
    _, html, _, stop, resume = look(training)
    assert "Training" in html and stop["interactive"] and not resume["interactive"]
    training.runs.stop("alice", "first")
    until(training.runs, "alice", "first", "stopped")
    _, html, _, stop, resume = look(training)
    assert "Stopped" in html and not stop["interactive"] and resume["interactive"]


def test_the_run_that_goes_on_is_shown_unless_another_was_asked_for(training: Studio) -> None:
    begin(training, name="first")
    begin(training, "wait", name="second", step=15)
    assert 'data-key="run-alice / second"' in look(training)[1]
    assert 'data-key="run-alice / first"' in look(training, "alice / first")[1]
    assert 'data-key="run-alice / second"' in look(training, "alice / gone")[1]


def test_a_deleted_run_is_put_back(training: Studio) -> None:
    over = begin(training, name="first")
    while is_alive(over.folder):  # it ends a moment after it said so
        time.sleep(0.02)
    assert (
        "in the bin"
        in handle_run_action(training, {"act": "delete", "job": "alice / first"}).message_html
    )
    html = look(training)[1]
    (back,) = [b for b in Reader(html).all("button") if b.get("data-act") == "restore"]
    asked = {"act": "restore", "job": back["data-job"], "value": back["data-value"]}
    assert handle_run_action(training, asked).chosen == "alice / first"
    assert training.runs.view("alice", "first").state == "done"


def test_a_checkpoint_becomes_a_model_through_the_queue(
    training: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(training, "submit", lambda request, title: asked.append(request))
    assert (
        "becomes a model"
        in handle_run_action(
            training, {"act": "use", "job": "alice / first", "value": "20"}
        ).message_html
    )
    assert (asked[0].dataset, asked[0].run, asked[0].step) == ("alice", "first", 20)


def test_a_model_is_spoken_with_in_its_own_voice(training: Studio) -> None:
    asked = {"act": "speak", "job": "alice / first", "value": "20"}
    with pytest.raises(AppError, match="no model yet"):
        handle_run_action(training, asked)
    publish(training, "finetunes/alice-first", 20, "Alice")
    values = {"bundle": "finetunes/alice-first", "voice": "Alice"}
    assert handle_run_action(training, asked).values == values


def test_the_list_of_models_is_drawn_anew_when_one_was_made(training: Studio) -> None:
    before = get_models_fingerprint(training.layout)
    assert get_models_fingerprint(training.layout) == before
    publish(training, "finetunes/alice-first", 20, "Alice")
    assert get_models_fingerprint(training.layout) != before


def test_what_a_browser_makes_up_is_refused(training: Studio) -> None:
    with pytest.raises(AppError, match="not known"):
        handle_run_action(training, {"act": "format", "job": "alice / first"})
    with pytest.raises(AppError, match="cannot name a dataset"):
        handle_run_action(training, {"act": "show", "job": "../.. / first"})
    with pytest.raises(AppError, match="no step of a run"):
        handle_run_action(training, {"act": "use", "job": "alice / first", "value": "../1"})
    with pytest.raises(AppError, match="No run is chosen"):
        parse_run_title("")


def test_the_configuration_that_was_saved_last_comes_first(training: Studio) -> None:
    folder = make_dataset(training.layout, "zoe")
    os.utime(folder / "train.yaml", (1.0, 1.0))
    assert list_configured_datasets(training) == ["alice", "zoe"]


def test_a_second_look_at_many_long_runs_reads_no_event_again(training: Studio) -> None:
    told = [
        {
            "kind": "step",
            "time": float(step),
            "step": step,
            "stage": "gpt",
            "loss": 3.0,
            "rate": 1.0,
        }
        for step in range(1, 2001)
    ]
    for number in range(20):
        folder = training.layout.run("alice", f"{number:03d}")
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    seen = look(training)[0]
    shown, calls = count_calls(lambda: look(training, seen=seen))
    assert shown == [NOTHING] * 5
    assert calls < 40_000  # there are that many events
