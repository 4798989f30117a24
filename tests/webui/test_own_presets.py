"""Presets of one's own on the Generate tab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.settings.presets import read_presets
from webui.generate.form import get_initial_values
from webui.generate.own_presets import OwnPresets
from webui.generate.tab import GenerateTab


@pytest.fixture
def tab(studio: Studio) -> GenerateTab:
    with gr.Blocks() as blocks:
        made = GenerateTab(studio)
        made.own_presets.bind(made.form, blocks)
    return made


def values(tab: GenerateTab, **changed: Any) -> list[Any]:
    shown = {**get_initial_values(tab.studio), "microphone": None, **changed}
    return [shown[name] for name in tab.form.controls]


def shown(tab: GenerateTab, updates: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        name: updates[control] for name, control in tab.form.controls.items() if control in updates
    }


def save(tab: GenerateTab, name: str, with_voice: bool = False, **changed: Any) -> OwnPresets:
    tab.own_presets.save_current(name, with_voice, *values(tab, **changed))
    return tab.own_presets


def test_a_saved_preset_sets_the_options_and_leaves_text_and_voice(tab: GenerateTab) -> None:
    own = save(tab, "Quiet", volume=0.5, text="Something else", voice="vera", seed="7")
    applied = shown(tab, own.apply("Quiet"))
    assert applied["volume"] == 0.5
    assert not applied.keys() & {"text", "voice", "bundle", "seed"}


def test_a_preset_with_its_voice_sets_both(tab: GenerateTab) -> None:
    own = save(tab, "Vera", True, voice="vera")
    applied = shown(tab, own.apply("Vera"))
    assert applied["voice"] == "vera" and applied["bundle"]


def test_an_emotion_of_ones_own_words_comes_back(tab: GenerateTab) -> None:
    own = save(tab, "Tired", emotion="custom", prompt="I am tired,")
    applied = shown(tab, own.apply("Tired"))
    assert (applied["emotion"], applied["prompt"]) == ("custom", "I am tired,")


def test_the_preset_of_a_voice_is_applied_with_the_voice(tab: GenerateTab) -> None:
    own = save(tab, "Quiet", volume=0.5)
    own.set_default("Quiet", "vera")
    updates = own.apply_default("vera")
    assert shown(tab, updates)["volume"] == 0.5 and "voice" not in shown(tab, updates)
    assert shown(tab, own.apply_default("Anna")) == {}
    own.set_default(None, "vera")
    assert shown(tab, own.apply_default("vera")) == {}


def test_deleted_presets_are_offered_no_more(tab: GenerateTab) -> None:
    own = save(tab, "Quiet")
    assert own.offer()[own.chosen]["choices"] == ["Quiet"]
    assert own.delete_chosen("Quiet")[own.chosen]["choices"] == []
    with pytest.raises(AppError, match="No preset is selected"):
        own.delete_chosen(None)


def test_presets_are_exported_and_imported(tab: GenerateTab, tmp_path: Path) -> None:
    own = save(tab, "Quiet", volume=0.5)
    path = own.export_all()[own.file]["value"]
    told = own.import_file(path)
    assert "Quiet (2)" in told[own.message] and told[own.upload] is None
    assert set(read_presets(tab.studio.layout).presets) == {"Quiet", "Quiet (2)"}
    (tmp_path / "wrong.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(AppError, match="not text in UTF-8"):
        own.import_file(str(tmp_path / "wrong.yaml"))
