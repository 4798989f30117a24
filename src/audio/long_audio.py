"""Recordings of any length: decoded block by block into a working copy, of which parts are heard.

An hour becomes 159 MB on disk and next to nothing in memory. The file itself is only read.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch

from audio.clip import Clip, ClipError
from audio.io import FFMPEG_FORMATS, NonSeekableSoundFile, Samples, check_file

MonoSamples = npt.NDArray[np.float32]  # (n,)
ClippedRuns = npt.NDArray[np.float64]  # (k, 3): first second, last second, level

BLOCK_S = 4.0  # decoded at a time
INT16_MAX = 32_767
CLIPPING_TOLERANCE = 2e-4  # two samples of 16 bits that differ by less are equal
MIN_CLIPPED_SAMPLES = 3  # equal samples in a row
MIN_CLIPPING_LEVEL = 0.2  # of full scale; below it nobody clips
CLIPPING_PEAK_RATIO = 0.99  # of the highest sample
PHASE_CANCELLATION_RATIO = (
    1e-2  # a mix with less of the energy has channels that are wired against each other
)
ACTIVE_CHANNEL_RATIO = 1e-4  # of the loudest channel's energy
FFMPEG_TIMEOUT_S = 3600.0  # patience with ffmpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingLimits:
    """What a file must be to count as a recording."""

    shortest_s: float = 0.25
    longest_s: float = 24 * 3600.0
    lowest_rate: int = 8_000  # Hz
    highest_rate: int = 384_000  # Hz
    min_peak: float = 10 ** (-60 / 20)  # peak; what lies below is silence


DEFAULT_LIMITS = RecordingLimits()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A working copy on disk.

    samples: (n,) 16 bit, read as needed;  cut_peaks: where the tops of its wave were cut off.
    """

    name: str
    samples: npt.NDArray[np.int16]
    sample_rate: int
    clipped_runs: ClippedRuns

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate

    def extract_clip(self, start_s: float, stop_s: float) -> Clip:
        """Return what is heard from one second to another."""
        start, stop = (round(at * self.sample_rate) for at in (max(0.0, start_s), stop_s))
        wave = torch.from_numpy(self.samples[start:stop].astype(np.float32) / INT16_MAX)
        return Clip(wave=wave, sample_rate=self.sample_rate, name=self.name)

    def get_clipped_fraction(self, start_s: float, stop_s: float) -> float:
        """Say which share of the time between two seconds has its peaks cut off."""
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
    limits: RecordingLimits = DEFAULT_LIMITS,
) -> Recording:
    """Decode a file into `work` as one channel at `sample_rate`.

    progress: told how many seconds are done; what it raises ends the work. What libsndfile cannot
    read, ffmpeg turns into wav first, where there is one. Raises ClipError, saying what came, what
    is allowed and what to do, for a file that cannot be used.
    """
    check_file(path)
    converted = work.with_name(f"{work.name}.w64")
    try:
        readable = (
            path if _is_readable(path) else _convert_with_ffmpeg(path, converted, progress, limits)
        )
        runs = _write_mono(path, readable, work, sample_rate, progress, limits)
    finally:
        converted.unlink(missing_ok=True)
    samples = np.memmap(work, np.int16, "r") if work.stat().st_size else np.zeros(0, np.int16)
    return Recording(name=path.name, samples=samples, sample_rate=sample_rate, clipped_runs=runs)


def estimate_duration_s(path: Path) -> float:
    """Say how long a file lasts by its header; by its size where the header cannot be read."""
    try:
        found = soundfile.info(path)
        return float(found.frames / found.samplerate)
    except (soundfile.LibsndfileError, OSError, ZeroDivisionError):
        return _get_file_size(path) / 16_000  # 128 kbit/s


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
    limits: RecordingLimits,
) -> ClippedRuns:
    """Mix and resample block by block; return where peaks are cut."""
    weights = _compute_channel_weights(path, readable, progress, limits)
    with NonSeekableSoundFile(readable) as file:
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
    if peaks.peak < limits.min_peak:
        raise ClipError(
            f"{path.name} is silent: nothing in it is louder than "
            f"{20 * np.log10(limits.min_peak):.0f} dB. Record it louder, or leave it out.",
            code="silent_clip",
        )
    return peaks.find_clipped_runs()


def _check_header(path: Path, file: soundfile.SoundFile, limits: RecordingLimits) -> None:
    if not limits.lowest_rate <= file.samplerate <= limits.highest_rate:
        raise ClipError(
            f"{path.name} says it has {file.samplerate:,} samples per second; "
            f"{limits.lowest_rate:,} to {limits.highest_rate:,} are allowed. Convert it to 48,000."
        )


