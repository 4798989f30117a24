"""Every sound file becomes a clip or a sentence; a written clip is whole or not there."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tracemalloc
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audio.clip import Clip, ClipError
from audio.ffmpeg import convert_to_wav
from audio.io import DEFAULT_LIMITS, WRITABLE_SUFFIXES, read_clip, write_clip
from audio.quality import assess_clip_quality

RATE = 24_000
NOISE = np.random.default_rng(0).bytes(4_096)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def tone(seconds: float = 0.5, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    return level * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate)


def clip_of(samples: np.ndarray, rate: int = RATE) -> Clip:
    return Clip(wave=torch.from_numpy(samples.astype(np.float32)), sample_rate=rate, name="tone")


def pitch_of(clip: Clip) -> float:
    """The strongest frequency in Hz."""
    spectrum = torch.fft.rfft(clip.wave).abs()
    return float(spectrum.argmax()) * clip.sample_rate / len(clip.wave)


# what can be read


@pytest.mark.parametrize(
    ("name", "subtype", "step"),
    [
        ("a.wav", "PCM_U8", 2**-6),
        ("a.wav", "PCM_16", 2**-14),
        ("a.wav", "PCM_24", 2**-22),
        ("a.wav", "PCM_32", 2**-22),
        ("a.wav", "FLOAT", 2**-22),
        ("a.wav", "DOUBLE", 2**-22),
        ("a.flac", "PCM_24", 2**-22),
    ],
)
def test_every_lossless_encoding_gives_the_samples(
    tmp_path: Path, name: str, subtype: str, step: float
) -> None:
    soundfile.write(tmp_path / name, tone(), RATE, subtype=subtype)
    clip = read_clip(tmp_path / name)
    assert (clip.sample_rate, clip.name, clip.wave.dtype) == (RATE, name, torch.float32)
    torch.testing.assert_close(clip.wave.double(), torch.from_numpy(tone()), atol=step, rtol=0)


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
def test_the_sample_rate_is_the_files_own(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(rate=rate), rate)
    clip = read_clip(tmp_path / "a.wav")
    assert clip.sample_rate == rate and clip.duration_s == pytest.approx(0.5)
    assert clip.resample(RATE).duration_s == pytest.approx(0.5, abs=1e-3)


def test_channels_that_hold_sound_are_averaged(tmp_path: Path) -> None:
    left, right, none = tone(level=0.6), tone(level=0.2), np.zeros_like(tone())
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    surround = np.stack([none, none, left, none, none, none], 1)  # 5.1: speech in the centre
    soundfile.write(tmp_path / "surround.wav", surround, RATE, subtype="FLOAT")
    assert read_clip(tmp_path / "stereo.wav").wave.max() == pytest.approx(0.4, abs=1e-3)
    assert read_clip(tmp_path / "surround.wav").wave.max() == pytest.approx(0.6, abs=1e-3)


def test_channels_that_cancel_out_do_not_become_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), -tone()], 1), RATE)
    assert read_clip(tmp_path / "a.wav").wave.abs().max() == pytest.approx(0.5, abs=1e-3)


def test_a_float_file_beyond_full_scale_is_brought_down(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(level=20_000.0), RATE, subtype="FLOAT")
    assert read_clip(tmp_path / "a.wav").wave.abs().max() == pytest.approx(1.0)


@needs_ffmpeg
@pytest.mark.parametrize(
    "suffix", [".m4a", ".webm", ".mp4", ".aac", ".mkv", ".mov", ".caf", ".aiff", ".3gp"]
)
def test_other_formats_come_through_ffmpeg(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, 48_000), 48_000)
    codec = ["-c:a", "aac"] if suffix == ".3gp" else []
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", "a.wav", *codec, f"a{suffix}"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    clip = read_clip(tmp_path / f"a{suffix}")
    assert clip.sample_rate == 48_000 and clip.duration_s == pytest.approx(1.0, abs=0.1)
    assert pitch_of(clip) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("name", ["-i.wav", "a b 'c' $(d).wav", "ünï.flac", "lies.mp3"])
def test_odd_names_and_lying_suffixes_are_read_by_content(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / "plain.wav", tone(), RATE)
    (tmp_path / "plain.wav").rename(tmp_path / name)
    assert pitch_of(read_clip(tmp_path / name)) == pytest.approx(440, abs=2)


def test_reading_leaves_the_file_and_its_folder_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, tone(), RATE)
    path.chmod(0o444)
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    read_clip(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, stamp)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("claimed", [0, 100, 2**31, 2**32 - 1])
def test_a_wav_header_that_lies_about_the_length_is_not_believed(
    tmp_path: Path, claimed: int
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", claimed)
    path.write_bytes(data)
    assert read_clip(path).duration_s == pytest.approx(len(tone()) / RATE, abs=1e-3)


def test_a_truncated_file_gives_what_is_there_or_a_sentence(tmp_path: Path) -> None:
    for suffix in WRITABLE_SUFFIXES:
        path = tmp_path / f"a{suffix}"
        write_clip(path, clip_of(tone(2.0)))
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        read_or_refuse(path)


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_never_gives_more_than_a_sentence(tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    suffix = sorted(WRITABLE_SUFFIXES)[seed % len(WRITABLE_SUFFIXES)]
    path = tmp_path / f"a{suffix}"
    write_clip(path, clip_of(tone()))
    data = bytearray(path.read_bytes())
    for at in chance.integers(0, len(data), 20):
        data[at] = chance.integers(0, 256)
    path.write_bytes(data)
    read_or_refuse(path)


def read_or_refuse(path: Path) -> None:
    """A damaged file is a sound clip or a ClipError that names it; never anything else."""
    try:
        clip = read_clip(path)
    except ClipError as refusal:
        assert path.name in str(refusal)
    else:
        assert torch.isfinite(clip.wave).all() and clip.wave.abs().max() <= 1


# what is refused


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    for path, sentence in (
        (tmp_path / "gone.wav", "gone.wav cannot be opened: No such file"),
        (tmp_path, "is not a file"),
        (tmp_path / "empty.wav", r"empty \(0 bytes\)"),
    ):
        with pytest.raises(ClipError, match=sentence):
            read_clip(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(ClipError, match="is not a file"):
        read_clip(tmp_path / "a.wav")


@needs_ffmpeg
@pytest.mark.parametrize("content", [b"once upon a time\n" * 50, NOISE])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "story.wav").write_bytes(content)
    with pytest.raises(ClipError, match=r"story.wav cannot be read as audio \(.+\)"):
        read_clip(tmp_path / "story.wav")


@needs_ffmpeg
def test_a_playlist_cannot_name_other_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "secret.wav", tone(), RATE)
    (tmp_path / "a.m3u8").write_text(
        f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "b.m4a").write_text(f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n")
    for name in ("a.m3u8", "b.m4a"):
        with pytest.raises(ClipError, match="cannot be read as audio"):
            read_clip(tmp_path / name)


def test_without_ffmpeg_other_formats_are_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(ClipError, match="need ffmpeg, which is not installed: install it"):
        read_clip(tmp_path / "a.m4a")


def test_a_decoder_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "ffmpeg"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(ClipError, match=r"not decoded within 0.2 s"):
        read_clip(tmp_path / "a.m4a", replace(DEFAULT_LIMITS, ffmpeg_timeout_s=0.2))


@pytest.mark.parametrize("samples", [0, 1, 5_999])
def test_a_clip_that_is_too_short_is_refused(tmp_path: Path, samples: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone()[:samples], RATE)
    with pytest.raises(ClipError, match=r"lasts 0\.\d\d s; at least 0.25 s"):
        read_clip(tmp_path / "a.wav")


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_refused(tmp_path: Path, level: float) -> None:
    soundfile.write(tmp_path / "a.flac", tone(level=level), RATE)
    with pytest.raises(ClipError, match="is silent: its peak is below -70 dB"):
        read_clip(tmp_path / "a.flac")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    samples = tone()
    samples[1_000] = bad
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(ClipError, match="NaN or infinite"):
        read_clip(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1, 4_000, 2_000_000])
def test_a_sample_rate_that_cannot_be_speech_is_refused(tmp_path: Path, rate: int) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(20_000))
    with pytest.raises(ClipError, match=f"{rate:,} samples per second; 8,000 to 384,000"):
        read_clip(tmp_path / "a.wav")


def test_a_gigantic_file_is_refused_by_its_header_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    hours = 3 * 3_600 * RATE * 2
    data = path.read_bytes()
    at = data.index(b"data") + 4
    header = data[:4] + struct.pack("<I", at + hours) + data[8:at] + struct.pack("<I", hours)
    path.write_bytes(header)
    os.truncate(path, len(header) + hours)  # sparse: takes no disk
    with pytest.raises(ClipError, match=r"lasts 180.0 minutes; at most 30 are allowed. Cut it"):
        read_clip(path)


@needs_ffmpeg
def test_a_long_file_behind_ffmpeg_is_refused_too(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(4.0), RATE)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", "a.wav", "a.m4a"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    with pytest.raises(ClipError, match=r"are allowed\. Cut it"):
        read_clip(tmp_path / "a.m4a", replace(DEFAULT_LIMITS, longest_s=2.0))


# what is written


@pytest.mark.parametrize("rate", [22_050, 24_000, 48_000, 96_000])
@pytest.mark.parametrize("suffix", sorted(WRITABLE_SUFFIXES))
def test_a_written_clip_reads_back(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_clip(path, clip_of(tone(1.0, rate), rate))
    back = read_clip(path)
    assert back.duration_s == pytest.approx(1.0, abs=0.1)
    assert pitch_of(back) == pytest.approx(440, abs=2)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_lossless_formats_keep_sixteen_bits_and_never_wrap(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    steps = np.arange(-32_768, 32_768)
    write_clip(path, clip_of(steps / 32_768))
    assert soundfile.read(path, dtype="int16")[0].tolist() == steps.tolist()
    write_clip(path, clip_of(tone(level=3.0)))
    loud = soundfile.read(path, dtype="int16")[0].astype(int)
    assert (loud.max(), loud.min()) == (32_767, -32_768)
    assert np.abs(np.diff(loud)).max() < 32_767  # clipped, not wrapped round


def test_the_same_clip_gives_the_same_wav_and_leaves_the_clip_alone(tmp_path: Path) -> None:
    clip = clip_of(tone())
    before = clip.wave.clone()
    for name in ("a.wav", "b.wav"):
        write_clip(tmp_path / name, clip)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert clip.wave.equal(before)


def test_a_long_clip_can_be_written_as_vorbis(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.ogg", clip_of(tone(120.0)))
    assert soundfile.info(tmp_path / "a.ogg").duration == pytest.approx(120.0, abs=0.1)


def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"as '.xyz'. Choose one of .flac .mp3 .ogg .opus .wav"):
        write_clip(tmp_path / "a.xyz", clip_of(tone()))


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    write_clip(path, clip_of(tone()))
    before = path.read_bytes()

    def open_full(self: Path, mode: str = "r", **options: Any) -> Any:
        return real_open(Path("/dev/full") if "w" in mode else self, mode, **options)

    real_open = Path.open
    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OSError, match="No space left"):
        write_clip(path, clip_of(tone(level=0.1)))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_an_mp3_is_read_without_a_click_wherever_a_block_ends(tmp_path: Path) -> None:
    seconds = torch.arange(48_000 * 5) / 48_000
    tone = Clip(wave=0.5 * torch.sin(2 * torch.pi * 440 * seconds), sample_rate=48_000)
    write_clip(tmp_path / "a.mp3", tone)
    steps = read_clip(tmp_path / "a.mp3").wave[10_000:-10_000].diff().abs()
    assert float(steps.max()) < 0.032  # 440 Hz at half scale moves by 0.029 at most


def test_samples_whose_squares_overflow_are_scaled(tmp_path: Path) -> None:
    huge = np.stack([tone(), tone()], axis=1).astype(np.float64) * 1e30
    soundfile.write(tmp_path / "a.wav", huge, RATE, subtype="FLOAT")
    assert float(read_clip(tmp_path / "a.wav").wave.abs().max()) == pytest.approx(1, abs=1e-3)


def test_a_clip_of_several_blocks_is_the_same_in_blocks_as_at_once(tmp_path: Path) -> None:
    left, right = tone(10.0, level=0.6), tone(10.0, level=0.2)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    expected = torch.from_numpy((left + right) / 2).float()
    torch.testing.assert_close(read_clip(tmp_path / "a.wav").wave, expected, atol=1e-6, rtol=0)
    write_clip(tmp_path / "a.opus", clip_of(tone(10.0, 44_100), 44_100))
    assert pitch_of(read_clip(tmp_path / "a.opus")) == pytest.approx(440, abs=1)


def test_many_channels_at_a_high_rate_are_refused_by_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros((192_000, 8), np.int16), 192_000)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: pytest.fail("decoded"))
    for limits in (
        replace(DEFAULT_LIMITS, samples=8 * 191_999),
        replace(DEFAULT_LIMITS, frames=191_999),
    ):
        with pytest.raises(ClipError, match=r"of 8 x 192,000 samples per second\. Cut it"):
            read_clip(tmp_path / "a.flac", limits)


@needs_ffmpeg
def test_ffmpeg_stops_at_the_most_bytes_that_may_be_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(4.0), RATE)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", "a.wav", "a.m4a"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    with pytest.raises(ClipError, match="minutes; at most"):
        read_clip(tmp_path / "a.m4a", replace(DEFAULT_LIMITS, samples=RATE))
    convert_to_wav(
        tmp_path / "a.m4a",
        max_duration_s=9,
        timeout_s=60,
        target=tmp_path / "b.w64",
        max_bytes=RATE,
    )
    assert (tmp_path / "b.w64").stat().st_size < 2 * RATE


def peak_memory(function: Callable[[], object]) -> int:
    """The most bytes that numpy and Python allocate during a call, beyond those of before."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", sorted(WRITABLE_SUFFIXES))
