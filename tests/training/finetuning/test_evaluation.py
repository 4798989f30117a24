"""Samples are judged by their words and their voice, where what judges is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip
from speakers import likeness
from speakers.embedding import Partials
from speakers.modules.checkpoints import EncoderFileError
from speakers.modules.feature_config import FeatureConfig
from training.finetuning import evaluation as judging
from training.finetuning.evaluation import SampleEvaluator

VOICES = Path(__file__).resolve().parents[3] / "voices"


def tone(hz: float, seconds: float = 1.0) -> Clip:
    at = torch.arange(round(seconds * 24_000)) / 24_000
    return Clip(wave=0.5 * torch.sin(2 * torch.pi * hz * at), sample_rate=24_000)


class Encoder:
    """Stands in for a speaker encoder: the pitch is the voice."""

    name = "resemblyzer"
    feature_config = FeatureConfig()

    def prepare_wave(self, wave: Any) -> Any:
        return wave

    def embed_partials(self, wave: Any) -> Partials:
        crossings = float((np.diff(np.sign(wave)) != 0).mean()) * 20
        vector = np.array([[np.cos(crossings), np.sin(crossings)]], dtype=np.float32)
        return Partials(embeddings=vector, starts_s=(0.0,), duration_s=1.6)


def installed(**parts: Any) -> ModuleType:
    package = ModuleType("package")
    for name, value in parts.items():
        setattr(package, name, value)
    return package


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both judges are installed, and small."""
    words = installed(compute_pocketsphinx_wer=lambda wave, text: len(text) / 10)
    monkeypatch.setitem(sys.modules, "training.asr.wer", words)
    monkeypatch.setattr(judging, "load_encoder", Encoder)
    monkeypatch.setattr(judging, "find_spec", lambda name: object())


@pytest.mark.usefixtures("modules")
def test_a_voice_is_more_like_itself_than_like_another() -> None:
    judge = SampleEvaluator.from_clips([tone(200), tone(210)])
    own, other = judge.compute_similarity(tone(205)), judge.compute_similarity(tone(800))
    assert own is not None and other is not None and own > 0.99 > other + 0.05
    assert judge.note == ""


@pytest.mark.usefixtures("modules")
def test_words_are_counted_as_a_share_that_is_never_above_one() -> None:
    judge = SampleEvaluator.from_clips([tone(200)])
    assert judge.compute_wer(tone(200), "four") == 0.4
    assert judge.compute_wer(tone(200), "far too many words of it") == 1.0
    assert (
        SampleEvaluator.from_clips([tone(200)], language="de").compute_wer(tone(200), "vier")
        is None
    )


@pytest.mark.usefixtures("modules")
def test_a_sample_without_speech_is_like_nobody_and_a_speaker_without_clips_unknown() -> None:
    assert SampleEvaluator.from_clips([tone(200)]).compute_similarity(tone(200, 0.1)) == 0.0
    assert SampleEvaluator.from_clips([]).compute_similarity(tone(200)) is None
    assert SampleEvaluator.from_clips([tone(200, 0.1)]).compute_similarity(tone(200)) is None


def refuse_encoder() -> Any:
    raise EncoderFileError("no encoder")


def test_without_the_packages_nothing_is_judged_and_that_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    monkeypatch.setattr(judging, "load_encoder", refuse_encoder)
    judge = SampleEvaluator.from_clips([tone(200)])
    assert (
        judge.compute_wer(tone(200), "one") is None and judge.compute_similarity(tone(200)) is None
    )
    assert "no word error rate" in judge.note and "needs Resemblyzer" in judge.note


def test_without_resemblyzer_the_built_in_encoder_compares_voices_and_that_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(likeness, "find_spec", lambda name: None)
    clips = [
        [read_clip(VOICES / voice / f"{n}.flac") for n in (1, 2)] for voice in ("iris", "felix")
    ]
    judge = SampleEvaluator.from_clips(clips[0][:1])
    own, other = judge.compute_similarity(clips[0][1]), judge.compute_similarity(clips[1][0])
    assert own is not None and other is not None and own > 0.567 > other
    assert "built-in encoder" in judge.note


def test_a_broken_encoder_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_encoder", refuse_encoder)
    assert judging.load_speaker_encoder() is None
