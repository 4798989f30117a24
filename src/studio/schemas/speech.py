"""A request to hear a text in a voice, checked before anything is loaded; what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from core.errors import AppError, InvalidValueError, reraise_as_app_error
from core.options import OptionInfo, validate_options
from core.paths import quote_for_message
from core.serialization import from_dict, suggest_similar, to_dict
from engines.registry import get_options_class
from studio.schemas.take_metadata import TakeMetadata
from text.segmentation import is_speakable

AUDIO_FORMATS = ("wav", "flac", "ogg", "opus", "mp3")
LOSSLESS_SUFFIXES = (".wav", ".flac")

OPUS_SAMPLE_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz, RFC 6716 section 2
MP3_SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
SAMPLE_RATES_BY_FORMAT = MappingProxyType({"opus": OPUS_SAMPLE_RATES, "mp3": MP3_SAMPLE_RATES})
EMOTIONS = ("none", "happy", "sad", "angry", "disgusted", "arrogant")
MAX_CHUNK_CHARS = 600  # characters, even where the engine could take more at once
MAX_TEXT_CHARS = 100_000  # characters: some two hours, all in memory when they are joined


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How a text becomes pieces, and the spoken pieces one clip."""

    delimiter: Annotated[
        str, OptionInfo(help="Where to split the text; \\n is a new line; empty: at sentence ends")
    ] = ""
    piece_chars: Annotated[
        int, OptionInfo(20, MAX_CHUNK_CHARS, 10, "About how long pieces are", "characters")
    ] = 200
    emotion: Annotated[
        str,
        OptionInfo(choices=EMOTIONS, help="Speak as if [I am really ...,] stood before each piece"),
    ] = "none"
    prompt: Annotated[
        str, OptionInfo(help="Speak as if this stood before each piece; steers, is not heard")
    ] = ""
    pause_s: Annotated[float, OptionInfo(0.0, 5.0, 0.05, "Silence between pieces", "s")] = 0.3
    fade_ms: Annotated[int, OptionInfo(0, 100, 1, "Fade at each join", "ms")] = 5
    volume: Annotated[
        float, OptionInfo(0.0, 4.0, 0.05, "Loudness of the clip, 1 leaves it", "x")
    ] = 1.0
    output_rate: Annotated[
        int, OptionInfo(0, 192_000, 1, "Sample rate of the clip, 0 for the engine's own", "Hz")
    ] = 0
    format: Annotated[
        str,
        OptionInfo(
            choices=AUDIO_FORMATS, help="Format of the clip, where its name does not say it"
        ),
    ] = "wav"

    def __post_init__(self) -> None:
        validate_options(self)
        check_sample_rate(self.output_rate, self.format)
        if "[" in self.prompt or "]" in self.prompt:
            raise ValueError("prompt is already steered by and not heard; leave its brackets out.")

    @property
    def prompt_prefix(self) -> str:
        """The words before each piece that steer how it is spoken; often none."""
        if self.prompt.strip():
            return self.prompt.strip()
        return f"I am really {self.emotion}," if self.emotion != "none" else ""


def find_nearest_sample_rate(rate: int, format: str) -> int:
    """Return the rate, or the nearest that the format can hold; 0 stays the engine's."""
    allowed = SAMPLE_RATES_BY_FORMAT.get(format, ())
    if not rate or not allowed:
        return rate
    return min(allowed, key=lambda known: (abs(known - rate), -known))


