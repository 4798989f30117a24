"""Gold Dataset: its steps and turns as HTML, and what its buttons do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from core.files import write_json
from core.serialization import to_dict
from jobs.models import Job
from studio.app.studio import Studio
from studio.datasets.gold_finetune import ComparedClip, GoldFinetuneResult, get_comparison_path
from studio.datasets.gold_project import view_gold_project
from studio.datasets.gold_request import STEPS
from studio.datasets.gold_turns import describe_turn
from support.gold_project import write_gold_project
from training.gold.diary import Turn, read_diary
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.datasets.gold_tab import GoldTab
from webui.datasets.gold_view import gold_jobs_html, steps_html, turns_html

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def folder(studio: Studio) -> Path:
    return write_gold_project(studio.layout)


@pytest.fixture
def tab(studio: Studio, folder: Path) -> GoldTab:
    with gr.Blocks() as blocks, gr.Tabs() as tabs, gr.Tab():
        return GoldTab(PageContext(studio=studio, blocks=blocks, tabs=tabs))


def press(name: str, **values: Any) -> PanelAction:
    return PanelAction(name=name, values=values)


def test_a_project_is_drawn_with_steps_waveform_and_turns(studio: Studio, folder: Path) -> None:
    view = view_gold_project(studio.layout, "talk")
    steps = steps_html(view, frozenset({"align"}))
    assert steps.count("Done") == 4 and "Running" in steps and "1 of 1 turns to check" in steps
    assert "Open report" not in steps
    turns = turns_html(view, 0, studio.layout)
    assert 'class="speaker-0" d="M' in turns and 'class="speaker-1" d="M' in turns
    assert "api/files/training/gold/talk/audio/recording.ogg" in turns
    assert turns.count("Join with next") == 4 and 'class="overlap"' in turns
    assert "<q>YELLOW</q>" in turns
    assert steps_html(None, frozenset()).count("New project") == 1
    assert turns_html(None, 0, studio.layout) == ""


def test_names_are_escaped(studio: Studio, folder: Path) -> None:
    view = view_gold_project(studio.layout, "talk")
    turns = tuple(replace(turn, speaker=SCRIPT) for turn in view.turns)
    assert "<script" not in turns_html(replace(view, turns=turns), 0, studio.layout)


def test_the_first_project_is_chosen_and_turns_are_corrected(tab: GoldTab, folder: Path) -> None:
    snapshot = tab.take_snapshot(None, 0)
    assert snapshot.name == "talk" and snapshot == tab.take_snapshot("gone", 0)
    tab.edit_turns(press("rename", was="Bob", speaker="Robert"), "talk", 0)
    was = describe_turn(Turn(start=0.5, stop=4.0, speaker="Ann"))
    change = press("change", index="0", was=was, start="0.6", stop="4", speaker="Ann")
    tab.edit_turns(change, "talk", 0)
    turns = read_diary(folder / "2-diary.csv")
    assert [(turn.speaker, turn.start) for turn in turns[:2]] == [("Ann", 0.6), ("Robert", 4.5)]
    after = tab.take_snapshot("talk", 0)
    assert after != snapshot and "Outdated" in tab.render(after)[tab.steps]
    with pytest.raises(AppError, match="changed in the meantime"):
        tab.edit_turns(press("delete", index="x", was=was), "talk", 0)


def test_steps_run_as_jobs(
    tab: GoldTab, studio: Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []
    sent: list[Any] = []

    def submit(request: Any, *, title: str, origin: str) -> None:
        sent.append((request, title, origin))

    monkeypatch.setattr(studio, "submit", submit)
    monkeypatch.setattr(studio, "jobs", lambda limit=50: jobs)
    tab.run_all("talk")
    tab.run_step(press("step", value="check"), "talk", 0)
    tab.export("talk", "ljspeech")
    assert [(request.name, title) for request, title, _ in sent] == [
        ("talk", "talk: all steps"),
        ("talk", "talk: check"),
        ("talk", "Export talk: ljspeech"),
    ]
    assert sent[1][0].anew and sent[0][0].steps == STEPS
    request = {"name": "talk", "steps": list(STEPS)}
    jobs.append(
        Job(id="1", task="make_gold", request=request, title="talk", state="running", created=0.0)
    )
    with pytest.raises(AppError, match="already running"):
        tab.run_all("talk")
    with pytest.raises(AppError, match="Steps are running"):
        tab.edit_turns(press("merge-all"), "talk", 0)
    with pytest.raises(AppError, match="Choose a project"):
        tab.run_all(None)


def test_uploads_become_a_project(
    tab: GoldTab, studio: Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(studio, "submit", lambda request, **_: sent.append(request))
    uploads = [str(path) for path in sorted((folder / "source").iterdir())]
    update = tab.create(*uploads, "second", "Ann", 0, "spectral")[tab.chosen]
    assert update["value"] == "second" and sent[0].speaker == "Ann"
    assert (studio.layout.training / "gold" / "second" / "source" / "recording.wav").is_file()
    with pytest.raises(AppError, match="Drop a recording"):
        tab.create(None, None, "", "", 0, "spectral")


def test_the_transcript_is_loaded_and_saved(tab: GoldTab) -> None:
    text = tab.load_transcript("talk")
    tab.save_transcript("talk", text.replace("friend", "old friend"))
    assert "my old friend" in tab.load_transcript("talk")
    assert tab.load_transcript(None) == ""


def test_jobs_tell_what_was_done() -> None:
    result = {"ran": ["split"], "turns": 3, "flagged": 1, "utterances": 2, "left_out": 1}
    done = Job(
        id="1",
        task="make_gold",
        request={},
        title=SCRIPT,
        created=0.0,
        state="done",
        result={**result, "seconds": 61.0},
    )
    html = gold_jobs_html([done])
    assert "Kept: 2 utterances, 1:01; 1 left out." in html and "<script" not in html
    assert "Progress is shown here" in gold_jobs_html([])


def test_a_finetuning_is_submitted_and_compared(
    tab: GoldTab, studio: Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = ComparedClip(
        text=SCRIPT,
        recording="audio/recording.ogg",
        before="audio/recording.ogg",
        after="audio/gone.wav",
        similarity_before=0.5,
        similarity_after=0.75,
    )
    result = GoldFinetuneResult(
        name="talk",
        run="talk-ann",
        model="rtvc",
        speaker="Ann",
        folder=str(folder),
        utterances=12,
        message="Finished.",
        clips=(clip,),
    )
    path = get_comparison_path(folder, "talk-ann")
    path.parent.mkdir(parents=True)
    write_json(path, to_dict(result))
    html = tab.render(tab.take_snapshot("talk", 0))[tab.finetune.view]
    assert "0.50 → 0.75" in html and html.count("<audio") == 2 and "<script" not in html
    sent: list[Any] = []
    monkeypatch.setattr(studio, "submit", lambda request, **_: sent.append(request))
    tab.finetune.submit("talk", "rtvc", "Ann", 5)
    assert (sent[0].run_name.casefold(), sent[0].minutes) == ("talk-ann", 5.0)
    with pytest.raises(AppError, match="no SV2TTS model"):
        tab.finetune.submit("talk", None, "Ann", 5)
