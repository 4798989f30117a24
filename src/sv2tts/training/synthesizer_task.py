"""Train a Tacotron: schedule over r, rate and batch, guided attention, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError, InvalidValueError
from engines.model_files import CONFIG_FILE
from runs.loop import ModelState, StepResult
from sv2tts.checkpoints import (
    load_published_synthesizer,
    load_synthesizer,
    read_config,
    write_published,
)
from sv2tts.data.batches import SynthesizerBatch, collate_synthesizer
from sv2tts.data.train_list import (
    TrainItem,
    draw_batch,
    load_alignment,
    load_embedding,
    load_mel,
)
from sv2tts.generation.attention_check import attention_score
from sv2tts.mel import MEL_FORMATS, MelKind
from sv2tts.modules.tacotron import Tacotron, TacotronConfig, TacotronOutput, tacotron_loss
from sv2tts.text import read_training_text
from sv2tts.training.config import SynthesizerTrainConfig
from sv2tts.training.pictures import draw_alignment, draw_mels

SYNTHESIZER_FILE = "synthesizer.pt"
PLOTS_DIR, WAVS_DIR = "plots", "wavs"
GUIDE_WIDTH = 0.2  # of the diagonal, arXiv:1710.08969
FORMED_SCORE = 0.5
ATTENTION_FLOOR = 1e-4
VALIDATION_BATCHES = 4


@dataclass(kw_only=True, eq=False)
class SynthesizerTask(ModelState):
    """The state of one training. folder: the preprocessed dataset."""

    folder: Path
    config: SynthesizerTrainConfig
    train: Sequence[TrainItem]
    validation: Sequence[TrainItem]
    model: Tacotron
    optimizer: torch.optim.Optimizer
    device: torch.device
    stage: str = "synthesizer"
    has_formed: bool = False

    def train_step(self, step: int) -> StepResult:
        """Train on the batch of a step."""
        phase = self.config.phase_at(step)
        self.model.r = phase.r
        for group in self.optimizer.param_groups:
            group["lr"] = phase.learning_rate
        items = draw_batch(self.train, phase.batch_size, step, self.config.seed)
        batch = self._load(items)
        is_forced = step < self.config.forced_attention
        needs_known = is_forced or self.config.guided_attention > 0
        known = self._load_attention(batch, items) if needs_known else None
        if is_forced and known is None:
            raise InvalidValueError(
                f"forced_attention is {self.config.forced_attention}, and {self.folder} has "
                "utterances without alignments. Set forced_attention to 0."
            )
        seed = self.config.seed * 1_000_003 + step
        output = self._run(batch, seed, known if is_forced else None)
        loss = tacotron_loss(output, batch.mel, batch.stop)
        metrics = {"loss": loss.item(), "mel": F.l1_loss(output.mel_postnet, batch.mel).item()}
        if self.config.guided_attention:
            loss = loss + self.config.guided_attention * (
                guided_attention_loss(output.attention, batch.chars != 0)
                if known is None
                else aligned_attention_loss(output.attention, known)
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.clip_grad_norm or float("inf")
        )
        self.optimizer.step()
        self.model.step += 1
        score = attention_score(_own_part(output, batch, 0).detach().float().cpu())
        metrics |= {"gradient": float(norm), "attention": score}
        return StepResult(metrics=metrics, rate=phase.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizer and whether the attention has formed."""
        return {**super().state_dict(), "has_formed": self.has_formed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        super().load_state_dict(state)
        self.has_formed = state["has_formed"]

    def export(self, run: Path, step: int) -> Path:
        """Write synthesizer.pt as Real-Time Voice Cloning reads it."""
        return write_published(run / SYNTHESIZER_FILE, self.model)

    def validate(self, step: int) -> dict[str, float] | None:
        """Return the loss on utterances kept apart, with the frames of now."""
        if not self.validation:
            return None
        size = self.config.phase_at(max(step - 1, 0)).batch_size
        found: list[tuple[float, float, float]] = []
        with self.evaluation():
            for start in range(0, min(len(self.validation), size * VALIDATION_BATCHES), size):
                batch = self._load(self.validation[start : start + size])
                output = self._run(batch, self.config.seed)
                loss = float(tacotron_loss(output, batch.mel, batch.stop))
                error = float(F.l1_loss(output.mel_postnet, batch.mel))
                found.append((loss, error, _score_attention(output, batch)))
        means = [sum(column) / len(found) for column in zip(*found, strict=True)]
        return dict(zip(("loss", "mel", "attention"), means, strict=True))

    def illustrate(self, run: Path, step: int) -> list[str]:
        """Write attention, mels and a sound of one utterance; tell when attention has formed."""
        item = (self.validation or self.train)[0]
        batch = self._load([item])
        with self.evaluation():
            output = self._run(batch, self.config.seed)
        attention = _own_part(output, batch, 0).float().cpu()
        score = attention_score(attention)
        notes = self._tell_attention(score, step)
        predicted = output.mel_postnet[0].float().cpu()
        try:
            title = f"step {step}: attention {score:.2f}"
            draw_alignment(run / PLOTS_DIR / f"attention_step_{step}.png", attention, title)
            target = batch.mel[0].cpu()
            draw_mels(run / PLOTS_DIR / f"mels_step_{step}.png", target, predicted, item.text[:80])
        except AppError as error:
            notes.append(str(error))
        mel_format = MEL_FORMATS[cast(MelKind, self.config.mel)]
        wave = mel_format.invert(predicted.unsqueeze(0), torch.Generator().manual_seed(0))[0]
        sound = run / WAVS_DIR / f"step_{step}.wav"
        sound.parent.mkdir(parents=True, exist_ok=True)
        write_clip(sound, Clip(wave=wave, sample_rate=mel_format.spec.sample_rate))
        return notes

    def _tell_attention(self, score: float, step: int) -> list[str]:
        if score >= FORMED_SCORE and not self.has_formed:
            self.has_formed = True
            return [f"The attention has formed (score {score:.2f} at step {step})."]
        if not self.has_formed and step >= 10_000 and step % 10_000 == 0:
            return [
                f"The attention has not formed (score {score:.2f}). Set guided_attention to 1, "
                "start the schedule with r 5 or more, and leave out utterances whose text is wrong."
            ]
        return []

    def _run(
        self, batch: SynthesizerBatch, seed: int, alignment: Tensor | None = None
    ) -> TacotronOutput:
        """Predict a batch; seed: of dropout and zoneout; alignment: see `Tacotron.forward`."""
        is_low = self.config.precision == "bfloat16"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=is_low):
                output: TacotronOutput = self.model(
                    batch.chars, batch.mel, batch.speaker, alignment=alignment
                )
        return output

    def _load_attention(self, batch: SynthesizerBatch, items: Sequence[TrainItem]) -> Tensor | None:
        """Return the known attention of a batch, (b, d, t); None where one is not known."""
        steps = batch.mel.shape[-1] // self.model.r
        made = batch.mel.new_zeros(len(items), steps, batch.chars.shape[1])
        for index, item in enumerate(items):
            starts = load_alignment(self.folder, item)
            if starts is None:
                return None
            made[index, :, : len(starts)] = compute_attention(starts, steps, self.model.r)
        return made

    def _load(self, items: Sequence[TrainItem]) -> SynthesizerBatch:
        batch = collate_synthesizer(
            [torch.tensor(read_training_text(item.text, self.config.symbols)) for item in items],
            [load_mel(self.folder, item) for item in items],
            [load_embedding(self.folder, item) for item in items],
            self.model.r,
        )
        return SynthesizerBatch(*(part.to(self.device) for part in batch))


