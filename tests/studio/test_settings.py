"""The settings: declared once, told with their source, saved on purpose, never lost."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from jobs.plain import from_plain, to_plain
from studio.errors import StudioError
from studio.layout import Layout
from studio.setting_sources import COMMAND_LINE, DEFAULT, FILE, effective_settings
from studio.settings import Settings, fields_of_settings
from studio.settings_file import change_file, load_settings
from studio.studio import Studio

Run = Callable[..., tuple[int, str, str]]

SEED = {
    "Listen", "Public Share Gradio", "Check for Updates", "Only Load Models Locally", "Low VRAM",
    "Embed Output Metadata", "Slimmer Computed Latents", "Voice Fixer", "Voice Fixer Device",
    "Device Override", "Whisper Model", "Voice Latent Max Chunk Size", "Sample Batch Size",
    "Concurrency Count", "Output Sample Rate", "Output Volume",
}  # fmt: skip


def test_every_setting_that_people_know_is_there_with_a_label_and_a_line_of_help() -> None:
    shown = fields_of_settings()
    assert {item.about.label for item in shown} >= SEED
    assert all(item.field.knob.help and item.about.group for item in shown)
    assert {item.name for item in shown} | {"options", "delivery"} == {
        field.name for field in fields(Settings)
    }
    assert {item.name for item in shown if item.about.restart} == {
        "listen", "share", "concurrency", "results", "voices", "models",
    }  # fmt: skip


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(layout: Layout) -> None:
    layout.settings_file.write_text("voice: bob\nvolume: 2\n")
    held = effective_settings(layout, {"voice": "alice"})
    assert (held.settings.voice, held.settings.volume, held.settings.format) == (
        "alice",
        2.0,
        "wav",
    )
    assert held.source("voice") == COMMAND_LINE
    assert held.source("volume") == FILE
    assert held.source("format") == DEFAULT


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("voice: alice\n\nvolume: 9\n", "line 3: volume is 9.0; it must be from 0.0 to 4.0 x"),
        ("formet: wav\n", "line 1: There is no setting 'formet'. Did you mean 'format'"),
        ("voice: alice\nlow_vram: 'yes'\n", "line 2: low_vram must be true or false"),
        ("whisper_model: huge\n", "line 1: whisper_model is 'huge'; it must be one of tiny"),
        ("format: opus\noutput_rate: 44100\n", "line 2: output_rate is 44100; opus can have"),
        ("preset: fsat\n", "line 1: There is no preset 'fsat'. Did you mean 'fast'"),
        ("listen: 'nowhere:x'\n", "line 1: 'x' in 'nowhere:x' is not a port"),
        ("results: ''\n", "line 1: results is empty"),
        ("voice_chunk_s: 0.1\n", "line 1: voice_chunk_s is 0.1"),
        ("- voice\n", "must be a table of settings"),
        ("voice: [alice\n", "is not YAML in line 2"),
        ("volume: .nan\n", "line 1: volume is nan; it must be a number"),
    ],
)
def test_a_mistake_in_the_file_is_refused_with_its_line(
    layout: Layout, text: str, told: str
) -> None:
    layout.settings_file.write_text(text)
    with pytest.raises(StudioError) as refusal:
        load_settings(layout)
    assert told in str(refusal.value) and "settings.yaml" in str(refusal.value)


def test_a_file_with_a_mistake_is_never_overwritten(layout: Layout) -> None:
    mine = "voice: alice\nvolume: 9  # my own words\n"
    layout.settings_file.write_text(mine)
    with pytest.raises(StudioError, match="line 2"):
        change_file(layout, {"voice": "bob"})
    assert layout.settings_file.read_text() == mine


@pytest.mark.parametrize("name", ["login", "api_key", "password", "hf_token"])
def test_a_secret_in_the_file_is_refused(layout: Layout, name: str) -> None:
    layout.settings_file.write_text(f"voice: alice\n{name}: hunter2\n")
    with pytest.raises(StudioError, match=r"line 2.*is a secret.*TESTUDO_") as refusal:
        load_settings(layout)
    assert "hunter2" not in str(refusal.value)


def test_saving_writes_only_what_was_changed_and_keeps_the_rest(layout: Layout) -> None:
    layout.settings_file.write_text("voice: bob\noptions: {samples: 9}\n")
    change_file(layout, {"low_vram": True, "volume": 1.5})
    assert yaml.safe_load(layout.settings_file.read_text()) == {
        "voice": "bob", "options": {"samples": 9}, "low_vram": True, "volume": 1.5,
    }  # fmt: skip
    change_file(layout, {}, unset=["voice"])
    assert load_settings(layout).voice == ""
    assert not list(layout.root.glob(".settings*"))


def test_a_change_that_cannot_be_used_saves_nothing(layout: Layout) -> None:
    change_file(layout, {"voice": "bob"})
    before = layout.settings_file.read_bytes()
    for wrong in ({"volume": 9.0}, {"volum": 1.0}, {"format": "aiff"}, {"threads": "many"}):
        with pytest.raises(StudioError, match=r"Nothing was saved|There is no setting") as refusal:
            change_file(layout, {"voice": "alice", **wrong})
        assert "settings.yaml" not in str(refusal.value), "the change is wrong, not the file"
    assert layout.settings_file.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_file(layout, {"voice": "bob"})

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StudioError, match="disk is full"):
        change_file(layout, {"voice": "alice"})
    assert load_settings(layout).voice == "bob"
    assert not list(layout.root.glob(".settings*"))


def test_settings_cross_to_the_worker_and_back(layout: Layout) -> None:
    changed = change_file(layout, {"voice": "bob", "volume": 1.5, "listen": "0.0.0.0:80/x"})
    assert from_plain(Settings, to_plain(changed)) == changed


def test_a_studio_heeds_what_was_saved_and_the_command_line_still_wins(layout: Layout) -> None:
    studio = Studio.open(layout.root, given={"format": "flac"})
    held = studio.change_settings({"voice": "bob", "format": "mp3"})
    assert (studio.settings.voice, studio.settings.format) == ("bob", "flac")
    assert held.source("format") == COMMAND_LINE and held.stated["format"] == "mp3"
    assert studio.change_settings({}, unset=["voice", "format"]).source("voice") == DEFAULT


def test_a_given_setting_that_cannot_be_used_is_refused(layout: Layout) -> None:
    with pytest.raises(StudioError, match="volume is 9"):
        Studio.open(layout.root, given={"volume": 9.0})
    with pytest.raises(StudioError, match="Did you mean 'volume'"):
        Studio.open(layout.root, given={"volum": 1.0})


def test_the_file_is_for_its_owner_as_other_files_are(layout: Layout) -> None:
    change_file(layout, {"voice": "bob"})
    assert stat.S_IMODE(layout.settings_file.stat().st_mode) & stat.S_IWOTH == 0
