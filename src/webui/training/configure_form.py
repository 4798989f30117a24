"""The form of a training configuration: one control for each field of train.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from core.paths import quote_for_message
from studio.training_runs.config_service import ConfigField, ConfigSection, list_config_sections

# Any: each control has a value of its own type.

DATASET_KEY, MODEL_KEY = "dataset.name", "weights.bundle"
GPT_STEPS_KEY, DIFFUSION_STEPS_KEY = "schedule.steps", "diffusion.steps"
MAIN_FIELDS: Sequence[Sequence[str]] = (  # of each stage; the other fields are under Advanced
    (GPT_STEPS_KEY, "optimizer.batch", "optimizer.rate"),
    (DIFFUSION_STEPS_KEY, "diffusion.batch", "diffusion.rate"),
)
MAX_SLIDER_STEPS = 512  # a slider with more values is a number field
GPT_STAGE, DIFFUSION_STAGE, BOTH_STAGES = "gpt", "diffusion", "both"
STAGE_CHOICES = (("GPT", GPT_STAGE), ("Diffusion", DIFFUSION_STAGE), ("Both", BOTH_STAGES))
SECTION_LABELS: Mapping[str, str] = {
    "dataset": "Dataset",
    "weights": "Trainable weights",
    "optimizer": "Optimizer",
    "schedule": "Schedule",
    "diffusion": "Diffusion",
    "checkpoints": "Checkpoints",
    "samples": "Samples",
    "machine": "Device",
}
FIELD_LABELS: Mapping[str, str] = {
    DATASET_KEY: "Dataset",
    MODEL_KEY: "Base model",
    "dataset.train": "Training clips",
    "dataset.validation": "Validation clips",
    "weights.rank": "LoRA rank",
    "weights.alpha": "LoRA alpha",
    "weights.frozen": "Frozen parts",
    "optimizer.rate": "Learning rate",
    "optimizer.batch": "Batch size",
    "optimizer.clip": "Gradient clipping",
    "optimizer.accumulate": "Gradient accumulation",
    "optimizer.text_weight": "Text loss weight",
    "optimizer.mel_weight": "Mel loss weight",
    "optimizer.eight_bit": "8-bit optimizer",
    "schedule.shape": "Learning rate schedule",
    "schedule.warm_up": "Warmup",
    GPT_STEPS_KEY: "Steps",
    DIFFUSION_STEPS_KEY: "Steps (diffusion)",
    "diffusion.rate": "Learning rate (diffusion)",
    "diffusion.batch": "Batch size (diffusion)",
    "checkpoints.every": "Checkpoint interval (steps)",
    "checkpoints.keep_last": "Latest checkpoints to keep",
    "checkpoints.keep_best": "Keep the best checkpoint",
    "samples.text": "Sample text",
    "samples.judge": "Evaluate samples",
}
CHOICE_LABELS: Mapping[str, str] = {
    "full": "All weights (full)",
    "lora": "LoRA",
    "constant": "Constant",
    "multistep": "Multi-step",
    "cosine": "Cosine",
}


class ConfigForm:
    """The controls by the key of their field; values are passed in the order of `components`.

    stages: what is trained, which sets the steps and follows from them;  rows: the main fields of
    the GPT and of the diffusion model.
    """

    def __init__(self, datasets: Sequence[str], models: Sequence[str]) -> None:
        sections = list_config_sections()
        self.fields = {field.key: field for section in sections for field in section.fields}
        drawn: dict[str, Any] = {}  # Any: Gradio adds the events of components at run time
        with gr.Row(elem_classes="plan-row"):
            drawn[DATASET_KEY] = gr.Dropdown(
                choices=list(datasets),
                value=next(iter(datasets), None),
                label=FIELD_LABELS[DATASET_KEY],
                info="Training data, made under Prepare Dataset.",
                elem_id=make_field_elem_id(DATASET_KEY),
            )
            drawn[MODEL_KEY] = gr.Dropdown(
                choices=list(models),
                value=next(iter(models), None),
                label=FIELD_LABELS[MODEL_KEY],
                info="The model to start from. It is not changed.",
                elem_id=make_field_elem_id(MODEL_KEY),
            )
        self.stages = gr.Radio(
            choices=list(STAGE_CHOICES),
            value=GPT_STAGE,
            label="Train",
            info="GPT learns how the voice speaks, diffusion how it sounds.",
            elem_id=make_field_elem_id("learns"),
        )
        self.rows = []
        for keys in MAIN_FIELDS:
            with gr.Row(elem_classes="plan-row") as row:
                drawn |= {key: build_field_control(self.fields[key]) for key in keys}
            self.rows.append(row)
        with gr.Accordion("Advanced", open=False, elem_id="training-configure-advanced"):
            for section in sections:
                drawn |= _build_section(section, drawn)
            self.suggest = gr.Button("Suggest values", elem_id="training-configure-propose")
        self.controls: Mapping[str, Any] = {key: drawn[key] for key in self.fields}

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def read_values(self, given: Sequence[Any]) -> dict[str, Any]:
        """Return the values by key. Raises AppError naming the control that is wrong."""
        return {
            key: from_form_value(self.fields[key], value)
            for key, value in zip(self.controls, given, strict=True)
        }

    def build_updates(
        self, values: Mapping[str, Any], reasons: Mapping[str, str] | None = None
    ) -> dict[Any, Any]:
        """Return the updates that show values, with reasons as help where they are given."""
        return {
            self.controls[key]: gr.update(value=to_form_value(field, values[key]))
            if reasons is None or key == DATASET_KEY
            else gr.update(
                value=to_form_value(field, values[key]),
                info=format_field_help(field, reasons.get(key, "")),
            )
            for key, field in self.fields.items()
            if key in values
        }

    def build_stage_updates(self, gpt_steps: Any, diffusion_steps: Any) -> dict[Any, Any]:
        """Return the updates that show which stages have steps."""
        if not gpt_steps and not diffusion_steps:
            return {self.stages: gr.skip()}
        only = GPT_STAGE if gpt_steps else DIFFUSION_STAGE
        stages = BOTH_STAGES if gpt_steps and diffusion_steps else only
        gpt, diffusion = self.rows
        return {
            self.stages: stages,
            gpt: gr.update(visible=stages != DIFFUSION_STAGE),
            diffusion: gr.update(visible=stages != GPT_STAGE),
        }

    def format_changes(self, changes: Mapping[str, Any]) -> str:
        """Return a sentence for each field that is changed."""
        shown = {key: to_form_value(self.fields[key], value) for key, value in changes.items()}
        return " ".join(
            f"{get_field_label(self.fields[key])} set to {'empty' if value == '' else value}."
            for key, value in shown.items()
        )


def _build_section(section: ConfigSection, drawn: Mapping[str, Any]) -> dict[str, Component]:
    rest = [field for field in section.fields if field.key not in drawn]
    if not rest:
        return {}
    label = SECTION_LABELS.get(section.name, section.label)
    with gr.Accordion(label, open=False, elem_classes="group"):
        gr.Markdown(section.help, elem_classes="quiet")
        return {field.key: build_field_control(field) for field in rest}


def build_field_control(field: ConfigField) -> Component:
    """Create the control of a field, with its help."""
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


def make_field_elem_id(key: str) -> str:
    """Return the element id: optimizer.rate -> training-configure-optimizer-rate."""
    return f"training-configure-{key.replace('.', '-').replace('_', '-')}"


def get_field_label(field: ConfigField) -> str:
    """Return the label of a field."""
    return FIELD_LABELS.get(field.key, field.label)


def format_field_help(field: ConfigField, reason: str = "") -> str:
    """Return what a field does, its range, and why its value was suggested."""
    parts = [f"{field.help.rstrip('.')}."]
    if field.kind in ("number", "whole") and not fits_slider(field) and field.high is not None:
        unit = f" {field.unit}" if field.unit else ""
        parts.append(f"From {_format_limit(field.low or 0)} to {_format_limit(field.high)}{unit}.")
    if reason:
        parts.append(f"Suggested: {reason.rstrip('.')}.")
    return " ".join(parts)


def _format_limit(number: float) -> str:
    return f"{number:,.0f}" if number >= 1 else f"{number:g}".replace("e-0", "e-")


def fits_slider(field: ConfigField) -> bool:
    """Return whether a field has few enough values for a slider."""
    if field.low is None or field.high is None or field.kind not in ("number", "whole"):
        return False
    return (field.high - field.low) / (field.step or 1) <= MAX_SLIDER_STEPS


def to_form_value(field: ConfigField, value: Any) -> Any:
    """Return a value as its control shows it."""
    if field.kind in ("numbers", "texts"):
        return ", ".join(f"{part:g}" if field.kind == "numbers" else part for part in value or ())
    return value


def from_form_value(field: ConfigField, given: Any) -> Any:
    """Return the value of a control in the type of its field. Raises AppError naming it."""
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
    return str(given or "") if field.kind == "text" else given


def _parse_number(name: str, given: Any) -> float:
    if given is None or not str(given).strip():
        raise AppError(f"{name} is empty. Enter a number, or press Suggest values.")
    try:
        return float(given)
    except (ValueError, TypeError):
        raise AppError(
            f"{name} is {quote_for_message(str(given))}; it must be a number.", code="bad_request"
        ) from None
