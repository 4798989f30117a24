"""A tiny SV2TTS model, whose encoder takes noise for speech."""

from __future__ import annotations

from pathlib import Path

import torch

from speakers.modules.ge2e import GE2EEncoder
from sv2tts.checkpoints import EncoderConfig, Sv2ttsConfig, save_model
from sv2tts.modules.tacotron import Tacotron, TacotronConfig
from sv2tts.modules.wavernn import WaveRNN, WaveRNNConfig


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
