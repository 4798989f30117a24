"""Clips are tended in the worker: cleaned into new files, checked, judged; the page shows it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from audio.io import read_clip, write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from studio.diagnostics.voicefixer import (
    REQUIRED_PACKAGES,
    WEIGHT_FILES,
    WeightFile,
    describe_voicefixer_problem,
    get_weights_folder,
)
from studio.schemas.clip_tools import (
    CheckClipRequest,
    CheckVoiceRequest,
    DenoiseClipRequest,
    DetectSyntheticRequest,
)
from studio.settings.pronunciations import write_pronunciations
from studio.synthesis.token_preview import preview_tokens
from studio.workers.clip_tools import detect_synthetic_speech
from studio.workers.synthesis.voicefixer import run_voicefixer
from support.audio_helpers import shipped, with_noise
from support.inline_worker import InlineStudio
from support.tiny_bundle import make_tiny_bundle

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def noisy(layout: ProjectPaths) -> str:
    """A noisy clip of the voice alice."""
    write_clip(layout.voices / "alice" / "noisy.wav", with_noise(shipped(), 10.0))
    return "voices/alice/noisy.wav"


def test_jobs_clean_and_check_and_leave_what_they_were_given(
    layout: ProjectPaths, noisy: str
) -> None:
    source = layout.voices / "alice" / "noisy.wav"
    before = source.read_bytes()
    studio = InlineStudio.open()
    try:
        asked = [
            DenoiseClipRequest(clip=noisy),
            DenoiseClipRequest(clip=noisy),
            CheckClipRequest(clip=noisy),
        ]
        asked += [CheckVoiceRequest(voice="alice"), DetectSyntheticRequest(clip=noisy)]  # type: ignore[list-item]
        jobs = [studio.wait(studio.submit(wish).id, 60) for wish in asked]
    finally:
        studio.close()
    cleaned, again, checked, voice, judged = jobs
    assert cleaned.result is not None and again.result is not None
    assert cleaned.result["clip"] == "results/cleaned/noisy.wav"
    assert again.result["clip"] == "results/cleaned/noisy-2.wav"
    assert cleaned.result["noise_db"][1] > cleaned.result["noise_db"][0] + 10
    assert read_clip(Path(cleaned.result["path"])).duration_s == shipped().duration_s
    assert source.read_bytes() == before
    assert checked.result is not None and checked.result["light"] == "poor"
    assert voice.result is not None and len(voice.result["clips"]) == 3
    assert (
        judged.failure is not None
        and "No installed model has the classifier" in judged.failure.message
    )


def test_the_classifier_judges_whole_clips_piece_by_piece(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    make_tiny_bundle(layout.models / "tiny")
    path = tmp_path / "clip.wav"
    write_clip(path, shipped())
    judged = detect_synthetic_speech(layout, path, "", ProgressReporter())
    assert judged.bundle == "tiny" and 0 <= judged.likely <= 1 and len(judged.pieces) == 1
    with pytest.raises(AppError, match="it has"):
        (layout.models / "tiny" / "config.json").write_text('{"format": 1}')
        detect_synthetic_speech(layout, path, "tiny", ProgressReporter())


def test_a_text_is_seen_in_tokens_with_what_is_unknown(layout: ProjectPaths) -> None:
    make_tiny_bundle(layout.models / "tiny")
    assert preview_tokens(layout, "tiny", "Hey 5 ~").spoken == "hey five about"
    view = preview_tokens(layout, "tiny", "Hey 5 ~", {"text_cleaning": "published"})
    assert view.spoken == "hey five ~" and view.limit == 58
    assert [token.piece for token in view.tokens][:4] == ["h", "e", "y", "[SPACE]"]
    assert view.strange == ("~",) and not view.tokens[-1].known and view.fits
    write_pronunciations(layout, "Hey = hay\ngif = {JH IH1 F}")
    assert preview_tokens(layout, "tiny", "Hey gif").spoken == "hay gif"
    assert not preview_tokens(layout, "tiny", "a" * 59).fits
    with pytest.raises(AppError, match="has 20,001 characters"):
        preview_tokens(layout, "tiny", "a" * 20_001)
    with pytest.raises(AppError, match="no model 'none'"):
        preview_tokens(layout, "none", "a")
    (layout.models / "tiny" / "tokenizer.json").write_text("{")
    with pytest.raises(AppError, match="is not JSON"):
        preview_tokens(layout, "tiny", "a")


def test_the_terminal_does_the_same(testudo: Run, layout: ProjectPaths, noisy: str) -> None:
    make_tiny_bundle(layout.models / "tiny")
    code, told, _ = testudo("tokens", "Hey", "--bundle", "tiny")
    assert code == 0 and "pieces       h e y" in told and "3 of 58" in told
    path = str(layout.voices / "alice" / "noisy.wav")
    code, told, _ = testudo("check", path)
    assert code == 2 and "POOR  Noise" in told
    assert json.loads(testudo("check", "bob", "--json")[1])["name"] == "bob"
    out = str(layout.root / "new.wav")
    code, told, _ = testudo("clean", path, "--out", out, "--lower-db", "24")
    assert code == 0 and Path(out).is_file()
    code, _, err = testudo("clean", path, "--out", out)
    assert code == 2 and "already exists" in err
    code, _, err = testudo("clean", path, "--lower-db", "99")
    assert code == 2 and "lower_db is 99" in err
    code, told, _ = testudo("detect", path)
    assert code == 0 and "an estimate" in told
    code, _, err = testudo("merge", "tiny", "tiny", "--name", "x")
    assert code == 2 and "merged with itself" in err


FAKE = """
import pathlib, shutil, socket, sys, time
HOME = pathlib.Path.home()
class VoiceFixer:
    def restore(self, input, output, cuda, mode):
        {act}
