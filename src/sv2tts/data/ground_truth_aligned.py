"""Predict the mels of a dataset from its true mels, to train a vocoder on what it will be given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from core.files import atomic_path
from core.progress import ProgressReporter
from sv2tts.data.batches import collate_synthesizer
from sv2tts.data.train_list import (
    GTA_DIR,
    SYNTHESIZED_FILE,
    load_embedding,
    load_mel,
    read_train_list,
    write_train_list,
)
from sv2tts.modules.tacotron import Tacotron
from sv2tts.text import text_to_ids


@torch.inference_mode()
def predict_mels(folder: Path, model: Tacotron, report: ProgressReporter) -> int:
    """Write mels_gta/*.npy and synthesized.txt; returns how many utterances there are.

    The pre-nets' dropout is off while predicting, as the published program has it.
    """
    items = read_train_list(folder)
    (folder / GTA_DIR).mkdir(exist_ok=True)
    device = next(model.parameters()).device
    prenets = (model.encoder.pre_net, model.decoder.prenet)
    rates = [prenet.dropout for prenet in prenets]
    for prenet in prenets:
        prenet.dropout = 0.0
    try:
        for item in report.track(items, "predict"):
            batch = collate_synthesizer(
                [torch.tensor(text_to_ids(item.text))],
                [load_mel(folder, item)],
                [load_embedding(folder, item)],
                model.r,
            )
            made = model(batch.chars.to(device), batch.mel.to(device), batch.speaker.to(device))
            mel = made.mel_postnet[0, :, : item.frames].T.float().cpu().numpy()
            with atomic_path(folder / GTA_DIR / item.mel) as part, part.open("wb") as file:
                np.save(file, mel)
    finally:
        for prenet, rate in zip(prenets, rates, strict=True):
            prenet.dropout = rate
    write_train_list(folder, items, SYNTHESIZED_FILE)
    return len(items)
