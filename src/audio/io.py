"""Read and write audio files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from audio.clip import Clip, ClipError
from audio.ffmpeg import FfmpegError, convert_to_wav
from audio.formats import ENCODINGS, SAMPLE_RATES
from audio.wav_repair import open_unfinished_wav

Samples: TypeAlias = npt.NDArray[np.float32]  # (n, c): n per channel, c channels

WRITABLE_SUFFIXES = tuple(f".{name}" for name in ENCODINGS)
ACTIVE_CHANNEL_RATIO = 1e-4  # of the energy of the loudest channel; a channel below it is unused
PHASE_CANCELLATION_RATIO = 1e-2  # a mix below it has channels that cancel each other out
_REASONS = MappingProxyType(  # what ffmpeg reports, and what it means
    {
        "moov atom not found": "it was not finished when it was recorded: its index is missing",
        "matches no streams": "there is no sound in it",
    }
)
BLOCK_SAMPLES = 1 << 16  # samples decoded or encoded at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLimits:
    """Limits of a file that is read as a clip."""

    shortest_s: float = 0.25
    longest_s: float = 30 * 60.0
    lowest_rate: int = 8_000  # Hz
    highest_rate: int = 384_000  # Hz
    min_peak: float = 10 ** (-70 / 20)  # peak; lower is silence
    samples: int = 400_000_000  # of all channels together; memory
    ffmpeg_timeout_s: float = 120.0  # patience with ffmpeg


DEFAULT_LIMITS = ClipLimits()


def read_clip(path: Path, limits: ClipLimits = DEFAULT_LIMITS) -> Clip:
    """Read an audio file as mono at its own sample rate.

    libsndfile reads wav, flac, ogg, opus and mp3; ffmpeg, if installed, reads other formats. Raises
    ClipError for a file that is missing, unreadable, damaged, silent, too short or too long.
    """
    check_file(path)
    try:
        samples, rate = _decode(path, open_unfinished_wav(path) or path, limits)
        if not len(samples):
            raise soundfile.LibsndfileError(0)
    except soundfile.LibsndfileError:
        converted = decode_with_ffmpeg(path, limits.longest_s, limits.ffmpeg_timeout_s)
        samples, rate = _decode(path, io.BytesIO(converted), limits)
    wave = _mix_to_mono(_check_samples(path, samples, rate, limits))
    return Clip(wave=torch.from_numpy(wave), sample_rate=rate, name=path.name)


def write_clip(path: Path, clip: Clip) -> None:
    """Write a clip in the format of the suffix, atomically.

    wav and flac have 16 bits; opus and mp3 are resampled where they do not support the rate. Raises
    ClipError for an unknown suffix.
    """
    data = encode_clip(clip, path.suffix)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")  # no audio suffix: History lists those
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def encode_clip(clip: Clip, suffix: str) -> bytes:
    """Return the bytes of a file with this suffix (".wav", ".opus", ...)."""
    format = suffix.lower().removeprefix(".")
    if format not in ENCODINGS:
        known = " ".join(sorted(WRITABLE_SUFFIXES))
        raise ClipError(
            f"Clips cannot be written as {suffix!r}. Choose one of {known}.",
            code="unsupported_format",
        )
    container, encoding = ENCODINGS[format]
    clip = clip.resample(_nearest_rate(clip.sample_rate, SAMPLE_RATES.get(format, ())))
    wave = clip.wave.detach().cpu().double().numpy()
    steps = np.clip(np.round(wave * 32_768), -32_768, 32_767).astype(np.int16)
    sink = io.BytesIO()
    with soundfile.SoundFile(
        sink, "w", clip.sample_rate, channels=1, format=container, subtype=encoding
    ) as file:
        for start in range(0, len(steps), BLOCK_SAMPLES):  # long vorbis overruns libsndfile's stack
            file.write(steps[start : start + BLOCK_SAMPLES])
    return sink.getvalue()


def _nearest_rate(rate: int, allowed: tuple[int, ...]) -> int:
    """Return the lowest allowed rate that keeps everything, or the highest there is."""
    if not allowed:
        return rate
    return min((known for known in allowed if known >= rate), default=max(allowed))


class NonSeekableSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is read from start to end.

    The base class seeks around every read, after which mp3 continues with a click.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False


def check_file(path: Path) -> None:
    """Raise ClipError for a path that is no readable file."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ClipError(f"{path} cannot be opened: {error.strerror}. Check the path.") from error
    if not path.is_file():
        raise ClipError(f"{path} is not a file. Give an audio file, such as clip.wav.")
    if size == 0:
        raise ClipError(f"{path.name} is empty (0 bytes). Record or copy it again.")
    if not os.access(path, os.R_OK):
        raise ClipError(f"{path} cannot be read: permission denied. Change its permissions.")


