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

from jobs.report import Reporter
from published_files import saved
from speech.files import read_clip
from studio.errors import StudioError
from studio.layout import Layout
from studio.recordings import MICROPHONE, KeepRandom, KeepRecording, waiting_recording
from studio.requests import Wish, request_of
from studio.settings import Settings
from studio.speaking import SpeakRequest
from studio.tasks.recordings import keep_random, keep_recording
from studio.tasks.workshop import Workshop
from studio.voice_bin import deleted_voices, rename_voice, restore_voice
from studio.voices import find_voice, list_voices, voices_stamp
from tiny_bundle import DIFFUSION_LATENT, GPT_WIDTH, make_tiny_bundle

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is missing")


@pytest.fixture
def workshop(layout: Layout) -> Workshop:
    return Workshop(layout, Settings())


def recorded(tmp_path: Path, name: str = "blob.wav", hz: float = 220.0) -> Path:
    path = tmp_path / name
    wave = 0.4 * np.sin(np.arange(48_000) * 2 * np.pi * hz / 48_000)
    sound = io.BytesIO()
    soundfile.write(sound, wave, 48_000, format="WAV")
    path.write_bytes(sound.getvalue())
    return path


def wish(layout: Layout, voice: str, bundle: str = "starter", **options: object) -> SpeakRequest:
    asked = Wish(
        text="Hi you.", voice=voice, options={"seed": 1, **options}, stated={"bundle": bundle}
    )
    return request_of(Settings(), asked, layout)


def test_a_recording_becomes_a_voice_that_speaks(workshop: Workshop, tmp_path: Path) -> None:
    request = waiting_recording(workshop.layout, "carol", recorded(tmp_path))
    kept = keep_recording(workshop, request, Reporter())
    assert (kept.voice, kept.clips) == ("carol", 1)
    (clip,) = find_voice(workshop.layout, "carol").clips
    assert clip.read_bytes() == (tmp_path / "blob.wav").read_bytes()
    assert not Path(request.folder).exists()
    assert workshop.speaker.speak(wish(workshop.layout, "carol"), Reporter()).seconds > 0


def test_the_microphone_takes_the_place_of_its_last_recording_and_can_be_kept(
    workshop: Workshop, tmp_path: Path
) -> None:
    layout = workshop.layout
    for hz in (220.0, 330.0):
        path = recorded(tmp_path, hz=hz)
        request = waiting_recording(layout, MICROPHONE, path, replace=True)
        keep_recording(workshop, request, Reporter())
    (clip,) = find_voice(layout, MICROPHONE).clips
    assert clip.read_bytes() == path.read_bytes()
    (older,) = deleted_voices(layout)
    assert older.name == MICROPHONE
    rename_voice(layout, MICROPHONE, "dora")
    assert restore_voice(layout, older.id).name == MICROPHONE
    assert {voice.name for voice in list_voices(layout)} >= {"dora", MICROPHONE}


@needs_ffmpeg
def test_what_a_browser_records_becomes_a_wav(workshop: Workshop, tmp_path: Path) -> None:
    import subprocess

    webm = tmp_path / "blob.webm"
    command = ["ffmpeg", "-v", "error", "-i", str(recorded(tmp_path)), "-c:a", "libopus", str(webm)]
    subprocess.run(command, check=True, timeout=60)
    request = waiting_recording(workshop.layout, "carol", webm)
    keep_recording(workshop, request, Reporter())
    (clip,) = find_voice(workshop.layout, "carol").clips
    assert clip.suffix == ".wav" and read_clip(clip).duration_s == pytest.approx(1.0, abs=0.05)