def test_writing_takes_the_same_memory_for_any_length(tmp_path: Path, suffix: str) -> None:
    clip = clip_of(np.resize(tone(1.0), 60 * RATE))
    assert peak_memory(lambda: write_clip(tmp_path / f"a{suffix}", clip)) < 4_000_000


def test_reading_many_channels_takes_memory_for_one(tmp_path: Path) -> None:
    samples = np.resize((tone(1.0) * 32_767).astype(np.int16), 30 * RATE)
    soundfile.write(tmp_path / "a.wav", np.stack([samples] * 8, 1), RATE)
    mono = 4 * len(samples)
    taken = peak_memory(lambda: read_clip(tmp_path / "a.wav"))
    assert taken < 2.5 * mono + 8_000_000 < 8 * mono


@pytest.mark.parametrize("level", [0.5, -1.0])
def test_a_constant_is_silence(tmp_path: Path, level: float) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(RATE, level), RATE, subtype="FLOAT")
    with pytest.raises(ClipError, match=r"a\.wav is silent"):
        read_clip(tmp_path / "a.wav")


@pytest.mark.parametrize("level", [1e30, 3.4e38])
def test_huge_floats_become_a_finite_clip_that_can_be_measured(
    tmp_path: Path, level: float
) -> None:
    for name, samples in {"mono": tone(3.0), "stereo": np.stack([tone(3.0)] * 2, 1)}.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples * level, RATE, subtype="FLOAT")
        clip = read_clip(path)
        assert clip.wave.isfinite().all() and float(clip.wave.abs().max()) == pytest.approx(1)
        assert assess_clip_quality(clip).findings


