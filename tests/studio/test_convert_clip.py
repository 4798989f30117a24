"""A recording is converted by a job, in the terminal and over HTTP; what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from audio.io import read_clip
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from jobs.models import Job
from studio.schemas.clip_tools import ConvertClipRequest
from studio.workers import convert_clip
from support.inline_worker import InlineStudio
from support.studio_fixtures import tone
from support.tiny_bundle import make_tiny_bundle
from support.tiny_codec import (
    make_codec_bundle,
    make_phoneme_bundle,
    record_phones,
    use_tiny_packages,
)
from text.phones import PHONES
from training.asr.base import Segment, TranscribeError, Transcript

Run = Callable[..., tuple[int, str, str]]
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
