"""The History tab: what it renders, what its buttons do, and that file contents stay text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event as Flag
from typing import Any

import gradio as gr
import numpy
import pytest
import soundfile

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.history import file_manager as history_folder
from studio.history.query import PAGE_SIZE, Search
from studio.history.service import History
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_metadata
from studio.synthesis.line_takes import LineTakes, LineTakesFile, SavedTake
from support.inline_worker import InlineStudio
from tortoise.generation.options import TortoiseOptions
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.generate.tab import build_generate_tab
from webui.history import actions as history_acts
from webui.history import tab as tab_module
from webui.history import view as view_module
from webui.history.actions import HistoryAction, handle_history_action, parse_action
from webui.history.tab import ALL_LABELS, BOUNDS, HistoryTab, build_search
from webui.history.view import (
    HistoryViewState,
    apply_finished_task,
    describe_settings,
    history_html,
)

RECORD = TakeMetadata(
    text='Good <b>evening</b> & "welcome"',
    voice="clara",
    engine="tortoise",
    bundle="starter",
    weights_id="0123456789abcdef",
    seed=42,
    options={"temperature": 0.8, "cond_free": True},
    delivery={"pause_s": 0.3},
    created="2026-01-02T03:04:05+00:00",
    duration_s=2.0,
)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Three clips: one with lines and a candidate, one of another temperature, one foreign."""
    opened = History.open(ProjectPaths.from_root(tmp_path))
    put(opened, "clara/one.wav", RECORD)
    put(opened, "clara/one.candidate-2.wav", RECORD)
    put(opened, "clara/one.lines/001.wav", replace(RECORD, text="Good"))
    put(opened, "clara/one.lines/002.wav", replace(RECORD, text="evening"))
    put(opened, "felix/two.wav", replace(RECORD, options={"temperature": 0.5}, seed=43))
    put(opened, "felix/<img src=x onerror=alert(1)>.wav", None)
    opened.scan(ProgressReporter())
    return opened


def put(history: History, path: str, record: TakeMetadata | None) -> None:
    clip = history.layout.results / path
    clip.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(clip, numpy.zeros(240), 24_000)
    if record is not None:
        write_metadata(clip, record)


def page(
    history: History, view: HistoryViewState | None = None, search: Search | None = None
) -> str:
    """Draw the tab as a browser is sent it."""
    view, search = view or HistoryViewState(), search or Search()
    listing = history.find(search, view.page * PAGE_SIZE)
    return history_html(history, view, search, listing, can_open_folder=False)


def press(
    history: History, view: HistoryViewState, act_named: str, *refs: str, name: str = ""
) -> HistoryViewState:
    """Press a button of the tab."""
    asked = HistoryAction(act=act_named, ref=refs[0] if refs else "", refs=refs, name=name)
    return handle_history_action(history, view, asked)


def test_the_list_tells_each_clip_once_with_its_facts(history: History) -> None:
    html = page(history)
    assert html.count('<li class="clip"') == 3 and "3 clips" in html
    for fact in ("clara · 0:02 · 2 Jan 2026", "2 candidates", "2 lines", "no settings"):
        assert fact in html


def test_nothing_that_a_file_says_becomes_markup(history: History) -> None:
    for opened in ("clara/one.wav", "felix/<img src=x onerror=alert(1)>.wav"):
        html = page(history, HistoryViewState(open_refs=(opened,)))
        assert "<img" not in html and "<b>" not in html
    assert "Good &lt;b&gt;evening&lt;/b&gt; &amp; &#34;welcome&#34;" in page(history)


def test_no_path_of_this_machine_is_sent(history: History) -> None:
    html = page(history, HistoryViewState(open_refs=("clara/one.wav",)))
    assert str(history.layout.root) not in html
    assert 'src="api/files/results/clara/one.wav?v=' in html


def test_an_opened_clip_shows_its_files_and_settings(history: History) -> None:
    html = page(history, HistoryViewState(open_refs=("clara/one.wav",)))
    for part in ("one.candidate-2.wav", "one.lines/001.wav", "Line 2", "temperature", "on</td>"):
        assert part in html
    assert html.count("<audio") == 1 + 2 + 2


