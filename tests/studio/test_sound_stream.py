"""Takes that are streamed are as loud as the combined clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech.stream import read_steps
from studio.sound_stream import RATE, SoundStream


@pytest.mark.parametrize(("volume", "loudest"), [(0.5, 8_192), (1.0, 16_384), (4.0, 32_767)])
@pytest.mark.parametrize("folder", ["a.lines", "alice"])
def test_the_volume_is_that_of_the_whole(
    tmp_path: Path, folder: str, volume: float, loudest: int
) -> None:
    take = tmp_path / folder / "001.wav"
    take.parent.mkdir()
    wave = 0.5 * np.sin(np.arange(RATE) * 2 * np.pi * 1_000 / RATE)
    soundfile.write(take, wave, RATE, subtype="PCM_16")
    stream = SoundStream("wav", pause_s=0.1, fade_ms=0, volume=volume)
    whole = tmp_path / "whole.wav"
    whole.write_bytes(stream.whole(take))
    peak = int(np.abs(read_steps(whole)[0]).max())
    is_line = folder.endswith(".lines")
    assert abs(peak - (loudest if is_line else 16_384)) <= 2  # a finished clip has it already
