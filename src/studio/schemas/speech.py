"""Speech request, output options and result; validated before a model is loaded."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

from audio.formats import BIT_DEPTHS, ENCODINGS, SAMPLE_RATES
from core.errors import AppError, InvalidValueError, reraise_as_app_error
from core.options import (
    Layer,
    OptionInfo,
    Resolved,
    list_option_fields,
    merge_layers,
    validate_options,
)
from core.paths import quote_for_message
from core.serialization import from_dict, suggest_similar, to_dict
from engines.registry import get_options_class
from studio.schemas.take_metadata import TakeMetadata
from text.overrides import MAX_DURATION_S
from text.pauses import Pause, PauseKind
from text.segmentation import is_speakable

DEFAULT, MODEL, FILE, PRESET, REQUEST = "default", "the model", "settings.yaml", "preset", "request"
"""Sources of an option, in ascending priority."""
AUDIO_FORMATS = tuple(ENCODINGS)
LOSSLESS_SUFFIXES = (".wav", ".flac")
LOUDNESS_TARGETS = ("off", "-16", "-18", "-20")  # LUFS

MAX_NAME_CHARS = 60  # of a template beside its placeholders
DEFAULT_FILE_NAME = "{number}-{text}"
FORBIDDEN_IN_NAMES = './\\:*?"<>|~'
NAME_PLACEHOLDERS = ("{number}", "{text}", "{voice}", "{model}", "{seed}", "{date}", "{time}")

EMOTIONS = ("none", "happy", "sad", "angry", "disgusted", "arrogant")
TAKE_CHECKS = ("off", "fast", "strict")
MAX_CHUNK_CHARS = 600  # characters, even where the engine could take more at once
MAX_TEXT_CHARS = 400_000  # characters: some 70,000 words, seven hours


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How a text is split into chunks, and how these are joined into one clip."""

    delimiter: Annotated[
        str, OptionInfo(help="Where to split the text; \\n is a new line; empty: at sentence ends")
    ] = ""
    piece_chars: Annotated[
        int, OptionInfo(20, MAX_CHUNK_CHARS, 10, "Approximate chunk length", "characters")
    ] = 200
    emotion: Annotated[
        str,
        OptionInfo(choices=EMOTIONS, help="Emotion prompt before each chunk: [I am really ...,]"),
    ] = "none"
    prompt: Annotated[
        str, OptionInfo(help="Prompt before each chunk; sets the mood and is not spoken")
    ] = ""
    pause_s: Annotated[
        float, OptionInfo(0.0, 5.0, 0.05, "Silence between sentences and lines", "s")
    ] = 0.3
    pause_none_s: Annotated[
        float, OptionInfo(0.0, 5.0, 0.05, "Silence where a sentence is cut between words", "s")
    ] = 0.0
    pause_comma_s: Annotated[
        float, OptionInfo(0.0, 5.0, 0.05, "Silence where a sentence is cut at a comma", "s")
    ] = 0.1
    pause_paragraph_s: Annotated[
        float, OptionInfo(0.0, 10.0, 0.05, "Silence between paragraphs and speakers", "s")
    ] = 0.7
    pause_section_s: Annotated[
        float, OptionInfo(0.0, 20.0, 0.05, "Silence before headings and at scene breaks", "s")
    ] = 1.2
    duration: Annotated[
        float,
        OptionInfo(
            0.0,
            MAX_DURATION_S,
            0.05,
            "Exact length of each line; 0: as it is spoken. [duration:3.2s] sets it for one line",
            "s",
        ),
    ] = 0.0
    fade_ms: Annotated[int, OptionInfo(0, 100, 1, "Fade at each join", "ms")] = 5
    volume: Annotated[float, OptionInfo(0.0, 4.0, 0.05, "Gain of the clip; 1: unchanged", "x")] = (
        1.0
    )
    loudness: Annotated[
        str,
        OptionInfo(
            choices=LOUDNESS_TARGETS,
            help="Loudness of the clip (EBU R 128), with true peaks below -1 dB; volume has no "
            "effect then",
            unit="LUFS",
        ),
    ] = "off"
    fade_in_ms: Annotated[int, OptionInfo(0, 10_000, 10, "Fade at the start of the clip", "ms")] = 0
    fade_out_ms: Annotated[int, OptionInfo(0, 10_000, 10, "Fade at the end of the clip", "ms")] = 0
    output_rate: Annotated[
        int, OptionInfo(0, 192_000, 1, "Sample rate of the clip; 0: that of the engine", "Hz")
    ] = 0
    format: Annotated[
        str,
        OptionInfo(
            choices=AUDIO_FORMATS, help="File format of the clip, if its name has no suffix"
        ),
    ] = "wav"
    bit_depth: Annotated[
        str,
        OptionInfo(
            choices=tuple(BIT_DEPTHS["wav"]),
            help="Bits of a sample in wav and flac; 32 float in wav only",
        ),
    ] = "16"
    file_name: Annotated[
        str, OptionInfo(help=f"Name of the file, of {', '.join(NAME_PLACEHOLDERS)}")
    ] = DEFAULT_FILE_NAME
    take_check: Annotated[
        str,
        OptionInfo(
            choices=TAKE_CHECKS,
            help="Listen to each take with speech recognition, and retake a line with missing or "
            "added words, an odd length, clipping or a long silence; strict: each word must be "
            "right, fast: similar words are accepted",
        ),
    ] = "off"
    retakes: Annotated[
        int, OptionInfo(1, 10, 1, "Retakes of a line that fails the check; the best take is kept")
    ] = 2

    def __post_init__(self) -> None:
        validate_options(self)
        check_sample_rate(self.output_rate, self.format)
        depths = BIT_DEPTHS.get(self.format)
        if depths and self.bit_depth not in depths:
            raise InvalidValueError(
                f"bit_depth is {self.bit_depth!r}; {self.format} can have {' or '.join(depths)}. "
                "Choose wav."
            )
        check_file_name_template(self.file_name)
        if "[" in self.prompt or "]" in self.prompt:
            raise ValueError("prompt is never spoken, so it needs no brackets; remove them.")

    def get_pause_s(self, pause: Pause) -> float:
        """Return the seconds of a pause: its own, or those of its kind."""
        if pause.seconds is not None:
            return pause.seconds
        kinds: Mapping[PauseKind, float] = {
            "none": self.pause_none_s,
            "comma": self.pause_comma_s,
            "sentence": self.pause_s,
            "paragraph": self.pause_paragraph_s,
            "section": self.pause_section_s,
        }
        return kinds[pause.kind]

    @property
    def prompt_prefix(self) -> str:
        """The prompt before each chunk that sets the mood; often empty."""
        if self.prompt.strip():
            return self.prompt.strip()
        return f"I am really {self.emotion}," if self.emotion != "none" else ""