def check_sample_rate(rate: int, format: str) -> None:
    """Raise ValueError for a sample rate that the format cannot hold; 0 is the engine's."""
    allowed = SAMPLE_RATES_BY_FORMAT.get(format)
    if rate and allowed and rate not in allowed:
        told = ", ".join(map(str, allowed))
        raise ValueError(f"output_rate is {rate}; {format} can have {told} Hz.")
    if 0 < rate < 8_000:
        raise InvalidValueError(f"output_rate is {rate}; it must be 0 or from 8000 to 192000 Hz.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """One text to be spoken, in plain values.

    voice: a name, or a blend as in alice:0.7+bob:0.3;  options: every knob of the engine;
    out: the file to write, None for a new one under results/;  device, threads: where and on how
    many it is computed ("auto", 0: as fits);  embed …: what of this goes into the file;
    voice_fixer, …_device: whether and where voicefixer cleans the whole clip;
    like: the take that this one should equal.
    """

    text: str
    voice: str
    engine: str = "tortoise"
    bundle: str = "starter"
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: checked by its options class
    delivery: OutputOptions = OutputOptions()
    out: str | None = None
    device: str = "auto"
    threads: int = 0
    embed: bool = True
    sidecar: bool = False
    embed_latents: bool = False
    voice_fixer: bool = False
    voice_fixer_device: str = "cpu"
    like: TakeMetadata | None = None

    def __post_init__(self) -> None:
        check_text(self.text)

    @property
    def seed(self) -> int:
        """The number that every random draw follows from."""
        return int(self.options["seed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One file that was spoken; score is what the engine ranked it by, where it did."""

    path: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechResult:
    """What came of a request: the best clip, its candidates and the takes of its lines.

    heard: the text without what only steers;  seconds: of sound;  stages: seconds of work in each.
    """

    path: str
    voice: str
    text: str
    heard: str
    seed: int
    seconds: float
    stages: Mapping[str, float]
    candidates: tuple[Take, ...]
    lines: tuple[Take, ...] = ()
    warnings: tuple[str, ...] = ()


def check_text(text: str) -> str:
    """Return the text if there is something in it to say; raise StudioError otherwise."""
    if not text.strip():
        raise AppError("The text is empty. Give some words to speak.", code="empty_text")
    if len(text) > MAX_TEXT_CHARS:
        raise AppError(
            f"The text has {len(text):,} characters; at most {MAX_TEXT_CHARS:,} are spoken in one "
            "go. Split it into chapters.",
            code="text_too_long",
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise AppError("The text is not UTF-8. Convert it to UTF-8.")
    if not is_speakable(text):
        raise AppError(
            f"There is nothing to speak in {quote_for_message(text.strip())}: it has no letter "
            f"or digit.",
            code="unspeakable",
        )
    return text


def resolve_options(
    engine: str, usual: Mapping[str, Any], preset: str | None, chosen: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return every knob of the engine: `usual` over its defaults, the preset over that, `chosen`.

    A seed that nobody chose is drawn here, once, so that it can be told and used again.
    Raises StudioError naming the knob or preset that does not fit.
    """
    with reraise_as_app_error(ValueError):
        cls = get_options_class(engine)
        options = from_dict(cls, {**usual, **get_preset_options(cls, preset), **chosen})
    plain = dict(to_dict(options))
    if plain.get("seed") is None:
        plain["seed"] = secrets.randbelow(2**31)
    return plain


def get_recommended_options(engine: str, weights: Path) -> Mapping[str, Any]:
    """Return the knobs that these weights want turned where nobody says otherwise."""
    with reraise_as_app_error(ValueError):
        cls = get_options_class(engine)
        advice: Mapping[str, Any] = cls.advised(weights) if hasattr(cls, "advised") else {}
    return advice


def get_presets(cls: type[Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the presets of an engine's options: name -> the knobs it turns."""
    presets: Mapping[str, Mapping[str, Any]] = getattr(cls, "presets", dict)()
    return presets


def get_preset_options(cls: type[Any], preset: str | None) -> Mapping[str, Any]:
    """Return the knobs that a preset of the engine turns; none for no preset."""
    if not preset:
        return {}
    presets = get_presets(cls)
    if preset not in presets:
        raise InvalidValueError(
            f"There is no preset {preset!r}.{suggest_similar(preset, list(presets))} "
            f"Choose one of: {', '.join(presets)}."
        )
    return presets[preset]
