"""The second stage of a model with a speaker codec: finetune the codec's decoder on a voice.

Only the layers that the speaker vector acts on are trained; all others keep the words and the
sharpness that they were trained for. The result is halfway between the weights before and after
the training (arXiv:2109.01903): a minute of recordings also teaches their noise.
Shapes: b batch, m codes of a window, g vocoder mel frames, s speaker dimensions, p phone classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from text.phones import PHONES
from tortoise.checkpoints.loading import TortoiseModel, load_network
from tortoise.generation.text_plan import compute_text_shares, list_phone_classes
from tortoise.modules.gpt import Gpt
from tortoise.modules.speaker_codec import (
    HALVES,
    TARGET_FLOOR,
    VOCODER_FRAMES_PER_CODE,
    SpeakerCodec,
    count_vocoder_frames,
)
from training.finetuning.batch_sampler import (
    create_step_generator,
    sample_batch_indices,
    sample_code_windows,
    sample_reference_sets,
)
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, TrainingExample
from training.finetuning.diffusion_task import create_diffusion_task
from training.finetuning.gpt_task import get_network_file_name
from training.finetuning.optim.optimizers import make_adamw
from training.finetuning.optim.weight_mixing import mix_parameters
from training.finetuning.train_step import Stateful, TrainingTask

VALIDATION_SEED = 77
WEIGHT_DECAY = 1e-3
KEPT = 0.5
"""Share of the weights before the training in the result. Of three people, with 21 to 33 s of each:
similarity 0.65 before, 0.81 with nothing kept, 0.77 with half; WER 0.04, 0.10, 0.05."""
TRAINED_LAYERS = ("speaker_in", "film", "conv_out")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodecStepBatch:
    """The batch of one step.

    codes: (b, m);  speakers: (b, s);  phones: (b, p, 2 m);  mels: (b, 100, g).
    """

    examples: list[TrainingExample]
    codes: Tensor
    speakers: Tensor
    phones: Tensor
    mels: Tensor


@dataclass(kw_only=True, eq=False)
class CodecTask(TrainingTask):
    """Finetune the decoder of a speaker codec on the mels of the clips.

    base: the codec before the training; classes: (v,) phone class of each token, None where the
    tokens are not phones.
    """

    name: ClassVar[str] = "diffusion"  # of the stage, and of its section of the configuration
    validation_metric: ClassVar[str] = "loss"
    model: SpeakerCodec
    base: SpeakerCodec
    ema_model: AveragedModel
    classes: Tensor | None

    @property
    def stateful_parts(self) -> Mapping[str, Stateful]:
        return {
            "model": self.model,
            "average": self.ema_model,
            "optimizer": self.optimizers[0],
        }

    def sample_batch(self, step: int) -> CodecStepBatch:
        return self._sample_batch(self.clips.train, step, self.config.optimizer.seed)

    def loss(self, batch: CodecStepBatch, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        distance = _compute_distance(self.model, batch, rows)
        return distance, {"mel": distance.detach()}

    def after_step(self) -> None:
        self.ema_model.update_parameters(self.model)

    @torch.no_grad()
    def validate(self, clips: Sequence[TrainingExample]) -> float:
        """Return the mean distance of the resulting decoder's mels in nepers."""
        batch = self._sample_batch(clips, 0, VALIDATION_SEED)
        return float(_compute_distance(self._mix_weights(), batch, list(range(len(clips)))))

    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]:
        """Return the averaged weights, mixed with those before the training."""
        return {get_network_file_name("dvae"): self._mix_weights().state_dict()}

    def _mix_weights(self) -> SpeakerCodec:
        mixed = deepcopy(cast(SpeakerCodec, self.ema_model.module)).eval()
        mix_parameters(self.base, mixed, KEPT)
        return mixed

    def _sample_batch(
        self, clips: Sequence[TrainingExample], step: int, seed: int
    ) -> CodecStepBatch:
        train, is_training = self.clips.train, clips is self.clips.train
        count = self.config.diffusion.batch if is_training else len(clips)
        rows = sample_batch_indices(clips, count, step, seed)
        generator = create_step_generator(seed, step)
        own = rows if is_training else [-1] * len(rows)  # a held-out clip is never a reference
        sets, indices = sample_reference_sets(train, own, generator)
        voices = torch.stack([_mean_speaker([train[row] for row in chosen]) for chosen in sets])
        chosen = [clips[row] for row in rows]
        length, starts = sample_code_windows(chosen, self.config.diffusion.window, generator)
        windows = [
            self._crop(clip, start, length) for clip, start in zip(chosen, starts, strict=True)
        ]
        codes, phones, mels = (
            torch.stack(column).to(self.device) for column in zip(*windows, strict=True)
        )
        return CodecStepBatch(
            examples=chosen, codes=codes, speakers=voices[indices].to(self.device), phones=phones,
            mels=mels,
        )  # fmt: skip

    def _crop(self, clip: TrainingExample, start: int, length: int) -> tuple[Tensor, ...]:
        """Cut codes (m,), phones (p, 2 m) and mel (100, g) of a window."""
        frames = count_vocoder_frames(length)
        first = round(start * VOCODER_FRAMES_PER_CODE)
        mel = clip.vocoder_mel[first : first + frames].float().T.clamp(min=TARGET_FLOOR)
        mel = F.pad(mel, (0, frames - mel.shape[1]), mode="replicate")
        shares = self._share_phones(clip)[:, HALVES * start : HALVES * (start + length)]
        return clip.codes[start : start + length], shares, mel

    def _share_phones(self, clip: TrainingExample) -> Tensor:
        """Return the phones of a clip (p, 2 m), zero where they are unknown."""
        count = len(clip.codes)
        if self.classes is None or clip.durations is None:
            return torch.zeros(len(PHONES), HALVES * count)
        return compute_text_shares(self.classes, clip.text, clip.durations, count)