def test_without_ffmpeg_such_a_recording_is_refused_clearly(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speech.files.shutil.which", lambda name: None)
    webm = tmp_path / "blob.webm"
    webm.write_bytes(b"\x1aE\xdf\xa3" + bytes(500))
    request = waiting_recording(workshop.layout, "carol", webm)
    with pytest.raises(StudioError, match="need ffmpeg, which is not installed"):
        keep_recording(workshop, request, Reporter())
    assert not (workshop.layout.voices / "carol").exists() and not Path(request.folder).exists()


def test_a_bad_recording_leaves_the_voice_as_it_was(workshop: Workshop, tmp_path: Path) -> None:
    silent = tmp_path / "blob.wav"
    soundfile.write(silent, np.zeros(24_000), 24_000)
    before = find_voice(workshop.layout, "alice").clips
    request = waiting_recording(workshop.layout, "alice", silent, replace=True)
    with pytest.raises(StudioError, match="is silent"):
        keep_recording(workshop, request, Reporter())
    assert find_voice(workshop.layout, "alice").clips == before
    assert not list(workshop.layout.voices.glob(".*"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("alice", "already a voice"), ("Alice", "already"), ("../x", "cannot name"),
     ("random", "made-up"), ("a/b", "cannot name"), ("", "cannot name")],
)  # fmt: skip
def test_names_are_checked_before_anything_is_copied(
    layout: Layout, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(StudioError, match=reason):
        waiting_recording(layout, name, recorded(tmp_path))
    assert not (layout.state / "uploads").exists()


def test_a_request_names_a_folder_of_ours_only(workshop: Workshop, tmp_path: Path) -> None:
    for folder in (tmp_path, workshop.layout.voices / "alice", Path("/")):
        with pytest.raises(StudioError, match="recording is gone"):
            keep_recording(workshop, KeepRecording(name="x", folder=str(folder)), Reporter())
    assert (workshop.layout.voices / "alice" / "one.wav").is_file()


def test_a_random_voice_is_kept_as_a_job(workshop: Workshop) -> None:
    kept = keep_random(workshop, KeepRandom(name="carol", seed=42), Reporter())
    assert (kept.voice, kept.clips) == ("carol", 0)
    layout = workshop.layout
    made_up = workshop.speaker.speak(wish(layout, "random#42"), Reporter())
    as_kept = workshop.speaker.speak(wish(layout, "carol"), Reporter())
    assert torch.equal(read_clip(Path(made_up.path)).wave, read_clip(Path(as_kept.path)).wave)
    with pytest.raises(StudioError, match="already a voice"):
        keep_random(workshop, KeepRandom(name="carol", seed=1), Reporter())


def test_the_stamp_changes_with_what_the_folder_holds(layout: Layout, tmp_path: Path) -> None:
    stamps = [voices_stamp(layout)]
    assert voices_stamp(layout) == stamps[0]
    (layout.voices / "carol").mkdir()
    stamps.append(voices_stamp(layout))
    os.utime(layout.voices / "carol", (1, 1))
    stamps.append(voices_stamp(layout))
    shutil.copyfile(layout.voices / "alice" / "one.wav", layout.voices / "carol" / "one.wav")
    stamps.append(voices_stamp(layout))
    (layout.voices / "carol").rename(layout.voices / "dora")
    stamps.append(voices_stamp(layout))
    assert len(set(stamps)) == len(stamps)
    assert voices_stamp(Layout.at(tmp_path / "nowhere")) == ""


class TestLatentsOfTheOriginal:
    @pytest.fixture
    def tiny(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, real_engines: object
    ) -> Workshop:
        monkeypatch.setattr("engines.registry.ENGINES", real_engines)
        make_tiny_bundle(workshop.layout.models / "tiny", seed=0)
        (workshop.layout.voices / "pat").mkdir()
        return workshop

    def speak(self, workshop: Workshop, content: object) -> float:
        path = workshop.layout.voices / "pat" / "pat.pth"
        path.write_bytes(content if isinstance(content, bytes) else saved(content))
        request = wish(workshop.layout, "pat", "tiny", samples=2, iterations=2)
        return workshop.speaker.speak(request, Reporter()).seconds

    def test_a_voice_of_nothing_else_speaks(self, tiny: Workshop) -> None:
        pair = (torch.randn(1, GPT_WIDTH), torch.randn(1, DIFFUSION_LATENT))
        assert self.speak(tiny, pair) > 0
        assert [voice.name for voice in list_voices(tiny.layout)] == ["alice", "bob", "pat"]

    def test_widths_of_other_weights_are_told(self, tiny: Workshop) -> None:
        told = r"'pat' cannot be used: .*1,024 and 2,048 wide; these weights know 32 and 32"
        with pytest.raises(StudioError, match=told):
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
        ids=["no pth", "a dict", "a bomb", "not numbers", "whole numbers"],
    )
    def test_whatever_is_no_pair_of_latents_is_refused(
        self, tiny: Workshop, content: object
    ) -> None:
        with pytest.raises(StudioError, match="'pat' cannot be used"):
            self.speak(tiny, content)
