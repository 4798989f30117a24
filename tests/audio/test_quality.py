"""Every fault of a recording is found in one that was made to have it, and in no sound one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip
from audio.quality import assess_clip_quality, assess_voice_quality, report_unreadable_file
from audio.quality_metrics import measure_quality
from support.audio_helpers import (
    SHARED,
    SHIPPED_VOICES,
    VOICES,
    in_a_room,
    joined,
    shipped,
    with_noise,
)

CLIPS = sorted(SHIPPED_VOICES.glob("*/*.flac"))
SHIPPED_NAMES = sorted({path.parent.name for path in CLIPS})
NAMES = sorted(path.name for path in VOICES.iterdir())
LIBRISPEECH = SHARED / "speech" / "librispeech"


def louder(clip: Clip, gain: float) -> Clip:
    return replace(clip, wave=(clip.wave * gain).clamp(-1, 1))


def with_hum(clip: Clip) -> Clip:
    time = torch.arange(clip.wave.shape[0]) / clip.sample_rate
    return replace(clip, wave=clip.wave + 0.05 * torch.sin(2 * torch.pi * 50 * time))


def among_silence(clip: Clip, share: float) -> Clip:
    silence = torch.zeros(round(clip.wave.shape[0] * (1 / share - 1)))
    return replace(clip, wave=torch.cat([clip.wave, silence + 1e-4 * torch.randn(len(silence))]))


def long(voice: str) -> Clip:
    return joined(*(shipped(voice, number) for number in range(1, 5)))


FAULTS: dict[str, tuple[Callable[[], Clip], str, str, str]] = {
    "a second": (lambda: cut(1.0), "Length", "poor", "too short"),
    "two and a half": (lambda: cut(2.6), "Length", "fair", "rather short"),
    "quiet": (lambda: louder(shipped(), 0.05), "Level", "fair", "quiet"),
    "very quiet": (lambda: louder(shipped(), 0.01), "Level", "poor", "very quiet"),
    "compressed": (lambda: louder(shipped(), 12.0), "Level", "fair", "very loud"),
    "cut off": (lambda: louder(shipped(), 8.0), "Clipping", "poor", "clipped"),
    "cut, then lowered": (
        lambda: louder(louder(shipped(), 8.0), 0.3), "Clipping", "poor", "clipped"),
    "noisy": (lambda: with_noise(shipped(), 16.0), "Noise", "fair", "noise in the background"),
    "very noisy": (lambda: with_noise(shipped(), 8.0), "Noise", "poor", "noise in the background"),
    "humming": (lambda: with_hum(shipped()), "Noise", "fair", "low hum or rumble"),
    "telephone": (
        lambda: shipped().resample(8_000).resample(24_000), "Bandwidth", "poor", "muffled"),
    "a bit dull": (
        lambda: shipped().resample(11_025).resample(44_100), "Bandwidth", "fair", "muffled"),
    "half silent": (lambda: among_silence(shipped(), 0.4), "Silence", "fair", "silence"),
    "mostly silent": (lambda: among_silence(shipped(), 0.15), "Silence", "poor", "silence"),
    "far away": (lambda: in_a_room(long("angus"), 1.0), "Reverb", "fair", "possibly strong reverb"),
    "two speakers": (
        lambda: joined(*(shipped(name, n) for name in ("clara", "angus") for n in (1, 2, 3))),
        "Speakers", "fair", "possibly two speakers"),
}  # fmt: skip


def cut(seconds: float) -> Clip:
    whole = shipped()
    return replace(whole, wave=whole.wave[: round(seconds * whole.sample_rate)])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_with_what_to_do(fault: str) -> None:
    make, topic, light, words = FAULTS[fault]
    found = {finding.topic: finding for finding in assess_clip_quality(make()).findings}[topic]
    assert (found.light, bool(found.advice)) == (light, True) and words in found.words


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_shipped_clips_are_good(path: object) -> None:
    voice, number = path.parent.name, int(path.stem)  # type: ignore[attr-defined]
    found = assess_clip_quality(shipped(voice, number))
    assert found.light == "good", [item for item in found.findings if item.light != "good"]


@pytest.mark.parametrize("voice", SHIPPED_NAMES)
def test_a_shipped_voice_is_good(voice: str) -> None:
    clips = [read_clip(path) for path in sorted((SHIPPED_VOICES / voice).glob("*.flac"))]
    found = assess_voice_quality(voice, clips, [])
    assert found.light == "good" and len(found.clips) == 4 and found.spoken_s > 10


@pytest.mark.parametrize("voice", NAMES)
def test_a_voice_is_good_alone_and_noticed_when_mixed(voice: str) -> None:
    clips = [shipped(voice, number) for number in range(1, 5)]
    found = assess_voice_quality(voice, clips, [])
    assert found.light == "good" and len(found.clips) == 4 and found.spoken_s > 10
    other = NAMES[(NAMES.index(voice) + 1) % len(NAMES)]
    mixed = assess_voice_quality("mixed", [*clips[:2], shipped(other, 1), shipped(other, 2)], [])
    assert {item.topic: item.light for item in mixed.findings}["Speakers"] == "fair"


def test_a_voice_of_little_uneven_and_broken_clips_says_so() -> None:
    bad = report_unreadable_file("song.mp3", "song.mp3 cannot be read as sound.")
    uneven = [cut(2.6), louder(cut(2.6), 0.1)]
    found = assess_voice_quality("little", uneven, [bad])
    lights = {item.topic: item.light for item in found.findings}
    assert lights == {
        "Amount": "fair",
        "Loudness range": "fair",
        "Speakers": "good",
        "Clips": "fair",
    }
    assert found.clips[-1].findings[0].words.startswith("song.mp3 cannot")
    assert assess_voice_quality("none", [], [bad]).light == "poor"


def test_an_offset_that_nobody_hears_is_no_noise() -> None:
    straight, shifted = shipped(), replace(shipped(), wave=shipped().wave * 0.8 + 0.1)
    assert measure_quality(shifted).snr_db == pytest.approx(
        measure_quality(straight).snr_db, abs=3.0
    )


def test_one_person_saying_much_is_one_person() -> None:
    found = {item.topic: item for item in assess_clip_quality(long("vera")).findings}["Speakers"]
    assert found.light == "good" and "similarity" in found.measured


@pytest.mark.skipif(not LIBRISPEECH.is_dir(), reason="needs LibriSpeech beside the repository")
def test_real_recordings_raise_no_false_alarm() -> None:
    clips = sorted(LIBRISPEECH.glob("*/*.flac"))[::3]
    found = [item for path in clips for item in assess_clip_quality(read_clip(path)).findings]
    alarms = [item for item in found if item.light != "good"]
    assert len(clips) == 14
    assert {item.topic for item in alarms} <= {"Length", "Noise"}, alarms


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0])
def test_a_constant_is_rated_without_an_error(level: float) -> None:
    report = assess_clip_quality(Clip(wave=torch.full((72_000,), level), sample_rate=24_000))
    assert report.light == "poor"
