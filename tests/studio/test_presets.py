"""Presets of one's own: saved by name, a default per voice, exported and imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from studio.schemas.settings import Settings
from studio.settings.presets import (
    Preset,
    delete_preset,
    export_presets,
    find_preset,
    get_voice_preset,
    import_presets,
    read_presets,
    save_preset,
    set_voice_preset,
)
from studio.synthesis.request_builder import SpeechRequestInput, build_request

BOOK = Preset(engine="tortoise", options={"temperature": 0.4}, delivery={"volume": 0.5})


def request(layout: ProjectPaths, **stated: object) -> SpeechRequestInput:
    return SpeechRequestInput(text="Hello.", **{"voice": "alice", **stated})  # type: ignore[arg-type]


def test_a_preset_comes_back_without_the_seed(layout: ProjectPaths) -> None:
    seeded = Preset(engine="tortoise", options={"temperature": 0.4, "seed": 3}, voice="alice")
    save_preset(layout, "  Audio book ", seeded)
    found = find_preset(read_presets(layout), "Audio book")
    assert (dict(found.options), found.voice) == ({"temperature": 0.4}, "alice")
    with pytest.raises(AppError, match=r"no preset 'Audio bok'.*Audio book"):
        find_preset(read_presets(layout), "Audio bok")


def test_a_name_of_the_engine_a_bad_name_and_a_bad_option_are_refused(
    layout: ProjectPaths,
) -> None:
    with pytest.raises(AppError, match="is a preset of the engine"):
        save_preset(layout, "Fast", BOOK)
    with pytest.raises(AppError, match="not a valid preset name"):
        save_preset(layout, "a/b", BOOK)
    with pytest.raises(ValueError, match="temperature is 99"):
        Preset(engine="tortoise", options={"temperature": 99.0})
    assert not layout.presets_file.exists()


def test_a_deleted_preset_is_the_default_of_no_voice(layout: ProjectPaths) -> None:
    save_preset(layout, "Book", BOOK)
    set_voice_preset(layout, "alice", "Book")
    assert get_voice_preset(read_presets(layout), "alice") == BOOK
    delete_preset(layout, "Book")
    assert read_presets(layout).voices == {}
    with pytest.raises(AppError, match="There is no preset"):
        set_voice_preset(layout, "alice", "Book")


def test_a_request_takes_the_named_preset_and_what_it_states_itself_wins(
    layout: ProjectPaths,
) -> None:
    save_preset(layout, "Book", BOOK)
    made = build_request(Settings(), request(layout, preset="Book"), layout)
    assert (made.options["temperature"], made.delivery.volume) == (0.4, 0.5)
    stated = request(layout, preset="Book", options={"temperature": 0.9})
    assert build_request(Settings(), stated, layout).options["temperature"] == 0.9


def test_the_default_of_a_voice_is_taken_where_no_preset_is_named(layout: ProjectPaths) -> None:
    usual = build_request(Settings(), request(layout), layout)
    save_preset(layout, "Book", BOOK)
    set_voice_preset(layout, "alice", "Book")
    assert build_request(Settings(), request(layout), layout).options["temperature"] == 0.4
    other = build_request(Settings(), request(layout, voice="bob"), layout)
    assert other.options["temperature"] == usual.options["temperature"]
    set_voice_preset(layout, "alice", "")
    again = build_request(Settings(), request(layout), layout)
    assert again.options["temperature"] == usual.options["temperature"] != 0.4


def test_presets_travel_and_a_taken_name_gets_a_number(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    save_preset(layout, "Book", BOOK)
    set_voice_preset(layout, "alice", "Book")
    text = export_presets(layout)
    other = ProjectPaths.from_root(tmp_path / "other")
    assert import_presets(other, text) == ["Book"] and import_presets(other, text) == ["Book (2)"]
    assert read_presets(other).presets["Book (2)"] == BOOK and read_presets(other).voices == {}
    with pytest.raises(AppError, match="no presets to export"):
        export_presets(ProjectPaths.from_root(tmp_path / "empty"))


@pytest.mark.parametrize(
    "text",
    ["[", "presets: 3", "{}", "format: other", "presets: {x: {engine: tortoise, options: {a: 1}}}",
     "presets: {x: {engine: nothing}}", "a: 1", "x" * 2_000_000],
)  # fmt: skip
def test_another_file_is_refused_and_nothing_is_added(layout: ProjectPaths, text: str) -> None:
    with pytest.raises(AppError, match=r"cannot be read as presets|has no presets"):
        import_presets(layout, text)
    assert not layout.presets_file.exists()


def test_a_broken_file_is_never_overwritten(layout: ProjectPaths) -> None:
    layout.presets_file.write_text("presets: [")
    with pytest.raises(AppError, match=r"presets\.yaml cannot be read"):
        save_preset(layout, "Book", BOOK)
    assert layout.presets_file.read_text() == "presets: ["