def _compute_distance(codec: SpeakerCodec, batch: CodecStepBatch, rows: list[int]) -> Tensor:
    """Return the distance of some rows' mels, divided by the number of all rows: ()."""
    vectors = codec.quantizer.look_up(batch.codes[rows])
    frames = batch.mels.shape[-1]
    mels = codec.decoder(vectors, batch.speakers[rows], frames, batch.phones[rows])
    return (mels.float() - batch.mels[rows]).abs().mean() * (len(rows) / len(batch.examples))


def _mean_speaker(clips: Sequence[TrainingExample]) -> Tensor:
    vectors = [clip.speaker for clip in clips if clip.speaker is not None]
    return F.normalize(torch.stack(vectors).mean(0), dim=0)


def create_codec_task(
    bundle: TortoiseModel, clips: DatasetSplits, config: FinetuneConfig, device: torch.device
) -> CodecTask:
    """Load the speaker codec of a model for training."""
    model = load_network(bundle.folder, "dvae")
    assert isinstance(model, SpeakerCodec)
    model.to(device).requires_grad_(False)
    base = deepcopy(model).eval()
    for name, parameter in model.decoder.named_parameters():
        parameter.requires_grad_(any(part in TRAINED_LAYERS for part in name.split(".")))
    average = get_ema_multi_avg_fn(config.diffusion.average)
    return CodecTask(
        model=model,
        base=base,
        ema_model=AveragedModel(model, multi_avg_fn=average, use_buffers=False),
        optimizers=(make_adamw(model, config.diffusion.rate, WEIGHT_DECAY, (0.9, 0.999)),),
        clips=clips,
        norms=bundle.mel_stats.norms.to(device).unsqueeze(-1),
        classes=list_phone_classes(bundle.tokenizer),
        config=config,
        device=device,
    )


def create_second_task(
    bundle: TortoiseModel,
    gpt: Gpt,
    clips: DatasetSplits,
    config: FinetuneConfig,
    device: torch.device,
) -> TrainingTask:
    """Load what the second stage of a model trains: the codec, or the diffusion network.

    gpt: as finetuned, in eval mode.
    """
    if bundle.decodes_with_codec:
        return create_codec_task(bundle, clips, config, device)
    return create_diffusion_task(bundle, gpt.to(device), clips, config, device)
