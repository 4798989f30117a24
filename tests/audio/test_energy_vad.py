"""Speech is found where there is sound above the background."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from audio.energy_vad import VadOptions, find_speech_spans

RATE = 16_000


def noise(seconds: float, level_db: float, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(int(seconds * RATE), generator=chance) * 10 ** (level_db / 20)


def spoken(*parts: tuple[str, float], background_db: float = -70.0) -> Clip:
    """A clip of ("word" | "pause", seconds) over a background."""
    wave = torch.cat([noise(s, -20.0 if kind == "word" else -200.0) for kind, s in parts])
    return Clip(
        wave=wave + noise(len(wave) / RATE, background_db, seed=1)[: len(wave)], sample_rate=RATE
    )


def seconds(clip: Clip) -> list[tuple[float, float]]:
    return [(span.start / RATE, span.stop / RATE) for span in find_speech_spans(clip)]


@pytest.mark.parametrize("background_db", [-200.0, -70.0, -45.0])
def test_words_are_found_between_pauses(background_db: float) -> None:
    clip = spoken(
        ("pause", 1.0), ("word", 0.5), ("pause", 1.0), ("word", 0.7), ("pause", 1.0),
        background_db=background_db,
    )  # fmt: skip
    first, second = seconds(clip)
    assert first == pytest.approx((1.0 - 0.08, 1.5 + 0.08), abs=0.04)
    assert second == pytest.approx((2.5 - 0.08, 3.2 + 0.08), abs=0.04)


def test_a_short_gap_belongs_to_the_speech_and_a_click_does_not() -> None:
    clip = spoken(("word", 0.5), ("pause", 0.2), ("word", 0.5), ("pause", 1.0), ("word", 0.005))
    ((start, stop),) = seconds(clip)
    assert start == 0.0 and stop == pytest.approx(1.28, abs=0.04)


def test_steady_sound_is_speech_from_end_to_end() -> None:
    clip = spoken(("word", 2.0))
    assert seconds(clip) == [(0.0, 2.0)]


@pytest.mark.parametrize("samples", [0, 10, 399, 50_000])
def test_a_clip_without_speech_has_no_spans(samples: int) -> None:
    silence = Clip(wave=torch.zeros(samples), sample_rate=RATE)
    assert find_speech_spans(silence) == []


def test_what_counts_as_a_pause_can_be_chosen() -> None:
    clip = spoken(("word", 0.5), ("pause", 0.5), ("word", 0.5))
    assert len(find_speech_spans(clip)) == 2
    assert len(find_speech_spans(clip, VadOptions(pause_s=1.0))) == 1
