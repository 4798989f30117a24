"""Speaker latents of a dataset's voice, and samples synthesized with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from audio.formats import SYNTHETIC_COMMENT
from audio.io import write_clip
from core.progress import ProgressReporter
from engines.speaker_latents import SpeakerLatents
from tortoise.engine import TortoiseEngine
from tortoise.generation.model_offload import ModelManager
from tortoise.generation.options import TortoiseOptions
from training.finetuning.checkpoints.store import assemble_model
from training.finetuning.dataset import TrainingExample
from training.finetuning.gpt_task import GPT_HOP

SampleSynthesizer = Callable[[Path, str, Path], None]
"""Synthesize a text with the model in a folder, into a file."""

MAX_REFERENCE_S = 120.0
"""Seconds of reference speech; more does not change the mean noticeably."""
SAMPLE_SEED = 1


def select_reference_clips(
    clips: Sequence[TrainingExample], most_s: float = MAX_REFERENCE_S
) -> list[TrainingExample]:
    """Choose clips of `most_s` seconds in all, evenly spread over the dataset."""
    frames = sum(len(clip.gpt_mel) for clip in clips)
    share = most_s * 22_050 / GPT_HOP / max(1, frames)
    if share >= 1:
        return list(clips)
    count = max(1, int(len(clips) * share))
    return [clips[place * len(clips) // count] for place in range(count)]


@torch.inference_mode()
def compute_speaker_latents(
    engine: TortoiseEngine, clips: Sequence[TrainingExample], report: ProgressReporter
) -> SpeakerLatents:
    """Compute what `TortoiseEngine.condition` computes, from extracted mels."""
    bundle, device = engine.bundle, engine.networks.device
    norms = bundle.mel_stats.norms.to(device).unsqueeze(-1)
    conventions = bundle.conventions
    low = _split_mels([c.gpt_mel for c in clips], conventions.gpt_clip_samples // GPT_HOP, device)
    high = _split_mels(
        [c.vocoder_mel for c in clips], conventions.diffusion_clip_samples // GPT_HOP, device
    )
    models = ModelManager(networks=engine.networks, low_vram=True, half=False, report=report)
    tensors = {}
    with models.use("gpt", exact=True) as gpt:
        means = [
            gpt.condition(mel / norms) * mel.shape[-1] for mel in report.track(low, "conditioning")
        ]
        tensors["gpt"] = torch.stack(means).sum(0) / sum(mel.shape[-1] for mel in low)
    speakers = [clip.speaker for clip in clips if clip.speaker is not None]
    if bundle.decodes_with_codec:
        tensors["speaker"] = F.normalize(torch.stack(speakers).mean(0, keepdim=True), dim=1)
    else:
        with models.use("diffusion", exact=True) as diffusion:
            tensors["diffusion"] = diffusion.get_conditioning(high)
    if bundle.has("cvvp"):
        with models.use("cvvp") as cvvp:
            latents = torch.cat([cvvp.encode_voice(mel / norms) for mel in low])
            tensors["cvvp"] = F.normalize(latents.float(), dim=-1).mean(0, keepdim=True)
    kept = {name: value.float().cpu().clone() for name, value in tensors.items()}
    return SpeakerLatents(engine=engine.name, weights_id=engine.weights_id, tensors=kept)


def create_sample_synthesizer(
    clips: Sequence[TrainingExample], device: torch.device, report: ProgressReporter
) -> SampleSynthesizer:
    """Create a synthesizer for the dataset's voice with a fast preset and a fixed seed."""

    def synthesize(bundle: Path, text: str, out: Path) -> None:
        synthesize_samples(bundle, clips, {out: text}, device, report)

    return synthesize


def synthesize_samples(
    bundle: Path,
    clips: Sequence[TrainingExample],
    texts: Mapping[Path, str],
    device: torch.device,
    report: ProgressReporter,
) -> None:
    """Synthesize texts for the dataset's voice with the model in a folder, each into its file."""
    engine = TortoiseEngine.load(bundle, device)
    voice = compute_speaker_latents(engine, select_reference_clips(clips), report)
    values = {**TortoiseOptions.advised(bundle), "seed": SAMPLE_SEED, "low_vram": True}
    options = TortoiseOptions.preset("ultra_fast", **values)
    for out, text in texts.items():
        out.parent.mkdir(parents=True, exist_ok=True)
        spoken = engine.synthesize(text, voice, options, report).candidates[0].clip
        write_clip(out, spoken, SYNTHETIC_COMMENT)


@contextmanager
def temporary_model(base: Path, networks: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Assemble a model that is deleted after the block."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        assemble_model(base, networks, folder, about="")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _split_mels(mels: Sequence[Tensor], longest: int, device: torch.device) -> list[Tensor]:
    """Cut mels (f, c) into pieces of at most `longest` frames: (1, c, f')."""
    pieces = []
    for mel in mels:
        count = max(1, -(-len(mel) // longest))
        pieces += [piece.float().T[None].to(device) for piece in mel.tensor_split(count)]
    return pieces