def _decode(
    path: Path, source: Path | io.BufferedIOBase, limits: ClipLimits
) -> tuple[Samples, int]:
    """Read (n, c) samples and the rate; the header is checked before samples are decoded."""
    with NonSeekableSoundFile(source) as file:
        rate, channels = file.samplerate, file.channels
        if not limits.lowest_rate <= rate <= limits.highest_rate:
            raise ClipError(
                f"{path.name} has {rate:,} samples per second; {limits.lowest_rate:,} to "
                f"{limits.highest_rate:,} are allowed. Convert it to 24,000 or 48,000."
            )
        most = min(int(limits.longest_s * rate), limits.samples // channels)
        if isinstance(source, Path):  # a converted stream has no known length
            _check_length(path, file.frames, rate, most)
        blocks, count = [np.zeros((0, channels), np.float32)], 0
        while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
            blocks.append(block)
            count += len(block)
            _check_length(path, count, rate, most)
    return np.concatenate(blocks), rate


def _check_length(path: Path, frames: int, rate: int, most: int) -> None:
    if frames > most:
        raise ClipError(
            f"{path.name} lasts {frames / rate / 60:,.1f} minutes; at most {most / rate / 60:.0f} "
            "are allowed. Cut it into shorter clips.",
            code="clip_too_long",
        )


def decode_with_ffmpeg(
    path: Path,
    longest_s: float,
    timeout_s: float,
    target: Path | None = None,
    poll: Callable[[], None] = lambda: None,
) -> bytes:
    """Convert a file to wav as `audio.ffmpeg.convert_to_wav` does; raises ClipError."""
    try:
        data = convert_to_wav(
            path, max_duration_s=longest_s, timeout_s=timeout_s, target=target, poll=poll
        )
        if not data and (target is None or not target.is_file()):
            raise FfmpegError("no audio in it")
    except FileNotFoundError as error:
        raise ClipError(
            f"{path.name} is not a wav, flac, ogg, opus or mp3 file, or it is damaged. Other "
            "formats need ffmpeg, which is not installed: install it, or convert the file to wav.",
            code="missing_ffmpeg",
        ) from error
    except TimeoutError as error:
        raise ClipError(
            f"{path.name} was not decoded within {timeout_s:g} s. Convert it to wav.",
            code="clip_too_long",
        ) from error
    except FfmpegError as error:
        reason = str(error).replace(f"file:{path.resolve()}: ", "")
        reason = next((told for sign, told in _REASONS.items() if sign in reason), reason)
        raise ClipError(
            f"{path.name} cannot be read as audio ({reason}). It is damaged or not an audio "
            "file; convert it to wav, or leave it out."
        ) from error
    return data


def _check_samples(path: Path, samples: Samples, rate: int, limits: ClipLimits) -> Samples:
    if len(samples) < max(1, limits.shortest_s * rate):
        raise ClipError(
            f"{path.name} lasts {len(samples) / rate:.2f} s; at least {limits.shortest_s:g} s are "
            "needed. Join it with another clip, or leave it out.",
            code="clip_too_short",
        )
    if not np.isfinite(samples).all():
        raise ClipError(
            f"{path.name} contains NaN or infinite samples. Export it again, as 16-bit wav."
        )
    if np.abs(samples).max() < limits.min_peak:
        raise ClipError(
            f"{path.name} is silent: its peak is below "
            f"{20 * np.log10(limits.min_peak):.0f} dB. Record it louder, or leave it out.",
            code="silent_clip",
        )
    return samples


def compute_mix_weights(correlation: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the weight of each channel in a mono mix: (c, c) products of channels -> (c,).

    Channels with signal are averaged. Where they cancel each other out (one of them has its
    polarity reversed), the loudest is taken.
    """
    energy = np.diag(correlation)
    active = energy > energy.max() * ACTIVE_CHANNEL_RATIO
    weights = active / max(1, active.sum())
    if weights @ correlation @ weights < energy.max() * PHASE_CANCELLATION_RATIO:
        weights = np.arange(len(energy)) == energy.argmax()
    mix: npt.NDArray[np.float32] = weights.astype(np.float32)
    return mix


def _mix_to_mono(samples: Samples) -> Samples:
    """Mix the channels: (n, c) -> (n,), with no peak beyond 1."""
    level = samples / max(float(np.abs(samples).max()), 1.0)  # squares of large samples overflow
    mixed = samples @ compute_mix_weights((level.T @ level).astype(np.float64))
    peak = np.abs(mixed).max()
    scaled: Samples = np.ascontiguousarray(mixed / max(float(peak), 1.0), dtype=np.float32)
    return scaled