@pytest.mark.parametrize(
    ("suffix", "depth", "encoding", "step"),
    [
        (".wav", "16", "PCM_16", 2**-16),
        (".wav", "24", "PCM_24", 2**-24),
        (".wav", "32 float", "FLOAT", 0.0),
        (".flac", "16", "PCM_16", 2**-16),
        (".flac", "24", "PCM_24", 2**-24),
    ],
)
def test_a_bit_depth_is_kept(
    tmp_path: Path, suffix: str, depth: str, encoding: str, step: float
) -> None:
    clip = clip_of(tone(seconds=3.0))  # several blocks
    path = tmp_path / f"a{suffix}"
    write_clip(path, clip, "made here", bit_depth=depth)
    assert soundfile.info(path).subtype == encoding
    samples, _ = soundfile.read(path, dtype="float64")
    assert np.abs(samples - clip.wave.double().numpy()).max() <= step
    with soundfile.SoundFile(path) as file:
        assert file.comment == "made here"


def test_a_lossy_format_has_no_bit_depth_and_flac_no_float(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp3", clip_of(tone()), bit_depth="24")
    assert soundfile.info(tmp_path / "a.mp3").frames > 0
    with pytest.raises(ClipError, match="flac has 16 or 24 bits, not 32 float"):
        write_clip(tmp_path / "a.flac", clip_of(tone()), bit_depth="32 float")
