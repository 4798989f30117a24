"""Build a speech request from the user's input, the settings and the model defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from core.errors import AppError, reraise_as_app_error
from core.options import Layer, Resolved, merge_layers
from core.paths import ProjectPaths
from core.serialization import from_dict
from engines.registry import get_options_class
from studio.model_store.finetunes import (
    LORA_STRENGTH,
    fit_lora_strength,
    resolve_model_name,
)
from studio.model_store.model_engine import get_model_engine
from studio.schemas.settings import Settings
from studio.schemas.speech import (
    FILE,
    MODEL,
    PRESET,
    REQUEST,
    OutputOptions,
    SpeechRequest,
    find_nearest_sample_rate,
    get_preset_options,
    get_recommended_options,
    resolve_options,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.settings.presets import get_voice_preset, read_presets
from studio.settings.pronunciations import read_pronunciations
from studio.synthesis.output_paths import parse_output_path
from studio.voices.effects import get_known_effects, select_voice_effects
from studio.voices.speakers import choose_speaker_voices
from text.pronunciations import select_pronunciations

CLIP = "the clip"
SEPARATELY_MERGED_FIELDS = {"voice", "options", "delivery"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequestInput:
    """The user's input only; everything else comes from the settings or defaults.

    options, delivery: options that were set;  request_fields: further fields of SpeechRequest.
    Any: each option has its own type, checked where the request is made.
    """

    text: str | None = None
    voice: str | None = None
    preset: str | None = None
    out: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)
    request_fields: Mapping[str, Any] = field(default_factory=dict)


def build_request(
    settings: Settings, given: SpeechRequestInput, layout: ProjectPaths
) -> SpeechRequest:
    """Complete what was stated from the settings and the model's advice.

    Raises AppError naming whatever is missing or does not fit.
    """
    given = _apply_own_preset(settings, given, layout)
    if given.text is None:
        raise AppError(
            "No text was given. Give the text to speak.",
            code="empty_text",
            cli_hint='Example: testudo speak "Good evening."',
        )
    voice = given.voice or settings.voice
    if not voice:
        raise AppError(
            "No voice was given. Choose a voice.",
            code="missing_voice",
            cli_hint="Add --voice NAME; `testudo voices` lists the voices.",
        )
    stated = _merge_request_fields(settings, {}, given)
    stated["bundle"] = resolve_model_name(layout, str(stated["bundle"]), voice)
    model_engine = get_model_engine(layout.model(stated["bundle"]))
    stated["engine"] = given.request_fields.get("engine") or model_engine or stated["engine"]
    options = resolve_engine_options(
        settings, layout, stated["bundle"], engine=str(stated["engine"]), given=given
    )
    stated["speaker_voices"] = choose_speaker_voices(
        layout, given.text, stated.get("speaker_voices", {})
    )
    is_stated = options.sources.get(LORA_STRENGTH) in (PRESET, REQUEST)
    values = fit_lora_strength(layout, stated["bundle"], options.values, is_stated=is_stated)
    usual = dict(settings.output_options)  # at a rate that the format of this clip can have
    format = {**usual, **given.delivery, **_get_format_from_suffix(given.out)}["format"]
    usual["output_rate"] = find_nearest_sample_rate(usual["output_rate"], format)
    request = SpeechRequest(
        text=given.text,
        voice=voice,
        options=values,
        delivery=_build_output_options((FILE, usual), given),
        out=given.out,
        pronunciations=select_pronunciations(read_pronunciations(layout), given.text),
        **stated,
    )
    return add_voice_effects(layout, request)


def add_voice_effects(
    layout: ProjectPaths, request: SpeechRequest, record: TakeMetadata | None = None
) -> SpeechRequest:
    """Return the request with the effects of its voices; those of a clip stay as they were then.

    record: the metadata of the clip that is spoken again, None for none.
    """
    known = {} if record is None else get_known_effects(record)
    found = select_voice_effects(layout, request, known)
    return replace(request, voice_effects={name: chain for name, chain in found.items() if chain})


def build_request_from_metadata(
    settings: Settings, record: TakeMetadata, given: SpeechRequestInput
) -> SpeechRequest:
    """Build the request of an existing clip from its metadata, with overrides.

    Its voices have the effects that they had then; see add_voice_effects for another voice.
    Raises AppError where the metadata or the overrides do not fit this version.
    """
    recorded = {
        "engine": record.engine,
        "bundle": record.bundle,
        "device": record.machine.device or "auto",
        "threads": record.machine.threads,
    }
    stated = _merge_request_fields(settings, recorded, given)
    engine, usual = str(stated["engine"]), (CLIP, {**record.options, "seed": record.seed})
    options = resolve_options(engine, [usual, *_list_given_layers(engine, given.preset, given)])
    return SpeechRequest(
        text=record.text if given.text is None else given.text,
        voice=given.voice or record.voice,
        options=options.values,
        delivery=_build_output_options((CLIP, record.delivery), given),
        out=given.out,
        like=record.without_latents(),
        pronunciations=record.pronunciations,
        voice_effects=record.voice_effects,
        **{"speaker_voices": record.speaker_voices, **stated},
    )


def resolve_engine_options(
    settings: Settings,
    layout: ProjectPaths,
    bundle: str,
    *,
    engine: str | None = None,
    given: SpeechRequestInput | None = None,
) -> Resolved:
    """Merge defaults, the model's advice, settings, preset and request, lowest first.

    bundle: name of the model.  Raises AppError for an option or preset that does not fit.
    """
    engine, given = engine or settings.engine, given or SpeechRequestInput()
    is_usual = engine == settings.engine  # the settings' options and preset are of that engine
    preset = given.preset or (settings.preset if is_usual else None)
    layers = [
        (MODEL, get_recommended_options(engine, layout.model(bundle))),
        (FILE, settings.engine_options if is_usual else {}),
        *_list_given_layers(engine, preset, given),
    ]
    return resolve_options(engine, layers)


def _apply_own_preset(
    settings: Settings, given: SpeechRequestInput, layout: ProjectPaths
) -> SpeechRequestInput:
    """Return what was stated over the preset of one's own that is named, else over the voice's."""
    file = read_presets(layout)
    own = file.presets.get(given.preset or "")
    if not given.preset:
        own = get_voice_preset(file, given.voice or settings.voice)
        engine = given.request_fields.get("engine") or settings.engine
        own = own if own is not None and own.engine == engine else None
    if own is None:
        return given
    model = {"bundle": own.bundle} if own.bundle else {}
    return replace(
        given,
        preset=None,
        voice=given.voice or own.voice or None,
        options={**own.options, **given.options},
        delivery={**own.delivery, **given.delivery},
        request_fields={**model, **given.request_fields},
    )


def _list_given_layers(engine: str, preset: str | None, given: SpeechRequestInput) -> list[Layer]:
    with reraise_as_app_error(ValueError):
        chosen = get_preset_options(get_options_class(engine), preset)
    return [(PRESET, chosen), (REQUEST, given.options)]


def _merge_request_fields(
    settings: Settings, recorded: Mapping[str, Any], given: SpeechRequestInput
) -> dict[str, Any]:
    """Merge the fields of a request that settings have too: settings, clip, request."""
    shared = {item.name for item in fields(SpeechRequest)} & {
        item.name for item in fields(Settings)
    }
    usual = {name: getattr(settings, name) for name in sorted(shared - SEPARATELY_MERGED_FIELDS)}
    layers = [(FILE, usual), (CLIP, recorded), (REQUEST, given.request_fields)]
    return dict(merge_layers(layers).values)


def _build_output_options(usual: Layer, given: SpeechRequestInput) -> OutputOptions:
    suffix = _get_format_from_suffix(given.out)
    with reraise_as_app_error(ValueError):
        merged = merge_layers([usual, (REQUEST, given.delivery), (REQUEST, suffix)])
        return from_dict(OutputOptions, merged.values)


def _get_format_from_suffix(out: str | None) -> Mapping[str, Any]:
    return {} if out is None else {"format": parse_output_path(out).clip_path.suffix[1:].lower()}
