"""The times of known phones and words in a recording, by PocketSphinx."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audio.io import read_clip
from core.progress import Cancelled, ProgressReporter
from recipes.corpus.sample_voices import SAMPLE_SENTENCES
from text.phones import PHONES, SILENCE, classify_token
from text.tokenizer import load_tokenizer
from training.asr.base import SAMPLE_RATE
from training.asr.forced_alignment import align_words, score_words
from training.asr.phone_times import find_phone_spans

ROOT = Path(__file__).resolve().parents[3]
LINES = list(enumerate(SAMPLE_SENTENCES, 1))


def list_phones(text: str) -> list[str]:
    classes = [
        classify_token(token) for token in load_tokenizer(ROOT / "models/starter").tokenize(text)
    ]
    return [PHONES[kind] for kind in classes if kind > SILENCE]


def read_wave(number: int, voice: str = "clara") -> Tensor:
    return read_clip(ROOT / f"voices/{voice}/{number}.flac").resample(SAMPLE_RATE).wave


@pytest.mark.parametrize(("number", "text"), LINES)
@pytest.mark.parametrize("voice", ["clara", "martin", "iris"])
def test_every_phone_gets_its_time(voice: str, number: int, text: str) -> None:
    wave, phones = read_wave(number, voice), list_phones(text)
    spans = find_phone_spans(wave, phones, ProgressReporter())
    assert spans is not None
    assert [span.index for span in spans if span.index is not None] == list(range(len(phones)))
    assert spans[0].start_s == 0
    assert spans[-1].stop_s == pytest.approx(len(wave) / SAMPLE_RATE, abs=0.07)
    assert all(a.stop_s == pytest.approx(b.start_s) for a, b in pairwise(spans))
    assert max(s.stop_s - s.start_s for s in spans if s.index is not None) < 0.5


def test_silence_before_the_words_moves_their_times() -> None:
    wave, phones = read_wave(1), list_phones(SAMPLE_SENTENCES[0])
    found = [
        {span.index: span.start_s for span in spans}
        for padded in (wave, torch.cat([torch.zeros(SAMPLE_RATE), wave]))
        if (spans := find_phone_spans(padded, phones, ProgressReporter())) is not None
    ]
    moved = torch.tensor([found[1][n] - found[0][n] for n in range(1, len(phones))])
    assert moved.median() == pytest.approx(1.0, abs=0.02)
    assert (moved - 1.0).abs().max() < 0.15


@pytest.mark.parametrize(
    ("wave", "text"),
    [
        (read_wave(1), " ".join(SAMPLE_SENTENCES[1:])),
        (read_wave(1)[:4_000], SAMPLE_SENTENCES[0]),
        (torch.zeros(10), "hello"),
        (torch.zeros(0), "hello"),
        (read_wave(1), ""),
    ],
    ids=["other words", "too short", "ten samples", "nothing", "no words"],
)
def test_phones_that_do_not_fit_have_no_times(wave: Tensor, text: str) -> None:
    assert find_phone_spans(wave, list_phones(text) if text else [], ProgressReporter()) is None


def test_an_alignment_stops_when_asked() -> None:
    with pytest.raises(Cancelled):
        find_phone_spans(
            read_wave(1), list_phones(SAMPLE_SENTENCES[0]), ProgressReporter(stopped=lambda: True)
        )


def test_an_alignment_does_not_depend_on_those_before_it() -> None:
    cases = [
        (read_wave(number, voice), list_phones(text))
        for voice in ("clara", "martin")
        for number, text in LINES
    ]
    found = [find_phone_spans(*case, ProgressReporter()) for case in cases]
    again = [find_phone_spans(*case, ProgressReporter()) for case in reversed(cases)]
    assert found == again[::-1]


def test_words_and_their_scores_do_not_depend_on_the_recordings_before() -> None:
    cases = [(read_wave(number), text) for number, text in LINES]
    found = [(align_words(*case), score_words(case[0], ["nothing", "fits"])) for case in cases]
    again = [
        (align_words(*case), score_words(case[0], ["nothing", "fits"])) for case in reversed(cases)
    ]
    assert found == again[::-1]
