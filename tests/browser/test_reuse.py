"""A clip that is dropped on the page gives back how it was spoken, and trusts nothing in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from browser.clips import record, write_spoken
from browser.server import REPOSITORY, StudioProcess, until
from browser.visitor import Visitor, length_of

SAID = "The words of a clip that was dropped."


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of ours with unusual settings."""
    told = record(SAID, "felix")
    return write_spoken(tmp_path / "dropped.wav", told, seconds=3.5)


def test_a_clip_dropped_on_generate_fills_the_form(
    clip: Path, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    page.locator("#generate-drop input[type=file]").set_input_files(clip)
    filled_in(one)


def test_a_clip_dropped_anywhere_on_generate_fills_the_form(
    clip: Path, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    """As a hand drops it: on the page itself, not into a field for files."""
    one = visitor()
    page = one.open(studio.url)
    data = page.evaluate_handle(
        """([bytes, name]) => {
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(bytes)], name, {type: 'audio/wav'}));
            return held;
        }""",
        [list(clip.read_bytes()), clip.name],
    )
    page.locator("#generate-run").dispatch_event("dragover", {"dataTransfer": data})
    page.locator("#generate-run").dispatch_event("drop", {"dataTransfer": data})
    filled_in(one)


def test_utilities_show_the_settings_of_a_clip_and_copy_them(
    clip: Path, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url, "utilities")
    page.locator("#utilities-drop input[type=file]").set_input_files(clip)
    page.locator("#tab-utilities").get_by_text(SAID).first.wait_for()
    assert length_of(page.locator("#utilities-clip audio").first) > 3
    page.locator("#utilities-copy").click()
    page.locator("#generate-text").wait_for(state="visible")
    filled_in(one)


def test_a_voice_is_imported_under_a_checked_name_only(
    clip: Path, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url, "utilities")
    before = {path.name for path in studio.root.rglob("*") if "state" not in path.parts}
    page.locator("#utilities-drop input[type=file]").set_input_files(clip)
    page.locator("#tab-utilities").get_by_text(SAID).first.wait_for()
    one.set("utilities-import-name", "../evil")
    page.locator("#utilities-import").click()
    page.get_by_text(re.compile("is not a valid")).first.wait_for()
    after = {path.name for path in studio.root.rglob("*") if "state" not in path.parts}
    assert after == before


def test_a_recording_dropped_on_generate_becomes_a_voice(
    studio: StudioProcess, visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    """It has no settings, so it is offered as a voice, without a path of the server."""
    recording = tmp_path / "Voice Memo 3.flac"
    shutil.copy(REPOSITORY / "voices" / "clara" / "1.flac", recording)
    one = visitor()
    page = one.open(studio.url)
    page.locator("#generate-drop input[type=file]").set_input_files(recording)
    page.locator("#generate-adopt").wait_for(state="visible")
    message = page.locator("#generate-message").inner_text()
    assert "Voice Memo 3.flac was not generated here" in message and "/" not in message
    name = page.locator("#generate-adopt-name").locator("input, textarea").first
    assert name.input_value() == "voice-memo-3"
    page.locator("#generate-adopt").click()
    voice = page.locator("#generate-voice input")
    until(lambda: voice.input_value() == "voice-memo-3", within_s=60, what="new voice in the form")
    assert list((studio.root / "voices" / "voice-memo-3").glob("recording-*.flac"))


def filled_in(one: Visitor) -> None:
    """Wait until the form says what the clip says."""
    text = one.page.locator("#generate-text textarea")
    until(lambda: text.input_value() == SAID, within_s=60, what="text of the clip in the form")
    assert one.page.locator("#generate-voice input").input_value() == "felix"
    one.unfold()
    assert (
        one.page.locator("#generate-seed textarea")
        .or_(one.page.locator("#generate-seed input"))
        .first.input_value()
        == "7"
    )
