"""Samples are judged by their words and their voice, where what judges is installed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from audio.clip import Clip
from training.finetuning import evaluation as judging
from training.finetuning.evaluation import SampleEvaluator


def tone(hz: float, seconds: float = 1.0) -> Clip:
    at = torch.arange(round(seconds * 24_000)) / 24_000
    return Clip(wave=0.5 * torch.sin(2 * torch.pi * hz * at), sample_rate=24_000)


class Encoder:
    """Stands in for Resemblyzer's: the pitch is the voice."""

    def __init__(self, device: str, *, verbose: bool) -> None:
        assert device == "cpu" and not verbose

    def embed_utterance(self, wave: Any) -> Any:
        crossings = float((np.diff(np.sign(wave)) != 0).mean()) * 20
        return np.array([np.cos(crossings), np.sin(crossings)], dtype=np.float32)


def installed(**parts: Any) -> ModuleType:
    package = ModuleType("package")
    for name, value in parts.items():
        setattr(package, name, value)
    return package


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both judges are installed, and small."""

    def cut(wave: Any, source_sr: int) -> Any:
        return wave[:: max(1, source_sr // 16_000)]

    fakes = {
        "resemblyzer": installed(VoiceEncoder=Encoder, preprocess_wav=cut),
        "training.asr.wer": installed(compute_pocketsphinx_wer=lambda wave, text: len(text) / 10),
    }
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
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


def test_without_the_packages_nothing_is_judged_and_that_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    judge = SampleEvaluator.from_clips([tone(200)])
    assert (
        judge.compute_wer(tone(200), "one") is None and judge.compute_similarity(tone(200)) is None
    )
    assert "no word error rate" in judge.note and "needs Resemblyzer" in judge.note


def test_a_broken_encoder_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    assert judging.load_speaker_encoder() is None
