"""A recording is converted by a job, in the terminal and over HTTP; what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from jobs.models import Job
from quick.converter import VoiceConverter
from recipes.corpus.sample_voices import SAMPLE_SENTENCES
from studio.schemas.clip_tools import ConvertClipRequest
from studio.workers import convert_clip
from studio.workers.convert_clip import PHONE_DELAY_S, align_words, make_phone_times
from support.inline_worker import InlineStudio
from support.studio_fixtures import tone
from support.tiny_bundle import make_tiny_bundle
from support.tiny_codec import (
    make_codec_bundle,
    make_phoneme_bundle,
    record_phones,
    use_tiny_packages,
)
from text.phones import PHONES, SILENCE, UNKNOWN_PHONE
from training.asr.base import Segment, TranscribeError, Transcript
from training.asr.phone_times import PhoneSpan

Run = Callable[..., tuple[int, str, str]]
SHIPPED = Path(__file__).resolve().parents[2] / "voices"
CLIP = "voices/alice/one.wav"
HEARD = "hello there"


@pytest.fixture(autouse=True)
def tiny_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_packages(monkeypatch)


def run(request: ConvertClipRequest) -> Job:
    studio = InlineStudio.open()
    try:
        return studio.wait(studio.submit(request).id, 60)
    finally:
        studio.close()


def test_a_job_writes_a_new_file_as_long_as_the_recording(layout: ProjectPaths) -> None:
    make_codec_bundle(layout.models / "tiny")
    source = layout.voices / "alice" / "one.wav"
    before = source.read_bytes()
    first, again = (run(ConvertClipRequest(clip=CLIP, voice="bob")).result for _ in range(2))
    assert first is not None and again is not None
    assert first["clip"] == "results/converted/one-bob.wav" and first["bundle"] == "tiny"
    assert again["clip"] == "results/converted/one-bob-2.wav"
    made, repeated = (read_clip(Path(result["path"])) for result in (first, again))
    assert made.duration_s == tone().duration_s and bool((made.wave == repeated.wave).all())
    assert source.read_bytes() == before


def test_a_blend_of_voices_is_a_target_too(layout: ProjectPaths) -> None:
    make_codec_bundle(layout.models / "tiny")
    result = run(ConvertClipRequest(clip=CLIP, voice="alice:0.5+bob:0.5")).result
    assert result is not None and Path(result["path"]).is_file()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"voice": "nobody"}, "no voice"),
        ({"bundle": "plain"}, "its codebook has no speaker vectors"),
        ({"bundle": "none"}, "no model 'none'"),
        ({"voice": "random"}, "no random voices"),
        ({"clip": "voices/alice/none.wav"}, "no longer exists"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    layout: ProjectPaths, change: dict[str, str], told: str
) -> None:
    make_codec_bundle(layout.models / "tiny")
    make_tiny_bundle(layout.models / "plain")
    failure = run(ConvertClipRequest(**{"clip": CLIP, "voice": "bob", **change})).failure
    assert failure is not None and told in failure.message


def test_without_a_model_for_it_the_refusal_says_what_is_missing(layout: ProjectPaths) -> None:
    make_tiny_bundle(layout.models / "plain")
    failure = run(ConvertClipRequest(clip=CLIP, voice="bob")).failure
    assert failure is not None and "No installed model can convert voices" in failure.message


def test_the_terminal_does_the_same(testudo: Run, layout: ProjectPaths) -> None:
    make_codec_bundle(layout.models / "tiny")
    path, out = str(layout.voices / "alice" / "one.wav"), str(layout.root / "new.wav")
    code, told, err = testudo("convert", path, "--voice", "bob", "--out", out, "--json")
    assert code == 0, err
    assert json.loads(told)["duration_s"] == 1.0 and Path(out).is_file()
    code, _, err = testudo("convert", path, "--voice", "bob", "--out", out)
    assert code == 2 and "already exists" in err
    pasted = layout.root / "pasted.wav"
    code, _, err = testudo("convert", path, "--voice", "bob", "--out", f'"{pasted}"')
    assert code == 0 and pasted.is_file(), err
    code, _, err = testudo("convert", path)
    assert code == 2 and "voice" in err
    code, _, err = testudo("convert", path, "--voice", "nobody")
    assert code == 2 and "nobody" in err
    code, told, _ = testudo("convert", path, "--voice", "bob", "--vocoder", "griffin_lim")
    assert code == 0 and (layout.voices / "alice" / "one-bob.wav").is_file()


@pytest.fixture
def heard(layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """A model with phonemes, and a transcriber that hears `HEARD`; returns what it was given."""
    make_phoneme_bundle(layout.models / "tiny")
    waves: list[Tensor] = []

    class Ear:
        name = "ear"

        def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
            waves.append(wave)
            segment = Segment(start_s=0.0, stop_s=1.0, text=HEARD)
            return Transcript(segments=(segment,) if HEARD else ())

    monkeypatch.setattr(convert_clip, "load_transcriber", lambda *_: Ear())
    return waves


def test_the_words_that_are_heard_are_told_to_the_decoder(
    layout: ProjectPaths, heard: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record_phones(monkeypatch)
    result = run(ConvertClipRequest(clip=CLIP, voice="bob")).result
    assert result is not None and (result["words"], result["transcriber"]) == (HEARD, "ear")
    assert len(heard) == 1 and len(heard[0]) == 16_000  # one second
    assert {PHONES[index] for index in told[0].amax(-1)[0].nonzero().flatten()} >= {"HH", "AH"}


def test_words_that_are_given_are_not_heard_again(
    layout: ProjectPaths, heard: list[Tensor]
) -> None:
    result = run(ConvertClipRequest(clip=CLIP, voice="bob", words=" hello  there ")).result
    assert result is not None and (result["words"], result["transcriber"]) == ("hello there", "")
    result = run(ConvertClipRequest(clip=CLIP, voice="bob", transcribe=False)).result
    assert result is not None and result["words"] == "" and not heard
    failure = run(ConvertClipRequest(clip=CLIP, voice="bob", words="hello there " * 20)).failure
    assert failure is not None and "too short for its words" in failure.message


def test_without_a_transcriber_or_fitting_words_it_is_converted_with_a_warning(
    layout: ProjectPaths, heard: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.HEARD", "hello there " * 20)
    job = run(ConvertClipRequest(clip=CLIP, voice="bob"))
    assert job.result is not None and job.result["words"] == job.result["transcriber"] == ""
    assert any("too short for its words" in warning for warning in job.warnings)

    def refuse(*_: object) -> None:
        raise TranscribeError("none is installed")

    monkeypatch.setattr(convert_clip, "load_transcriber", refuse)
    job = run(ConvertClipRequest(clip=CLIP, voice="bob"))
    assert job.result is not None and any("none is installed" in one for one in job.warnings)


def make_converter(layout: ProjectPaths) -> VoiceConverter:
    return VoiceConverter.load(make_phoneme_bundle(layout.models / "tiny"), torch.device("cpu"))


def read_aligned_phones(clip: Clip, text: str, layout: ProjectPaths) -> list[tuple[str, float]]:
    times = align_words(make_converter(layout), clip, text, ProgressReporter())
    names = ["-" if kind == UNKNOWN_PHONE else PHONES[kind] for kind in times.classes.tolist()]
    return list(zip(names, times.seconds.cumsum(0).tolist(), strict=True))


def test_words_of_a_recording_are_aligned_by_pocketsphinx(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VoiceConverter, "align", lambda *_: pytest.fail("not by the codes"))
    clip = read_clip(SHIPPED / "clara/1.flac")
    found = read_aligned_phones(clip, SAMPLE_SENTENCES[0], layout)
    spoken = [phone for phone, _ in found if phone not in ("SIL", "-")]
    assert len(spoken) > 40
    assert found[0][0] == "SIL" and found[-1][1] == pytest.approx(clip.duration_s, abs=0.01)
    ends = [end for _, end in found]
    assert ends == sorted(ends)
    assert 5 <= sum(phone == "-" for phone, _ in found) <= SAMPLE_SENTENCES[0].count(" ")


def test_each_word_begins_with_a_place_that_is_free(layout: ProjectPaths) -> None:
    spans = [
        PhoneSpan(index=None, start_s=0.0, stop_s=0.2),
        PhoneSpan(index=0, start_s=0.2, stop_s=0.4),
        PhoneSpan(index=1, start_s=0.4, stop_s=0.45),
        PhoneSpan(index=2, start_s=0.45, stop_s=0.8),
        PhoneSpan(index=None, start_s=0.8, stop_s=0.9),
        PhoneSpan(index=3, start_s=0.9, stop_s=1.0),
    ]
    m, s = PHONES.index("M"), PHONES.index("S")
    classes = torch.tensor([SILENCE, m, SILENCE, s, m, SILENCE, s, SILENCE])
    times = make_phone_times(spans, classes, 1.2)
    assert times.classes.tolist() == [
        SILENCE, SILENCE, m, UNKNOWN_PHONE, s, m, SILENCE, s
    ]  # fmt: skip
    ends = times.seconds.cumsum(0).tolist()
    delay = PHONE_DELAY_S
    free = 0.4 + 0.025  # half of a short phone
    wanted = [delay, 0.2 + delay, 0.4 + delay, free + delay, 0.45 + delay, 0.8 + delay]
    assert ends == pytest.approx([*wanted, 0.9 + delay, 1.2])


@pytest.mark.parametrize("why", ["not installed", "other words"])
def test_words_that_pocketsphinx_does_not_find_are_aligned_by_the_codes(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "not installed":
        monkeypatch.setattr(convert_clip, "can_align", lambda language: False)
    text = " ".join(SAMPLE_SENTENCES[1:]) if why == "other words" else SAMPLE_SENTENCES[0]
    clip, converter = read_clip(SHIPPED / "clara/1.flac"), make_converter(layout)
    found = align_words(converter, clip, text, ProgressReporter())
    codes = converter.align(clip, text, ProgressReporter())
    assert torch.equal(found.classes, codes.classes)
    assert torch.equal(found.seconds, codes.seconds)