def find_nearest_sample_rate(rate: int, format: str) -> int:
    """Return the rate, or the nearest that the format supports; 0 is kept."""
    allowed = SAMPLE_RATES.get(format, ())
    if not rate or not allowed:
        return rate
    return min(allowed, key=lambda known: (abs(known - rate), -known))


def check_sample_rate(rate: int, format: str) -> None:
    """Raise ValueError for a sample rate that the format does not support; 0 is allowed."""
    allowed = SAMPLE_RATES.get(format)
    if rate and allowed and rate not in allowed:
        rates = ", ".join(map(str, allowed))
        raise ValueError(f"output_rate is {rate}; {format} can have {rates} Hz.")
    if 0 < rate < 8_000:
        raise InvalidValueError(f"output_rate is {rate}; it must be 0 or from 8000 to 192000 Hz.")


def check_file_name_template(template: str) -> None:
    """Raise InvalidValueError for an unknown placeholder, and what no file name can have.

    An empty template is the default one.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as cause:
        raise InvalidValueError(
            f"file_name is {template!r}; a brace is not closed ({cause})."
        ) from cause
    for _, name, form, conversion in parts:
        if name is not None and ("{" + name + "}" not in NAME_PLACEHOLDERS or form or conversion):
            hint = suggest_similar("{" + name + "}", NAME_PLACEHOLDERS)
            raise InvalidValueError(
                f"file_name has no placeholder {'{' + name + '}'}.{hint} There are "
                f"{', '.join(NAME_PLACEHOLDERS)}."
            )
    words = "".join(text for text, *_ in parts)
    forbidden = "".join(sorted({sign for sign in words if sign in FORBIDDEN_IN_NAMES}))
    if forbidden or not words.isprintable() or len(words) > MAX_NAME_CHARS:
        raise InvalidValueError(
            f"file_name is {template!r}; beside the placeholders it must be at most "
            f"{MAX_NAME_CHARS} characters, without {' '.join(FORBIDDEN_IN_NAMES)}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """A text to synthesize.

    voice: a name, or a mix such as alice:0.7+bob:0.3;  options: all options of the engine;
    out: the file to write, None for a new one under results/;  device, threads: "auto" and 0 for
    automatic;  embed …: what is embedded in the file;  voice_fixer, …_device: whether and where
    voicefixer cleans the clip;  like: the clip to reproduce;  pronunciations: of words of the text,
    see text.pronunciations;  speaker_voices: of the names that lines begin with, see text.speakers;
    voice_effects: of each voice, the options that are not the defaults.
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
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    speaker_voices: Mapping[str, str] = field(default_factory=dict)
    voice_effects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.text)

    @property
    def seed(self) -> int:
        """The random seed."""
        return int(self.options["seed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One generated file; score: of the engine's ranking, where there is one."""

    path: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechResult:
    """The best clip of a request, its candidates and the takes of its lines.

    heard: the spoken text, without prompts;  seconds: of audio;  stages: seconds of work in each;
    peak_bytes: the most memory that the process, or its GPU, has had in use, 0 where unknown.
    checks: what the check of the takes found, in sentences.
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
    peak_bytes: int = 0
    checks: tuple[str, ...] = ()


def check_text(text: str) -> str:
    """Return the text if it can be spoken; raise AppError otherwise."""
    if not text.strip():
        raise AppError("The text is empty. Enter some text to speak.", code="empty_text")
    if len(text) > MAX_TEXT_CHARS:
        raise AppError(
            f"The text has {len(text):,} characters; at most {MAX_TEXT_CHARS:,} are allowed. "
            "Split it into chapters.",
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


def resolve_options(engine: str, layers: Sequence[Layer]) -> Resolved:
    """Merge layers of engine options over the defaults, lowest first, and validate the result.

    A seed that no layer sets is drawn here, once, so that it is recorded and can be used again.
    Raises AppError naming the option that does not fit and, unless it is the request, its source.
    """
    with reraise_as_app_error(ValueError):
        cls = get_options_class(engine)
    merged = merge_layers(layers)
    try:
        values = dict(to_dict(from_dict(cls, merged.values)))
    except ValueError as cause:
        source = merged.sources.get(str(cause).split(maxsplit=1)[0], REQUEST)
        where = "" if source == REQUEST else f" It comes from {source}."
        raise AppError(f"{cause}{where}") from cause
    if values.get("seed") is None:
        values["seed"] = secrets.randbelow(2**31)
    return Resolved(values=values, sources={**dict.fromkeys(values, DEFAULT), **merged.sources})


def get_recommended_options(engine: str, weights: Path) -> Mapping[str, Any]:
    """Return the options that a model recommends in place of the defaults."""
    with reraise_as_app_error(ValueError):
        cls = get_options_class(engine)
        advice: Mapping[str, Any] = cls.advised(weights) if hasattr(cls, "advised") else {}
    return advice


def has_option(engine: str, name: str) -> bool:
    """Return whether the engine has an option of this name."""
    return any(field.name == name for field in list_option_fields(get_options_class(engine)))


def get_presets(cls: type[Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the presets of an engine's options: name -> the options it sets."""
    presets: Mapping[str, Mapping[str, Any]] = getattr(cls, "presets", dict)()
    return presets


def get_preset_options(cls: type[Any], preset: str | None) -> Mapping[str, Any]:
    """Return the options that a preset sets; {} for no preset. Raises ValueError if unknown."""
    if not preset:
        return {}
    presets = get_presets(cls)
    if preset not in presets:
        known = f"Choose one of: {', '.join(presets)}." if presets else "The engine has none."
        raise InvalidValueError(
            f"There is no preset {preset!r}.{suggest_similar(preset, list(presets))} {known}"
        )
    return presets[preset]
