"""Clips from and to files. The only place that decodes or encodes sound; never edits a file."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from audio.clip import Clip, ClipError

Samples: TypeAlias = npt.NDArray[np.float32]  # (n, c): n per channel, c channels

WRITABLE_FORMATS = MappingProxyType(  # suffix: container and encoding as libsndfile calls them
    {
        ".wav": ("WAV", "PCM_16"),
        ".flac": ("FLAC", "PCM_16"),
        ".ogg": ("OGG", "VORBIS"),
        ".opus": ("OGG", "OPUS"),
        ".mp3": ("MP3", "MPEG_LAYER_III"),
    }
)
READABLE_SUFFIXES = frozenset(WRITABLE_FORMATS) | {  # what a folder of clips is searched for
    *(".aac", ".aif", ".aiff", ".au", ".caf", ".m4a", ".mka", ".mkv"),
    *(".mov", ".mp4", ".oga", ".w64", ".webm", ".wma"),
}
ENCODER_SAMPLE_RATES = MappingProxyType(  # Hz that an encoding takes, where it does not take all
    {
        "OPUS": (8_000, 12_000, 16_000, 24_000, 48_000),
        "MPEG_LAYER_III": (
            *(8_000, 11_025, 12_000, 16_000, 22_050),
            *(24_000, 32_000, 44_100, 48_000),
        ),
    }
)
FFMPEG_FORMATS = (  # containers of sound only: a playlist could name other files
    "aac,aiff,amr,ape,asf,avi,caf,flac,flv,matroska,webm,mov,mp4,m4a,mp3,mpeg,mpegts,ogg,wav,wv"
)
BLOCK_SAMPLES = 1 << 16  # samples decoded or encoded at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLimits:
    """What a file must be to count as a clip."""

    shortest_s: float = 0.25
    longest_s: float = 30 * 60.0
    lowest_rate: int = 8_000  # Hz
    highest_rate: int = 384_000  # Hz
    min_peak: float = 10 ** (-70 / 20)  # peak; what lies below is silence
    samples: int = 400_000_000  # of all channels together; memory
    ffmpeg_timeout_s: float = 120.0  # patience with ffmpeg


DEFAULT_LIMITS = ClipLimits()


def read_clip(path: Path, limits: ClipLimits = DEFAULT_LIMITS) -> Clip:
    """Read any sound file as mono at its own sample rate.

    wav, flac, ogg, opus, mp3 and the like are read here, everything else by ffmpeg where there is
    one. Channels that hold sound are averaged. Raises ClipError, saying what came, what is allowed
    and what to do, for a file that is missing, unreadable, damaged, silent, too short or too long.
    """
    check_file(path)
    try:
        samples, rate = _decode(path, path, limits)
    except soundfile.LibsndfileError:
        samples, rate = _decode(path, io.BytesIO(_convert_with_ffmpeg(path, limits)), limits)
    wave = _mix_to_mono(_check_samples(path, samples, rate, limits))
    return Clip(wave=torch.from_numpy(wave), sample_rate=rate, name=path.name)


def write_clip(path: Path, clip: Clip) -> None:
    """Write the clip in the format of the suffix, whole or not at all.

    wav and flac hold 16 bits; opus and mp3 are resampled where they do not know the rate. Raises
    ClipError for an unknown suffix and OSError where the disk refuses.
    """
    data = encode_clip(clip, path.suffix)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def encode_clip(clip: Clip, suffix: str) -> bytes:
    """Return the bytes of a file with this suffix (".wav", ".opus", ...)."""
    if suffix.lower() not in WRITABLE_FORMATS:
        known = " ".join(sorted(WRITABLE_FORMATS))
        raise ClipError(
            f"Clips cannot be written as {suffix!r}. Choose one of {known}.",
            code="unsupported_format",
        )
    container, encoding = WRITABLE_FORMATS[suffix.lower()]
    clip = clip.resample(_nearest_rate(clip.sample_rate, ENCODER_SAMPLE_RATES.get(encoding, ())))
    wave = clip.wave.detach().cpu().double().numpy()
    steps = np.clip(np.round(wave * 32_768), -32_768, 32_767).astype(np.int16)
    sink = io.BytesIO()
    with soundfile.SoundFile(
        sink, "w", clip.sample_rate, channels=1, format=container, subtype=encoding
    ) as file:
        for start in range(
            0, len(steps), BLOCK_SAMPLES
        ):  # libsndfile overruns its stack on long vorbis
            file.write(steps[start : start + BLOCK_SAMPLES])
    return sink.getvalue()


def _nearest_rate(rate: int, allowed: tuple[int, ...]) -> int:
    """The lowest allowed rate that keeps everything, or the highest there is."""
    if not allowed:
        return rate
    return min((known for known in allowed if known >= rate), default=max(allowed))


# reading, step by step


class NonSeekableSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is read from its first to its last sample.

    The base class seeks around every read where it can, after which mp3 goes on with a click.
    """

    def seekable(self) -> bool:
        """Say no, whatever the file could."""
        return False


