"""The Train part: start, watch, stop, resume, delete, restore, export and generate."""

from __future__ import annotations

import json
import os
import re
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
from studio.training_runs.blind_comparison import (
    CompareBlindRequest,
    plan_comparison,
    save_comparison,
    suggest_steps,
)
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
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.generate.tab import build_generate_tab
from webui.training.blind_panel import blind_html
from webui.training.train_tab import TrainTab, list_configured_datasets, parse_run_title


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


def build_tab(studio: Studio) -> TrainTab:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        with gr.Tab("Generate"):
            build_generate_tab(page)
        with gr.Tab("Train"):
            return TrainTab(page)


@pytest.fixture
def tab(training: Studio) -> TrainTab:
    """The part, built."""
    return build_tab(training)


def look(tab: TrainTab, chosen: str = "", sent: Any = None) -> dict[Any, Any]:
    """What a browser is sent that was sent something before, or nothing yet."""
    return dict(tab.panel.refresh(sent or tab.panel.sent.value, chosen))


def html_of(tab: TrainTab, chosen: str = "") -> str:
    """All the HTML that a browser is sent at first."""
    updates = look(tab, chosen)
    return str(updates[tab.panel.html] + updates[tab.checkpoints])


def is_on(tab: TrainTab) -> tuple[bool, bool]:
    """Whether Stop and Resume can be pressed."""
    updates = look(tab)
    return updates[tab.stop]["interactive"], updates[tab.resume]["interactive"]


def press(tab: TrainTab, act: str, job: str, value: str = "") -> dict[Any, Any]:
    """Press a button of the part."""
    action = PanelAction(name=act, values={"act": act, "job": job, "value": value})
    return dict(tab.panel.actions[act](action, ""))


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


def test_before_the_first_run_the_page_says_what_to_do(tab: TrainTab) -> None:
    config = look(tab)[tab.config]
    assert "No runs yet" in html_of(tab)
    assert config["choices"] == ["alice"] and config["value"] == "alice"
    assert is_on(tab) == (False, False)


