"""What the tab Utilities asks of the worker: clean, check, judge and merge. Light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from core.options import OptionInfo, validate_options

SPECTRAL_GATE, VOICEFIXER = "built-in", "voicefixer"
# Any: a finding in its plain form, as audio.quality made it.


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseClipRequest:
    """A wish to clean one clip; the result is a new file below results/cleaned.

    clip: a reference, see studio.voices.uploads.
    """

    clip: str
    method: Annotated[
        str,
        OptionInfo(
            choices=(SPECTRAL_GATE, VOICEFIXER), help="What cleans: the light one, or a network"
        ),
    ] = SPECTRAL_GATE
    lower_db: Annotated[
        int, OptionInfo(0, 40, 1, "How much quieter the background becomes; 0 leaves it", "dB")
    ] = 18
    cut_hz: Annotated[
        int, OptionInfo(0, 200, 5, "Rumble below this is cut; 0 leaves it", "Hz")
    ] = 60  # fmt: skip
    even_level: Annotated[
        bool, OptionInfo(help="Bring the clip to the usual loudness of speech")
    ] = True

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseClipResult:
    """A clip that was cleaned.

    clip: its reference;  path: where it lies;  noise_db: speech above background, before and after.
    """

    clip: str
    path: str
    noise_db: tuple[float, float]
    lufs: tuple[float, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckClipRequest:
    """A wish to know whether a clip is fit to clone from."""

    clip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckVoiceRequest:
    """A wish to know whether the clips of a voice are."""

    voice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What was found: of a clip, or of a voice and each of its clips (plain forms)."""

    name: str
    light: str
    findings: tuple[Any, ...]
    clips: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSyntheticRequest:
    """A wish to know whether TorToiSe spoke a clip. bundle: whose classifier; "": any."""

    clip: str
    bundle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSyntheticResult:
    """What the classifier thinks of a clip.

    likely: from 0, recorded, to 1, made by TorToiSe: the mean over pieces of nine seconds.
    """

    name: str
    bundle: str
    likely: float
    pieces: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeModelsRequest:
    """A wish for a mixture of two sets of weights of one architecture, as finetunes/NAME.

    share: how much of the second; 0 is the first, 1 the second.
    """

    first: str
    second: str
    name: str
    share: Annotated[float, OptionInfo(0.0, 1.0, 0.05, "How much of the second model")] = 0.5

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeModelsResult:
    """A bundle that was merged."""

    name: str
    weights_id: str
    mixed: tuple[str, ...]
    size: int
