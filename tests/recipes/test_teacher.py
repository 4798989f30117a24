"""The teacher: exact durations, voices with the same timing, shards that depend on their number."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from quick.teacher import DURATION_UNIT, PAD, Teacher, TeacherUtterance
from recipes.corpus.build_teacher import TeacherCorpusConfig, build_teacher_shard, read_f0
from recipes.corpus.reader import read_index, read_wave
from recipes.corpus.teacher import (
    F0_HOP,
    LEAD_UNITS,
    TAIL_UNITS,
    TEACHER_SPEAKERS,
    TeacherSpeaker,
    WorldAnalysis,
    draw_speaker,
    draw_speakers,
    shift_f0,
    trim_silence,
)

pytest.importorskip("hibari")
pytest.importorskip("pyworld")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher()


@pytest.fixture(scope="module")
def said(teacher: Teacher) -> TeacherUtterance:
    return teacher.speak("Good evening. Come in.", seed=1)


def test_durations_sum_to_the_length_and_belong_to_one_phoneme_each(said: TeacherUtterance) -> None:
    assert len(said.phonemes) == len(said.durations) and min(said.durations) >= 1
    assert sum(said.durations) * DURATION_UNIT == len(said.wave) == len(said.f0) * F0_HOP
    assert said.phonemes.count(PAD) == 4  # around each of two sentences


def test_only_silence_before_and_after_is_trimmed(said: TeacherUtterance) -> None:
    trimmed = trim_silence(said)
    assert sum(trimmed.durations) * DURATION_UNIT == len(trimmed.wave) == len(trimmed.f0) * F0_HOP
    assert trimmed.durations[0] == LEAD_UNITS and sum(trimmed.durations[-2:]) == TAIL_UNITS
    assert trimmed.durations[1:-2] == said.durations[1:-2]
    first = (said.durations[0] - LEAD_UNITS) * DURATION_UNIT
    assert np.array_equal(trimmed.wave, said.wave[first : first + len(trimmed.wave)])
    assert trim_silence(trimmed).durations == trimmed.durations


def test_a_voice_keeps_the_timing_and_moves_pitch(said: TeacherUtterance) -> None:
    man = TEACHER_SPEAKERS[1]
    wave = WorldAnalysis(said).synthesize(man)
    assert wave.shape == said.wave.shape

    def loudness(samples: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(samples[: len(samples) // 600 * 600]).reshape(-1, 600).mean(1))

    assert np.corrcoef(loudness(wave), loudness(said.wave))[0, 1] > 0.8
    voiced = said.f0 > 0
    ratio = shift_f0(said.f0, man)[voiced] / said.f0[voiced]
    assert np.median(ratio) == pytest.approx(man.pitch, rel=0.01)


def test_unvoiced_frames_stay_unvoiced() -> None:
    assert shift_f0(np.zeros(5), TEACHER_SPEAKERS[1]).tolist() == [0] * 5


def test_the_voices_of_a_sentence_differ_and_begin_with_the_original() -> None:
    speakers = draw_speakers(random.Random(3), 5, 20)
    assert len({speaker.name for speaker in speakers}) == 5
    assert speakers[0] is TEACHER_SPEAKERS[0]
    assert speakers == draw_speakers(random.Random(3), 5, 20)
    assert draw_speaker("w001") == draw_speaker("w001") != draw_speaker("w002")


def test_a_voice_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not 0\.4\.\.2\.5"):
        TeacherSpeaker(name="x", pitch=3.0)


def test_a_text_without_sound_is_refused(teacher: Teacher) -> None:
    with pytest.raises(ValueError, match="nothing to speak"):
        teacher.speak("   ")


def test_a_shard_is_parallel_and_the_same_wherever_it_is_built(
    teacher: Teacher, tmp_path: Path
) -> None:
    config = TeacherCorpusConfig(sentences_per_shard=1, voices_per_sentence=3)
    for name in ("one", "other"):
        (tmp_path / name / "shards").mkdir(parents=True)
        build_teacher_shard(teacher, tmp_path / name / "shards", config, 2)
    rows = read_index(tmp_path / "one")
    assert rows == read_index(tmp_path / "other") and len(rows) == 3
    assert len({(row.sentence, row.text, row.samples, row.durations) for row in rows}) == 1
    for row in rows:
        ours, theirs = (read_wave(tmp_path / name, row) for name in ("one", "other"))
        assert np.array_equal(ours, theirs) and np.abs(ours).max() > 5000
        assert sum(row.durations) * DURATION_UNIT == row.samples
        assert len(read_f0(tmp_path / "one", row)) == row.samples // F0_HOP
