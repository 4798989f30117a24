"""Data and export of the SV2TTS recipe: phonemes get the times of the teacher's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.clip import Clip
from core.progress import ProgressReporter
from quick.converter import VoiceConverter
from quick.teacher import DURATION_UNIT, Teacher
from recipes.corpus.reader import CorpusRow, read_index, read_wave
from recipes.sv2tts.export import trim_frames, write_sv2tts_model
from recipes.sv2tts.speaker_data import CLIPS_PER_VOICE, choose_clips
from recipes.sv2tts.synthesizer_data import place_symbols, split_features, split_words
from recipes.sv2tts.voices_corpus import FAMILY, VoiceRenderer, VoicesCorpusConfig, build_shard
from speakers.modules.checkpoints import EncoderCheckpoint, save_checkpoint
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.ge2e import GE2EEncoder
from speakers.modules.xvector import XVectorEncoder
from sv2tts.checkpoints import read_config, verify_model
from sv2tts.engine import Sv2ttsEngine
from sv2tts.generation.options import Sv2ttsOptions
from sv2tts.modules.tacotron import Tacotron, TacotronConfig
from sv2tts.text import PHONEME_COUNT
from sv2tts.training.config import SynthesizerTrainConfig, write_config
from tortoise.checkpoints.loading import save_network
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, IstftVocoderConfig

STARTER = Path(__file__).resolve().parents[2] / "models" / "starter"


def test_phonemes_are_placed_inside_the_words_of_the_teacher() -> None:
    words = split_words("_nˈO kˈæt._", [10, 2, 1, 6, 2, 3, 1, 5, 4, 6, 1])
    assert [[span.sound for span in word] for word in words] == [["n", "O"], ["k", "æ", "t"]]
    assert words[0][1].start == 12  # where the stress mark before the vowel starts
    starts = place_symbols(["N", "OW1", "[SPACE]", "K", "AE1", "T", "."], words)
    assert starts == [10, 12, 19, 21, 24, 30, 34]


def test_other_numbers_of_phonemes_are_spread_and_other_words_are_refused() -> None:
    words = split_words("_bˈɜɹd", [4, 2, 1, 3, 2, 4])
    starts = place_symbols(["B", "ER1", "D"], words)
    assert starts is not None and starts[0] == 4 and starts == sorted(starts) and starts[-1] < 16
    assert place_symbols(["B", "[SPACE]", "D"], words) is None


@pytest.mark.parametrize(("family", "voices"), [(1.0, set(FAMILY)), (0.0, {"103"})])
def test_sentences_are_told_in_voices_of_the_family_and_of_people(
    family: float, voices: set[str], tmp_path: Path
) -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    pytest.importorskip("pyworld", reason="pyworld is not installed")
    vector = torch.nn.functional.normalize(torch.rand(256), dim=0)
    converter = VoiceConverter.load(STARTER, torch.device("cpu"))
    renderer = VoiceRenderer(converter=converter, people={"103": vector})
    config = VoicesCorpusConfig(sentences_per_shard=2, family=family, often=("103",))
    (tmp_path / "shards").mkdir()
    build_shard(Teacher(), renderer, tmp_path / "shards", config, 0)
    rows = read_index(tmp_path)
    assert len(rows) == 4 and {row.speaker for row in rows} <= voices
    for row in rows:
        assert row.samples == sum(row.durations) * DURATION_UNIT
        assert abs(read_wave(tmp_path, row)).max() > 1_000


def test_a_clip_is_embedded_whole_and_in_parts() -> None:
    features = np.arange(1_100)[:, None]
    whole, *parts = split_features(features)
    assert len(whole) == 1_100 and [(int(one[0, 0]), len(one)) for one in parts] == [
        (0, 400), (200, 400), (400, 400), (600, 400),
    ]  # fmt: skip
    assert len(split_features(features[:300])) == 1


def test_each_voice_gives_the_same_number_of_clips() -> None:
    rows = [
        CorpusRow(shard="0000.npy", start=n, samples=9, speaker="ab"[n % 2], text="x")
        for n in range(40)
    ]
    assert len(choose_clips(rows)) == 2 * CLIPS_PER_VOICE


@pytest.mark.parametrize("kind", ["ge2e", "xvector"])
def test_an_exported_model_speaks(kind: str, tmp_path: Path) -> None:
    config = replace(
        TacotronConfig.tiny(), num_chars=PHONEME_COUNT, n_mels=100, fft_bins=100,
        speaker_embedding_size=6,
    )  # fmt: skip
    run = tmp_path / "run"
    run.mkdir()
    network = Tacotron(config)
    network.r = 4
    torch.nn.init.constant_(network.decoder.stop_proj.bias, -10.0)  # goes on to the limit
    torch.save({"model_state": network.state_dict()}, run / "synthesizer.pt")
    trained = SynthesizerTrainConfig(network={"encoder_dropout": 0.1})
    write_config(run / "synthesizer.yaml", trained)
    encoder = GE2EEncoder(40, 8, 6, 1) if kind == "ge2e" else XVectorEncoder(hidden=8, embedding=6)
    checkpoint = EncoderCheckpoint(model=encoder, kind=kind, features=FeatureConfig())
    save_checkpoint(tmp_path / "encoder.pt", checkpoint)
    vocoder = IstftVocoder(IstftVocoderConfig.tiny())
    save_network(tmp_path / "export", "istft_vocoder", vocoder, vocoder.config)
    model = tmp_path / "model"
    write_sv2tts_model(model, run, tmp_path / "encoder.pt", tmp_path / "export", STARTER)
    assert all(problem == "" for _, problem in verify_model(model))
    exported = read_config(model).synthesizer
    assert (exported.encoder_dropout, exported.max_r) == (0.1, 4)
    engine = Sv2ttsEngine.load(model, torch.device("cpu"))
    time = torch.arange(48_000) / 16_000
    wave = 0.3 * torch.sin(2 * torch.pi * 140 * time) * (1 + torch.sin(2 * torch.pi * 3 * time))
    noise = 0.02 * torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    clip = Clip(wave=(wave + noise).clamp(-1, 1), sample_rate=16_000)
    speaker = engine.condition([clip], ProgressReporter())
    options = Sv2ttsOptions(seed=0, retakes=0, max_seconds=1.0)
    made = engine.synthesize("Hello.", speaker, options, ProgressReporter()).candidates[0]
    assert made.clip.sample_rate == 24_000 and made.clip.duration_s == pytest.approx(1.0, abs=0.1)


def test_a_trimmed_network_gives_the_same() -> None:
    network = Tacotron(TacotronConfig.tiny()).eval()
    network.r = 3
    trimmed = trim_frames(network, {"encoder_dropout": 0.5}).eval()
    assert trimmed.r == 3 and trimmed.config.max_r == 3
    chars, speaker = torch.tensor([[3, 4, 5, 1]]), torch.ones(1, 256)
    first, second = (
        one.generate(chars, speaker, torch.Generator().manual_seed(2), max_frames=12)
        for one in (network, trimmed)
    )
    assert torch.equal(first.mel_postnet, second.mel_postnet)
