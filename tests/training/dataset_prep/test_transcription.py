"""What is told from sound alone: where somebody speaks, when a word is said, what is the same."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip, write_clip
from audio.long_audio import Recording, decode_recording
from audio.mel import GPT_MEL, log_mel
from core.progress import ProgressReporter
from support.audio_helpers import SHARED, shipped
from training.asr import voice_activity
from training.asr.base import SAMPLE_RATE
from training.asr.forced_alignment import align_words, can_align
from training.asr.voice_activity import detect_speech, is_silero_installed, probabilities_to_spans
from training.dataset_prep.clip_metrics import compute_clip_metrics, flag_odd_pace
from training.dataset_prep.deduplication import MIN_SIMILARITY, compute_spectral_similarity
from training.dataset_prep.manifest import ClipRow
from training.dataset_prep.transcription import group_into_chunks

LJSPEECH = SHARED / "speech" / "ljspeech"
needs_ljspeech = pytest.mark.skipif(not LJSPEECH.is_dir(), reason="needs ../shared/speech")
needs_sphinx = pytest.mark.skipif(not can_align("en"), reason="needs pocketsphinx")


def recorded(clip: Clip, folder: Path) -> Recording:
    write_clip(folder / "clip.wav", clip)
    return decode_recording(folder / "clip.wav", folder / "copy.raw", 22_050, lambda seconds: None)


@pytest.mark.parametrize("network", [True, False])
def test_speech_is_found_and_the_silence_around_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    if network and not is_silero_installed():
        pytest.skip("needs silero-vad")
    monkeypatch.setattr(voice_activity, "is_silero_installed", lambda: network)
    clip = shipped()
    quiet = torch.zeros(2 * clip.sample_rate) + 1e-4
    around = replace(clip, wave=torch.cat([quiet, clip.wave, quiet]))
    found = detect_speech(recorded(around, tmp_path), ProgressReporter())
    assert 1.9 <= found.spans[0][0] <= 2.5 and found.seconds > 0.5 * clip.duration_s
    assert clip.duration_s + 1.4 <= found.spans[-1][1] <= clip.duration_s + 2.15
    assert (
        detect_speech(
            recorded(replace(clip, wave=noise_like()), tmp_path), ProgressReporter()
        ).seconds
        < 5
    )


def noise_like() -> torch.Tensor:
    return 0.02 * torch.randn(5 * 24_000, generator=torch.Generator().manual_seed(1))


def test_windows_become_stretches_without_clicks_and_short_gaps() -> None:
    likely = [0.1, 0.9, *[0.1] * 8] + [0.9] * 10 + [0.4] * 2 + [0.1] * 2 + [0.9] * 5 + [0.2] * 9
    runs = probabilities_to_spans(likely)
    assert runs == [(pytest.approx(10 * 0.032), pytest.approx(29 * 0.032))]


def test_stretches_of_speech_are_heard_together_up_to_two_minutes() -> None:
    spans = [(float(at), at + 8.0) for at in range(1, 400, 10)]
    groups = group_into_chunks(spans, 420.0)
    assert all(stop - start <= 121 for start, stop in groups) and len(groups) == 4
    assert all(a[1] <= b[0] for a, b in pairwise(groups))
    assert group_into_chunks([], 9.0) == []


def lines() -> list[list[str]]:
    with (LJSPEECH / "metadata.csv").open(encoding="utf-8") as file:
        return list(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE))


@needs_ljspeech
@needs_sphinx
def test_a_right_text_is_followed_and_a_wrong_one_is_not() -> None:
    rows = lines()[:4]
    waves = [
        read_clip(LJSPEECH / "wavs" / f"{row[0]}.flac").resample(SAMPLE_RATE).wave for row in rows
    ]
    for wave, row in zip(waves, rows, strict=True):
        found = align_words(wave, row[2])
        assert found is not None and found.unaligned_speech_s < 0.1
        assert [word.text for word in found.words] == row[2].split()
        times = [at for word in found.words for at in (word.start_s, word.stop_s)]
        assert times == sorted(times) and times[-1] <= wave.shape[0] / SAMPLE_RATE + 0.02
    for wave, row in zip(waves, rows[1:] + rows[:1], strict=True):
        wrong = align_words(wave, row[2])
        assert wrong is None or wrong.unaligned_speech_s > 0.25


@needs_sphinx
def test_numbers_dashes_and_unknown_words_are_followed_too() -> None:
    silence = torch.zeros(SAMPLE_RATE)
    assert align_words(silence, "") is None and align_words(silence, "— …") is None
    assert align_words(torch.zeros(200 * SAMPLE_RATE), "too long") is None
    assert not can_align("de") and not can_align("")


def test_one_recording_in_two_formats_is_alike_and_two_readings_are_not(tmp_path: Path) -> None:
    first, other = shipped(number=1), shipped(number=2)
    write_clip(tmp_path / "a.mp3", first)

    def heard(clip: Clip) -> torch.Tensor:
        return log_mel(clip.resample(22_050).wave, GPT_MEL)[0]

    assert (
        compute_spectral_similarity(heard(first), heard(read_clip(tmp_path / "a.mp3")))
        > MIN_SIMILARITY
    )
    assert compute_spectral_similarity(heard(first), heard(other)) < 0.85


def test_a_clip_is_measured_as_it_is() -> None:
    clip = shipped()
    loud, quiet = (
        compute_clip_metrics(clip, 0.0),
        compute_clip_metrics(replace(clip, wave=clip.wave / 10), 0.25),
    )
    assert loud.level_db - quiet.level_db == pytest.approx(20, abs=0.2)
    assert quiet.clipped_share == 0.25 and loud.sound != quiet.sound
    silent = compute_clip_metrics(replace(clip, wave=torch.zeros(9_000)), 0.0)
    assert silent.level_db == -100.0


def test_a_level_and_rumble_under_a_voice_are_no_noise() -> None:
    clip = shipped()
    seconds = torch.arange(clip.wave.shape[0]) / clip.sample_rate
    rumble = 0.1 + 0.05 * torch.sin(2 * torch.pi * 30 * seconds)
    low = compute_clip_metrics(replace(clip, wave=clip.wave * 0.5 + rumble), 0.0)
    assert low.snr_db > compute_clip_metrics(clip, 0.0).snr_db - 3


def test_an_odd_pace_is_marked_and_an_impossible_one_dropped() -> None:
    rows = [
        ClipRow(id=f"{at}", source="s", start_s=0, stop_s=5, text="usual words " * 5 + "end")
        for at in range(8)
    ]
    fast = replace(rows[0], id="fast", stop_s=2.4)
    mad = replace(rows[0], id="mad", stop_s=0.9)
    slow = replace(rows[0], id="slow", text="Hm. Well.", stop_s=9)
    mine = replace(slow, id="mine", edited=True)
    found = {
        row.id: (row.kept, row.reason) for row in flag_odd_pace([*rows, fast, mad, slow, mine])
    }
    assert found["0"] == found["mine"] == (True, "")
    assert found["fast"] == (True, "odd_pace") and found["mad"] == (False, "odd_pace")
    assert found["slow"] == (False, "odd_pace")


def test_voice_activity_detection_leaves_the_number_of_threads(tmp_path: Path) -> None:
    if not is_silero_installed():
        pytest.skip("needs silero-vad")
    code = (
        "import torch; torch.set_num_threads(2);"
        "from training.asr.voice_activity import probabilities_to_spans as f;"
        "f([0.9] * 9); assert torch.get_num_threads() == 2"
    )
    assert subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL).returncode == 0
