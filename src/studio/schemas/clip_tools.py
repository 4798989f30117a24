"""Requests and results of the utilities: denoise, check, detect, convert and merge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from audio.effects.options import EFFECT_PRESETS, EffectOptions
from core.errors import InvalidValueError
from core.options import OptionInfo, validate_options
from core.serialization import suggest_similar
from quick.options import QUICK_VOCODERS

SPECTRAL_GATE, VOICEFIXER = "built-in", "voicefixer"
PREVIEW_S = 8.0
NO_EFFECTS = EffectOptions()
# Any: a finding of audio.quality as a dict; options of effects.


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseClipRequest:
    """Denoise one clip; the result is a new file below results/cleaned.

    clip: a reference, see studio.voices.uploads.
    """

    clip: str
    method: Annotated[
        str,
        OptionInfo(
            choices=(SPECTRAL_GATE, VOICEFIXER),
            help="Denoising method: spectral gating, or a neural network",
        ),
    ] = SPECTRAL_GATE
    lower_db: Annotated[
        int, OptionInfo(0, 40, 1, "Reduction of background noise (0 = off)", "dB")
    ] = 18
    cut_hz: Annotated[
        int, OptionInfo(0, 200, 5, "High-pass filter (0 = off)", "Hz")
    ] = 60  # fmt: skip
    even_level: Annotated[bool, OptionInfo(help="Normalize loudness")] = True

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseClipResult:
    """A denoised clip.

    clip: its reference;  path: its file;  noise_db: signal-to-noise ratio, before and after;
    lufs: loudness, before and after.
    """

    clip: str
    path: str
    noise_db: tuple[float, float]
    lufs: tuple[float, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckClipRequest:
    """Check the quality of a reference clip."""

    clip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckVoiceRequest:
    """Check the quality of the clips of a voice."""

    voice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Findings of a clip, or of a voice and each of its clips (as dicts)."""

    name: str
    light: str
    findings: tuple[Any, ...]
    clips: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSyntheticRequest:
    """Run the AI-audio detector. bundle: the model whose classifier is used; "": any."""

    clip: str
    bundle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSyntheticResult:
    """The classifier's result.

    likely: from 0 (recorded) to 1 (made by TorToiSe): the mean over segments of nine seconds.
    """

    name: str
    bundle: str
    likely: float
    pieces: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertClipRequest:
    """Convert a recording to another voice; the result is a new file below results/converted.

    clip: a reference, see studio.voices.uploads;  bundle: a model with a speaker codec; "": the
    first one.
    """

    clip: str
    voice: str
    bundle: str = ""
    words: Annotated[
        str,
        OptionInfo(help="What the recording says, in English; empty: it is transcribed"),
    ] = ""
    transcribe: Annotated[
        bool,
        OptionInfo(
            help="Transcribe the recording where no words are given; without words, few of them "
            "stay clear"
        ),
    ] = True
    vocoder: Annotated[
        str, OptionInfo(choices=QUICK_VOCODERS, help="Vocoder; griffin_lim needs no model")
    ] = "auto"
    seed: Annotated[int, OptionInfo(0, 2**63 - 1, 1, "Random seed of the vocoder")] = 0

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertClipResult:
    """A converted clip.

    clip: its reference;  path: its file;  words: that were used, "" for none;  transcriber: that
    they are from, "" where they were given;  duration_s: of the clip;  seconds: of work.
    """

    clip: str
    path: str
    voice: str
    bundle: str
    duration_s: float
    seconds: float
    words: str = ""
    transcriber: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyEffectsRequest:
    """Apply a chain of effects to a clip; the result is a new file beside it.

    clip: a reference, see studio.voices.uploads;  name: of the chain, for the new file;
    preview: only the first PREVIEW_S, into a file that is deleted after a day.
    """

    clip: str
    options: EffectOptions = NO_EFFECTS
    name: str = "effects"
    preview: bool = False

    def __post_init__(self) -> None:
        _check_not_empty(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewVoiceEffectsRequest:
    """Apply a chain of effects to a recording of a voice, into a file that is deleted after a day.

    A voice without recordings speaks a sentence for it. Nothing of the voice is changed.
    """

    voice: str
    options: EffectOptions = NO_EFFECTS

    def __post_init__(self) -> None:
        _check_not_empty(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyEffectsResult:
    """A clip with effects.

    clip: its reference;  path: its file;  source: the file of the clip before.
    """

    clip: str
    path: str
    source: str
    duration_s: float
    preview: bool


def _check_not_empty(options: EffectOptions) -> None:
    if options == NO_EFFECTS:
        raise InvalidValueError("No effect is turned on. Choose a preset or set one.")


def merge_effects(preset: str, changes: Mapping[str, Any]) -> EffectOptions:
    """Return the effects of a preset, "" for none, with changes. Raises InvalidValueError."""
    if preset and preset not in EFFECT_PRESETS:
        hint = suggest_similar(preset, list(EFFECT_PRESETS))
        raise InvalidValueError(
            f"There are no effects {preset!r}.{hint} Choose one of: {', '.join(EFFECT_PRESETS)}."
        )
    return EffectOptions(**{**EFFECT_PRESETS.get(preset, {}), **changes})


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeModelsRequest:
    """Blend the weights of two models of one architecture into finetunes/NAME.

    share: weight of the second model; 0 is the first, 1 the second.
    """

    first: str
    second: str
    name: str
    share: Annotated[float, OptionInfo(0.0, 1.0, 0.05, "Weight of the second model")] = 0.5

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeModelsResult:
    """A merged model."""

    name: str
    weights_id: str
    mixed: tuple[str, ...]
    size: int