def test_a_clip_without_settings_says_so_and_offers_none_to_copy(history: History) -> None:
    html = page(history, HistoryViewState(open_refs=("felix/<img src=x onerror=alert(1)>.wav",)))
    assert "contains no settings" in html and 'id="history-copy"' not in html
    assert "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E.wav" in html


def test_two_clips_are_compared_with_what_differs(history: History) -> None:
    view = press(history, HistoryViewState(), "compare", "clara/one.wav", "felix/two.wav")
    html = page(history, view)
    assert html.count("<audio") == 2 and '<kbd title="Press 1 to play">' in html
    differs = html[html.index("Differences") :]
    assert "temperature" in differs and "43" in differs and "pause" not in differs
    with pytest.raises(AppError, match="1 clip selected"):
        press(history, HistoryViewState(), "compare", "clara/one.wav")


def test_a_clip_that_went_says_so_instead_of_its_settings(history: History) -> None:
    (history.layout.results / "felix/two.wav").unlink()
    history.scan(ProgressReporter())
    assert "There is no clip" in page(history, HistoryViewState(open_refs=("felix/two.wav",)))


def test_without_clips_the_tab_says_where_they_come_from(tmp_path: Path) -> None:
    empty = History.open(ProjectPaths.from_root(tmp_path / "empty"))
    assert "No clips yet" in page(empty)
    assert "No clips match" in page(empty, search=Search(words="fox"))


def test_a_star_is_given_and_taken(history: History) -> None:
    press(history, HistoryViewState(), "star-one", "clara/one.wav")
    assert history.get_clip("clara/one.wav").starred and 'aria-pressed="true"' in page(history)
    press(history, HistoryViewState(), "star", "clara/one.wav", "felix/two.wav")
    press(history, HistoryViewState(), "unstar", "clara/one.wav")
    assert [row.ref for row in history.find(Search(starred=True)).rows] == ["felix/two.wav"]


def test_a_deleted_clip_leaves_the_panel_and_undo_brings_it_back(history: History) -> None:
    view = done(
        press(history, HistoryViewState(open_refs=("clara/one.wav",)), "delete", "clara/one.wav")
    )
    assert view.open_refs == () and 'id="history-undo"' in page(history, view)
    id = history.list_trash()[0].id
    view = done(press(history, view, "undo", id))
    assert "1 clip restored" in view.message_html and history.get_clip("clara/one.wav").lines == 2


def test_the_trash_is_emptied_after_a_confirmation(history: History) -> None:
    press(history, HistoryViewState(), "delete-one", "felix/two.wav")
    view = press(history, HistoryViewState(), "bin")
    assert "felix/two.wav" in page(history, view) and 'id="history-empty"' in page(history, view)
    view = press(history, view, "empty")
    assert 'id="history-empty-really"' in page(history, view) and history.list_trash()
    view = press(history, view, "empty-really")
    assert history.list_trash() == [] and "Trash emptied" in page(history, view)


def test_a_renamed_clip_stays_open(history: History) -> None:
    view = press(
        history,
        HistoryViewState(open_refs=("felix/two.wav",)),
        "rename",
        "felix/two.wav",
        name="2nd",
    )
    assert view.open_refs == ("felix/2nd.wav",) and "2nd" in page(history, view)
    with pytest.raises(AppError, match="is not a valid clip name"):
        press(history, view, "rename", "felix/2nd.wav", name="../../out")


def test_an_export_is_offered_by_a_name_of_the_server(history: History) -> None:
    view = done(press(history, HistoryViewState(), "export", "clara/one.wav", "felix/two.wav"))
    name = next(history.layout.exports.glob("*.zip")).name
    assert f'href="api/exports/{name}"' in view.message_html


def test_settings_are_copied_from_the_clip_itself(history: History) -> None:
    came = handle_history_action(
        history, HistoryViewState(), HistoryAction(act="copy", ref="clara/one.wav")
    )
    cleaned = {**RECORD.options, "text_cleaning": "published"}  # of clips made before the option
    assert came.copied == replace(RECORD, options=cleaned)


