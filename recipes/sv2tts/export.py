"""Write the trained networks as a model of the SV2TTS engine, in half precision.

python -m recipes.sv2tts.export models/NAME --synthesizer RUN --encoder FILE --vocoder FOLDER
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from speakers.modules.checkpoints import EncoderCheckpoint, load_checkpoint
from speakers.modules.ge2e import GE2EEncoder
from speakers.modules.xvector import XVectorEncoder
from sv2tts.checkpoints import (
    EncoderConfig,
    Sv2ttsConfig,
    load_published_synthesizer,
    save_model,
)
from sv2tts.modules.tacotron import Tacotron
from sv2tts.training.config import SYNTHESIZER_FILE as CONFIG_FILE
from sv2tts.training.config import SynthesizerTrainConfig, read_config
from sv2tts.training.synthesizer_task import SYNTHESIZER_FILE
from tortoise.checkpoints.loading import load_network
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder

PRONUNCIATION_FILES = ("tokenizer.json", "lexicon.txt.gz", "lexicon.LICENSE", "lts.json.gz")
DESCRIPTION = "Trained from nothing by recipes.sv2tts on a synthetic family of voices"
ADVICE = {"retakes": 4}


def write_sv2tts_model(
    folder: Path, synthesizer: Path, encoder: Path, vocoder: Path, pronunciation: Path
) -> None:
    """Write the model.

    synthesizer: a run of its trainer; encoder: a file of kind ge2e or xvector; vocoder: a folder
    with an istft_vocoder; pronunciation: a folder with the lexicon.
    """
    trained = read_config(synthesizer / CONFIG_FILE, SynthesizerTrainConfig)
    tacotron = trim_frames(
        load_published_synthesizer(synthesizer / SYNTHESIZER_FILE), trained.network or {}
    )
    checkpoint = load_checkpoint(encoder)
    istft = load_network(vocoder, "istft_vocoder")
    assert isinstance(istft, IstftVocoder)
    config = Sv2ttsConfig(
        about=DESCRIPTION,
        encoder=describe_encoder(checkpoint),
        synthesizer=tacotron.config,
        istft_vocoder=istft.config,
        symbols="phonemes",
        mel="vocoder_24k",
        advice=ADVICE,
    )
    save_model(folder, config, checkpoint.model, tacotron, istft, torch.float16)
    for name in PRONUNCIATION_FILES:
        if (pronunciation / name).is_file():
            shutil.copy(pronunciation / name, folder / name)


def trim_frames(tacotron: Tacotron, network: Mapping[str, Any]) -> Tacotron:
    """Return the network without the frames of a step that it does not use.

    network: what its training changed (Any: sizes, and shares of dropout).
    """
    config = replace(tacotron.config, **network, max_r=tacotron.r)
    weights = tacotron.state_dict()
    frames = weights["decoder.mel_proj.weight"].unflatten(0, (config.n_mels, -1))
    weights["decoder.mel_proj.weight"] = frames[:, : tacotron.r].flatten(0, 1)
    trimmed = Tacotron(config)
    trimmed.load_state_dict(weights)
    return trimmed


def describe_encoder(checkpoint: EncoderCheckpoint) -> EncoderConfig:
    """Return the sizes of an encoder.  Raises ValueError for another kind than ge2e and xvector."""
    model = checkpoint.model
    if isinstance(model, XVectorEncoder):
        hidden, bins, _ = model.conv_in.weight.shape
        return EncoderConfig(
            kind="xvector", bins=bins, hidden=hidden, embedding=model.embedding_size
        )
    if isinstance(model, GE2EEncoder):
        lstm = model.lstm
        return EncoderConfig(
            bins=lstm.input_size,
            hidden=lstm.hidden_size,
            embedding=model.embedding_size,
            layers=lstm.num_layers,
        )
    raise ValueError(f"the encoder is of kind {checkpoint.kind}; the model takes ge2e or xvector")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a model from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.sv2tts.export", description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--synthesizer", type=Path, required=True)
    cli.add_argument("--encoder", type=Path, required=True)
    cli.add_argument("--vocoder", type=Path, required=True)
    cli.add_argument("--pronunciation", type=Path, default=Path("models/starter"))
    parsed = cli.parse_args(arguments)
    write_sv2tts_model(
        parsed.folder, parsed.synthesizer, parsed.encoder, parsed.vocoder, parsed.pronunciation
    )


if __name__ == "__main__":
    main()
