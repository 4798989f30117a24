"""Recordings of any length, decoded block by block into a working copy on disk.

An hour takes 159 MB on disk and little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch

from audio.clip import Clip, ClipError
from audio.io import (
    AudioLimits,
    MonoSamples,
    NonSeekableSoundFile,
    Samples,
    check_file,
    compute_mix_weights,
    decode_with_ffmpeg,
    read_finite_blocks,
)
from audio.wav_repair import measure_wav, open_unfinished_wav

ClippedRuns = npt.NDArray[np.float64]  # (k, 3): first second, last second, level

BLOCK_S = 4.0  # decoded at a time
INT16_MAX = 32_767
CLIPPING_TOLERANCE = 2e-4  # two samples of 16 bits that differ by less are equal
MIN_CLIPPED_SAMPLES = 3  # equal samples in a row
MIN_CLIPPING_LEVEL = 0.2  # of full scale; peaks below it are not clipped
CLIPPING_PEAK_RATIO = 0.99  # of the highest sample
FFMPEG_TIMEOUT_S = 3600.0  # patience with ffmpeg


RECORDING_LIMITS = AudioLimits(longest_s=24 * 3600.0, min_peak=10 ** (-60 / 20))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A decoded recording on disk.

    samples: (n,) 16 bit, memory-mapped. clipped_runs: where peaks are clipped.
    """

    name: str
    samples: npt.NDArray[np.int16]
    sample_rate: int
    clipped_runs: ClippedRuns

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate

    def extract_clip(self, start_s: float, stop_s: float) -> Clip:
        """Return the audio between two times."""
        start, stop = (round(at * self.sample_rate) for at in (max(0.0, start_s), stop_s))
        wave = torch.from_numpy(self.samples[start:stop].astype(np.float32) / INT16_MAX)
        return Clip(wave=wave, sample_rate=self.sample_rate, name=self.name)

    def get_clipped_fraction(self, start_s: float, stop_s: float) -> float:
        """Return the share of the time between two times in which peaks are clipped."""
        if not len(self.clipped_runs) or stop_s <= start_s:
            return 0.0
        first, last, _ = self.clipped_runs.T
        overlap = np.minimum(last, stop_s) - np.maximum(first, start_s)
        return float(overlap.clip(min=0).sum() / (stop_s - start_s))


def decode_recording(
    path: Path,
    work: Path,
    sample_rate: int,
    progress: Callable[[float], None],
    limits: AudioLimits = RECORDING_LIMITS,
) -> Recording:
    """Decode a file into `work` as one channel at `sample_rate`.

    progress: called with the seconds done; an exception from it ends the work. What libsndfile
    cannot read is converted by ffmpeg, if installed. Raises ClipError for a file that cannot be
    used.
    """
    check_file(path)
    converted = work.with_name(f"{work.name}.w64")
    try:
        readable = path
        if not _is_readable(path):
            poll = partial(progress, 0.0)
            decode_with_ffmpeg(path, limits.longest_s, FFMPEG_TIMEOUT_S, converted, poll=poll)
            readable = converted
        runs = _write_mono(path, readable, work, sample_rate, progress, limits)
    finally:
        converted.unlink(missing_ok=True)
    samples = np.memmap(work, np.int16, "r") if work.stat().st_size else np.zeros(0, np.int16)
    return Recording(name=path.name, samples=samples, sample_rate=sample_rate, clipped_runs=runs)


def estimate_duration_s(path: Path) -> float:
    """Return the duration by the header of a file, by its size where the header is unreadable."""
    size = measure_wav(path)
    if size is not None and size.is_unfinished:
        return size.get_duration_s(size.present)
    try:
        found = soundfile.info(path)
        return float(found.frames / found.samplerate)
    except (soundfile.LibsndfileError, OSError, ZeroDivisionError):
        return path.stat().st_size / 16_000 if path.exists() else 0.0  # 128 kbit/s


def _is_readable(path: Path) -> bool:
    try:
        with soundfile.SoundFile(path):
            return True
    except soundfile.LibsndfileError:
        return False