def create_synthesizer(config: SynthesizerTrainConfig) -> Tacotron:
    """Build the network of a configuration, or load the one to finetune."""
    if config.start_from:
        path = Path(config.start_from)
        if (path / CONFIG_FILE).is_file():
            network = load_synthesizer(path, read_config(path), torch.device("cpu"))
            return network.train().requires_grad_(True)
        path = path / SYNTHESIZER_FILE if path.is_dir() else path
        return load_published_synthesizer(path).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Tacotron(replace(TacotronConfig(), **(config.network or {}))).train()


def adopt_model_reading(config: SynthesizerTrainConfig) -> SynthesizerTrainConfig:
    """Return the configuration with symbols and mel of the model folder that it starts from."""
    path = Path(config.start_from)
    if not config.start_from or not (path / CONFIG_FILE).is_file():
        return config
    model = read_config(path)
    return replace(config, symbols=model.symbols, mel=model.mel)


def guided_attention_loss(attention: Tensor, characters: Tensor) -> Tensor:
    """Punish attention far from the diagonal (arXiv:1710.08969, Eq. 7).

    attention: (b, d, t); characters: (b, t) whether a place is text.
    """
    steps = torch.linspace(0.0, 1.0, attention.shape[1], device=attention.device)
    counts = (characters.sum(-1, keepdim=True) - 1).clamp(min=1)
    places = torch.arange(attention.shape[2], device=attention.device) / counts  # (b, t)
    distance = steps.view(1, -1, 1) - places.unsqueeze(1)
    weight = 1.0 - torch.exp(-(distance**2) / (2 * GUIDE_WIDTH**2))
    return (attention * weight).mean() * attention.shape[2]


def compute_attention(starts: Tensor, steps: int, r: int) -> Tensor:
    """Return the share of each symbol in the frames of each decoder step: (steps, t).

    starts: (t,) first frames, the first of them 0; the last symbol has all frames to the end.
    """
    ends = torch.cat([starts[1:], starts.new_full((1,), float("inf"))])
    begin = (torch.arange(steps) * r).unsqueeze(-1)
    spoken = torch.minimum(ends, begin + r) - torch.maximum(starts, begin)
    return spoken.clamp(min=0) / r


def aligned_attention_loss(attention: Tensor, known: Tensor) -> Tensor:
    """Return the cross entropy of an attention to the known one, both (b, d, t)."""
    return -(known * (attention + ATTENTION_FLOOR).log()).sum(-1).mean()


def _score_attention(output: TacotronOutput, batch: SynthesizerBatch) -> float:
    """Return the mean attention score of a batch."""
    scores = [
        attention_score(_own_part(output, batch, index).float().cpu())
        for index in range(len(batch.chars))
    ]
    return sum(scores) / len(scores)


def _own_part(output: TacotronOutput, batch: SynthesizerBatch, index: int) -> Tensor:
    """Return the attention of one utterance without padding: (d, t)."""
    characters = int((batch.chars[index] != 0).sum())
    spoken = int((batch.stop[index] == 0).sum()) + 1
    steps = -(-spoken // (batch.mel.shape[-1] // output.attention.shape[1]))
    return output.attention[index, :steps, :characters]
