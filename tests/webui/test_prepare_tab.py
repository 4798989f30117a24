"""Prepare Dataset: the request of its form, refused input, its jobs and the review of clips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError
from jobs.models import Job, JobFailure, JobProgress
from studio.app.studio import Studio
from studio.datasets.service import DatasetInfo, Datasets, PreparePlan
from studio.schemas.settings import Settings
from training.dataset_prep.manifest import ClipRow, Dataset, write_dataset
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.components.speech_model_installer import SpeechModelInstaller
from webui.components.voice_import import import_recordings
from webui.datasets.prepare_form import PrepareForm, allows_folders
from webui.datasets.prepare_tab import PrepareTab
from webui.datasets.prepare_view import (
    prepare_jobs_html,
    prepare_plan_html,
    transcribers_html,
    with_estimated_eta,
)
from webui.datasets.review_tab import ReviewPanel, handle_review_action

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def form(studio: Studio) -> PrepareForm:
    """The form as it is drawn."""
    with gr.Blocks():
        form = PrepareForm(studio)
        form.build_source_controls()
        form.build_transcription_controls()
        form.build_advanced_controls()
    return form


def given(form: PrepareForm, **changes: Any) -> list[Any]:
    """What the controls hold, with some of them changed."""
    drawn = {name: control.value for name, control in form.controls.items()}
    return list({**drawn, **changes}.values())


def test_the_form_as_drawn_asks_for_the_first_voice(form: PrepareForm) -> None:
    request = form.build_request(given(form))
    assert (request.voice, request.dataset_name, request.transcriber) == ("Anna", "Anna", "auto")
    assert request.options.longest_s == 11.6 and not request.fetch and not request.anew


def test_a_folder_is_taken_in_place_of_the_voice(form: PrepareForm) -> None:
    request = form.build_request(given(form, folder="/talks/mine", language=" DE "))
    assert (request.voice, request.folder, request.dataset_name) == ("", "/talks/mine", "mine")
    assert request.language == "de"


@pytest.mark.parametrize(
    "values", [{"folder": "/etc"}, {"model": "/etc/x.pt"}, {"model": "..\\x.pt"}]
)
def test_no_path_is_taken_from_browsers_of_other_machines(
    form: PrepareForm, values: dict[str, str]
) -> None:
    form.allow_folders = False
    with pytest.raises(AppError, match="can be used only if the studio listens"):
        form.build_request(given(form, **values))
    assert form.build_request(given(form, model="base.en")).model == "base.en"


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, True),
        ({"listen": "localhost:80"}, True),
        ({"listen": "0.0.0.0:7860"}, False),
        ({"listen": "192.168.1.5:80"}, False),
        ({"share": True}, False),
    ],
)
def test_folders_are_offered_only_to_who_sits_at_the_machine(
    changes: dict[str, Any], offered: bool
) -> None:
    assert allows_folders(Settings(**changes)) is offered


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"voice": None}, "Give either a voice or a folder"),
        ({"transcriber": "parrot"}, "parrot"),
        ({"language": "12"}, "is not a supported language"),
        ({"longest_s": 3.0, "shortest_s": 5.0}, "at least twice the shortest"),
        ({"longest_s": None}, "Max. Clip Length is empty"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    form: PrepareForm, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(AppError, match=re.escape(told)):
        form.build_request(given(form, **changes))


def test_the_plan_of_a_request_is_shown_before_it_is_submitted() -> None:
    ready = PreparePlan(
        name="nora", folder="", files=3, seconds=100.0, given=1, transcriber="pocketsphinx",
        remarks=(SCRIPT,),
    )  # fmt: skip
    html = prepare_plan_html(ready, DatasetInfo(name="nora", kept=12, kept_s=60.0))
    assert "3 recordings" in html and "1 have transcripts" in html and "12 clips" in html
    assert "The others are transcribed with PocketSphinx" in html and "keeps your edits" in html
    assert "<script" not in html
    assert "All have transcripts" in prepare_plan_html(
        replace(ready, given=3, transcriber=""), None
    )


@pytest.fixture
def without_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package with the bundled Whisper model is missing."""
    monkeypatch.setattr("training.asr.availability.find_bundled_model", lambda: None)


