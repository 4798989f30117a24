"""Finetunes: which there are, which `auto` means, and with which latents their voice speaks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from audio.io import write_clip
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.speaker_latents import SpeakerLatents
from studio.app.studio import Studio
from studio.model_store.finetunes import (
    AUTO,
    find_finetune_latents,
    list_finetunes,
    resolve_model_name,
    select_best_finetune,
)
from studio.schemas.settings import Settings
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.voices.catalog import find_voice
from support.api_helpers import tone
from support.fake_engine import FakeEngine
from training.finetuning.checkpoints.run_layout import FinetuneMetadata, write_info_file


@pytest.fixture(autouse=True)
def speaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any folder of weights speaks."""
    monkeypatch.setattr("studio.model_store.bundles.find_missing_model_files", lambda folder: [])


def make(layout: ProjectPaths, name: str, voice: str = "alice", **facts: Any) -> Path:
    """Write a finetune of a voice, as it was when the finetune was made."""
    folder = layout.models / "finetunes" / name
    folder.mkdir(parents=True)
    weights = name.encode()
    (folder / "weights").write_bytes(weights)
    (folder / "config.json").write_text('{"about": "a finetune"}')
    sources = {
        path.name: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted((layout.voices / voice).glob("*.wav"))
    }
    known = {
        "voice": voice,
        "dataset": "alice",
        "base": "starter",
        "base_weights_id": "b" * 16,
        "run": "001",
        "step": 100,
        "loss": 2.0,
        "train_loss": 1.0,
        "clips": 20,
        "seconds": 90.0,
        "created": 1000.0 + len(list(folder.parent.iterdir())),
        "sources": sources,
    }
    write_info_file(folder / "finetune.json", FinetuneMetadata(**{**known, **facts}))
    speaker = SpeakerLatents(
        engine="tortoise",
        weights_id=hashlib.sha256(weights).hexdigest()[:16],
        tensors={"pitch": torch.tensor([0.25])},
    )
    speaker.save(folder / "voice.latents")
    return folder


def names(layout: ProjectPaths, voice: str = "") -> list[str]:
    return [item.bundle for item in list_finetunes(layout, voice)]


def test_finetunes_are_listed_by_voice_the_latest_first_and_damaged_ones_left_out(
    layout: ProjectPaths,
) -> None:
    make(layout, "one")
    make(layout, "two", voice="bob")
    make(layout, "three")
    broken = make(layout, "broken")
    (broken / "finetune.json").write_bytes(b"\xff junk")
    mixture = make(layout, "mixture")
    (mixture / "finetune.json").unlink()
    assert names(layout) == ["finetunes/three", "finetunes/two", "finetunes/one"]
    assert names(layout, "alice") == ["finetunes/three", "finetunes/one"]


def test_auto_is_the_best_finetune_of_the_voice_or_the_starter(layout: ProjectPaths) -> None:
    make(layout, "worse", loss=2.5)
    make(layout, "better", loss=2.0)
    make(layout, "latest", loss=2.3)
    make(layout, "of bob", voice="bob", loss=0.5)
    assert resolve_model_name(layout, AUTO, "alice") == "finetunes/better"
    assert resolve_model_name(layout, AUTO, "bob") == "finetunes/of bob"
    for other in ("random", "random#7", "alice:0.5+bob:0.5", "nobody", "", "../alice"):
        assert resolve_model_name(layout, AUTO, other) == "starter"
    assert resolve_model_name(layout, "tortoise", "alice") == "tortoise"


def test_what_was_judged_to_stumble_or_to_sound_unlike_is_not_best(layout: ProjectPaths) -> None:
    make(layout, "unlike", loss=1.8, scores={"wer": 0.1, "similarity": 0.5})
    make(layout, "good", loss=2.0, scores={"wer": 0.1, "similarity": 0.8})
    make(layout, "stumbles", loss=1.9, scores={"wer": 0.7, "similarity": 0.9})
    best = select_best_finetune(layout, "alice")
    assert best is not None and best.bundle == "finetunes/good"


def test_only_finetunes_of_the_latest_data_and_base_are_compared(layout: ProjectPaths) -> None:
    make(layout, "old base", loss=0.5, base_weights_id="o" * 16)
    make(layout, "old data", loss=0.5, dataset="first try")
    make(layout, "new", loss=2.0)
    assert resolve_model_name(layout, AUTO, "alice") == "finetunes/new"


