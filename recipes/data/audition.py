"""Write samples of the GPT or the DVAE with Griffin-Lim, without a vocoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audio.clip import Clip
from audio.griffin_lim import mel_to_audio
from audio.io import write_clip
from audio.mel import GPT_MEL
from core.progress import ProgressReporter
from recipes.data.codes import TokenizedCorpus
from tortoise.generation.sampling import SamplingOptions, sample_codes
from tortoise.modules.dvae import Dvae
from tortoise.modules.gpt import Gpt

PEAK_AMPLITUDE = 0.7
REFERENCE_FRAMES = 240
TEMPERATURE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleWriter:
    """Decode codes with the DVAE.  norms: (80,)."""

    dvae: Dvae
    norms: Tensor

    def write_gpt_sample(
        self, gpt: Gpt, corpus: TokenizedCorpus, path: Path, number: int = 0
    ) -> None:
        """Synthesize the text of one clip of the corpus with that clip as reference."""
        clip = corpus.clips[number]
        mel = corpus.mels[number][:REFERENCE_FRAMES].T / self.norms.unsqueeze(-1)
        text = torch.cat([clip.text.long(), torch.zeros(1, dtype=torch.long)])[None]
        longest = min(2 * len(clip.codes) + 20, gpt.config.max_mel_tokens)
        options = SamplingOptions(
            samples=1, max_codes=longest, temperature=TEMPERATURE, repetition_penalty=1.0
        )
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            voice = gpt.condition(mel[None])
            candidate = sample_codes(gpt, voice, text, options, generator, ProgressReporter())[0]
        if len(candidate.codes) >= 2:  # an untrained network may stop at once
            self.write(candidate.codes, path)

    @torch.no_grad()
    def write(self, codes: Tensor, path: Path) -> None:
        """Write the audio of codes (m,)."""
        mel = self.dvae.decode(codes[None])[0] * self.norms.unsqueeze(-1)
        (wave,) = mel_to_audio(mel[None], GPT_MEL, torch.Generator().manual_seed(0))
        path.parent.mkdir(parents=True, exist_ok=True)
        loudest = float(wave.abs().max().clamp(min=1e-6))
        write_clip(
            path, Clip(wave=wave * (PEAK_AMPLITUDE / loudest), sample_rate=GPT_MEL.sample_rate)
        )