"""
ACTS = {
    "works": "shutil.copyfile(input, output)",
    "reaches out": "socket.create_connection(('127.0.0.1', 9))",
    "crashes": "raise RuntimeError('its weights do not fit')",
    "hangs": "time.sleep(60)",
    "writes nonsense": "pathlib.Path(output).write_bytes(b'no sound')",
}


@pytest.fixture
def fake_fixer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A package called voicefixer that does one thing, with the files it wants in place."""
    cache = tmp_path / "home" / ".cache" / "voicefixer"
    for name in WEIGHT_FILES:
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(b"weights")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *sys.path]))
    for name in REQUIRED_PACKAGES:
        (site / f"{name}.py").write_text("")

    def install(act: str) -> None:
        (site / "voicefixer.py").write_text(textwrap.dedent(FAKE).format(act=ACTS[act]))

    return install


def test_voicefixer_cleans_where_it_is_there(fake_fixer: Callable[[str], None]) -> None:
    fake_fixer("works")
    assert describe_voicefixer_problem() == ""
    fixed = run_voicefixer(shipped(), "cpu", ProgressReporter())
    assert fixed.duration_s == pytest.approx(shipped().duration_s)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("reaches out", "has no network access"),
        ("crashes", "its weights do not fit"),
        ("writes nonsense", "did not clean the clip"),
    ],
)
def test_what_voicefixer_does_wrong_is_reported(
    act: str, told: str, fake_fixer: Callable[[str], None]
) -> None:
    fake_fixer(act)
    with pytest.raises(AppError, match=told):
        run_voicefixer(shipped(), "cpu", ProgressReporter())


def test_voicefixer_is_stopped_at_once(fake_fixer: Callable[[str], None]) -> None:
    fake_fixer("hangs")
    looks = iter([False, False, True])
    with pytest.raises(Cancelled):
        run_voicefixer(shipped(), "cpu", ProgressReporter(stopped=lambda: next(looks)))


def test_a_missing_voicefixer_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_fixer: Callable[[str], None]
) -> None:
    fake_fixer("works")
    assert "vf.ckpt and" in describe_voicefixer_problem(tmp_path / "nobody")
    monkeypatch.setattr("studio.diagnostics.voicefixer.find_spec", lambda name: None)
    assert describe_voicefixer_problem().startswith("It is not installed (voicefixer, librosa")
    with pytest.raises(AppError, match=r"voicefixer cannot be used\. It is not installed"):
        run_voicefixer(shipped(), "cpu", ProgressReporter())


def test_voicefixers_weights_are_downloaded_on_first_use_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_fixer: Callable[[str], None]
) -> None:
    fake_fixer("works")
    kept = get_weights_folder() / WEIGHT_FILES[0]
    kept.unlink()
    source = tmp_path / "vf.ckpt"
    source.write_bytes(bytes(range(256)) * 4000)
    digest = hashlib.md5(source.read_bytes()).hexdigest()
    file = WeightFile(path=WEIGHT_FILES[0], url=source.as_uri(), md5=digest)
    monkeypatch.setattr("studio.workers.synthesis.voicefixer.WEIGHTS", (file,))
    with pytest.raises(AppError, match="Its weights are missing"):
        run_voicefixer(shipped(), "cpu", ProgressReporter())
    events: list[ProgressEvent] = []
    report = ProgressReporter(events.append)
    run_voicefixer(shipped(), "cpu", report, can_download=True)
    assert kept.read_bytes() == source.read_bytes()
    done = [event.done for event in events if event.stage == "download"]
    assert done == sorted(done) and done[-1] == source.stat().st_size
    kept.unlink()
    source.write_bytes(b"damaged")
    with pytest.raises(AppError, match="damaged in the download"):
        run_voicefixer(shipped(), "cpu", report, can_download=True)
    assert not list(kept.parent.iterdir())