@pytest.mark.usefixtures("without_whisper")
def test_a_missing_transcriber_names_the_button_or_the_command_that_installs_it(
    studio: Studio,
) -> None:
    html = transcribers_html(studio)
    assert "Not installed: press Install Whisper." in html
    assert "Not installed:\nno Hugging Face model in" in html
    assert "<code>testudo models download" not in html
    assert "<strong>Transformers</strong>" in html


@pytest.mark.usefixtures("without_whisper")
def test_whisper_is_installed_by_a_button_and_the_transcribers_are_read_anew(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "studio.workers.datasets.install_speech_model.install_bundled_whisper",
        lambda report: tmp_path,
    )
    with gr.Blocks() as blocks, gr.Tabs() as tabs, gr.Tab():
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        page.training_tabs = tabs
        tab = PrepareTab(page, ReviewPanel(page, Datasets(page.studio.layout)))
    before = tab.take_snapshot()
    shown = tab.render_snapshot(before)[tab.installer.button]
    assert (shown["visible"], shown["interactive"]) == (True, True)
    tab.installer.install()
    (job,) = studio.jobs()
    assert (job.task, job.origin) == ("install_speech_model", "prepare")
    assert studio.wait(job.id, 30).state == "done"
    monkeypatch.setattr(
        "training.asr.availability.find_bundled_model", lambda: tmp_path / "tiny.en"
    )
    after = tab.take_snapshot()
    updates = tab.render_snapshot(after)
    assert before != after and updates[tab.installed] == job.id
    assert updates[tab.installer.button]["visible"] is False
    assert "Installed: Whisper tiny.en." in after.jobs_html
    choices = tab.list_transcribers()
    assert ("tiny.en", "tiny.en") in choices[tab.form.controls["model"]]["choices"]
    assert "Install Whisper" not in choices[tab.transcribers]


@pytest.mark.usefixtures("without_whisper")
def test_whisper_cannot_be_installed_twice_at_once_nor_where_downloads_are_off(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks():
        installer = SpeechModelInstaller(studio, "install", "prepare")
    running = job(task="install_speech_model", state="running", title="Whisper")
    updates = installer.render(installer.get_state([running]))
    assert updates[installer.button]["interactive"] is False and not updates[installer.note]
    with monkeypatch.context() as patch:
        patch.setattr(studio, "jobs", lambda limit=50: [running])
        with pytest.raises(AppError, match="is being installed already"):
            installer.install()
    monkeypatch.setattr(studio, "settings", replace(studio.settings, offline=True))
    updates = installer.render(installer.get_state([]))
    assert updates[installer.button]["interactive"] is False
    assert "Only Load Models Locally is on" in updates[installer.note]
    with pytest.raises(AppError, match="Downloads are off"):
        installer.install()


def job(**changes: Any) -> Job:
    facts = {"id": "1", "task": "prepare", "request": {}, "title": SCRIPT, "created": 0.0}
    return Job(**{**facts, "state": "done", "result": {}, **changes})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": "waiting", "place": 2}, "Position 2 in the queue"),
        (
            {"state": "running", "progress": JobProgress(stage="seconds", done=30, total=90)},
            "Seconds of recordings · 30 of 90",
        ),
        ({"state": "stopped"}, 'data-act="again"'),
        ({"state": "failed", "failure": JobFailure(cause="disk_full", message=SCRIPT)}, "Resume"),
        ({"result": {"kept": 3, "kept_s": 61.0, "dropped": 1, "failed": 2}}, "3 clips, 1:01"),
        ({"warnings": (SCRIPT,)}, "Warning: &lt;script&gt;"),
    ],
)
def test_a_job_is_reported_in_every_state(changes: dict[str, Any], told: str) -> None:
    html = prepare_jobs_html([job(**changes)])
    assert told in html and "<script" not in html


