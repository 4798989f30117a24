"""Read and write audio files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch

from audio.clip import Clip, ClipError
from audio.encoders import write_file
from audio.ffmpeg import FfmpegError, convert_to_wav
from audio.formats import BIT_DEPTHS, ENCODINGS, SAMPLE_RATES
from audio.wav_repair import open_unfinished_wav
from core.files import atomic_path

Samples: TypeAlias = npt.NDArray[np.float32]  # (n, c): n per channel, c channels
MonoSamples: TypeAlias = npt.NDArray[np.float32]  # (n,)

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
BYTES_PER_SAMPLE = 2  # of a converted file
MAX_24 = 2**23  # full scale of 24 bits
MAX_WAV_HEADER_BYTES = 1 << 20
MAX_CONVERTED_BYTES = 24 * 3600 * 48_000 * 2 * BYTES_PER_SAMPLE  # a day of stereo, on disk


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """Limits of a file that is read. min_peak: of the samples; lower is silence."""

    shortest_s: float = 0.25
    longest_s: float = 30 * 60.0
    lowest_rate: int = 8_000  # Hz
    highest_rate: int = 384_000  # Hz
    min_peak: float = 10 ** (-70 / 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLimits(AudioLimits):
    """Limits of a file that is read as a clip."""

    samples: int = 400_000_000  # of all channels together; decoding time
    frames: int = 100_000_000  # of one channel, which is kept in memory
    ffmpeg_timeout_s: float = 120.0  # patience with ffmpeg


DEFAULT_LIMITS = ClipLimits()


def read_clip(path: Path, limits: ClipLimits = DEFAULT_LIMITS) -> Clip:
    """Read an audio file as mono at its own sample rate.

    libsndfile reads wav, flac, ogg, opus and mp3; ffmpeg, if installed, reads other formats. Raises
    ClipError for a file that is missing, unreadable, damaged, silent, too short or too long.
    """
    check_file(path)
    try:
        decoded = _decode(path, path, limits)
        if not len(decoded.wave):
            raise soundfile.LibsndfileError(0)
    except soundfile.LibsndfileError:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            converted = Path(folder) / "converted.w64"
            decode_with_ffmpeg(
                path,
                limits.longest_s,
                limits.ffmpeg_timeout_s,
                converted,
                max_bytes=limits.samples * BYTES_PER_SAMPLE + MAX_WAV_HEADER_BYTES,
            )
            decoded = _decode(path, converted, limits)
    _check_decoded(path, decoded, limits)
    wave = decoded.wave
    if len(wave):
        wave /= max(float(-wave.min()), float(wave.max()), 1.0)  # no peak beyond 1
    return Clip(wave=torch.from_numpy(wave), sample_rate=decoded.sample_rate, name=path.name)


def write_clip(path: Path, clip: Clip, comment: str = "", bit_depth: str = "16") -> None:
    """Write a clip in the format of the suffix, atomically and block by block.

    opus and mp3 are resampled where they do not support the rate. comment: for the comment tag.
    bit_depth: of wav and flac, a key of BIT_DEPTHS. Raises ClipError for an unknown suffix, and for
    a bit depth that the format does not have.
    """
    format = path.suffix.lower().removeprefix(".")
    if format not in ENCODINGS:
        known = " ".join(sorted(WRITABLE_SUFFIXES))
        raise ClipError(
            f"Clips cannot be written as {path.suffix!r}. Choose one of {known}.",
            code="unsupported_format",
        )
    depths = BIT_DEPTHS.get(format, {bit_depth: ""})
    if bit_depth not in depths:
        raise ClipError(f"{format} has {' or '.join(depths)} bits, not {bit_depth}.")
    rate = _nearest_rate(clip.sample_rate, SAMPLE_RATES.get(format, ()))
    bits = bit_depth if format in BIT_DEPTHS else "16"
    with atomic_path(path) as part:
        blocks = _iter_blocks(clip, rate, bits)
        write_file(part, blocks, format, rate, comment, depths[bit_depth])


def _iter_blocks(
    clip: Clip, rate: int, bits: str
) -> Iterator[npt.NDArray[Any]]:  # Any: an integer or float type
    """Yield the samples of a clip at a rate, (n,), rounded to 16 or 24 bits, or as float32."""
    wave = clip.wave.detach().cpu()
    resampler = soxr.ResampleStream(clip.sample_rate, rate, 1, "float32", "HQ")
    for start in range(0, len(wave), BLOCK_SAMPLES):  # long vorbis overruns libsndfile's stack
        block = wave[start : start + BLOCK_SAMPLES].float().numpy()
        if rate != clip.sample_rate:
            block = resampler.resample_chunk(block, last=start + BLOCK_SAMPLES >= len(wave))
        if bits == "16":
            steps = np.round(block.astype(np.float64) * 32_768)
            yield steps.clip(-32_768, 32_767).astype(np.int16)
        elif bits == "24":
            steps = np.round(block.astype(np.float64) * MAX_24)
            yield steps.clip(-MAX_24, MAX_24 - 1).astype(np.int32) << 8  # the upper 24 of 32 bits
        else:
            yield block


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decoded:
    """A decoded file.  wave: (n,) mono. peak: of all channels."""

    wave: MonoSamples
    sample_rate: int
    peak: float


def _decode(path: Path, source: Path, limits: ClipLimits) -> _Decoded:
    """Decode block by block, so that memory is needed for one channel only.

    path: as messages name it; source: the file that is read, which may be a converted one. The
    header is checked before samples are decoded.
    """
    with _open_clip(path, source, limits) as file:
        rate, channels = file.samplerate, file.channels
        weights = np.ones(1, np.float32)
        if channels > 1:
            correlation = np.zeros((channels, channels))
            for block in _read_blocks(path, file, limits):
                wide = block.astype(np.float64)
                correlation += wide.T @ wide
            weights = compute_mix_weights(correlation)
    mono, peak = bytearray(), 0.0
    with _open_clip(path, source, limits) as file:
        for block in _read_blocks(path, file, limits):
            peak = max(peak, float(np.abs(block).max()))
            mono += (block @ weights).tobytes()
    return _Decoded(wave=np.frombuffer(mono, np.float32), sample_rate=rate, peak=peak)


def _open_clip(path: Path, source: Path, limits: ClipLimits) -> NonSeekableSoundFile:
    """Open a file whose header is within the limits."""
    file = NonSeekableSoundFile(open_unfinished_wav(source) or source)
    rate = file.samplerate
    if not limits.lowest_rate <= rate <= limits.highest_rate:
        file.close()
        raise ClipError(
            f"{path.name} has {rate:,} samples per second; {limits.lowest_rate:,} to "
            f"{limits.highest_rate:,} are allowed. Convert it to 24,000 or 48,000."
        )
    return file


def _read_blocks(path: Path, file: soundfile.SoundFile, limits: ClipLimits) -> Iterator[Samples]:
    """Yield finite (n, c) samples, at most as many as the limits allow."""

    def check(frames: int) -> None:
        _check_length(path, file, frames, limits)

    check(file.frames)
    yield from read_finite_blocks(path, file, BLOCK_SAMPLES, check)


def read_finite_blocks(
    path: Path, file: soundfile.SoundFile, size: int, check: Callable[[int], None]
) -> Iterator[Samples]:
    """Yield the rest of a file as (n, c) samples, n at most `size`.

    check: called with the frames read so far. Raises ClipError for NaN and infinite samples.
    """
    done = 0
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        done += len(block)
        check(done)
        if not np.isfinite(block).all():
            raise ClipError(
                f"{path.name} contains NaN or infinite samples. Export it again, as 16-bit wav."
            )
        yield block


def _check_length(path: Path, file: soundfile.SoundFile, frames: int, limits: ClipLimits) -> None:
    rate, longest = file.samplerate, int(limits.longest_s * file.samplerate)
    most = min(longest, limits.samples // file.channels, limits.frames)
    if frames <= most:
        return
    size, cure = "", "Cut it into shorter clips."
    if most < longest:
        size = f" of {file.channels} x {rate:,} samples per second"
        cure = "Cut it into shorter clips, or convert it to one channel of 48,000."
    raise ClipError(
        f"{path.name} lasts {frames / rate / 60:,.1f} minutes; at most {most / rate / 60:.3g} "
        f"are allowed{size}. {cure}",
        code="clip_too_long",
    )


def decode_with_ffmpeg(
    path: Path,
    longest_s: float,
    timeout_s: float,
    target: Path,
    poll: Callable[[], None] = lambda: None,
    max_bytes: int = MAX_CONVERTED_BYTES,
) -> None:
    """Convert a file as `audio.ffmpeg.convert_to_wav` does; raises ClipError."""
    try:
        convert_to_wav(
            path,
            max_duration_s=longest_s,
            timeout_s=timeout_s,
            target=target,
            poll=poll,
            max_bytes=max_bytes,
        )
        if not target.is_file():
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


def _check_decoded(path: Path, decoded: _Decoded, limits: ClipLimits) -> None:
    samples, rate = decoded.wave, decoded.sample_rate
    if len(samples) < max(1, limits.shortest_s * rate):
        raise ClipError(
            f"{path.name} lasts {len(samples) / rate:.2f} s; at least {limits.shortest_s:g} s are "
            "needed. Join it with another clip, or leave it out.",
            code="clip_too_short",
        )
    swing = (float(samples.max()) - float(samples.min())) / 2  # a constant offset is no sound
    if min(decoded.peak, swing) < limits.min_peak:
        raise ClipError(
            f"{path.name} is silent: its peak is below "
            f"{20 * np.log10(limits.min_peak):.0f} dB. Record it louder, or leave it out.",
            code="silent_clip",
        )


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