def _read_blocks(
    path: Path, file: soundfile.SoundFile, limits: RecordingLimits
) -> Iterator[Samples]:
    """Yield (n, c) samples, all of them finite."""
    size, done = round(BLOCK_S * file.samplerate), 0
    try:
        while len(block := file.read(size, dtype="float32", always_2d=True)):
            done += len(block)
            if done > limits.longest_s * file.samplerate:
                hours = limits.longest_s / 3600
                raise ClipError(f"{path.name} lasts more than {hours:g} hours. Cut it into parts.")
            if not np.isfinite(block).all():
                raise ClipError(
                    f"{path.name} holds samples that are not numbers (NaN or infinite). Export it "
                    "again, as 16-bit wav."
                )
            yield block
    except soundfile.LibsndfileError as error:
        raise ClipError(f"{path.name} is damaged at {done / file.samplerate:.0f} s.") from error


def _compute_channel_weights(
    path: Path, readable: Path, progress: Callable[[float], None], limits: RecordingLimits
) -> MonoSamples:
    """Say how much of each channel goes into the mix: (c,); no peak of it is beyond 1.

    Channels that hold sound are averaged. Where they cancel each other out (one is wired the wrong
    way round), the loudest is taken.
    """
    with NonSeekableSoundFile(readable) as file:
        _check_header(path, file, limits)
        if file.channels == 1 and file.subtype not in ("FLOAT", "DOUBLE"):
            return np.ones(1, np.float32)
        together, highest = np.zeros((file.channels, file.channels)), 1.0
        for block in _read_blocks(path, file, limits):
            wide = block.astype(np.float64)
            together += wide.T @ wide  # (c, c)
            highest = max(highest, float(np.abs(block).max()))
            progress(0.0)
    energy = np.diag(together)
    heard = energy > energy.max() * ACTIVE_CHANNEL_RATIO
    weights = heard / max(1, heard.sum())
    if weights @ together @ weights < energy.max() * PHASE_CANCELLATION_RATIO:
        weights = (np.arange(file.channels) == energy.argmax()).astype(np.float64)
    mixed: MonoSamples = (weights / highest).astype(np.float32)
    return mixed


class _ClippingDetector:
    """Notes, block by block, where the wave stays level at a high place."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._tail: MonoSamples = np.zeros(0, np.float32)
        self._runs: list[ClippedRuns] = []
        self._done = 0
        self.peak = 0.0

    @property
    def duration_s(self) -> float:
        return self._done / self._rate

    def add(self, block: MonoSamples) -> None:
        wave = np.concatenate([self._tail, block])
        first = self._done - len(self._tail)
        self._done += len(block)
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
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


def _convert_with_ffmpeg(
    path: Path, target: Path, progress: Callable[[float], None], limits: RecordingLimits
) -> Path:
    """Let ffmpeg turn the file into wav; never more of it than is allowed, plus a second."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ClipError(
            f"{path.name} is not a wav, flac, ogg, opus or mp3 file, or it is damaged. Other "
            "formats need ffmpeg, which is not installed: install it, or convert the file to wav.",
            code="missing_ffmpeg",
        )
    command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-y"]
    command += ["-format_whitelist", FFMPEG_FORMATS, "-i", f"file:{path.resolve()}"]
    command += ["-map", "0:a:0", "-t", f"{limits.longest_s + 1:g}", "-c:a", "pcm_s16le"]
    command += ["-f", "w64", f"file:{target.resolve()}"]
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints
        ) as running:
            try:
                _wait_for_ffmpeg(path, running, progress)
            finally:
                running.kill()
        complaints.seek(0)
        told = complaints.read(10_000)
    if running.returncode != 0 or not target.is_file():
        reasons = told.decode("utf-8", "replace").strip().splitlines() or ["no sound in it"]
        reason = reasons[0].split("] ")[-1].replace(f"file:{path.resolve()}: ", "")
        raise ClipError(
            f"{path.name} cannot be read as sound ({reason}). It is damaged or no sound file; "
            "convert it to wav, or leave it out."
        )
    return target


def _wait_for_ffmpeg(
    path: Path, running: subprocess.Popen[bytes], progress: Callable[[float], None]
) -> None:
    until = time.monotonic() + FFMPEG_TIMEOUT_S
    while True:
        try:
            running.wait(timeout=0.2)
            return
        except subprocess.TimeoutExpired:
            progress(0.0)
        if time.monotonic() > until:
            raise ClipError(
                f"{path.name} was not decoded within an hour. Convert it to wav.",
                code="clip_too_long",
            )


def _get_file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
