"""The scorecard of a voice counts what a recognizer heard in the first takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.scorecard import (
    SCORECARD_LINES,
    MeasureVoiceRequest,
    estimate_mean,
    estimate_rate,
)
from studio.schemas.settings import Settings
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.workers.context import WorkerContext
from studio.workers.measure_voice import measure_voice_task
from training.asr.base import Segment, Transcript

LOAD = "studio.workers.synthesis.take_check.load_transcriber"
LIKENESS = "studio.workers.measure_voice.measure_clips"


class Listener:
    """A recognizer that says what it is told, one text for each take."""

    def __init__(self, name: str, texts: list[str]) -> None:
        self.name, self.texts = name, texts

    def transcribe(self, wave: torch.Tensor, report: ProgressReporter) -> Transcript:
        return Transcript(segments=(Segment(start_s=0.0, stop_s=1.0, text=self.texts.pop(0)),))


@pytest.fixture
def hear(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], None]:
    def listen(name: str, texts: list[str]) -> None:
        monkeypatch.setattr(LOAD, lambda config, models, report: Listener(name, texts))

    return listen


def request(layout: ProjectPaths) -> MeasureVoiceRequest:
    given = SpeechRequestInput(text="Hello.", voice="alice", options={"seed": 3})
    return MeasureVoiceRequest(speech=build_request(Settings(), given, layout), lines=2)


def test_words_likeness_and_speed_of_the_first_takes(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, hear: Callable[[str, list[str]], None]
) -> None:
    first, second = SCORECARD_LINES[:2]
    hear("whisper little", [first.replace("nine", "ten"), first, second])  # one retake
    monkeypatch.setattr(LIKENESS, lambda layout, clips, voice, device: [0.8, 0.9][: len(clips)])
    card = measure_voice_task(
        WorkerContext(layout, Settings()), request(layout), ProgressReporter()
    )
    words = [len(line.split()) for line in (first, second)]
    assert card.word_errors == estimate_rate([1, 0], words)
    assert card.likeness == estimate_mean([0.8, 0.9]) and card.lines == 2
    assert card.recognizer == "whisper little" and card.seconds_per_second > 0


def test_what_cannot_be_measured_is_left_out(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, hear: Callable[[str, list[str]], None]
) -> None:
    hear("pocketsphinx en-us", list(SCORECARD_LINES[:2]))
    monkeypatch.setattr(LIKENESS, lambda layout, clips, voice, device: [None] * len(clips))
    card = measure_voice_task(
        WorkerContext(layout, Settings()), request(layout), ProgressReporter()
    )
    assert card.word_errors is None and card.likeness is None


def test_standard_errors() -> None:
    assert estimate_mean([1.0, 3.0]).error == pytest.approx(1.0)
    even = estimate_rate([1, 1], [10, 10])
    assert (even.mean, even.error) == (pytest.approx(0.1), 0.0)
    assert estimate_rate([2, 0], [10, 10]).error == pytest.approx(0.1)