@pytest.mark.parametrize(
    "data", [None, [], "x", {"act": ["open"], "ref": {"a": 1}, "refs": "abc", "name": 7}]
)
def test_what_a_browser_sends_is_never_trusted(data: Any, history: History) -> None:
    values = data if isinstance(data, dict) else {}
    asked = parse_action(PanelAction(values=values))
    assert asked == HistoryAction()
    with pytest.raises(AppError, match="Unknown action"):
        handle_history_action(history, HistoryViewState(), asked)


@pytest.mark.parametrize(
    "act_named", ["star-one", "star", "rename", "delete", "delete-one", "export", "copy", "show"]
)
def test_no_button_reaches_out_of_the_results(act_named: str, history: History) -> None:
    (history.layout.root / "outside.wav").write_bytes(b"RIFF")
    try:
        told = apply_finished_task(
            press(history, HistoryViewState(), act_named, "../outside.wav", name="x")
        ).message_html
    except AppError as cause:
        told = str(cause)
    assert "There is no clip" in told
    assert (history.layout.root / "outside.wav").is_file()


def filters(**given: object) -> dict[str, object]:
    """The filters as they stand at first, but for those given."""
    names = ("words", "voice", "engine", "model", "starred", "since", "until", "order", *BOUNDS)
    return {**dict.fromkeys(names, ""), "starred": False, "order": "newest", **given}


def test_filters_become_a_search() -> None:
    assert build_search(filters()) == Search()
    day = build_search(filters(since="2026-01-31", until="2026-01-31"))
    assert day.until is not None and day.since is not None
    assert day.until - day.since == 24 * 3600
    for bad in ("tomorrow", "31.1.2026", "0001-01-01", "9999-12-31"):
        with pytest.raises(AppError, match="is not a date"):
            build_search(filters(until=bad))
    with pytest.raises(AppError, match="order is 'x'"):
        build_search(filters(order="x"))
    bounded = build_search(filters(min_s="1,5", max_s=" 9 ", min_score="-0.5"))
    assert (bounded.min_s, bounded.max_s, bounded.min_score) == (1.5, 9.0, -0.5)
    for bad in ("long", "nan", "inf"):
        with pytest.raises(AppError, match=r"Min\. length \(s\) is"):
            build_search(filters(min_s=bad))


@pytest.fixture
def tab(history: History, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryTab]:
    """The tab on a page of a studio with these clips."""
    studio = InlineStudio.open(history.layout.root)
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        with gr.Tab("Generate"):
            build_generate_tab(page)
        with gr.Tab("History"):
            built = HistoryTab(page)
    built.history = history
    monkeypatch.setattr(history, "refresh", lambda: None)  # no scan in the background
    yield built
    studio.close()


class Browser:
    """What one browser holds of the tab: its view, its filters and what it was sent."""

    def __init__(self, tab: HistoryTab, **given: object) -> None:
        self.tab, self.sent = tab, tab.panel.sent.value
        self.view, self.filters = HistoryViewState(), filters(**given)
        self.narrow(**given)

    def narrow(self, **given: object) -> None:
        """Change filters."""
        self.filters |= given
        self.view = self.tab.narrow(self.view, *self.values())[self.tab.view]

    def values(self) -> list[object]:
        """The values of the filters, in the order of the tab."""
        return [self.filters[name] for name in self.tab.filters]

    def poll(self) -> dict[Any, Any]:
        """Ask for what is new."""
        updates = dict(self.tab.panel.refresh(self.sent, self.view, *self.values()))
        if not isinstance(updates[self.tab.panel.sent], dict):
            self.sent = updates[self.tab.panel.sent]
        return updates


def test_a_browser_is_sent_only_what_it_has_not_seen(tab: HistoryTab) -> None:
    browser = Browser(tab)
    first = browser.poll()
    offered = [first[tab.filters[name]] for name in ALL_LABELS]
    assert "3 clips" in first[tab.panel.html] and ("felix", "felix") in offered[0]["choices"]
    assert browser.poll() == {tab.panel.sent: gr.skip()}
    tab.history.set_starred(["clara/one.wav"], True)
    second = browser.poll()
    assert "★" in second[tab.panel.html]
    assert not {tab.filters[name] for name in ALL_LABELS} & set(second)


