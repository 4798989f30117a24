"""The form of the tab Generate: what its controls mean, and how a clip fills them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from engines.knobs import KnobField, check_knob, knobs_of
from engines.registry import options_class
from studio.errors import StudioError
from studio.finetunes import resolve_bundle
from studio.requests import Wish
from studio.speaking import Delivery, advised, choose_options, presets_of
from studio.studio import Studio
from studio.takes import TakeRecord
from studio.voices import list_voices
from webui.controls import name_of, plain_value, shown_value

# Any throughout: each control has a value of its own type.

CUSTOM = "custom"  # an emotion in one's own words; a preset of one's own
FIRST_TEXT = "Good evening, and welcome. This voice was made on this very machine."
NOT_KEPT = ("microphone",)  # of a form that is remembered


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """Everything that can be turned: of the engine, and of the delivery."""

    options: tuple[KnobField, ...]
    delivery: tuple[KnobField, ...]
    presets: Mapping[str, Mapping[str, Any]]

    @property
    def all(self) -> tuple[KnobField, ...]:
        """The knobs of both."""
        return self.options + self.delivery

    @property
    def all_of_presets(self) -> list[str]:
        """The names of the knobs that some preset turns."""
        return list(dict.fromkeys(name for turned in self.presets.values() for name in turned))


def knobs_for(engine: str) -> Knobs:
    """Return what can be turned when this engine speaks."""
    cls = options_class(engine)
    return Knobs(
        options=tuple(knobs_of(cls)), delivery=tuple(knobs_of(Delivery)), presets=presets_of(cls)
    )


@dataclass(frozen=True, kw_only=True)
class GenerateForm:
    """The controls by name; handlers take and give their values in this order."""

    controls: Mapping[str, Component]
    knobs: Knobs
    engine: str

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def named(self, given: Sequence[Any]) -> dict[str, Any]:
        """Put names to the values that a handler was given."""
        return dict(zip(self.controls, given, strict=True))

    def filled(self, values: Mapping[str, Any]) -> list[Any]:
        """One update per component: its value, or nothing where none is named."""
        return [values.get(name, gr.skip()) for name in self.controls]

    def filled_from(self, record: TakeRecord) -> list[Any]:
        """One update per component that shows how a take was spoken."""
        return self.filled(values_of(record, self.knobs, self.engine))


def wish_of(values: Mapping[str, Any], knobs: Knobs) -> Wish:
    """Read the form: everything on it is stated, so nothing is decided behind the user's back.

    Raises StudioError naming the control that is wrong.
    """
    voice = str(values.get("voice") or "").strip()
    if not voice:
        raise StudioError("No voice is chosen. Choose one from the list.")
    return Wish(
        text=str(values.get("text") or ""),
        voice=voice,
        options={f.name: _meant(f, values[f.name]) for f in knobs.options if f.name in values},
        delivery={f.name: _meant(f, _delivery_of(values, f)) for f in knobs.delivery},
        stated={"bundle": str(values["bundle"])} if values.get("bundle") else {},
    )


def values_of(record: TakeRecord, knobs: Knobs, engine: str) -> dict[str, Any]:
    """Return what each control shows for a take; a take of another engine tells only its words."""
    told = {"text": record.text, "voice": record.voice}
    delivery = {"emotion": "none", **record.delivery}
    turned = _shown_of_a_record(delivery, knobs.delivery)
    if turned.get("prompt"):
        turned["emotion"] = CUSTOM
    if record.engine != engine:
        return {**told, **turned}
    options = {**record.options, "seed": record.seed}
    turned |= _shown_of_a_record(options, knobs.options)
    turned["preset"] = preset_of(options, knobs)
    return {**told, "bundle": record.bundle, **turned}


def first_values(studio: Studio) -> dict[str, Any]:
    """Return what the form shows at first: the settings over what the weights advise.

    Where no preset is set it is the quickest, so that the first sound is soon heard; knobs that
    are set win over it, since nobody chose it.
    """
    settings = studio.settings
    knobs = knobs_for(settings.engine)
    quickest = next(iter(knobs.presets.values()), {})
    names = [voice.name for voice in list_voices(studio.layout)]
    voice = settings.voice or (names[0] if names else "random")
    meant = resolve_bundle(studio.layout, settings.bundle, voice)
    options = usual_options(studio, meant, {} if settings.preset else quickest)
    usual = settings.delivered
    delivery = {field.name: usual.get(field.name, field.default) for field in knobs.delivery}
    return {
        "text": FIRST_TEXT,
        "voice": voice,
        "bundle": settings.bundle,
        "preset": preset_of(options, knobs),
        **_shown(options, knobs.options),
        **_shown(delivery, knobs.delivery),
    }


def usual_options(studio: Studio, bundle: str, implied: Mapping[str, Any]) -> dict[str, Any]:
    """Return every knob of the engine as it stands when nobody turned one; the seed is open.

    implied: knobs that the page turns by itself, over the advice of the weights.
    """
    settings = studio.settings
    advice = advised(settings.engine, studio.layout.bundle(bundle))
    wanted = {**advice, **implied, **settings.turned}
    options = dict(choose_options(settings.engine, wanted, settings.preset or None, {}))
    return {**options, "seed": settings.turned.get("seed")}


def preset_of(options: Mapping[str, Any], knobs: Knobs) -> str:
    """Name the preset whose knobs all stand so, or say that it is one's own."""
    for name, turned in knobs.presets.items():
        if all(options.get(knob) == value for knob, value in turned.items()):
            return name
    return CUSTOM


def remembered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a form is kept for the next visit."""
    return {name: value for name, value in values.items() if name not in NOT_KEPT}


def restored(first: Mapping[str, Any], kept: Any, knobs: Knobs) -> dict[str, Any]:
    """Return the form of the last visit; what does not fit any more is as at first."""
    values = dict(first)
    if not isinstance(kept, Mapping):
        return values
    for name in ("text", "voice", "bundle", "preset", "emotion"):
        if isinstance(kept.get(name), str):
            values[name] = kept[name]
    for field in knobs.all:
        if field.name in kept and field.name != "emotion" and _fits(field, kept[field.name]):
            values[field.name] = kept[field.name]
    return values


def _fits(field: KnobField, given: Any) -> bool:
    try:
        _meant(field, given)
    except StudioError:
        return False
    return True


def _meant(field: KnobField, given: Any) -> Any:
    """Return what a control says as the knob's value, checked. Raises StudioError naming it."""
    value = plain_value(field, given)
    if value is None and field.optional:
        return None
    try:
        check_knob(field, value)
    except ValueError as cause:
        raise StudioError(str(cause).replace(field.name, name_of(field), 1)) from cause
    return value


def _delivery_of(values: Mapping[str, Any], field: KnobField) -> Any:
    own_words = values.get("emotion") == CUSTOM
    if field.name == "emotion":
        return "none" if own_words else values["emotion"]
    if field.name == "prompt":
        return str(values["prompt"] or "") if own_words else ""
    given = values.get(field.name, field.default)
    return given or "" if field.plain_type is str else given


def _shown_of_a_record(plain: Mapping[str, Any], fields: Sequence[KnobField]) -> dict[str, Any]:
    """Leave out what does not fit: a record may come from anyone."""
    return _shown(plain, [f for f in fields if f.name in plain and _fits(f, plain[f.name])])


def _shown(plain: Mapping[str, Any], fields: Sequence[KnobField]) -> dict[str, Any]:
    return {f.name: shown_value(f, plain[f.name]) for f in fields if f.name in plain}
