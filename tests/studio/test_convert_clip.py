"""A recording is converted by a job, in the terminal and over HTTP; what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from audio.io import read_clip
from core.paths import ProjectPaths
from jobs.models import Job
from studio.schemas.clip_tools import ConvertClipRequest
from support.inline_worker import InlineStudio
from support.studio_fixtures import tone
from support.tiny_bundle import make_tiny_bundle
from support.tiny_codec import make_codec_bundle, use_tiny_packages

Run = Callable[..., tuple[int, str, str]]
CLIP = "voices/alice/one.wav"


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
