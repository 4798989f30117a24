"""Recordings become utterances; what cannot be used leaves the rest of a recording in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.paths import ProjectPaths
from core.progress import ProgressReporter
from speakers.modules.checkpoints import EncoderCheckpoint, save_checkpoint
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.ge2e import GE2EEncoder
from studio.sv2tts.requests import EmbedRequest
from studio.sv2tts.service import get_datasets_folder
from studio.workers.sv2tts.datasets import embed_utterances
from support.tiny_sv2tts import make_tiny_phoneme_model
from sv2tts.data.preprocessing import (
    PreprocessOptions,
    SourceUtterance,
    WordAlignment,
    preprocess,
    shorten_pauses,
)
from sv2tts.data.train_list import load_audio, load_mel
from sv2tts.front_end import load_front_end
from sv2tts.text import read_training_text


def write_noise(path: Path, seconds: float) -> Path:
    wave = 0.2 * np.random.default_rng(0).normal(size=int(16_000 * seconds))
    soundfile.write(path, wave, 16_000)
    return path


def test_a_part_that_is_too_long_leaves_the_other_parts(tmp_path: Path) -> None:
    alignment = WordAlignment(
        words=("", "A", "", "B", "", "C", ""),
        end_times=(0.5, 2.5, 3.0, 7.0, 7.5, 9.5, 10.0),
    )
    path = write_noise(tmp_path / "talk.wav", 10)
    source = SourceUtterance(path=path, name="talk", text="", alignment=alignment)
    options = PreprocessOptions(trim=False, max_frames=250)
    made = preprocess([source], tmp_path / "data", options, ProgressReporter())
    assert [(item.audio, item.text) for item in made.items] == [
        ("audio-talk_00.npy", "A"),
        ("audio-talk_02.npy", "C"),
    ]
    assert "mel frames" in made.left_out["talk_01"]


def test_utterances_are_embedded_by_the_encoder_of_a_run(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    run = layout.encoder_run("mine")
    run.mkdir(parents=True)
    checkpoint = EncoderCheckpoint(
        model=GE2EEncoder(40, 8, 12, 1), kind="ge2e", features=FeatureConfig(trim_silence=False)
    )
    save_checkpoint(run / "encoder.pt", checkpoint)
    source = SourceUtterance(path=write_noise(tmp_path / "a.wav", 2), name="a", text="one")
    folder = get_datasets_folder(layout) / "small"
    preprocess([source], folder, PreprocessOptions(trim=False), ProgressReporter())
    embed_utterances(layout, EmbedRequest(dataset="small", encoder="mine"), ProgressReporter())
    assert np.load(folder / "embeds" / "embed-a.npy").shape == (12,)


def test_a_dataset_is_made_as_a_model_reads_it(tmp_path: Path) -> None:
    front_end = load_front_end(make_tiny_phoneme_model(tmp_path / "model"), "phonemes")
    source = SourceUtterance(path=write_noise(tmp_path / "a.wav", 2), name="a", text="One, two.")
    folder = tmp_path / "data"
    published = PreprocessOptions(trim=False)
    preprocess([source], folder, published, ProgressReporter())
    options = replace(published, mel="vocoder_24k", front_end=front_end, skip_existing=True)
    (item,) = preprocess([source], folder, options, ProgressReporter()).items
    assert load_mel(folder, item).shape == (100, 1 + 2 * 24_000 // 256)
    assert read_training_text(item.text, "phonemes") == front_end.to_ids(
        front_end.read("One, two.")
    )
    assert load_audio(folder, item).shape == (2 * 16_000,)


def test_pauses_are_shortened_at_any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = np.arange(24_000, dtype=np.float32)
    monkeypatch.setattr(
        "sv2tts.data.preprocessing.find_speech_windows", lambda wave: np.arange(33) < 10
    )
    assert np.array_equal(shorten_pauses(wave, 24_000), wave[: 10 * 720])
