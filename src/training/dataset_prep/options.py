"""Options of dataset preparation. Light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.options import OptionInfo, validate_options

NO_CLEANING, LIGHT_CLEANING = "none", "light"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """Limits of clips, quality gates, and the validation split."""

    shortest_s: Annotated[float, OptionInfo(0.5, 5.0, 0.1, "Drop clips that are shorter", "s")] = (
        1.6
    )
    longest_s: Annotated[
        float, OptionInfo(3.0, 20.0, 0.1, "Cut longer speech at pauses between words", "s")
    ] = 11.6
    join_below_s: Annotated[
        float,
        OptionInfo(0.0, 10.0, 0.1, "Join shorter segments with their neighbours", "s"),
    ] = 3.0
    longest_pause_s: Annotated[
        float,
        OptionInfo(0.2, 3.0, 0.1, "Longest pause at which segments are joined", "s"),
    ] = 1.0
    margin_s: Annotated[
        float,
        OptionInfo(0.0, 0.5, 0.01, "Silence left before the first and after the last word", "s"),
    ] = 0.08
    most_letters: Annotated[
        int, OptionInfo(20, 600, 10, "Cut clips with a longer text; models are limited")
    ] = 200
    loudness: Annotated[
        float, OptionInfo(-36.0, -12.0, 0.5, "Loudness of every clip", "LUFS")
    ] = -20.0
    clean: Annotated[
        str,
        OptionInfo(
            choices=(NO_CLEANING, LIGHT_CLEANING), help="Reduce noise and rumble behind the voice"
        ),
    ] = NO_CLEANING
    least_snr_db: Annotated[
        float, OptionInfo(0.0, 40.0, 1.0, "Drop clips with a lower signal-to-noise ratio", "dB")
    ] = 8.0
    most_clipped: Annotated[
        float, OptionInfo(0.0, 0.1, 0.001, "Drop clips with a larger share of clipped peaks")
    ] = 0.005
    least_confidence: Annotated[
        float,
        OptionInfo(0.0, 1.0, 0.01, "Drop clips transcribed with a lower confidence; 0 keeps all"),
    ] = 0.0
    check_text: Annotated[
        bool,
        OptionInfo(help="Check existing transcripts against the audio, and drop wrong ones"),
    ] = True
    check_speakers: Annotated[
        bool,
        OptionInfo(help="Mark clips in which another person seems to speak"),
    ] = True
    validation_share: Annotated[
        float, OptionInfo(0.0, 0.5, 0.01, "Share of the clips for validation")
    ] = 0.1
    seed: Annotated[int, OptionInfo(0, 2**31 - 1, 1, "Seed of the validation split")] = 0

    def __post_init__(self) -> None:
        validate_options(self)
        if self.shortest_s * 2 > self.longest_s:
            raise ValueError(
                f"shortest_s is {self.shortest_s} and longest_s {self.longest_s}; the longest clip "
                "must be at least twice the shortest, or speech cannot be split."
            )
