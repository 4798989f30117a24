"""From what a user stated to a whole request: the command line over the file over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from core.errors import AppError, reraise_as_app_error
from core.paths import ProjectPaths
from core.serialization import from_dict, to_dict
from studio.model_store.finetunes import resolve_model_name
from studio.schemas.settings import Settings
from studio.schemas.speech import (
    OutputOptions,
    SpeechRequest,
    find_nearest_sample_rate,
    get_recommended_options,
    resolve_options,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.output_paths import parse_output_path

SEPARATELY_MERGED_FIELDS = {
    "voice",
    "options",
    "delivery",
}  # merged knob by knob rather than taken over


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequestInput:
    """What was stated, and only that: everything else comes from the settings or defaults.

    options, delivery: knobs that were turned;  stated: further fields of the request.
    Any: each knob has its own type, checked where the request is made.
    """

    text: str | None = None
    voice: str | None = None
    preset: str | None = None
    out: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)
    request_fields: Mapping[str, Any] = field(default_factory=dict)


def build_request(
    settings: Settings, wish: SpeechRequestInput, layout: ProjectPaths
) -> SpeechRequest:
    """Complete a wish; knobs nobody turned stand as the weights advise.

    Raises StudioError naming whatever is missing or does not fit.
    """
    if wish.text is None:
        raise AppError(
            'No text was given. Say what to speak: testudo speak "Good evening."', code="empty_text"
        )
    voice = wish.voice or settings.voice
    if not voice:
        raise AppError(
            "No voice was named. Add --voice NAME; `testudo voices` lists them.",
            code="missing_voice",
        )
    stated = {**get_request_fields_from_settings(settings), **wish.request_fields}
    stated["bundle"] = resolve_model_name(layout, str(stated["bundle"]), voice)
    preset = wish.preset or settings.preset or None
    engine, weights = str(stated["engine"]), layout.model(str(stated["bundle"]))
    wanted = {**get_recommended_options(engine, weights), **settings.engine_options}
    options = resolve_options(engine, wanted, preset, wish.options)
    delivery = _build_output_options(
        {**_get_output_options_from_settings(settings, wish), **wish.delivery}, wish.out
    )
    return SpeechRequest(
        text=wish.text, voice=voice, options=options, delivery=delivery, out=wish.out, **stated
    )


def build_request_from_metadata(
    settings: Settings, record: TakeMetadata, wish: SpeechRequestInput
) -> SpeechRequest:
    """Ask for a clip again as its record says, except for what the wish states.

    Raises StudioError where the record, or the wish, does not fit this version.
    """
    recorded = {
        "engine": record.engine,
        "bundle": record.bundle,
        "device": record.machine.device or "auto",
        "threads": record.machine.threads,
    }
    stated = {**get_request_fields_from_settings(settings), **recorded, **wish.request_fields}
    recorded_options = {**record.options, "seed": record.seed}
    options = resolve_options(str(stated["engine"]), recorded_options, wish.preset, wish.options)
    return SpeechRequest(
        text=record.text if wish.text is None else wish.text,
        voice=wish.voice or record.voice,
        options=options,
        delivery=_build_output_options({**record.delivery, **wish.delivery}, wish.out),
        out=wish.out,
        like=record.without_latents(),
        **stated,
    )


def get_request_fields_from_settings(settings: Settings) -> dict[str, Any]:
    """Return the fields of a request that the settings file decides unless told otherwise."""
    shared = {item.name for item in fields(SpeechRequest)} & {
        item.name for item in fields(Settings)
    }
    return {name: getattr(settings, name) for name in sorted(shared - SEPARATELY_MERGED_FIELDS)}


def _get_output_options_from_settings(
    settings: Settings, wish: SpeechRequestInput
) -> Mapping[str, Any]:
    """Return the settings' delivery, at a rate that the format of this very clip can have."""
    usual = dict(settings.output_options)
    asked = {**wish.delivery, **_get_format_from_suffix(wish.out)}.get("format", usual["format"])
    usual["output_rate"] = find_nearest_sample_rate(usual["output_rate"], asked)
    return usual


def _get_format_from_suffix(out: str | None) -> Mapping[str, Any]:
    """Return the format that the suffix of a named file decides; none where no file is named."""
    return {} if out is None else {"format": parse_output_path(out).clip_path.suffix[1:].lower()}


def _build_output_options(turned: Mapping[str, Any], out: str | None) -> OutputOptions:
    with reraise_as_app_error(ValueError):
        return from_dict(OutputOptions, {**turned, **_get_format_from_suffix(out)})


def output_options_to_dict(delivery: OutputOptions) -> Mapping[str, Any]:
    """Return the delivery as the record of a take keeps it."""
    plain: Mapping[str, Any] = to_dict(delivery)
    return plain
