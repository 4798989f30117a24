from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from core.options import list_option_fields
from core.serialization import to_dict
from engines.registry import get_options_class
from studio.app.studio import Studio
from studio.schemas.settings import Settings
from studio.schemas.speech import OutputOptions
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.request_builder import build_request
from support.lora_finetune import make_lora_finetune
from support.tiny_bundle import make_tiny_bundle
from webui.generate.form import (
    CUSTOM,
    GenerateForm,
    build_request_input,
    find_preset,
    get_initial_values,
    get_option_fields,
    get_values_from_metadata,
    restore_values,
    select_saved_values,
)
from webui.generate.form_view import (
    MAIN_OPTIONS,
    MODEL_OPTIONS,
    build_advanced_controls,
    build_main_controls,
    group_options,
    voice_choices,
)

KNOBS = get_option_fields("tortoise")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    for name in ("vera", "Anna"):
        folder = tmp_path / "voices" / name
        folder.mkdir(parents=True)
        (folder / "one.wav").write_bytes(b"sound")
    return Studio.open(tmp_path)


@pytest.fixture
def form(studio: Studio) -> GenerateForm:
    values = get_initial_values(studio)
    with gr.Blocks(analytics_enabled=False):
        simple = build_main_controls(studio, values, KNOBS)
        advanced, *_ = build_advanced_controls(studio, values, KNOBS)
    return GenerateForm(controls={**simple, **advanced}, option_fields=KNOBS, engine="tortoise")


def record(**changes: Any) -> TakeMetadata:
    """A take for which every knob was turned away from where it usually stands."""
    turned = {
        "samples": 12,
        "candidates": 3,
        "seed": 2**60 + 1,
        "temperature": 0.35,
        "cond_free": False,
        "diffusion_sampler": "p",
        "vocoder": "hifigan",
        "voice_crop": "chunks",
    }
    options = to_dict(get_options_class("tortoise")(**turned))
    take = TakeMetadata(
        text="Hello [sadly] there.",
        voice="vera:0.7+Anna:0.3",
        engine="tortoise",
        bundle="finetunes/vera",
        weights_id="f00",
        seed=2**60 + 1,
        options=options,
        delivery=to_dict(OutputOptions(delimiter="\\n", pause_s=1.25, volume=0.5, format="flac")),
    )
    return replace(take, **changes)


def shown(form: GenerateForm, updates: Mapping[Any, Any]) -> dict[str, Any]:
    """The values of the controls after the updates, by name."""
    controls: Mapping[str, Any] = form.controls
    return {name: updates.get(control, control.value) for name, control in controls.items()}


def spoken_with(studio: Studio, values: Mapping[str, Any]) -> Any:
    return build_request(studio.settings, build_request_input(values, KNOBS), studio.layout)


def test_every_knob_of_the_engine_and_of_the_delivery_has_a_control(form: GenerateForm) -> None:
    names = [
        field.name
        for cls in (get_options_class("tortoise"), OutputOptions)
        for field in list_option_fields(cls)
    ]
    assert set(names) <= set(form.controls)
    assert len({control.elem_id for control in form.components}) == len(form.components)


def test_a_knob_that_no_heading_names_is_drawn_all_the_same() -> None:
    placed = [field.name for _, fields in group_options(KNOBS) for field in fields]
    placed += MODEL_OPTIONS
    placed += [name for name in MAIN_OPTIONS if name in {field.name for field in KNOBS.all}]
    assert sorted(placed) == sorted(field.name for field in KNOBS.all)


def test_the_first_form_can_be_spoken_as_it_is_with_the_quickest_preset(studio: Studio) -> None:
    values = get_initial_values(studio)
    request = spoken_with(studio, values)
    assert request.voice == "Anna" and request.text == values["text"]
    assert values["preset"] == "ultra_fast" and request.options["samples"] == 16


def test_what_the_form_says_is_what_is_asked_for(studio: Studio) -> None:
    values = get_initial_values(studio) | {
        "samples": 24.0,
        "temperature": 1,
        "seed": " 77 ",
        "cond_free": True,
        "pause_s": 0,
        "delimiter": "\\n",
        "emotion": "sad",
        "prompt": "never read",
    }
    request = spoken_with(studio, values)
    assert request.options["samples"] == 24 and request.options["temperature"] == 1.0
    assert request.seed == 77 and request.delivery.pause_s == 0.0
    assert request.delivery.emotion == "sad" and request.delivery.prompt == ""


def test_an_empty_seed_is_drawn_anew_for_every_run(studio: Studio) -> None:
    values = get_initial_values(studio)
    assert spoken_with(studio, values).seed != spoken_with(studio, values).seed


