"""Voices that no corpus holds, for tests: flite and espeak-ng with a scaled vocal tract.

The synthesizer renders speech `tract` times slower and lower, which is then resampled to be `tract`
times faster: duration and pitch are restored, the formants are scaled.
"""

from __future__ import annotations

import io
import subprocess
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
import torch

from audio.clip import Clip

SAMPLE_RATE = 24_000  # Hz
SYNTHESIS_TIMEOUT_S = 60.0
PEAK_LEVEL = 0.7  # of full scale, before the random gain


class SynthesizerError(RuntimeError):
    """A synthesizer is missing or returned no audio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSpeaker:
    """One voice."""

    name: str
    synthesizer: str = "flite"  # or "espeak-ng"
    voice: str = "slt"
    tract: float = 1.0  # formants are multiplied by this
    pitch: float = 1.0  # fundamental frequency relative to the voice's own
    pace: float = 1.0  # > 1 is slower

    def __post_init__(self) -> None:
        if self.synthesizer not in ("flite", "espeak-ng"):
            raise ValueError(f"synthesizer is {self.synthesizer!r}; known are flite, espeak-ng")
        for field in ("tract", "pitch", "pace"):
            if not 0.5 <= getattr(self, field) <= 2.0:
                raise ValueError(f"{field} of {self.name} is {getattr(self, field)}, not 0.5..2")


def synthesize_speech(speaker: SyntheticSpeaker, text: str) -> np.ndarray:
    """Synthesize one sentence: (n,) float32 at `SAMPLE_RATE`, silence trimmed to 0.1 s.

    Raises SynthesizerError when the program is missing or gives no sound.
    """
    wave, rate = (
        _run_flite(speaker, text) if speaker.synthesizer == "flite" else _run_espeak(speaker, text)
    )
    wave = soxr.resample(wave, rate * speaker.tract, SAMPLE_RATE, quality="HQ")
    wave = _trim_silence(wave)
    peak = float(np.abs(wave).max(initial=0.0))
    if peak < 1e-3:
        raise SynthesizerError(f"{speaker.name} produced no speech for {text!r}")
    return (wave * (PEAK_LEVEL / peak)).astype(np.float32)


def synthesize_clip(speaker: SyntheticSpeaker, text: str) -> Clip:
    """Synthesize one sentence as a clip.  Raises SynthesizerError."""
    wave = torch.from_numpy(synthesize_speech(speaker, text))
    return Clip(wave=wave, sample_rate=SAMPLE_RATE, name=speaker.name)


def _run_flite(speaker: SyntheticSpeaker, text: str) -> tuple[np.ndarray, float]:
    command = ["flite", "-voice", speaker.voice]
    command += ["--setf", f"duration_stretch={speaker.tract * speaker.pace:.4f}"]
    command += ["--setf", f"f0_shift={speaker.pitch / speaker.tract:.4f}"]
    return _run_synthesizer([*command, "-t", text, "-o", "/dev/stdout"])


def _run_espeak(speaker: SyntheticSpeaker, text: str) -> tuple[np.ndarray, float]:
    words_per_minute = round(165 / (speaker.pace * speaker.tract))
    pitch = round(50 * speaker.pitch / speaker.tract)
    options = ["-v", speaker.voice, "-s", str(words_per_minute), "-p", str(min(99, pitch))]
    return _run_synthesizer(["espeak-ng", *options, "--stdout", "--", text])


def _run_synthesizer(command: list[str]) -> tuple[np.ndarray, float]:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=SYNTHESIS_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise SynthesizerError(
            f"{command[0]} is not installed; on Debian: apt-get install flite espeak-ng"
        ) from error
    if not done.stdout:
        raise SynthesizerError(f"{command[0]} produced no audio: {done.stderr.decode()[:200]}")
    wave, rate = soundfile.read(io.BytesIO(_fix_wav_length(done.stdout)), dtype="float32")
    return wave, float(rate)


def _fix_wav_length(riff: bytes) -> bytes:
    """Set the length fields of a WAV that was written to a pipe."""
    at = riff.index(b"data")
    body = riff[at + 8 :]
    head = riff[:4] + (len(riff) - 8).to_bytes(4, "little") + riff[8 : at + 4]
    return head + len(body).to_bytes(4, "little") + body


def _trim_silence(wave: np.ndarray, margin_s: float = 0.1) -> np.ndarray:
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max(initial=1e-9))
    if not loud.size:
        return wave
    margin = round(margin_s * SAMPLE_RATE)
    return wave[max(0, loud[0] - margin) : loud[-1] + margin]