def test_train_takes_the_configuration_saved_last_where_the_list_is_not_filled_yet(
    training: Studio, tab: TrainTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start = training.runs.start
    monkeypatch.setattr(
        training.runs,
        "start",
        lambda dataset, name: started.append(dataset) or start(dataset, name),
    )
    tab.start_run(None, "first")
    assert started == ["alice"]


def test_a_page_that_saw_everything_is_sent_nothing(tab: TrainTab) -> None:
    sent = look(tab)[tab.panel.sent]
    assert look(tab, sent=sent) == {tab.panel.sent: gr.skip()}


def test_a_run_is_shown_to_its_end_and_found_again_by_another_studio(
    training: Studio, tab: TrainTab
) -> None:
    begin(training, name="first")
    html = html_of(tab)
    assert "40 of 40" in html and len(Reader(html).all("audio")) == 4
    assert look(tab)[tab.plots["gpt-loss"]]["visible"] and is_on(tab) == (False, False)
    training.close()
    again = InlineStudio.open(training.layout.root)
    assert html_of(build_tab(again)) == html
    again.close()


def test_what_is_stopped_can_be_resumed(training: Studio, tab: TrainTab) -> None:
    begin(training, "wait", name="first", step=15)
    assert "Training" in html_of(tab) and is_on(tab) == (True, False)
    training.runs.stop("alice", "first")
    until(training.runs, "alice", "first", "stopped")
    assert "Stopped" in html_of(tab) and is_on(tab) == (False, True)


def test_the_run_that_goes_on_is_shown_unless_another_was_asked_for(
    training: Studio, tab: TrainTab
) -> None:
    begin(training, name="first")
    begin(training, "wait", name="second", step=15)
    assert 'data-key="run-alice / second"' in html_of(tab)
    assert 'data-key="run-alice / first"' in html_of(tab, "alice / first")
    assert 'data-key="run-alice / second"' in html_of(tab, "alice / gone")


def test_a_deleted_run_is_put_back(training: Studio, tab: TrainTab) -> None:
    over = begin(training, name="first")
    while is_alive(over.folder):  # it ends a moment after it said so
        time.sleep(0.02)
    told = press(tab, "delete", "alice / first")[tab.panel.message]
    assert "moved to the trash" in told
    (back,) = [b for b in Reader(html_of(tab)).all("button") if b.get("data-act") == "restore"]
    restored = press(tab, "restore", str(back["data-job"]), str(back["data-value"]))
    assert restored[tab.selected] == "alice / first"
    assert training.runs.view("alice", "first").state == "done"


def test_a_checkpoint_becomes_a_model_through_the_queue(
    training: Studio, tab: TrainTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(training, "submit", lambda request, title: asked.append(request))
    assert "Exporting step 20" in press(tab, "use", "alice / first", "20")[tab.panel.message]
    assert (asked[0].dataset, asked[0].run, asked[0].step) == ("alice", "first", 20)


def test_a_model_is_spoken_with_in_its_own_voice(training: Studio, tab: TrainTab) -> None:
    with pytest.raises(AppError, match="not exported yet"):
        press(tab, "speak", "alice / first", "20")
    publish(training, "finetunes/alice-first", 20, "Alice")
    updates, controls = press(tab, "speak", "alice / first", "20"), tab.page.form.controls
    assert updates[controls["bundle"]] == "finetunes/alice-first"
    assert updates[controls["voice"]] == "Alice" and tab.page.tabs in updates


def test_the_list_of_models_is_drawn_anew_when_one_was_made(training: Studio) -> None:
    before = get_models_fingerprint(training.layout)
    assert get_models_fingerprint(training.layout) == before
    publish(training, "finetunes/alice-first", 20, "Alice")
    assert get_models_fingerprint(training.layout) != before


def test_what_a_browser_makes_up_is_refused(tab: TrainTab) -> None:
    assert "format" not in tab.panel.actions
    with pytest.raises(AppError, match="is not a valid dataset name"):
        press(tab, "show", "../.. / first")
    with pytest.raises(AppError, match="not a step of a run"):
        press(tab, "use", "alice / first", "../1")
    with pytest.raises(AppError, match="No run selected"):
        parse_run_title("")


def test_the_configuration_that_was_saved_last_comes_first(training: Studio) -> None:
    folder = make_dataset(training.layout, "zoe")
    os.utime(folder / "train.yaml", (1.0, 1.0))
    assert list_configured_datasets(training) == ["alice", "zoe"]


def test_a_second_look_at_many_long_runs_reads_no_event_again(
    training: Studio, tab: TrainTab
) -> None:
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
    sent = look(tab)[tab.panel.sent]
    shown, calls = count_calls(lambda: look(tab, sent=sent))
    assert shown == {tab.panel.sent: gr.skip()}
    assert calls < 40_000  # there are that many events


def test_checkpoints_are_compared_without_their_steps_until_all_is_chosen(
    tab: TrainTab, training: Studio
) -> None:
    run = begin(training, name="first")
    blind, title = tab.blind, "alice / first"
    assert "Compare blind" in blind_html(training, blind.take_snapshot(title))
    steps = suggest_steps(run)
    comparison = plan_comparison(
        CompareBlindRequest(dataset="alice", run="first", steps=tuple(steps))
    )
    save_comparison(run.folder, comparison)
    html = blind_html(training, blind.take_snapshot(title))
    reader = Reader(html)
    shown = html.split("<details")[0]
    assert "A is best" in shown and not re.search(r"Step \d|Before the training", shown)
    assert not any(f"{step:06d}" in shown for step in steps) and reader.all("audio")
    for number in range(len(comparison.sentences)):
        action = PanelAction(name="blind-choose", values={"value": f"{number}/1"})
        blind.choose(action, title)
    assert 'aria-pressed="true"' in blind_html(training, blind.take_snapshot(title))
    blind.reveal(PanelAction(), title)
    told = blind_html(training, blind.take_snapshot(title))
    assert "Before the training" in told and "★ Chosen" in told and "A is best" not in told


def test_a_comparison_is_queued_with_the_steps_and_sentences_of_the_form(
    tab: TrainTab, training: Studio
) -> None:
    run = begin(training, name="first")
    blind, kept = tab.blind, [one.step for one in run.checkpoints if one.there]
    values = {"steps": f"0 {kept[-1]}", "sentences": "One.\n\n Two. "}
    blind.start(PanelAction(name="blind-start", values=values), "alice / first")
    (job,) = [job for job in training.jobs() if job.task == "compare_blind"]
    assert job.request["sentences"] == ["One.", "Two."]
    assert job.request["steps"] == [0, kept[-1]]
    with pytest.raises(AppError, match="no checkpoint of step 7"):
        wrong = {**values, "steps": "0 7"}
        blind.start(PanelAction(name="blind-start", values=wrong), "alice / first")
    with pytest.raises(AppError, match="no such sample"):
        blind.choose(PanelAction(values={"value": "x/y"}), "alice / first")


def test_before_the_first_run_there_is_nothing_to_compare(tab: TrainTab, training: Studio) -> None:
    assert blind_html(training, tab.blind.take_snapshot("")) == ""
    with pytest.raises(AppError, match="No run selected"):
        tab.blind.reveal(PanelAction(), "")