def test_the_rest_is_guessed_once_something_is_done() -> None:
    running = job(state="running", started=1000.0)

    def left(done: int) -> float | None:
        told = replace(running, progress=JobProgress(stage="seconds", done=done, total=100))
        return with_estimated_eta(told, 1030.0).progress.eta_s

    assert (left(0), left(4), left(25), left(100)) == (None, None, 90.0, 0.0)


def test_what_runs_comes_before_what_waits_and_what_ended_goes() -> None:
    jobs = [
        job(id="3", state="waiting", title="third"),
        job(id="2", state="running", title="second"),
        job(id="1", title="first"),
        job(id="0", task="speak", state="running", title="speech"),
    ]
    html = prepare_jobs_html(jobs)
    assert html.index("second") < html.index("third")
    assert "first" not in html and "speech" not in html
    assert "Choose a voice" in prepare_jobs_html([])


def test_dropped_recordings_become_a_voice(studio: Studio, tmp_path: Path) -> None:
    tone = 0.3 * torch.sin(torch.arange(24_000) / 20)
    write_clip(tmp_path / "My talk.wav", Clip(wave=tone, sample_rate=24_000))
    (tmp_path / "My talk.txt").write_text("A tone.", encoding="utf-8")
    files = [tmp_path / "My talk.wav", tmp_path / "My talk.txt"]
    done = studio.wait(import_recordings(studio, files, "", "prepare").id, 30)
    assert done.state == "done", done.failure
    folder = studio.layout.voices / "my-talk"
    assert sorted(path.name for path in folder.iterdir()) == ["My talk.txt", "My talk.wav"]


@pytest.mark.parametrize(
    ("names", "voice", "told"),
    [
        ((), "nora", "No files. Drop recordings"),
        (("a.txt",), "nora", "0 clips were sent"),
        (("a.exe",), "nora", "is not an audio file"),
        (("a.wav",), "../up", "is not a valid voice name"),
    ],
)
def test_what_cannot_become_a_voice_is_refused(
    studio: Studio, tmp_path: Path, names: Sequence[str], voice: str, told: str
) -> None:
    files = [tmp_path / name for name in names]
    for file in files:
        file.write_bytes(b"x")
    with pytest.raises(AppError, match=told):
        import_recordings(studio, files, voice, "prepare")
    uploads = studio.layout.state / "uploads"
    assert not uploads.is_dir() or not list(uploads.iterdir())


@pytest.fixture
def datasets(studio: Studio) -> Datasets:
    """A data set of thirty clips, of which number ten is the most doubtful."""
    clips = tuple(
        ClipRow(
            id=f"clip-{at:02d}", source="talk.wav", start_s=5.0 * at, stop_s=5.0 * at + 4,
            text=f"This is sentence number {at} of the talk.", part="train",
            confidence=0.1 if at == 10 else 0.9,
        )
        for at in range(30)
    )  # fmt: skip
    folder = studio.layout.dataset("nora")
    (folder / "audio").mkdir(parents=True)
    write_dataset(folder, Dataset(name="nora", voice="Anna", created=1.0, clips=clips))
    return Datasets(studio.layout)


@pytest.fixture
def review(studio: Studio, datasets: Datasets) -> ReviewPanel:
    """The list over that data set."""
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        page.training_tabs = tabs
        with gr.Tab("Prepare Dataset"):
            return ReviewPanel(page, datasets)


class Browser:
    """What one browser holds of the list: what it shows and what it was sent."""

    def __init__(self, review: ReviewPanel, name: str | None = None) -> None:
        self.review, self.name = review, name
        self.sent, self.visible = review.panel.sent.value, review.visible.value

    def look(self, show: str = "all", page: int = 0) -> dict[Any, Any]:
        """Ask for what is new."""
        panel = self.review.panel
        updates = dict(panel.refresh(self.sent, self.visible, self.name, "", show, page))
        self.visible = updates.get(self.review.visible, self.visible)
        if not isinstance(updates[panel.sent], dict):
            self.sent = updates[panel.sent]
        return updates


