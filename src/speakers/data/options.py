"""Options of the preprocessing of speaker datasets. Light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.errors import InvalidValueError
from core.options import OptionInfo, validate_options

LAYOUT_NAMES = (
    *("auto", "LibriSpeech", "LibriTTS", "VCTK", "VoxCeleb1", "VoxCeleb2", "LJSpeech", "folders"),
)
CROP_FRAMES = 160  # of a training example of the published encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessOptions:
    """Which recordings of a dataset are used."""

    layout: Annotated[str, OptionInfo(help="Layout of the dataset", choices=LAYOUT_NAMES)] = "auto"
    min_frames: Annotated[
        int, OptionInfo(1, 10_000, 1, "Shortest recording, without pauses", "frames")
    ] = CROP_FRAMES
    min_crops: Annotated[
        int, OptionInfo(1, 1_000, 1, "Crops of min_frames that a speaker needs at least")
    ] = 2
    processes: Annotated[int, OptionInfo(1, 64, 1, "Processes that compute features")] = 1

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationOptions:
    """How many augmented copies of each recording are made, and how they differ from it."""

    augmented_copies: Annotated[int, OptionInfo(0, 20, 1, "Augmented copies per recording")] = 0
    noise: Annotated[bool, OptionInfo(help="Add noise to augmented copies")] = True
    lowest_snr: Annotated[float, OptionInfo(-10, 60, 1, "Loudest added noise", "dB SNR")] = 10.0
    highest_snr: Annotated[float, OptionInfo(-10, 60, 1, "Quietest added noise", "dB SNR")] = 40.0
    room: Annotated[bool, OptionInfo(help="Place augmented copies in a simulated room")] = True
    max_pitch_shift: Annotated[
        float, OptionInfo(0.0, 6.0, 0.5, "Pitch shift of augmented copies, up or down", "semitones")
    ] = 0.0
    augmentation_seed: Annotated[int, OptionInfo(0, 2**31, 1, "Seed of the augmentation")] = 0

    def __post_init__(self) -> None:
        validate_options(self)
        if self.lowest_snr > self.highest_snr:
            raise InvalidValueError(
                f"lowest_snr is {self.lowest_snr:g}; it must be at most highest_snr, "
                f"{self.highest_snr:g} dB."
            )
        if self.augmented_copies and not (self.noise or self.room or self.max_pitch_shift):
            raise InvalidValueError(
                "augmented_copies needs noise, room or max_pitch_shift; all three are off."
            )
