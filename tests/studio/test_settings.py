"""The settings: declared once, told with their source, saved on purpose, never lost."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from core.errors import AppError
from core.paths import ProjectPaths
from core.serialization import from_dict, to_dict
from studio.app.studio import Studio
from studio.schemas.settings import Settings, list_setting_fields
from studio.settings.sources import COMMAND_LINE, DEFAULT, FILE, resolve_settings
from studio.settings.store import load_settings, update_settings_file

Run = Callable[..., tuple[int, str, str]]

SEED = {
    "Listen", "Public Gradio Link", "Check for Updates", "Only Load Models Locally", "Low VRAM",
    "Embed Output Metadata", "Smaller Voice Cache", "Voice Fixer", "Voice Fixer Device",
    "Device Override", "Whisper Model", "Max Reference Chunk", "Sample Batch Size",
    "Max Concurrent UI Requests", "Output Sample Rate", "Output Volume",
}  # fmt: skip


def test_every_setting_that_people_know_is_there_with_a_label_and_a_line_of_help() -> None:
    shown = list_setting_fields()
    assert {item.ui_info.label for item in shown} >= SEED
    assert all(item.field.info.help and item.ui_info.group for item in shown)
    assert {item.name for item in shown} | {"options", "delivery"} == {
        field.name for field in fields(Settings)
    }
    assert {item.name for item in shown if item.ui_info.restart} == {
        "listen", "share", "concurrency", "results", "voices", "models",
    }  # fmt: skip


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(
    layout: ProjectPaths,
) -> None:
    layout.settings_file.write_text("voice: bob\nvolume: 2\n")
    held = resolve_settings(layout, {"voice": "alice"})
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
    layout: ProjectPaths, text: str, told: str
) -> None:
    layout.settings_file.write_text(text)
    with pytest.raises(AppError) as refusal:
        load_settings(layout)
    assert told in str(refusal.value) and "settings.yaml" in str(refusal.value)


def test_a_table_that_contains_itself_is_refused(layout: ProjectPaths) -> None:
    layout.settings_file.write_text("options: &own\n  pace: *own\n")
    with pytest.raises(AppError, match=r"settings\.yaml"):
        load_settings(layout)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("voice: bob\nvolume: 2\nvoice: alice\n", "line 3: 'voice' is set in line 1 already"),
        ("options:\n  pace: 1\n  pace: 2\n", "line 3: 'pace' is set in line 2 already"),
        (
            "voice: bob\noptions:\n  pcae: 1\n",
            "line 3: There is no option 'pcae'. Known are",
        ),
        ("delivery:\n  volume: 9\n", "line 2: volume is 9; it must be from 0.0 to 4.0 x"),
        ("vioce: bob\n", "line 1: There is no setting 'vioce'. Did you mean 'voice'"),
    ],
)
def test_repeated_keys_and_invalid_options_are_refused_with_file_and_line(
    layout: ProjectPaths, text: str, message: str
) -> None:
    layout.settings_file.write_text(text)
    with pytest.raises(AppError) as refusal:
        load_settings(layout)
    assert f"{layout.settings_file}, {message}" in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("voice", "carol", "There is no voice 'carol'"),
        ("bundle", "none", "There is no model 'none'"),
        ("listen", "203.0.113.9:7860", "is not an address of this machine"),
        ("results", "{root}/settings.yaml/x", "is a file"),
        ("models", "{root}/voices/alice/one.wav", "is a file"),
    ],
)
def test_a_setting_that_no_request_could_use_is_refused_when_it_is_set(
    testudo: Run, layout: ProjectPaths, name: str, value: str, message: str
) -> None:
    layout.settings_file.write_text("volume: 2\n")
    code, _, err = testudo("settings", "set", name, value.format(root=layout.root))
    assert code == 2 and err.startswith("testudo: Nothing was saved.") and message in err
    assert layout.settings_file.read_text() == "volume: 2\n"


def test_a_file_with_a_mistake_is_never_overwritten(layout: ProjectPaths) -> None:
    mine = "voice: alice\nvolume: 9  # my own words\n"
    layout.settings_file.write_text(mine)
    with pytest.raises(AppError, match="line 2"):
        update_settings_file(layout, {"voice": "bob"})
    assert layout.settings_file.read_text() == mine


@pytest.mark.parametrize("name", ["login", "api_key", "password", "hf_token"])
def test_a_secret_in_the_file_is_refused(layout: ProjectPaths, name: str) -> None:
    layout.settings_file.write_text(f"voice: alice\n{name}: hunter2\n")
    with pytest.raises(AppError, match=r"line 2.*is a secret.*TESTUDO_") as refusal:
        load_settings(layout)
    assert "hunter2" not in str(refusal.value)


def test_saving_writes_only_what_was_changed_and_keeps_the_rest(layout: ProjectPaths) -> None:
    layout.settings_file.write_text("voice: bob\noptions: {samples: 9}\n")
    update_settings_file(layout, {"low_vram": True, "volume": 1.5})
    assert yaml.safe_load(layout.settings_file.read_text()) == {
        "voice": "bob", "options": {"samples": 9}, "low_vram": True, "volume": 1.5,
    }  # fmt: skip
    update_settings_file(layout, {}, unset=["voice"])
    assert load_settings(layout).voice == ""
    assert not list(layout.root.glob(".settings*"))


def test_a_change_that_cannot_be_used_saves_nothing(layout: ProjectPaths) -> None:
    update_settings_file(layout, {"voice": "bob"})
    before = layout.settings_file.read_bytes()
    for wrong in ({"volume": 9.0}, {"volum": 1.0}, {"format": "aiff"}, {"threads": "many"}):
        with pytest.raises(AppError, match=r"Nothing was saved|There is no setting") as refusal:
            update_settings_file(layout, {"voice": "alice", **wrong})
        assert "settings.yaml" not in str(refusal.value), "the change is wrong, not the file"
    assert layout.settings_file.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    update_settings_file(layout, {"voice": "bob"})

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(AppError, match="disk is full"):
        update_settings_file(layout, {"voice": "alice"})
    assert load_settings(layout).voice == "bob"
    assert not list(layout.root.glob(".settings*"))


def test_settings_cross_to_the_worker_and_back(layout: ProjectPaths) -> None:
    changed = update_settings_file(
        layout, {"voice": "bob", "volume": 1.5, "listen": "0.0.0.0:80/x"}
    )
    assert from_dict(Settings, to_dict(changed)) == changed


def test_a_studio_heeds_what_was_saved_and_the_command_line_still_wins(
    layout: ProjectPaths,
) -> None:
    studio = Studio.open(layout.root, given={"format": "flac"})
    held = studio.change_settings({"voice": "bob", "format": "mp3"})
    assert (studio.settings.voice, studio.settings.format) == ("bob", "flac")
    assert held.source("format") == COMMAND_LINE and held.file_values["format"] == "mp3"
    assert studio.change_settings({}, unset=["voice", "format"]).source("voice") == DEFAULT


def test_a_given_setting_that_cannot_be_used_is_refused(layout: ProjectPaths) -> None:
    with pytest.raises(AppError, match="volume is 9"):
        Studio.open(layout.root, given={"volume": 9.0})
    with pytest.raises(AppError, match="Did you mean 'volume'"):
        Studio.open(layout.root, given={"volum": 1.0})


def test_the_file_is_for_its_owner_as_other_files_are(layout: ProjectPaths) -> None:
    update_settings_file(layout, {"voice": "bob"})
    assert stat.S_IMODE(layout.settings_file.stat().st_mode) & stat.S_IWOTH == 0
