"""Train the autoregressive network: phonemes and a voice in, codes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from jobs.report import Reporter
from tortoise.gpt import Gpt, GptConfig
from tortoise.gpt_losses import GptBatch, GptLosses, packed_losses
from training.checkpoint import load_state, save_state
from training.codes import SpokenCorpus, batch_of_equals
from training.corruption import draw
from training.listen import Listener
from training.rates import cosine
from training.run import Run, generator_for
from training.schedule import clip_gradients, muon_and_adamw, set_rate
from training.strangers import Hearing, Strangers, hear

VOICE_FRAMES = (100, 260)  # a reference stretch of 1.2 to 3 s
VALIDATE_EVERY = 250
VALIDATION_BATCHES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GptRecipe:
    """How the autoregressive network is trained."""

    architecture: GptConfig = field(
        default_factory=lambda: GptConfig(
            layers=6,
            model_dim=256,
            heads=4,
            max_text_tokens=240,
            max_mel_tokens=300,
            number_text_tokens=128,
            start_text_token=127,
            number_mel_codes=1026,
            start_mel_token=1024,
            stop_mel_token=1025,
            conditioning_depth=3,
            dropout=0.0,
            attention_dropout=0.0,
        )
    )
    steps: int = 5_300
    batch: int = 32
    rate: float = 2e-3
    warm_up: int = 200
    decay: float = 0.02
    text_weight: float = 0.01
    clip: float = 1.0
    hearing: Hearing = field(default_factory=Hearing)
    seed: int = 2


def train_gpt(
    recipe: GptRecipe,
    corpus: SpokenCorpus,
    held_out: SpokenCorpus,
    norms: Tensor,
    folder: Path,
    report: Reporter,
    listener: Listener | None = None,
    strangers: Strangers | None = None,
) -> Gpt:
    """Train until the last step or until `stop` lies in the folder; goes on from a saved state.

    norms: (80,) what each mel band is divided by. With a listener, a held-out text is spoken into
    `samples` at every validation. Strangers are heard in place of those who stand in for them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = Gpt(recipe.architecture).train()
    muon, adamw = muon_and_adamw(model, model.gpt.h, recipe.rate, recipe.decay)
    run = Run(folder, report)
    first = load_state(folder, model=model, muon=muon, adamw=adamw)
    done = first
    lengths = [len(clip.text) + len(clip.codes) for clip in corpus.clips]
    for step in run.steps(first, recipe.steps, "gpt"):
        rate = cosine(step, recipe.steps, recipe.rate, recipe.warm_up)
        chosen = batch_of_equals(lengths, recipe.batch, step, recipe.seed)
        generator = generator_for(recipe.seed, step)
        frames = draw_voice_frames(generator)
        heard = hear(corpus, chosen, frames, strangers or Strangers(), recipe.hearing, generator)
        losses = _losses(model, gpt_batch(corpus, chosen), heard, norms)
        model.zero_grad(set_to_none=True)
        losses.total(recipe.text_weight).backward()
        norm = clip_gradients(model.parameters(), recipe.clip)
        for optimizer in (muon, adamw):
            set_rate(optimizer, rate)
            optimizer.step()
        done = step + 1
        if done % 25 == 0:
            run.write(done, mel=losses.mel.item(), text=losses.text.item(), gradient=norm)
        if done % VALIDATE_EVERY == 0:
            run.write(done, validation=validate(model, held_out, norms, recipe))
            if listener is not None:
                listener.hear_gpt(model.eval(), held_out, folder / "samples" / f"{done:06d}.wav")
                model.train()
        if run.due():
            save_state(folder, done, model=model, muon=muon, adamw=adamw)
    save_state(folder, done, model=model, muon=muon, adamw=adamw)
    return model.eval()


@torch.no_grad()
def validate(model: Gpt, corpus: SpokenCorpus, norms: Tensor, recipe: GptRecipe) -> float:
    """Cross entropy per code, in nats, on clips never learned from."""
    model.eval()
    lengths = [len(clip.codes) for clip in corpus.clips]
    total = 0.0
    for step in range(VALIDATION_BATCHES):
        chosen = batch_of_equals(lengths, recipe.batch, step, seed=0, pool=VALIDATION_BATCHES)
        generator = generator_for(0, step)
        heard = corpus.voices(chosen, draw_voice_frames(generator), generator)
        total += _losses(model, gpt_batch(corpus, chosen), heard, norms).mel.item()
    model.train()
    return total / VALIDATION_BATCHES


def _losses(model: Gpt, batch: GptBatch, heard: tuple[Tensor, Tensor], norms: Tensor) -> GptLosses:
    mels, which = heard
    with torch.autocast("cpu", torch.bfloat16):
        conditioning = model.condition(mels / norms.unsqueeze(-1))[which]
        return packed_losses(model, conditioning, batch)


def draw_voice_frames(generator: torch.Generator) -> int:
    """How much of a voice is heard this time."""
    return draw(*VOICE_FRAMES, generator)


def gpt_batch(corpus: SpokenCorpus, chosen: list[int]) -> GptBatch:
    """Pad the chosen clips into one batch."""
    clips = [corpus.clips[index] for index in chosen]
    return GptBatch(
        text=pad_sequence([clip.text.long() for clip in clips], batch_first=True),
        text_lengths=torch.tensor([len(clip.text) for clip in clips]),
        codes=pad_sequence([clip.codes.long() for clip in clips], batch_first=True),
        code_lengths=torch.tensor([len(clip.codes) for clip in clips]),
    )