def _write_mono(
    path: Path,
    readable: Path,
    work: Path,
    sample_rate: int,
    progress: Callable[[float], None],
    limits: AudioLimits,
) -> ClippedRuns:
    """Mix and resample block by block; return the clipped runs."""
    weights = _compute_channel_weights(path, readable, progress, limits)
    with NonSeekableSoundFile(open_unfinished_wav(readable) or readable) as file:
        resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, "float32", "HQ")
        peaks = _ClippingDetector(file.samplerate)
        with work.open("wb") as sink:
            for block in _read_blocks(path, file, limits):
                mixed = np.ascontiguousarray(block @ weights, np.float32)  # (n,)
                peaks.add(mixed)
                sink.write(_to_int16_bytes(resampler.resample_chunk(mixed)))
                progress(peaks.duration_s)
            sink.write(
                _to_int16_bytes(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            )
    if peaks.duration_s < limits.shortest_s:
        raise ClipError(
            f"{path.name} lasts {peaks.duration_s:.2f} s; at least {limits.shortest_s:g} s are "
            "needed. Leave it out.",
            code="clip_too_short",
        )
    if min(peaks.peak, peaks.swing) < limits.min_peak:
        raise ClipError(
            f"{path.name} is silent: its peak is below "
            f"{20 * np.log10(limits.min_peak):.0f} dB. Record it louder, or leave it out.",
            code="silent_clip",
        )
    return peaks.find_clipped_runs()


def _check_header(path: Path, file: soundfile.SoundFile, limits: AudioLimits) -> None:
    if not limits.lowest_rate <= file.samplerate <= limits.highest_rate:
        raise ClipError(
            f"{path.name} says it has {file.samplerate:,} samples per second; "
            f"{limits.lowest_rate:,} to {limits.highest_rate:,} are allowed. Convert it to 48,000."
        )
    _check_length(path, file, file.frames, limits)


def _check_length(path: Path, file: soundfile.SoundFile, frames: int, limits: AudioLimits) -> None:
    if frames > limits.longest_s * file.samplerate:
        hours = limits.longest_s / 3600
        raise ClipError(f"{path.name} lasts more than {hours:g} hours. Cut it into parts.")


def _read_blocks(path: Path, file: soundfile.SoundFile, limits: AudioLimits) -> Iterator[Samples]:
    """Yield finite (n, c) samples."""
    done = 0

    def check(frames: int) -> None:
        nonlocal done
        done = frames
        _check_length(path, file, frames, limits)

    try:
        yield from read_finite_blocks(path, file, round(BLOCK_S * file.samplerate), check)
    except soundfile.LibsndfileError as error:
        raise ClipError(f"{path.name} is damaged at {done / file.samplerate:.0f} s.") from error


def _compute_channel_weights(
    path: Path, readable: Path, progress: Callable[[float], None], limits: AudioLimits
) -> MonoSamples:
    """Return the weight of each channel in the mix: (c,), scaled so that no peak exceeds 1."""
    with NonSeekableSoundFile(open_unfinished_wav(readable) or readable) as file:
        _check_header(path, file, limits)
        if file.channels == 1 and file.subtype not in ("FLOAT", "DOUBLE"):
            return np.ones(1, np.float32)
        together, highest = np.zeros((file.channels, file.channels)), 1.0
        for block in _read_blocks(path, file, limits):
            wide = block.astype(np.float64)
            together += wide.T @ wide  # (c, c)
            highest = max(highest, float(np.abs(block).max()))
            progress(0.0)
    mixed: MonoSamples = (compute_mix_weights(together) / highest).astype(np.float32)
    return mixed


class _ClippingDetector:
    """Finds, block by block, runs of equal samples at a high level."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._tail: MonoSamples = np.zeros(0, np.float32)
        self._runs: list[ClippedRuns] = []
        self._done = 0
        self.peak = 0.0
        self._lowest, self._highest = np.inf, -np.inf

    @property
    def duration_s(self) -> float:
        return self._done / self._rate

    @property
    def swing(self) -> float:
        """Half the distance of the highest from the lowest sample: 0 for a constant."""
        return (self._highest - self._lowest) / 2

    def add(self, block: MonoSamples) -> None:
        wave = np.concatenate([self._tail, block])
        first = self._done - len(self._tail)
        self._done += len(block)
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        self._lowest = min(self._lowest, float(block.min(initial=np.inf)))
        self._highest = max(self._highest, float(block.max(initial=-np.inf)))
        high = np.abs(wave) >= MIN_CLIPPING_LEVEL
        level = (np.abs(np.diff(wave)) < CLIPPING_TOLERANCE) & high[1:] & high[:-1]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], level, [False]]).astype(np.int8)))
        starts, stops = edges[::2], edges[1::2] + 1  # of the samples, stop excluded
        long = stops - starts >= MIN_CLIPPED_SAMPLES
        starts, stops = starts[long], stops[long]
        times = [(first + starts) / self._rate, (first + stops) / self._rate]
        self._runs.append(np.stack([*times, np.abs(wave[starts])], axis=1).astype(np.float64))
        self._tail = block[-(MIN_CLIPPED_SAMPLES - 1) :]

    def find_clipped_runs(self) -> ClippedRuns:
        """Return the runs at the very peak: (k, 3)."""
        runs = np.concatenate(self._runs) if self._runs else np.zeros((0, 3))
        found: ClippedRuns = runs[runs[:, 2] >= CLIPPING_PEAK_RATIO * self.peak]
        return found


def _to_int16_bytes(wave: MonoSamples) -> bytes:
    return np.round(wave.clip(-1, 1) * INT16_MAX).astype(np.int16).tobytes()
