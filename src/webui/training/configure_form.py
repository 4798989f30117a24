"""The form of a training configuration: drawn from its fields, and what its controls mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from core.paths import quote_for_message
from studio.training_runs.config_service import ConfigField, ConfigSection

# Any: each control has a value of its own type.

ELEM_ID_PREFIX = "training-configure"
DATASET_KEY, MODEL_KEY = "dataset.name", "weights.bundle"
GPT_STEPS_KEY, DIFFUSION_STEPS_KEY = "schedule.steps", "diffusion.steps"
MAIN_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gpt": (GPT_STEPS_KEY, "optimizer.batch", "optimizer.rate"),
        "diffusion": (DIFFUSION_STEPS_KEY, "diffusion.batch", "diffusion.rate"),
    }
)
"""What is asked of each network that learns, before anything else; the rest is under Advanced."""
MAX_SLIDER_STEPS = 512  # of a slider that can be set with a finger
GPT_STAGE, DIFFUSION_STAGE, BOTH_STAGES = "gpt", "diffusion", "both"
STAGE_CHOICES = [
    ("The network that speaks (GPT)", GPT_STAGE),
    ("The one that shapes the sound (diffusion)", DIFFUSION_STAGE),
    ("Both, one after the other", BOTH_STAGES),
]
SECTION_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "dataset": "Dataset",
        "weights": "Which parts of it learn",
        "optimizer": "How each step learns",
        "schedule": "How long, and how the learning rate goes",
        "diffusion": "The network that shapes the sound (diffusion)",
        "checkpoints": "Checkpoints",
        "samples": "What is said at each checkpoint",
        "machine": "Where it runs",
    }
)
FIELD_LABELS: Mapping[str, str] = MappingProxyType(
    {
        DATASET_KEY: "Dataset",
        MODEL_KEY: "Model",
        "dataset.train": "Clips to learn from",
        "dataset.validation": "Clips to check with",
        "weights.rank": "LoRA rank",
        "weights.alpha": "LoRA alpha",
        "weights.frozen": "Parts that do not learn",
        "optimizer.rate": "Learning rate",
        "optimizer.batch": "Batch size",
        "optimizer.clip": "Longest gradient",
        "optimizer.accumulate": "Batches per step",
        "optimizer.text_weight": "Weight of the letters",
        "optimizer.mel_weight": "Weight of the sounds",
        "optimizer.eight_bit": "8-bit optimizer",
        "schedule.shape": "Course of the learning rate",
        "schedule.warm_up": "Warm-up",
        GPT_STEPS_KEY: "Steps",
        DIFFUSION_STEPS_KEY: "Steps (diffusion)",
        "diffusion.rate": "Learning rate (diffusion)",
        "diffusion.batch": "Batch size (diffusion)",
        "checkpoints.every": "Steps between checkpoints",
        "checkpoints.keep_last": "Latest to keep",
        "checkpoints.keep_best": "Keep the best",
        "samples.text": "Sentence",
        "samples.judge": "Judge it",
    }
)
CHOICE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "full": "All of it (full)",
        "lora": "Small matrices beside it (LoRA)",
        "constant": "Constant",
        "multistep": "In steps",
        "cosine": "A smooth curve (cosine)",
    }
)


@dataclass(frozen=True, kw_only=True)
class ConfigForm:
    """The controls by the key of their field; handlers take and give values in this order.

    learns: which networks learn; it follows from the steps of each, and sets them;  rows: what is
    asked of the GPT, and of the diffusion network.
    """

    controls: Mapping[str, Any]  # Gradio gives components their events at run time
    fields: Mapping[str, ConfigField]
    stages: gr.Radio
    rows: Sequence[gr.Row]

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def values(self, given: Sequence[Any]) -> dict[str, Any]:
        """Return what the form says, by key. Raises StudioError naming the control."""
        return {
            key: from_form_value(self.fields[key], value)
            for key, value in zip(self.controls, given, strict=True)
        }

    def build_updates(
        self, values: Mapping[str, Any], reasons: Mapping[str, str] | None = None
    ) -> list[Any]:
        """One update per component: its value, and why it was proposed where that is told."""
        return [self._update(key, values, reasons) for key in self.controls]

    def _update(
        self, key: str, values: Mapping[str, Any], reasons: Mapping[str, str] | None
    ) -> Any:
        if key not in values:
            return gr.skip()
        value = to_form_value(self.fields[key], values[key])
        if reasons is None or key == DATASET_KEY:
            return value
        return gr.update(
            value=value, info=format_field_help(self.fields[key], reasons.get(key, ""))
        )


def build_dataset_and_model(
    datasets: Sequence[str], bundles: Sequence[str]
) -> dict[str, Component]:
    """Draw what is chosen first: what is learned from, and what with."""
    with gr.Row(elem_classes="plan-row"):
        dataset = gr.Dropdown(
            choices=list(datasets),
            value=next(iter(datasets), None),
            label=FIELD_LABELS[DATASET_KEY],
            info="What is learned from. Datasets are made under Prepare Dataset.",
            elem_id=make_field_elem_id(DATASET_KEY),
        )
        bundle = gr.Dropdown(
            choices=list(bundles),
            value=next(iter(bundles), None),
            label=FIELD_LABELS[MODEL_KEY],
            info="The model to begin with. It stays as it is.",
            elem_id=make_field_elem_id(MODEL_KEY),
        )
    return {DATASET_KEY: dataset, MODEL_KEY: bundle}


def build_main_fields(
    sections: Sequence[ConfigSection],
) -> tuple[dict[str, Component], list[gr.Row]]:
    """Draw what is asked of each network: a row for each, shown while it learns."""
    fields, rows = index_fields(sections), []
    drawn: dict[str, Component] = {}
    for keys in MAIN_FIELDS.values():
        with gr.Row(elem_classes="plan-row") as row:
            drawn |= {key: build_field_control(fields[key]) for key in keys}
        rows.append(row)
    return drawn, rows


def build_stage_selector() -> gr.Radio:
    """Draw which networks learn."""
    return gr.Radio(
        choices=STAGE_CHOICES,
        value=GPT_STAGE,
        label="What learns",
        info="The first takes on how somebody speaks, the second how it sounds.",
        elem_id=make_field_elem_id("learns"),
    )


def get_stage_updates(steps: Any, diffusion: Any) -> list[Any]:
    """Say for so many steps of each which networks learn, and which rows are shown."""
    if not steps and not diffusion:
        return [gr.skip()] * 3
    what = BOTH_STAGES if steps and diffusion else GPT_STAGE if steps else DIFFUSION_STAGE
    return [what, gr.update(visible=what != DIFFUSION_STAGE), gr.update(visible=what != GPT_STAGE)]


def format_changes(changes: Mapping[str, Any], fields: Mapping[str, ConfigField]) -> str:
    """Say which controls stand otherwise now."""
    told = []
    for key, value in changes.items():
        words = to_form_value(fields[key], value)
        told.append(f"{get_field_label(fields[key])} is now {'empty' if words == '' else words}.")
    return " ".join(told)


def build_advanced_fields(sections: Sequence[ConfigSection]) -> dict[str, Component]:
    """Draw every other field, section by section."""
    drawn: dict[str, Component] = {}
    for section in sections:
        asked = {DATASET_KEY, MODEL_KEY, *(key for keys in MAIN_FIELDS.values() for key in keys)}
        rest = [field for field in section.fields if field.key not in asked]
        if not rest:
            continue
        heading = SECTION_LABELS.get(section.name, section.label)
        with gr.Accordion(heading, open=False, elem_classes="group"):
            gr.Markdown(section.help, elem_classes="quiet")
            drawn |= {field.key: build_field_control(field) for field in rest}
    return drawn


def build_field_control(field: ConfigField) -> Component:
    """Draw the control of one field, with its line of help."""
    value = to_form_value(field, field.default)
    about: dict[str, Any] = {
        "label": get_field_label(field),
        "info": format_field_help(field),
        "elem_id": make_field_elem_id(field.key),
    }
    if field.kind == "bool":
        return gr.Checkbox(value=value, **about)
    if field.kind == "choice":
        choices = [(CHOICE_LABELS.get(choice, choice), choice) for choice in field.choices]
        return gr.Dropdown(choices=choices, value=value, **about)
    if field.kind not in ("number", "whole"):
        return gr.Textbox(value=value, max_lines=2, **about)
    if field.low is not None and field.high is not None and fits_slider(field):
        return gr.Slider(field.low, field.high, value=value, step=field.step, **about)
    return gr.Number(value=value, step=field.step or 1, **about)


def index_fields(sections: Sequence[ConfigSection]) -> dict[str, ConfigField]:
    """Return every field by its key."""
    return {field.key: field for section in sections for field in section.fields}


def make_field_elem_id(key: str) -> str:
    """Name a control in the document: optimizer.rate -> training-configure-optimizer-rate."""
    return f"{ELEM_ID_PREFIX}-{key.replace('.', '-').replace('_', '-')}"


def get_field_label(field: ConfigField) -> str:
    """Name a field as the page does."""
    return FIELD_LABELS.get(field.key, field.label)


def format_field_help(field: ConfigField, reason: str = "") -> str:
    """Say what a field does, from where to where it goes, and why it was proposed as it is."""
    words = [f"{field.help.rstrip('.')}."]
    if field.kind in ("number", "whole") and not fits_slider(field) and field.high is not None:
        unit = f" {field.unit}" if field.unit else ""
        words.append(f"From {_format_limit(field.low or 0)} to {_format_limit(field.high)}{unit}.")
    if reason:
        words.append(f"Proposed: {reason.rstrip('.')}.")
    return " ".join(words)


def _format_limit(number: float) -> str:
    return f"{number:,.0f}" if number >= 1 else f"{number:g}".replace("e-0", "e-")


def fits_slider(field: ConfigField) -> bool:
    """Say whether a field has few enough values for a slider."""
    if field.low is None or field.high is None or field.kind not in ("number", "whole"):
        return False
    return (field.high - field.low) / (field.step or 1) <= MAX_SLIDER_STEPS


def to_form_value(field: ConfigField, value: Any) -> Any:
    """Return the value as the control of the field shows it."""
    if field.kind in ("numbers", "texts"):
        return ", ".join(f"{part:g}" if field.kind == "numbers" else part for part in value or ())
    return value


def from_form_value(field: ConfigField, given: Any) -> Any:
    """Return what a control says as the value of its field. Raises StudioError naming it."""
    name = get_field_label(field)
    if field.kind in ("numbers", "texts"):
        parts = [part.strip() for part in str(given or "").split(",") if part.strip()]
        return [_parse_number(name, part) for part in parts] if field.kind == "numbers" else parts
    if field.kind in ("number", "whole"):
        number = _parse_number(name, given)
        if field.kind == "number":
            return number
        if not number.is_integer():
            raise AppError(f"{name} is {number:g}; it must be a whole number.", code="bad_request")
        return int(number)
    if field.kind == "text":
        return str(given or "")
    return given


def _parse_number(name: str, given: Any) -> float:
    if given is None or not str(given).strip():
        raise AppError(f"{name} is empty. Give a number, or press Propose.")
    try:
        return float(given)
    except (ValueError, TypeError):
        raise AppError(
            f"{name} is {quote_for_message(str(given))}; it must be a number.", code="bad_request"
        ) from None
