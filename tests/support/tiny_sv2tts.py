"""A tiny SV2TTS model, whose encoder takes noise for speech."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from speakers.modules.ge2e import GE2EEncoder
from sv2tts.checkpoints import EncoderConfig, Sv2ttsConfig, save_model
from sv2tts.modules.tacotron import Tacotron, TacotronConfig
from sv2tts.modules.wavernn import WaveRNN, WaveRNNConfig
from sv2tts.text import PHONEME_COUNT
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, IstftVocoderConfig

STARTER = Path(__file__).resolve().parents[2] / "models" / "starter"


def make_tiny_sv2tts(folder: Path, seed: int = 0) -> Path:
    """Write a model folder of random weights."""
    config = Sv2ttsConfig(
        about="tiny",
        encoder=EncoderConfig(hidden=16, layers=2, trim_silence=False),
        synthesizer=TacotronConfig.tiny(),
        vocoder=WaveRNNConfig.tiny(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        synthesizer = Tacotron(config.synthesizer)
        synthesizer.r = 4
        vocoder = WaveRNN(WaveRNNConfig.tiny())
        save_model(folder, config, GE2EEncoder(40, 16, 256, 2), synthesizer, vocoder)
    return folder


def make_tiny_phoneme_model(folder: Path, seed: int = 0) -> Path:
    """Write a model of random weights that reads phonemes and has the iSTFT vocoder."""
    synthesizer = replace(
        TacotronConfig.tiny(), num_chars=PHONEME_COUNT, n_mels=100, fft_bins=100,
        speaker_embedding_size=16,
    )  # fmt: skip
    config = Sv2ttsConfig(
        encoder=EncoderConfig(hidden=16, embedding=16, layers=1, trim_silence=False),
        synthesizer=synthesizer,
        istft_vocoder=IstftVocoderConfig.tiny(),
        symbols="phonemes",
        mel="vocoder_24k",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Tacotron(synthesizer)
        network.r = 4
        vocoder = IstftVocoder(IstftVocoderConfig.tiny())
        save_model(folder, config, GE2EEncoder(40, 16, 16, 1), network, vocoder, torch.float16)
    for name in ("tokenizer.json", "lexicon.txt.gz", "lts.json.gz"):
        shutil.copy(STARTER / name, folder / name)
    return folder
