"""From what a user stated to a whole request: the command line over the file over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from jobs.plain import from_plain, to_plain
from studio.errors import StudioError, refusing
from studio.finetunes import resolve_bundle
from studio.layout import Layout
from studio.results import chosen_destination
from studio.settings import Settings
from studio.speaking import Delivery, SpeakRequest, advised, choose_options, nearest_rate
from studio.takes import TakeRecord

OF_THEIR_OWN = {"voice", "options", "delivery"}  # merged knob by knob rather than taken over


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
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
    stated: Mapping[str, Any] = field(default_factory=dict)


def request_of(settings: Settings, wish: Wish, layout: Layout) -> SpeakRequest:
    """Complete a wish; knobs nobody turned stand as the weights advise.

    Raises StudioError naming whatever is missing or does not fit.
    """
    if wish.text is None:
        raise StudioError('No text was given. Say what to speak: testudo speak "Good evening."')
    voice = wish.voice or settings.voice
    if not voice:
        raise StudioError("No voice was named. Add --voice NAME; `testudo voices` lists them.")
    stated = {**settings_of_request(settings), **wish.stated}
    stated["bundle"] = resolve_bundle(layout, str(stated["bundle"]), voice)
    preset = wish.preset or settings.preset or None
    engine, weights = str(stated["engine"]), layout.bundle(str(stated["bundle"]))
    wanted = {**advised(engine, weights), **settings.turned}
    options = choose_options(engine, wanted, preset, wish.options)
    delivery = _delivery({**_delivered(settings, wish), **wish.delivery}, wish.out)
    return SpeakRequest(
        text=wish.text, voice=voice, options=options, delivery=delivery, out=wish.out, **stated
    )


def request_like(settings: Settings, record: TakeRecord, wish: Wish) -> SpeakRequest:
    """Ask for a clip again as its record says, except for what the wish states.

    Raises StudioError where the record, or the wish, does not fit this version.
    """
    recorded = {
        "engine": record.engine,
        "bundle": record.bundle,
        "device": record.machine.device or "auto",
        "threads": record.machine.threads,
    }
    stated = {**settings_of_request(settings), **recorded, **wish.stated}
    recorded_options = {**record.options, "seed": record.seed}
    options = choose_options(str(stated["engine"]), recorded_options, wish.preset, wish.options)
    return SpeakRequest(
        text=record.text if wish.text is None else wish.text,
        voice=wish.voice or record.voice,
        options=options,
        delivery=_delivery({**record.delivery, **wish.delivery}, wish.out),
        out=wish.out,
        like=record.without_latents(),
        **stated,
    )


def settings_of_request(settings: Settings) -> dict[str, Any]:
    """Return the fields of a request that the settings file decides unless told otherwise."""
    shared = {item.name for item in fields(SpeakRequest)} & {item.name for item in fields(Settings)}
    return {name: getattr(settings, name) for name in sorted(shared - OF_THEIR_OWN)}


def _delivered(settings: Settings, wish: Wish) -> Mapping[str, Any]:
    """Return the settings' delivery, at a rate that the format of this very clip can have."""
    usual = dict(settings.delivered)
    asked = {**wish.delivery, **_named_format(wish.out)}.get("format", usual["format"])
    usual["output_rate"] = nearest_rate(usual["output_rate"], asked)
    return usual


def _named_format(out: str | None) -> Mapping[str, Any]:
    """Return the format that the suffix of a named file decides; none where no file is named."""
    return {} if out is None else {"format": chosen_destination(out).final.suffix[1:].lower()}


def _delivery(turned: Mapping[str, Any], out: str | None) -> Delivery:
    with refusing(ValueError):
        return from_plain(Delivery, {**turned, **_named_format(out)})


def plain_delivery(delivery: Delivery) -> Mapping[str, Any]:
    """Return the delivery as the record of a take keeps it."""
    plain: Mapping[str, Any] = to_plain(delivery)
    return plain