def test_a_finetune_that_cannot_speak_is_not_chosen(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(layout, "lame")
    monkeypatch.setattr(
        "studio.model_store.bundles.find_missing_model_files",
        lambda folder: ["gpt"] * (folder.name == "lame"),
    )
    assert resolve_model_name(layout, AUTO, "alice") == "starter"
    shutil.rmtree(layout.models / "starter")
    (layout.models / "tortoise").mkdir()
    (layout.models / "tortoise" / "config.json").write_text("{}")
    assert resolve_model_name(layout, AUTO, "alice") == "tortoise"


def test_a_request_names_the_model_that_auto_meant_when_it_was_made(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    make(layout, "own")
    wish = SpeechRequestInput(
        text="Hello.", voice="alice", request_fields={"bundle": AUTO}, out=str(tmp_path / "a.wav")
    )
    request = build_request(Settings(bundle=AUTO), wish, layout)
    assert request.bundle == "finetunes/own"
    studio = Studio.open(layout.root)
    studio.speak(request, ProgressReporter())
    record = read_metadata(tmp_path / "a.wav")
    assert record.bundle == "finetunes/own"
    again = SpeechRequestInput(
        voice="bob", request_fields={"bundle": AUTO}, out=str(tmp_path / "b.wav")
    )
    studio.speak(build_request_from_metadata(Settings(), record, again), ProgressReporter())
    assert read_metadata(tmp_path / "b.wav").bundle == "starter"
    assert [path.name for path in FakeEngine.loads] == ["own", "starter"]


def test_a_finetune_speaks_its_voice_with_the_latents_it_learned_and_others_from_their_clips(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    make(layout, "own")
    studio = Studio.open(layout.root)
    for number, voice in enumerate(("alice", "bob")):
        wish = SpeechRequestInput(
            text="Hello.",
            voice=voice,
            request_fields={"bundle": "finetunes/own"},
            out=str(tmp_path / f"{number}.wav"),
        )
        studio.speak(build_request(studio.settings, wish, layout), ProgressReporter())
    assert FakeEngine.listened == [["one.wav", "two.wav"]]  # bob's
    assert not (layout.voices / "alice" / ".cache").exists()


def test_own_latents_are_not_used_once_the_voice_has_changed(layout: ProjectPaths) -> None:
    own = make(layout, "own")
    folder = layout.voices / "alice"
    assert find_finetune_latents(own, find_voice(layout, "alice")) == own / "voice.latents"
    write_clip(folder / "three.wav", tone())
    assert find_finetune_latents(own, find_voice(layout, "alice")) is None
    (folder / "three.wav").unlink()
    assert find_finetune_latents(own, find_voice(layout, "alice")) is not None
    state = (folder / "one.wav").stat()
    os.utime(folder / "one.wav", ns=(state.st_atime_ns, state.st_mtime_ns + 1_000))
    assert find_finetune_latents(own, find_voice(layout, "alice")) is None
    assert find_finetune_latents(own, find_voice(layout, "bob")) is None
    assert find_finetune_latents(layout.models / "starter", find_voice(layout, "alice")) is None


def test_without_a_list_of_recordings_their_times_decide(layout: ProjectPaths) -> None:
    recent = max(path.stat().st_ctime for path in (layout.voices / "alice").glob("*.wav"))
    old = make(layout, "old", sources={}, created=recent - 10)
    new = make(layout, "new", sources={}, created=recent + 10)
    voice = find_voice(layout, "alice")
    assert (
        find_finetune_latents(old, voice) is None and find_finetune_latents(new, voice) is not None
    )


@pytest.mark.parametrize("junk", [b"", b"\xff\x00", b'{"voice": 7}', json.dumps([1]).encode()])
def test_a_damaged_finetune_file_or_latents_are_as_good_as_none(
    layout: ProjectPaths, tmp_path: Path, junk: bytes
) -> None:
    own = make(layout, "own")
    (own / "voice.latents").write_bytes(junk)
    wish = SpeechRequestInput(
        text="Hello.",
        voice="alice",
        request_fields={"bundle": "finetunes/own"},
        out=str(tmp_path / "a.wav"),
    )
    Studio.open(layout.root).speak(build_request(Settings(), wish, layout), ProgressReporter())
    assert FakeEngine.listened == [["one.wav", "two.wav"]]
    (own / "finetune.json").write_bytes(junk)
    assert names(layout) == [] and find_finetune_latents(own, find_voice(layout, "alice")) is None
