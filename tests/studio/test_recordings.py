"""Recordings, made-up voices and the latents of the original program become voices."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.schemas.voices import MICROPHONE_VOICE, SaveRandomVoiceRequest, SaveRecordingRequest
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.catalog import find_voice, get_voices_fingerprint, list_voices
from studio.voices.trash import list_deleted_voices, rename_voice, restore_voice
from studio.voices.uploads import stage_recording_upload
from studio.workers.context import WorkerContext
from studio.workers.save_voice import save_random_voice_task, save_recording_task
from support.published_files import saved
from support.tiny_bundle import DIFFUSION_LATENT, GPT_WIDTH, make_tiny_bundle

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is missing")


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


def recorded(tmp_path: Path, name: str = "blob.wav", hz: float = 220.0) -> Path:
    path = tmp_path / name
    wave = 0.4 * np.sin(np.arange(48_000) * 2 * np.pi * hz / 48_000)
    sound = io.BytesIO()
    soundfile.write(sound, wave, 48_000, format="WAV")
    path.write_bytes(sound.getvalue())
    return path


def wish(
    layout: ProjectPaths, voice: str, bundle: str = "starter", **options: object
) -> SpeechRequest:
    asked = SpeechRequestInput(
        text="Hi you.",
        voice=voice,
        options={"seed": 1, **options},
        request_fields={"bundle": bundle},
    )
    return build_request(Settings(), asked, layout)


def test_a_recording_becomes_a_voice_that_speaks(workshop: WorkerContext, tmp_path: Path) -> None:
    request = stage_recording_upload(workshop.layout, "carol", recorded(tmp_path))
    kept = save_recording_task(workshop, request, ProgressReporter())
    assert (kept.voice, kept.clips) == ("carol", 1)
    (clip,) = find_voice(workshop.layout, "carol").clips
    assert clip.read_bytes() == (tmp_path / "blob.wav").read_bytes()
    assert not Path(request.folder).exists()
    assert (
        workshop.synthesizer.speak(wish(workshop.layout, "carol"), ProgressReporter()).seconds > 0
    )


def test_the_microphone_takes_the_place_of_its_last_recording_and_can_be_kept(
    workshop: WorkerContext, tmp_path: Path
) -> None:
    layout = workshop.layout
    for hz in (220.0, 330.0):
        path = recorded(tmp_path, hz=hz)
        request = stage_recording_upload(layout, MICROPHONE_VOICE, path, replace=True)
        save_recording_task(workshop, request, ProgressReporter())
    (clip,) = find_voice(layout, MICROPHONE_VOICE).clips
    assert clip.read_bytes() == path.read_bytes()
    (older,) = list_deleted_voices(layout)
    assert older.name == MICROPHONE_VOICE
    rename_voice(layout, MICROPHONE_VOICE, "dora")
    assert restore_voice(layout, older.id).name == MICROPHONE_VOICE
    assert {voice.name for voice in list_voices(layout)} >= {"dora", MICROPHONE_VOICE}


@needs_ffmpeg
def test_what_a_browser_records_becomes_a_wav(workshop: WorkerContext, tmp_path: Path) -> None:
    import subprocess

    webm = tmp_path / "blob.webm"
    command = ["ffmpeg", "-v", "error", "-i", str(recorded(tmp_path)), "-c:a", "libopus", str(webm)]
    subprocess.run(command, check=True, timeout=60)
    request = stage_recording_upload(workshop.layout, "carol", webm)
    save_recording_task(workshop, request, ProgressReporter())
    (clip,) = find_voice(workshop.layout, "carol").clips
    assert clip.suffix == ".wav" and read_clip(clip).duration_s == pytest.approx(1.0, abs=0.05)


def test_without_ffmpeg_such_a_recording_is_refused_clearly(
    workshop: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio.ffmpeg.shutil.which", lambda name: None)
    webm = tmp_path / "blob.webm"
    webm.write_bytes(b"\x1aE\xdf\xa3" + bytes(500))
    request = stage_recording_upload(workshop.layout, "carol", webm)
    with pytest.raises(AppError, match="need ffmpeg, which is not installed"):
        save_recording_task(workshop, request, ProgressReporter())
    assert not (workshop.layout.voices / "carol").exists() and not Path(request.folder).exists()


def test_a_bad_recording_leaves_the_voice_as_it_was(
    workshop: WorkerContext, tmp_path: Path
) -> None:
    silent = tmp_path / "blob.wav"
    soundfile.write(silent, np.zeros(24_000), 24_000)
    before = find_voice(workshop.layout, "alice").clips
    request = stage_recording_upload(workshop.layout, "alice", silent, replace=True)
    with pytest.raises(AppError, match="is silent"):
        save_recording_task(workshop, request, ProgressReporter())
    assert find_voice(workshop.layout, "alice").clips == before
    assert not list(workshop.layout.voices.glob(".*"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("alice", "already a voice"), ("Alice", "already"), ("../x", "is not a valid"),
     ("random", "reserved for random"), ("a/b", "is not a valid"), ("", "is not a valid")],
)  # fmt: skip
def test_names_are_checked_before_anything_is_copied(
    layout: ProjectPaths, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(AppError, match=reason):
        stage_recording_upload(layout, name, recorded(tmp_path))
    assert not (layout.state / "uploads").exists()


def test_a_request_names_a_folder_of_ours_only(workshop: WorkerContext, tmp_path: Path) -> None:
    for folder in (tmp_path, workshop.layout.voices / "alice", Path("/")):
        with pytest.raises(AppError, match="recording no longer exists"):
            save_recording_task(
                workshop, SaveRecordingRequest(name="x", folder=str(folder)), ProgressReporter()
            )
    assert (workshop.layout.voices / "alice" / "one.wav").is_file()


def test_a_random_voice_is_kept_as_a_job(workshop: WorkerContext) -> None:
    kept = save_random_voice_task(
        workshop, SaveRandomVoiceRequest(name="carol", seed=42), ProgressReporter()
    )
    assert (kept.voice, kept.clips) == ("carol", 0)
    layout = workshop.layout
    made_up = workshop.synthesizer.speak(wish(layout, "random#42"), ProgressReporter())
    as_kept = workshop.synthesizer.speak(wish(layout, "carol"), ProgressReporter())
    assert torch.equal(read_clip(Path(made_up.path)).wave, read_clip(Path(as_kept.path)).wave)
    with pytest.raises(AppError, match="already a voice"):
        save_random_voice_task(
            workshop, SaveRandomVoiceRequest(name="carol", seed=1), ProgressReporter()
        )


def test_the_stamp_changes_with_what_the_folder_holds(layout: ProjectPaths, tmp_path: Path) -> None:
    stamps = [get_voices_fingerprint(layout)]
    assert get_voices_fingerprint(layout) == stamps[0]
    (layout.voices / "carol").mkdir()
    stamps.append(get_voices_fingerprint(layout))
    os.utime(layout.voices / "carol", (1, 1))
    stamps.append(get_voices_fingerprint(layout))
    shutil.copyfile(layout.voices / "alice" / "one.wav", layout.voices / "carol" / "one.wav")
    stamps.append(get_voices_fingerprint(layout))
    (layout.voices / "carol").rename(layout.voices / "dora")
    stamps.append(get_voices_fingerprint(layout))
    assert len(set(stamps)) == len(stamps)
    assert get_voices_fingerprint(ProjectPaths.from_root(tmp_path / "nowhere")) == ""


class TestLatentsOfTheOriginal:
    @pytest.fixture
    def tiny(
        self, workshop: WorkerContext, monkeypatch: pytest.MonkeyPatch, real_engines: object
    ) -> WorkerContext:
        monkeypatch.setattr("engines.registry.ENGINES", real_engines)
        make_tiny_bundle(workshop.layout.models / "tiny", seed=0)
        (workshop.layout.voices / "pat").mkdir()
        return workshop

    def speak(self, workshop: WorkerContext, content: object) -> float:
        path = workshop.layout.voices / "pat" / "pat.pth"
        path.write_bytes(content if isinstance(content, bytes) else saved(content))
        request = wish(workshop.layout, "pat", "tiny", samples=2, iterations=2)
        return workshop.synthesizer.speak(request, ProgressReporter()).seconds

    def test_a_voice_of_nothing_else_speaks(self, tiny: WorkerContext) -> None:
        pair = (torch.randn(1, GPT_WIDTH), torch.randn(1, DIFFUSION_LATENT))
        assert self.speak(tiny, pair) > 0
        assert [voice.name for voice in list_voices(tiny.layout)] == ["alice", "bob", "pat"]

    def test_widths_of_other_weights_are_reported(self, tiny: WorkerContext) -> None:
        told = r"'pat' cannot be used: .*1,024 and 2,048 wide; these weights need 32 and 32"
        with pytest.raises(AppError, match=told):
            self.speak(tiny, (torch.randn(1, 1024), torch.randn(1, 2048)))

    @pytest.mark.parametrize(
        "content",
        [
            b"no file of torch",
            {"gpt": torch.zeros(1, GPT_WIDTH)},
            (torch.zeros(1, 1).expand(10**6, 10**6), torch.zeros(1, DIFFUSION_LATENT)),
            (torch.full((1, GPT_WIDTH), torch.nan), torch.zeros(1, DIFFUSION_LATENT)),
            (torch.zeros(1, GPT_WIDTH).int(), torch.zeros(1, DIFFUSION_LATENT)),
        ],
        ids=["no pth", "a dict", "a bomb", "NaN or infinite", "whole numbers"],
    )
    def test_whatever_is_no_pair_of_latents_is_refused(
        self, tiny: WorkerContext, content: object
    ) -> None:
        with pytest.raises(AppError, match="'pat' cannot be used"):
            self.speak(tiny, content)