def refs(html: str) -> list[str]:
    return re.findall(r'data-ref="(clip-\d+)" tabindex', html)


def test_a_browser_is_sent_only_what_it_has_not_seen(review: ReviewPanel) -> None:
    browser = Browser(review)
    first = browser.look()
    rows = first[review.panel.html]
    assert first[review.chosen]["value"] == "nora" and "30 clips" in first[review.report]
    assert first[review.lengths]["visible"]
    assert rows.index("clip-10") < rows.index("clip-00")
    browser.name = "nora"
    assert browser.look() == {review.panel.sent: gr.skip()}


def test_clips_stay_in_place_when_they_are_mended_until_another_page_is_asked_for(
    review: ReviewPanel,
) -> None:
    browser = Browser(review, "nora")
    first = refs(browser.look()[review.panel.html])
    assert first[0] == "clip-10"
    edit = {"name": "nora", "ref": "clip-10", "value": "Mended."}
    handle_review_action(review.datasets, PanelAction(name="edit", values=edit))
    rows = browser.look()[review.panel.html]
    assert refs(rows) == first and "Mended." in rows
    assert refs(browser.look("edited")[review.panel.html]) == ["clip-10"]
    assert "clip-10" in browser.look(page=1)[review.panel.html]  # mended, it is the last of all


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "Unknown action"),
        ({"act": "explode"}, "Unknown action"),
        ({"act": "drop", "name": "nora", "ref": "nothing"}, "no clip 'nothing'"),
        ({"act": "drop", "name": "../nora", "ref": "clip-00"}, "is not a valid dataset name"),
        ({"act": "drop", "name": ["nora"], "ref": {}}, "is not a valid dataset name"),
        ({"act": "edit", "name": "nora", "ref": "clip-00", "value": " "}, "needs a transcript"),
        ({"act": "split", "name": "nora", "ref": "clip-00", "value": "x"}, "the second to cut"),
        ({"act": "split", "name": "nora", "ref": "clip-00", "value": ""}, "the second to cut"),
        ({"act": "split", "name": "nora", "ref": "clip-00", "value": "nan"}, "the second to cut"),
    ],
)
def test_what_a_browser_makes_up_is_refused(datasets: Datasets, asked: Any, told: str) -> None:
    with pytest.raises(AppError, match=told):
        handle_review_action(datasets, PanelAction(name=asked.get("act", ""), values=asked))


def test_clips_are_dropped_restored_and_accepted(datasets: Datasets) -> None:
    for word, kept in (("drop", False), ("restore", True), ("drop", False), ("accept", True)):
        values = {"name": "nora", "ref": "clip-03"}
        handle_review_action(datasets, PanelAction(name=word, values=values))
        (row,) = [clip for clip in datasets.dataset("nora").clips if clip.id == "clip-03"]
        assert row.kept is kept and row.edited


def test_the_plan_shows_how_lists_are_read_and_what_is_not_clear(studio: Studio) -> None:
    with gr.Blocks() as blocks, gr.Tabs() as tabs, gr.Tab():
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        page.training_tabs = tabs
        tab = PrepareTab(page, ReviewPanel(page, Datasets(page.studio.layout)))
    table = studio.layout.voice("Anna") / "metadata.csv"
    table.write_text(f"one.wav|Hello there.|{SCRIPT}. Yes.\n")
    shown = tab.show_plan(*given(tab.form, transcriber="given"))
    assert "the text could be column 2 or 3" in shown and "column 1: audio" in shown
    assert "Hello there." in shown and SCRIPT not in shown
    shown = tab.show_plan(*given(tab.form, transcriber="given", columns="text=2"))
    assert "column 2: text" in shown and "All have transcripts" in shown
