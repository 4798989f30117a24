"""What a page needs of a recording: the peaks of its waveform, and a small copy to listen to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from core.files import atomic_path, write_json
from training.gold.project_files import WAVEFORM_FILE
from training.gold.workflow import GoldTools

PEAKS = 2_000
LISTENING_FILE = Path("audio", "recording.ogg")
LISTENING_RATE = 24_000  # Hz; one that Opus has
BLOCK_S = 10.0


def write_listening_copy(folder: Path, tools: GoldTools) -> None:
    """Write waveform.json and audio/recording.ogg, block by block, unless they are there."""
    target = folder / LISTENING_FILE
    if target.is_file() and (folder / WAVEFORM_FILE).is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    peaks = np.zeros(PEAKS)
    with (
        atomic_path(target) as part,
        soundfile.SoundFile(part, "w", LISTENING_RATE, 1, format="OGG", subtype="OPUS") as copy,
    ):
        for start in np.arange(0.0, tools.duration_s, BLOCK_S).tolist():
            clip = tools.cut(start, min(start + BLOCK_S, tools.duration_s))
            wave = clip.resample(LISTENING_RATE).wave.numpy()
            copy.write(wave)
            times = start + np.arange(len(wave)) / LISTENING_RATE
            places = np.minimum((times / tools.duration_s * PEAKS).astype(int), PEAKS - 1)
            np.maximum.at(peaks, places, np.abs(wave))
    peaks /= max(float(peaks.max()), 1e-9)
    content = {"duration_s": round(tools.duration_s, 3), "peaks": peaks.round(3).tolist()}
    write_json(folder / WAVEFORM_FILE, content, indent=None)
