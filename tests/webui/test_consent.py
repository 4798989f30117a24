"""The consent note of a voice in Settings, and the notice about job lists at the top."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from jobs.store import JobStore
from studio.app.studio import Studio
from studio.voices.catalog import find_voice
from support.inline_worker import InlineStudio
from webui.components.page_context import PageContext
from webui.job_notice import JobNotice
from webui.settings.voices import VoicesPanel


@pytest.fixture
def panel(studio: Studio) -> VoicesPanel:
    with gr.Blocks() as blocks, gr.Tabs() as tabs, gr.Tab() as tab:
        return VoicesPanel(PageContext(studio=studio, blocks=blocks, tabs=tabs, tab=tab))


def test_a_note_is_stated_in_settings_and_shown(panel: VoicesPanel, studio: Studio) -> None:
    assert "Anna has no consent note" in panel.show("Anna")[panel.note]
    shown = panel.save_note("Anna", "licensed", " Anna B ", "")
    assert "Anna B" in shown[panel.note] and "Saved" in shown[panel.message]
    note = find_voice(studio.layout, "Anna").consent
    assert note is not None and (note.speaker, note.stated_by) == ("Anna B", "")
    assert panel.show("Anna")[panel.voice]["choices"] == ["Anna", "vera"]


@pytest.mark.parametrize(
    ("voice", "values", "told"),
    [
        ("Anna", ("", "Anna", ""), "Choose why"),
        ("Anna", (None, None, None), "Choose why"),
        ("nobody", ("own", "", ""), "nobody"),
        ("../Anna", ("own", "", ""), "not a valid voice name"),
        (None, ("own", "", ""), "not a valid voice name"),
        ("Anna", ("mine", "", ""), "basis"),
        ("Anna", ("own", "a\u202eb", ""), "visible"),
    ],
)
def test_a_note_that_cannot_be_is_refused(
    panel: VoicesPanel, studio: Studio, voice: str, values: Any, told: str
) -> None:
    with pytest.raises(AppError, match=told):
        panel.save_note(voice, *values)
    assert find_voice(studio.layout, "Anna").consent is None


def damage(root: Path, content: bytes) -> None:
    (root / "state").mkdir(exist_ok=True)
    (root / "state" / "journal.sqlite").write_bytes(content)


@pytest.fixture
def reopened(studio: Studio) -> Iterator[list[Studio]]:
    opened: list[Studio] = []
    yield opened
    for one in opened:
        one.close()


def test_a_notice_offers_the_jobs_of_a_newer_version_and_takes_them_over(
    studio: Studio, reopened: list[Studio]
) -> None:
    job = studio.submit(_speak(studio))
    studio.wait(job.id, 30)
    studio.close()
    path = studio.layout.jobs_db
    store = JobStore.open(path)
    store._connection.execute("PRAGMA user_version = 99")
    store.close()
    reopened.append(InlineStudio.open(studio.layout.root))
    notice = _notice(reopened[-1])
    shown = notice.show()
    assert "newer version" in shown[notice.notice]["value"]
    assert shown[notice.notice]["visible"] and shown[notice.restore]["visible"]
    taken = notice.take_over()
    assert "1 job taken over" in taken[notice.notice]["value"]
    assert not taken[notice.restore]["visible"]
    assert [one.id for one in reopened[-1].jobs()] == [job.id]
    assert not notice.show()[notice.notice]["visible"]


def test_a_damaged_list_without_jobs_is_told_of_until_the_next_start(
    studio: Studio, reopened: list[Studio]
) -> None:
    studio.close()
    damage(studio.layout.root, b"no database at all" * 99)
    reopened.append(InlineStudio.open(studio.layout.root))
    notice = _notice(reopened[-1])
    shown = notice.show()
    assert "None of its jobs can be read" in shown[notice.notice]["value"]
    assert shown[notice.notice]["visible"] and not shown[notice.restore]["visible"]
    assert "There is no job list" in notice.take_over()[notice.notice]["value"]
    reopened.pop().close()
    reopened.append(InlineStudio.open(studio.layout.root))
    notice = _notice(reopened[-1])
    assert not notice.show()[notice.notice]["visible"]


def _notice(studio: Studio) -> JobNotice:
    with gr.Blocks() as blocks:
        return JobNotice(studio, blocks)


def _speak(studio: Studio) -> Any:
    from studio.synthesis.request_builder import SpeechRequestInput, build_request

    return build_request(
        studio.settings, SpeechRequestInput(text="Hi there.", voice="Anna"), studio.layout
    )