def check_file(path: Path) -> None:
    """Raise ClipError for what is no file that can be opened."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ClipError(f"{path} cannot be opened: {error.strerror}. Check the path.") from error
    if not path.is_file():
        raise ClipError(f"{path} is not a file. Name one sound file, such as clip.wav.")
    if size == 0:
        raise ClipError(f"{path.name} is empty (0 bytes). Record or copy it again.")
    if not os.access(path, os.R_OK):
        raise ClipError(f"{path} may not be read by this user. Change its permissions.")


def _decode(path: Path, source: Path | io.BytesIO, limits: ClipLimits) -> tuple[Samples, int]:
    """Read (n, c) samples and the rate; the header is checked before a sample is decoded."""
    with NonSeekableSoundFile(source) as file:
        rate, channels = file.samplerate, file.channels
        if not limits.lowest_rate <= rate <= limits.highest_rate:
            raise ClipError(
                f"{path.name} says it has {rate:,} samples per second; {limits.lowest_rate:,} to "
                f"{limits.highest_rate:,} are allowed. Convert it to 24,000 or 48,000."
            )
        most = min(int(limits.longest_s * rate), limits.samples // channels)
        if isinstance(source, Path):  # a converted stream does not know its length
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


def _convert_with_ffmpeg(path: Path, limits: ClipLimits) -> bytes:
    """Let ffmpeg turn the file into wav; never more of it than is allowed, plus a second."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ClipError(
            f"{path.name} is not a wav, flac, ogg, opus or mp3 file, or it is damaged. Other "
            "formats need ffmpeg, which is not installed: install it, or convert the file to wav.",
            code="missing_ffmpeg",
        )
    command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file"]
    command += ["-format_whitelist", FFMPEG_FORMATS, "-i", f"file:{path.resolve()}"]
    command += ["-map", "0:a:0", "-t", f"{limits.longest_s + 1:g}", "-c:a", "pcm_s16le"]
    command += ["-protocol_whitelist", "pipe", "-f", "wav", "pipe:1"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limits.ffmpeg_timeout_s
        )
    except subprocess.TimeoutExpired as error:
        raise ClipError(
            f"{path.name} was not decoded within {limits.ffmpeg_timeout_s:g} s. Convert it to wav.",
            code="clip_too_long",
        ) from error
    if done.returncode != 0 or not done.stdout:
        reasons = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no sound in it"]
        reason = reasons[0].split("] ")[-1].replace(f"file:{path.resolve()}: ", "")
        raise ClipError(
            f"{path.name} cannot be read as sound ({reason}). It is damaged or no sound file; "
            "convert it to wav, or leave it out."
        )
    return done.stdout


def _check_samples(path: Path, samples: Samples, rate: int, limits: ClipLimits) -> Samples:
    if len(samples) < max(1, limits.shortest_s * rate):
        raise ClipError(
            f"{path.name} lasts {len(samples) / rate:.2f} s; at least {limits.shortest_s:g} s are "
            "needed. Join it with another clip, or leave it out.",
            code="clip_too_short",
        )
    if not np.isfinite(samples).all():
        raise ClipError(
            f"{path.name} holds samples that are not numbers (NaN or infinite). Export it again, "
            "as 16-bit wav."
        )
    if np.abs(samples).max() < limits.min_peak:
        raise ClipError(
            f"{path.name} is silent: nothing in it is louder than "
            f"{20 * np.log10(limits.min_peak):.0f} dB. Record it louder, or leave it out.",
            code="silent_clip",
        )
    return samples


def _mix_to_mono(samples: Samples) -> Samples:
    """Average the channels that hold sound: (n, c) -> (n,), with no peak beyond 1.

    Where channels cancel out (one of them is wired the wrong way round), the loudest is taken.
    """
    energy = np.square(samples).mean(axis=0)  # (c,)
    mixed = samples[:, energy > energy.max() * 1e-4].mean(axis=1)
    if np.square(mixed).mean() < energy.max() * 1e-2:
        mixed = samples[:, energy.argmax()]
    peak = np.abs(mixed).max()
    scaled: Samples = np.ascontiguousarray(mixed / max(float(peak), 1.0), dtype=np.float32)
    return scaled