def test_a_custom_emotion_goes_out_in_its_own_words(studio: Studio) -> None:
    values = get_initial_values(studio) | {"emotion": CUSTOM, "prompt": "I am whispering,"}
    assert spoken_with(studio, values).delivery.prompt_prefix == "I am whispering,"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"samples": None}, "Samples is empty"),
        ({"samples": 9999}, "Samples is 9999; it must be from 1 to 4096"),
        ({"seed": "twelve"}, "Seed is 'twelve'; it must be a number"),
        ({"seed": "-1"}, "Seed is -1; it must be"),
        ({"candidates": 1.5}, "Candidates is 1.5; it must be a whole number"),
        ({"volume": 9}, "Output Volume is 9"),
        ({"voice": " "}, "No voice is selected"),
        ({"text": " "}, "The text is empty"),
        ({"candidates": 20}, "at most samples"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_on_the_page(
    studio: Studio, change: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(AppError, match=told):
        spoken_with(studio, get_initial_values(studio) | change)


def test_a_record_fills_every_control_and_comes_out_as_it_went_in(
    studio: Studio, form: GenerateForm
) -> None:
    take = record()
    request = spoken_with(studio, shown(form, form.get_metadata_updates(take)))
    assert (request.text, request.voice, request.bundle) == (take.text, take.voice, take.bundle)
    assert dict(request.options) == dict(take.options)
    assert to_dict(request.delivery) == take.delivery


def test_a_record_with_its_own_words_of_emotion_shows_them(form: GenerateForm) -> None:
    take = record(delivery=to_dict(OutputOptions(prompt="I am whispering,")))
    values = shown(form, form.get_metadata_updates(take))
    assert (values["emotion"], values["prompt"]) == (CUSTOM, "I am whispering,")


def test_a_record_of_another_engine_tells_its_words_and_leaves_the_knobs(
    form: GenerateForm,
) -> None:
    values = get_values_from_metadata(record(engine="other"), KNOBS, "tortoise")
    assert values["voice"] == "vera:0.7+Anna:0.3" and "samples" not in values
    assert "bundle" not in values


def test_a_preset_is_known_by_what_it_turns() -> None:
    turned = {"samples": 96, "iterations": 80, "cond_free": True}
    assert find_preset(turned, KNOBS) == "fast"
    assert find_preset(turned | {"samples": 95}, KNOBS) == CUSTOM


def test_the_form_of_the_last_visit_comes_back_but_not_what_no_longer_fits(
    studio: Studio,
) -> None:
    first = get_initial_values(studio)
    kept = select_saved_values(
        first | {"samples": 33, "temperature": 99, "text": "Again.", "microphone": "x"}
    )
    assert "microphone" not in kept
    values = restore_values(first, kept | {"unknown": 1, "cond_free": "maybe"}, KNOBS)
    assert values["samples"] == 33 and values["text"] == "Again."
    assert values["temperature"] == first["temperature"]
    assert values["cond_free"] == first["cond_free"] and "unknown" not in values


@pytest.mark.parametrize("kept", [None, "text", 3, [], {"text": 5, "emotion": None}])
def test_a_memory_that_is_none_leaves_the_form_as_at_first(studio: Studio, kept: Any) -> None:
    first = get_initial_values(studio)
    assert restore_values(first, kept, KNOBS) == first


def test_voices_are_listed_with_the_made_up_one_and_the_microphone(studio: Studio) -> None:
    assert [name for _, name in voice_choices(studio)] == ["Anna", "vera", "random", "microphone"]


def test_the_settings_stand_over_what_the_page_would_choose(studio: Studio) -> None:
    settings = replace(Settings(), voice="vera", preset="standard", options={"top_p": 0.5})
    values = get_initial_values(Studio(studio.layout, settings))
    assert (values["voice"], values["preset"], values["top_p"]) == ("vera", "standard", 0.5)


def test_a_knob_of_the_settings_wins_over_a_preset_that_nobody_chose(studio: Studio) -> None:
    values = get_initial_values(Studio(studio.layout, Settings(options={"samples": 4})))
    assert (values["samples"], values["preset"]) == (4, CUSTOM)
    assert values["iterations"] == KNOBS.presets["ultra_fast"]["iterations"]


def test_what_a_strange_record_holds_fills_nothing_that_it_does_not_fit(form: GenerateForm) -> None:
    take = record(options={"samples": "many", "top_p": 0.5, "temperature": [1]}, delivery={})
    values = get_values_from_metadata(take, KNOBS, "tortoise")
    assert values["top_p"] == 0.5 and not {"samples", "temperature"} & set(values)


def test_the_strength_of_an_adapter_counts_only_where_the_model_has_one(
    studio: Studio, form: GenerateForm
) -> None:
    base = make_tiny_bundle(studio.layout.models / "starter")
    make_lora_finetune(base, studio.layout.models / "finetunes" / "own")
    assert form.controls["lora_strength"].visible is False
    shown = {**get_initial_values(studio), "lora_strength": 0.5, "microphone": None}

    def build(bundle: str) -> Any:
        values = {**shown, "bundle": bundle}
        request = form.build_request(studio, [values[name] for name in form.controls])
        return request.options["lora_strength"]

    assert (build("finetunes/own"), build("starter")) == (0.5, 1.0)
    with gr.Blocks(analytics_enabled=False):
        values = {**shown, "bundle": "finetunes/own"}
        controls, *_ = build_advanced_controls(studio, values, KNOBS)
    assert controls["lora_strength"].visible is True
