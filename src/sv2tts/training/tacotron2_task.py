"""Train Pee Wee's Tacotron 2 (arXiv:1712.05884) on a dataset of the synthesizer.

Shapes: b batch, t characters, f mel frames, m mel bands, s speaker embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audio.mel import mel_spectrum
from core.errors import AppError, InvalidValueError
from core.files import atomic_path
from engines.device import pick_device
from runs.loop import ModelState, StepResult
from sv2tts.checkpoints import write_published
from sv2tts.data.train_list import (
    TrainItem,
    draw_batch,
    load_audio,
    load_embedding,
    load_mel,
    read_train_list,
    split_validation,
)
from sv2tts.generation.attention_check import attention_score
from sv2tts.mel import PEEWEE_MEL, SYNTHESIZER_MEL
from sv2tts.modules.tacotron2 import Tacotron2, Tacotron2Config, Tacotron2Output
from sv2tts.text import text_to_peewee_ids
from sv2tts.training.config import Tacotron2TrainConfig
from sv2tts.training.pictures import draw_alignment, draw_mels

TACOTRON_2_WEIGHTS = "tacotron_2.pt"
PEEWEE_MELS_DIR = "mels_peewee"
PLOTS_DIR = "plots"


class Tacotron2Batch(NamedTuple):
    """chars: (b, t), 0 is padding; mel: (b, f, m), 0 is padding; speaker: (b, s)."""

    chars: Tensor
    mel: Tensor
    speaker: Tensor


@dataclass(kw_only=True, eq=False)
class Tacotron2Task(ModelState):
    """The state of one training. folder: the preprocessed dataset."""

    folder: Path
    config: Tacotron2TrainConfig
    train: Sequence[TrainItem]
    validation: Sequence[TrainItem]
    model: Tacotron2
    optimizer: torch.optim.Optimizer
    device: torch.device
    stage: str = "synthesizer"

    @classmethod
    def create(cls, dataset: Path, config: Tacotron2TrainConfig) -> Tacotron2Task:
        """Read the dataset, make its mels, and build the network.

        Raises InvalidValueError for a dataset without a usable utterance.
        """
        items = [
            item
            for item in read_train_list(dataset)
            if item.frames <= config.max_mel_frames and text_to_peewee_ids(item.text)
        ]
        if not items:
            raise InvalidValueError(
                f"{dataset} has no utterance of at most {config.max_mel_frames} frames."
            )
        write_peewee_mels(dataset, items)
        train, validation = split_validation(items, config.validation_share, config.seed)
        device = pick_device(config.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            sizes: Any = dict(config.network or {})  # Any: field name -> its value
            if "num_layers" in sizes:
                sizes["num_layers"] = tuple(sizes["num_layers"])
            model = Tacotron2(replace(Tacotron2Config(), **sizes)).train().to(device)
        optimizer = torch.optim.Adam(
            model.parameters(), config.learning_rate, eps=1e-6, weight_decay=config.weight_decay
        )
        return cls(
            folder=dataset,
            config=config,
            train=train,
            validation=validation,
            model=model,
            optimizer=optimizer,
            device=device,
        )

    def train_step(self, step: int) -> StepResult:
        """Train on the batch of a step."""
        rate = self.config.compute_rate(step, len(self.train))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        items = draw_batch(self.train, self.config.batch_size, step, self.config.seed)
        batch = self._load(items)
        output = self._run(batch, self.config.seed * 1_000_003 + step)
        loss = tacotron2_loss(output, batch.mel)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.clip_grad_norm or float("inf")
        )
        self.optimizer.step()
        score = attention_score(_own_attention(output, batch))
        metrics = {"loss": loss.item(), "gradient": float(norm), "attention": score}
        return StepResult(metrics=metrics, rate=rate)

    def export(self, run: Path, step: int) -> Path:
        """Write the weights under `model_state`."""
        return write_published(run / TACOTRON_2_WEIGHTS, self.model)

    def validate(self, step: int) -> dict[str, float] | None:
        """Return the loss and the attention score on utterances kept apart."""
        if not self.validation:
            return None
        batch = self._load(self.validation[: self.config.batch_size])
        with self.evaluation():
            output = self._run(batch, self.config.seed)
        score = attention_score(_own_attention(output, batch))
        return {"loss": float(tacotron2_loss(output, batch.mel)), "attention": score}

    def illustrate(self, run: Path, step: int) -> list[str]:
        """Draw attention and mels of one utterance."""
        item = (self.validation or self.train)[0]
        batch = self._load([item])
        with self.evaluation():
            output = self._run(batch, self.config.seed)
        attention = _own_attention(output, batch)
        title = f"step {step}: attention {attention_score(attention):.2f}"
        try:
            draw_alignment(run / PLOTS_DIR / f"attention_step_{step}.png", attention, title)
            made, target = output.after_postnet[0].T.cpu(), batch.mel[0].T.cpu()
            draw_mels(run / PLOTS_DIR / f"mels_step_{step}.png", target, made, item.text[:80])
        except AppError as error:
            return [str(error)]
        return []

    def _run(self, batch: Tacotron2Batch, seed: int) -> Tacotron2Output:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            output: Tacotron2Output = self.model(batch.chars, batch.speaker, batch.mel)
        return output

    def _load(self, items: Sequence[TrainItem]) -> Tacotron2Batch:
        characters = self.model.config.characters
        texts = [torch.tensor(text_to_peewee_ids(item.text, characters)) for item in items]
        mels = [load_mel(self.folder, item, PEEWEE_MELS_DIR).T for item in items]
        batch = Tacotron2Batch(
            pad_sequence(texts, batch_first=True),
            pad_sequence(mels, batch_first=True),
            torch.stack([load_embedding(self.folder, item) for item in items]),
        )
        return Tacotron2Batch(*(part.to(self.device) for part in batch))


def write_peewee_mels(folder: Path, items: Sequence[TrainItem]) -> None:
    """Write the mels that are missing, from the waves of the dataset, as (f, m)."""
    (folder / PEEWEE_MELS_DIR).mkdir(exist_ok=True)
    for item in items:
        path = folder / PEEWEE_MELS_DIR / item.mel
        if path.is_file():
            continue
        wave = soxr.resample(
            load_audio(folder, item).numpy(), SYNTHESIZER_MEL.sample_rate, PEEWEE_MEL.sample_rate
        )
        mel = mel_spectrum(torch.from_numpy(wave), PEEWEE_MEL, "constant")[0]
        with atomic_path(path) as part, part.open("wb") as file:
            np.save(file, mel.T.numpy())


def mask_padding(mel: Tensor) -> Tensor:
    """Return which values are padding, in frames that sum to exactly 0: (b, f, m) -> (b, f, m)."""
    return (mel.sum(-1, keepdim=True) == 0).expand_as(mel)


def make_stop_labels(mask: Tensor) -> Tensor:
    """Return 1 from the last frame of speech on: (b, f, m) -> (b, f)."""
    return F.pad(mask[:, 1:, 0].float(), (0, 1), value=1.0)


def tacotron2_loss(output: Tacotron2Output, mel: Tensor) -> Tensor:
    """Return the published loss: MSE of both mels, L1 of the second, BCE of the stop.

    mel: (b, f, m) target, padded with 0. Padded frames of the mels cost nothing.
    """
    mask = mask_padding(mel)
    before = output.before_postnet.masked_fill(mask, 0.0)
    after = output.after_postnet.masked_fill(mask, 0.0)
    return (
        F.mse_loss(before, mel)
        + F.mse_loss(after, mel)
        + F.l1_loss(after, mel)
        + F.binary_cross_entropy_with_logits(output.stop, make_stop_labels(mask))
    )


def _own_attention(output: Tacotron2Output, batch: Tacotron2Batch) -> Tensor:
    """Return the attention of the first utterance without padding: (d, t)."""
    frames = int((batch.mel[0].sum(-1) != 0).sum())
    characters = int((batch.chars[0] != 0).sum())
    return output.attention[0, :frames, :characters].detach().float().cpu()
