"""Encoders embed waves, clips and folders, and say why a recording cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audio.clip import Clip, ClipError
from audio.io import write_clip
from core.errors import InvalidValueError
from speakers.embedding import Encoder, embed_clip, embed_folder, load_encoder
from speakers.modules import silence
from speakers.modules.checkpoints import EncoderCheckpoint, save_checkpoint
from speakers.modules.feature_config import FeatureConfig, FeatureStatistics
from speakers.modules.features import extract_features, normalize_volume
from speakers.modules.ge2e import GE2EEncoder
from speakers.modules.partials import PartialOptions, compute_partial_slices
from speakers.modules.singer import SingerEncoder
from speakers.modules.world import convert_to_midi

RATE = 16_000


def speech(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Bursts of filtered noise, four a second: detectors take them for speech."""
    random = np.random.default_rng(seed)
    at = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 4 * at), 0.05, None)
    return (0.1 * envelope * (tone + 0.1 * random.standard_normal(len(at)))).astype(np.float32)


def save_encoder(path: Path, features: FeatureConfig | None = None) -> Encoder:
    torch.manual_seed(0)
    features = features or FeatureConfig(trim_silence=False)
    model = GE2EEncoder(bins=features.bins, hidden=12, embedding=6, layers=1)
    statistics = FeatureStatistics(mean=(0.1,) * features.bins, std=(2.0,) * features.bins)
    save_checkpoint(
        path,
        EncoderCheckpoint(
            model=model, kind="ge2e", features=features, statistics=statistics, partial_frames=50
        ),
    )
    return load_encoder(path)


def test_an_encoder_keeps_features_statistics_and_parts(tmp_path: Path) -> None:
    features = FeatureConfig(kind="singer_mel", normalization="schluter", trim_silence=False)
    encoder = save_encoder(tmp_path / "voice.pt", features)
    assert (encoder.name, encoder.kind, encoder.feature_config) == ("voice", "ge2e", features)
    assert encoder.partial_options == PartialOptions(frames=50, step=25)
    assert encoder.statistics is not None and encoder.statistics.std[0] == 2.0
    vector = encoder.embed_wave(speech(2.0))
    assert vector.shape == (6,) and np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_a_wave_and_its_features_have_the_same_embedding(tmp_path: Path) -> None:
    encoder, wave = save_encoder(tmp_path / "a.pt"), speech(2.0)
    frames = extract_features(wave, encoder.feature_config)
    assert float(encoder.embed_wave(wave) @ encoder.embed_features(frames)) > 0.999
    parts = encoder.embed_partials(wave)
    assert len(parts.starts_s) == len(parts.embeddings) and parts.duration_s == 0.5
    assert encoder.embed_whole(frames).shape == (6,)


def test_pitch_is_an_input_where_the_features_have_it(tmp_path: Path) -> None:
    pytest.importorskip("pyworld")
    features = FeatureConfig(kind="singer_mel", pitch_condition=True, trim_silence=False)
    encoder = save_encoder(tmp_path / "a.pt", features)
    frames = extract_features(speech(1.0), features)
    assert frames.shape == (1 + RATE // 256, 127)
    assert (frames[:, 80:].sum(1) == 1).all() and frames[:, 81:].sum() > 20
    assert encoder.embed_wave(speech(1.0)).shape == (6,)


def test_a_folder_gives_a_mean_and_the_reasons_of_files_left_out(tmp_path: Path) -> None:
    encoder, folder = save_encoder(tmp_path / "a.pt"), tmp_path / "voice"
    (folder / "sub").mkdir(parents=True)
    for seed, name in enumerate(("one.wav", "sub/two.flac")):
        wave = torch.from_numpy(speech(1.5, seed))
        write_clip(folder / name, Clip(wave=wave, sample_rate=RATE))
    (folder / "broken.wav").write_bytes(b"RIFF")
    found = embed_folder(encoder, folder)
    assert [path.name for path in found.files] == ["one.wav", "two.flac"]
    assert found.embeddings.shape == (2, 6) and [*found.left_out] == [folder / "broken.wav"]
    assert np.linalg.norm(found.mean) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ClipError, match="no usable recording"):
        embed_folder(encoder, tmp_path / "nothing")


def test_recordings_without_speech_are_refused(tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path / "a.pt")
    for wave in (np.zeros(RATE, np.float32), speech(0.1)):
        with pytest.raises(ClipError, match="an embedding needs"):
            encoder.embed_wave(wave)
    slow = Clip(wave=torch.from_numpy(speech(1.5)), sample_rate=8_000)
    assert embed_clip(encoder, slow).shape == (6,)


def test_silence_stays_silent_and_loud_waves_are_not_changed() -> None:
    silent = np.zeros(100, np.float32)
    assert normalize_volume(silent) is silent
    quiet = normalize_volume(speech(1.0) * np.float32(0.01))
    assert 10 * np.log10(np.mean(quiet**2)) == pytest.approx(-30, abs=1e-3)


@pytest.mark.parametrize("detector", [silence.WEBRTC, silence.SILERO])
def test_long_pauses_are_shortened_by_either_detector(
    detector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(detector)
    if detector == silence.SILERO:
        monkeypatch.setattr(silence, "find_spec", lambda name: None)
    pause = np.zeros(2 * RATE, np.float32)
    wave = np.concatenate([pause, normalize_volume(speech(2.0)), pause])
    kept = silence.trim_silence(wave)
    assert len(kept) % silence.WINDOW_SAMPLES == 0
    assert len(kept) < 3.5 * RATE
    assert len(silence.trim_silence(wave[:0])) == 0


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="kind is 'melody'"):
        FeatureConfig(kind="melody")
    with pytest.raises(InvalidValueError, match="below high_hz"):
        FeatureConfig(low_hz=900.0, high_hz=200.0)
    with pytest.raises(InvalidValueError, match="16000"):
        FeatureConfig(sample_rate=22_050)
    for rate in (0.0, 0.5, 300.0):
        with pytest.raises(InvalidValueError, match="rate"):
            PartialOptions.from_rate(rate)
    with pytest.raises(InvalidValueError, match="overlap"):
        PartialOptions.from_overlap(1.0)
    assert len(compute_partial_slices(0, PartialOptions())) == 1


def test_unvoiced_stretches_are_interpolated_and_flagged() -> None:
    midi, unvoiced = convert_to_midi(np.array([0.0, 440.0, 0.0, 880.0, 0.0]))
    np.testing.assert_allclose(midi, [69, 69, 75, 81, 81])
    np.testing.assert_array_equal(unvoiced, [1, 0, 1, 0, 1])
    midi, unvoiced = convert_to_midi(np.zeros(3))
    assert not midi.any() and unvoiced.all()


def test_networks_have_the_published_sizes() -> None:
    def count(model: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(GE2EEncoder()) == 1_423_618
    assert count(SingerEncoder()) == 12_257_026 or count(SingerEncoder()) > 12_000_000
