"""Which features an encoder reads. Light.

Kinds: `ge2e_mel` (40 power mels of Real-Time Voice Cloning and Resemblyzer), `peewee_mel` (80 power
mels), `singer_mel` (80 log mels of AutoVC), `world` (spectral envelope, aperiodicity and pitch of
the vocoder WORLD). `pitch_condition` adds the pitch of each frame as a one-hot vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.errors import InvalidValueError
from core.options import OptionInfo, validate_options

FEATURE_KINDS = ("ge2e_mel", "singer_mel", "world", "peewee_mel")
PITCH_METHODS = ("harvest", "dio", "wav2world")
ENVELOPE_REDUCTIONS = ("world", "code-h", "chandna", "mceps", "db_mceps")
NORMALIZATIONS = ("none", "zero_one", "unit_var", "schluter", "global_unit_var")
PITCH_CLASSES = 47  # unvoiced, and MIDI 36 to 81
MEL_BINS = {"ge2e_mel": 40, "singer_mel": 80, "peewee_mel": 80}
HOP_SAMPLES = {"ge2e_mel": 160, "singer_mel": 256, "peewee_mel": 160}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """Kind and parameters of the features of an encoder."""

    kind: Annotated[str, OptionInfo(help="Features of each frame", choices=FEATURE_KINDS)] = (
        "ge2e_mel"
    )
    sample_rate: Annotated[int, OptionInfo(8_000, 48_000, help="Sample rate", unit="Hz")] = 16_000
    trim_silence: Annotated[bool, OptionInfo(help="Shorten long pauses")] = True
    normalization: Annotated[
        str, OptionInfo(help="Normalization of the features", choices=NORMALIZATIONS)
    ] = "none"
    pitch_condition: Annotated[bool, OptionInfo(help="Add the pitch of each frame as input")] = (
        False
    )
    pitch_method: Annotated[
        str, OptionInfo(help="Pitch detection for WORLD and pitch input", choices=PITCH_METHODS)
    ] = "harvest"
    reduction: Annotated[
        str, OptionInfo(help="Reduction of WORLD's envelope", choices=ENVELOPE_REDUCTIONS)
    ] = "world"
    harmonics: Annotated[int, OptionInfo(1, 120, 1, "Coefficients of WORLD's envelope")] = 60
    aperiodicities: Annotated[int, OptionInfo(1, 60, 1, "Coefficients of the aperiodicity")] = 4
    low_hz: Annotated[float, OptionInfo(20.0, 1_000.0, help="Lowest pitch", unit="Hz")] = 90.0
    high_hz: Annotated[float, OptionInfo(100.0, 4_000.0, help="Highest pitch", unit="Hz")] = 1_100.0
    frame_ms: Annotated[float, OptionInfo(1.0, 100.0, help="Hop of WORLD", unit="ms")] = 16.0
    fft_size: Annotated[int, OptionInfo(256, 8_192, help="FFT size of WORLD", unit="samples")] = (
        1_024
    )

    def __post_init__(self) -> None:
        validate_options(self)
        if self.low_hz >= self.high_hz:
            raise InvalidValueError(
                f"low_hz is {self.low_hz:g}; it must be below high_hz, {self.high_hz:g} Hz."
            )
        if self.kind != "world" and self.sample_rate != 16_000:
            raise InvalidValueError(
                f"sample_rate is {self.sample_rate}; mel features are made at 16000 Hz."
            )

    @property
    def bins(self) -> int:
        """The number of values in a frame."""
        pitch = PITCH_CLASSES if self.pitch_condition else 0
        return pitch + (MEL_BINS.get(self.kind) or self.harmonics + self.aperiodicity_bins + 2)

    @property
    def aperiodicity_bins(self) -> int:
        """How many aperiodicity values WORLD gives: its own bands with the reduction `world`."""
        if self.reduction != "world":
            return self.aperiodicities
        return int(min(15_000.0, self.sample_rate / 2 - 3_000.0) / 3_000.0)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return HOP_SAMPLES.get(self.kind) or round(self.sample_rate * self.frame_ms / 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureStatistics:
    """Mean and population standard deviation of each bin over all frames of the dataset."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
