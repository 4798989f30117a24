"""Takes that are streamed are as loud as the combined clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.encoders import read_int16_samples
from studio.synthesis.stream_mixer import STREAM_SAMPLE_RATE, StreamMixer


@pytest.mark.parametrize(("volume", "loudest"), [(0.5, 8_192), (1.0, 16_384), (4.0, 32_767)])
@pytest.mark.parametrize("folder", ["a.lines", "alice"])
def test_the_volume_is_that_of_the_whole(
    tmp_path: Path, folder: str, volume: float, loudest: int
) -> None:
    take = tmp_path / folder / "001.wav"
    take.parent.mkdir()
    wave = 0.5 * np.sin(np.arange(STREAM_SAMPLE_RATE) * 2 * np.pi * 1_000 / STREAM_SAMPLE_RATE)
    soundfile.write(take, wave, STREAM_SAMPLE_RATE, subtype="PCM_16")
    stream = StreamMixer("wav", pause_s=0.1, fade_ms=0, volume=volume)
    whole = tmp_path / "whole.wav"
    whole.write_bytes(stream.encode_clip(take))
    peak = int(np.abs(read_int16_samples(whole)[0]).max())
    is_line = folder.endswith(".lines")
    assert abs(peak - (loudest if is_line else 16_384)) <= 2  # a finished clip has it already
