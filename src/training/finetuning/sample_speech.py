"""The voice of a dataset as a bundle hears it, and a sentence spoken with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

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
"""Speak a text with the bundle in a folder, into a file."""

MAX_REFERENCE_S = 120.0
"""Seconds of speech that are heard of a dataset; more hardly changes the mean."""
SAMPLE_SEED = 1


def select_reference_clips(
    clips: Sequence[TrainingExample], most_s: float = MAX_REFERENCE_S
) -> list[TrainingExample]:
    """Choose clips of so many seconds in all, from everywhere in the dataset."""
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
    """Hear the voice as `TortoiseEngine.condition` does, from mels that are there already."""
    bundle, device = engine.bundle, engine.networks.device
    norms = bundle.mel_stats.norms.to(device).unsqueeze(-1)
    conventions = bundle.conventions
    low = _split_mels([c.gpt_mel for c in clips], conventions.gpt_clip_samples // GPT_HOP, device)
    high = _split_mels(
        [c.vocoder_mel for c in clips], conventions.diffusion_clip_samples // GPT_HOP, device
    )
    bench = ModelManager(networks=engine.networks, low_vram=True, half=False, report=report)
    tensors = {}
    with bench.use("gpt", exact=True) as gpt:
        heard = [
            gpt.condition(mel / norms) * mel.shape[-1] for mel in report.track(low, "listening")
        ]
        tensors["gpt"] = torch.stack(heard).sum(0) / sum(mel.shape[-1] for mel in low)
    with bench.use("diffusion", exact=True) as diffusion:
        tensors["diffusion"] = diffusion.get_conditioning(high)
    if bundle.has("cvvp"):
        with bench.use("cvvp") as cvvp:
            latents = torch.cat([cvvp.encode_voice(mel / norms) for mel in low])
            tensors["cvvp"] = F.normalize(latents.float(), dim=-1).mean(0, keepdim=True)
    kept = {name: value.float().cpu().clone() for name, value in tensors.items()}
    return SpeakerLatents(engine=engine.name, weights_id=engine.weights_id, tensors=kept)


def create_sample_synthesizer(
    clips: Sequence[TrainingExample], device: torch.device, report: ProgressReporter
) -> SampleSynthesizer:
    """Speak as the dataset's voice does, quickly and always with the same seed."""

    def speak(bundle: Path, text: str, out: Path) -> None:
        engine = TortoiseEngine.load(bundle, device)
        voice = compute_speaker_latents(engine, select_reference_clips(clips), report)
        wanted = {**TortoiseOptions.advised(bundle), "seed": SAMPLE_SEED, "low_vram": True}
        options = TortoiseOptions.preset("ultra_fast", **wanted)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_clip(out, engine.synthesize(text, voice, options, report).candidates[0].clip)

    return speak


@contextmanager
def temporary_model(base: Path, networks: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Make a bundle of a base and some networks, for as long as the block lasts."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        assemble_model(base, networks, folder, about="")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _split_mels(mels: Sequence[Tensor], longest: int, device: torch.device) -> list[Tensor]:
    """Cut mels (f, c) into pieces no longer than the networks were trained with: (1, c, f')."""
    cut = []
    for mel in mels:
        count = max(1, -(-len(mel) // longest))
        cut += [piece.float().T[None].to(device) for piece in mel.tensor_split(count)]
    return cut