def test_a_filter_that_is_wrong_is_reported_and_the_list_stays(tab: HistoryTab) -> None:
    browser = Browser(tab, voice="clara")
    browser.poll()
    browser.narrow(since="soon")
    html = browser.poll()[tab.panel.html]
    assert "is not a date" in html and "1 clip<" in html and "No clip" not in html
    browser.narrow(voice="", since="")
    html = browser.poll()[tab.panel.html]
    assert "3 clips" in html and "is not a date" not in html
    assert browser.view.search == Search()


def test_a_history_that_cannot_be_read_claims_nothing_of_its_clips(
    tab: HistoryTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(*_: object) -> None:
        raise AppError("Cannot use the index.")

    monkeypatch.setattr(tab.history, "find", find)
    html = Browser(tab).poll()[tab.panel.html]
    assert "Cannot use the index" in html and "No clip" not in html and "0 clips" not in html


def test_settings_are_copied_into_the_form_and_generate_is_shown(tab: HistoryTab) -> None:
    action = PanelAction(name="copy", values={"act": "copy", "ref": "clara/one.wav"})
    updates = tab.press(action, HistoryViewState(), *Browser(tab).values())
    assert RECORD.text in updates.values() or any(
        isinstance(value, dict) and value.get("value") == RECORD.text for value in updates.values()
    )
    assert tab.page.tabs in updates and updates[tab.view].copied is None


def test_all_that_were_found_are_chosen_at_once_but_for_those_spared(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "PAGE_SIZE", 2)
    monkeypatch.setattr(history, "find", partial(history.find, count=2))
    assert "Select all 3 found" in page(history)
    view = handle_history_action(
        history, HistoryViewState(), HistoryAction(act="all-found", search=Search(voice="felix"))
    )
    assert set(view.bulk_selection) == {"felix/two.wav", "felix/<img src=x onerror=alert(1)>.wav"}
    html = page(history, view)
    assert 'data-all="2"' in html and html.count(" data-among>") == 1
    spared = HistoryAction(act="star", excluded=("felix/two.wav",), refs=("clara/one.wav",))
    handle_history_action(history, view, spared)
    starred = {row.ref for row in history.find(Search(starred=True)).rows}
    assert starred == {"clara/one.wav", "felix/<img src=x onerror=alert(1)>.wav"}
    (history.layout.results / "felix/two.wav").unlink()
    history.scan(ProgressReporter())
    assert "1 clip exported" in done(press(history, view, "export")).message_html
    assert press(history, view, "clear").bulk_selection == ()
    view = done(press(history, view, "delete"))
    assert view.bulk_selection == () and history.find(Search()).total == 1


def test_more_than_can_be_taken_at_once_is_reported(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.history.export.MAX_EXPORT_CLIPS", 2)
    view = press(history, HistoryViewState(), "all-found")
    assert len(view.bulk_selection) == 2 and "Selected the first 2 of 3" in view.message_html


def test_an_export_of_many_clips_tells_how_far_it_is_and_can_be_stopped(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_acts, "PROGRESS_DELAY_S", 0)
    begun, go_on = Flag(), Flag()

    def slowly(refs: Sequence[str], report: ProgressReporter) -> Path:
        for _ in report.track(refs, "export"):
            begun.set()
            assert go_on.wait(20)
        raise AssertionError("it was not stopped")

    monkeypatch.setattr(history, "export", slowly)
    view = press(history, HistoryViewState(), "export", "clara/one.wav", "felix/two.wav")
    assert begun.wait(20) and apply_finished_task(view) is view
    html = page(history, view)
    assert "Exporting 2 clips: 0 of 2" in html and 'id="history-stop"' in html
    with pytest.raises(AppError, match="Exporting 2 clips is still running"):
        press(history, view, "export", "clara/one.wav")
    press(history, view, "stop")
    go_on.set()
    view = done(view)
    assert "Stopped" in view.message_html and view.background_task is None


def done(view: HistoryViewState) -> HistoryViewState:
    """Wait for what is being done."""
    assert view.background_task is not None and view.background_task.wait(20)
    return apply_finished_task(view)


def test_a_page_that_is_no_more_shows_the_last_one(
    tab: HistoryTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tab_module, view_module):
        monkeypatch.setattr(module, "PAGE_SIZE", 2)
    browser = Browser(tab)
    browser.view = handle_history_action(
        tab.history, browser.view, HistoryAction(act="page", ref="7")
    )
    html = browser.poll()[tab.panel.html]
    assert "3 to 3 of 3" in html and 'id="history-before" data-act="page" data-ref="0"' in html


def test_a_folder_is_shown_only_to_whoever_sits_here(
    history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\n")
    opener.chmod(0o755)
    monkeypatch.setattr(history_folder.sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    assert history_folder.can_open_folder(Settings())
    assert not history_folder.can_open_folder(Settings(listen="0.0.0.0:7860"))
    assert not history_folder.can_open_folder(Settings(share=True))
    asked: list[list[str]] = []
    monkeypatch.setattr(history_folder.subprocess, "Popen", lambda args, **_: asked.append(args))
    with pytest.raises(AppError, match="Only available on the local machine"):
        press(history, HistoryViewState(), "show", "clara/one.wav")
    here = HistoryAction(act="show", ref="clara/one.wav", is_local=True)
    handle_history_action(history, HistoryViewState(), here)
    assert asked == [[str(opener), str(history.layout.results / "clara")]]
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not history_folder.can_open_folder(Settings())
    with pytest.raises(AppError, match="no file manager"):
        handle_history_action(history, HistoryViewState(), here)


def test_settings_are_told_in_words_and_only_what_differs() -> None:
    usual = TortoiseOptions()
    options = {"temperature": usual.temperature, "cond_free": usual.cond_free}
    told = describe_settings(replace(RECORD, options=options, took={"autoregressive": 65.0}))
    assert told.startswith("clara, spoken by starter with seed 42.")
    assert "about 1 min" in told and "cond free" not in told and "temperature" not in told
    changed = replace(RECORD, options={**options, "temperature": 0.5}, delivery={})
    assert "Changed: temperature 0.5." in describe_settings(changed)
    other = describe_settings(replace(RECORD, engine="of another version"))
    assert "temperature 0.8" in other


def test_takes_of_lines_are_shown_with_what_they_came_from(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = SavedTake(file="001.wav", text="Good", heard="Good", voice="clara",
                     options={"seed": 5}, seconds=1.0)  # fmt: skip
    takes = (take, replace(take, file="001.take-2.wav", anew=True, options={"seed": 6}))
    line = LineTakes(heard="Good <b>", takes=takes, chosen="001.take-2.wav")
    request = SpeechRequest(text="Good", voice="clara")
    made = LineTakesFile(suffix=".wav", request=request, lines=(line,), finished=True)
    view = HistoryViewState(open_refs=("clara/one.wav",))
    assert "Versions" not in page(history, view)
    monkeypatch.setattr(history, "read_line_takes", lambda ref: made)
    html = page(history, view)
    shown = html[html.index("Versions") : html.index("All settings")]
    assert "Take 1: first take, seed 5" in shown and "Take 2: regenerated, seed 6" in shown
    assert shown.index("in use") > shown.index("Take 2") and "Good &lt;b&gt;" in shown
    assert 'data-play="api/files/results/clara/one.lines/001.wav' in shown


def test_a_clip_is_made_anew_with_its_settings_and_another_seed(tab: HistoryTab) -> None:
    action = PanelAction(name="anew", values={"act": "anew", "ref": "clara/one.wav"})
    updates = tab.press(action, HistoryViewState(), *Browser(tab).values())
    assert "Queued" in updates[tab.view].message_html
    (job,) = tab.page.studio.jobs()
    assert (job.task, job.origin, job.request["text"]) == ("speak", "history", RECORD.text)
    assert job.request["options"]["temperature"] == 0.8
    assert job.request["options"]["seed"] != RECORD.seed and job.request["like"] is None
    gone = PanelAction(name="anew", values={"act": "anew", "ref": "clara/none.wav"})
    view = tab.press(gone, HistoryViewState(), *Browser(tab).values())[tab.view]
    assert "There is no clip" in view.message_html
