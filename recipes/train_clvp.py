"""Train CLVP, which ranks candidates by how well they match the text.

In-batch negatives alone train it to distinguish sentences, but candidates share one text. So each
text is also contrasted with corrupted versions of its own codes, each clip with corrupted versions
of its own text, and a batch holds clips of similar length. The speech encoder also learns to
transcribe with a CTC loss: candidates differ by single sounds, which the cosine similarity of whole
sentences hardly shows, so the starter ranks by the CTC loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from core.progress import ProgressReporter
from recipes.data.codes import TokenizedClip
from recipes.data.negatives import corrupt_codes, corrupt_text, random_int
from recipes.loop import TrainingLoop, build_seeded, make_step_generator, optimizer_step
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.losses import (
    INITIAL_LOG_TEMPERATURE,
    MAX_LOG_TEMPERATURE,
    STOP_TOKEN,
    compute_ctc_loss,
    remove_special_tokens,
)
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_muon_and_adamw

POOL_BATCHES = 8  # a batch of similar length is drawn from this many
EVALUATE_EVERY = 250
EVALUATION_CLIPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ClvpRecipe:
    """Options of CLVP training."""

    architecture: ClvpConfig = field(
        default_factory=lambda: ClvpConfig(
            text_tokens=80,
            codes=1000,
            text_dim=192,
            speech_dim=192,
            latent_dim=384,
            text_depth=2,
            speech_depth=4,
            text_heads=3,
            speech_heads=3,
            spells=True,
        )
    )
    steps: int = 3_500
    batch: int = 40
    num_negatives: int = 1
    """Corrupted versions of each text, and as many of its codes."""
    hidden: float = 0.05
    """Share of tokens and codes that are masked."""
    ctc_weight: float = 4.0
    """Weight of the CTC loss in nats per symbol."""
    rate: float = 2.5e-3
    warm_up: int = 100
    decay: float = 1e-2
    seed: int = 1


def train_clvp(
    recipe: ClvpRecipe,
    clips: Sequence[TokenizedClip],
    held_out: Sequence[TokenizedClip],
    folder: Path,
    report: ProgressReporter,
) -> Clvp:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    held_out: clips for `compute_ranking_accuracy` only.
    """
    model = build_seeded(recipe.seed, lambda: Clvp(recipe.architecture))
    model.temperature.data.fill_(INITIAL_LOG_TEMPERATURE)
    blocks = nn.ModuleList([model.text_transformer, model.speech_transformer])
    muon, adamw = make_muon_and_adamw(model, blocks, recipe.rate, recipe.decay)
    loop = TrainingLoop(folder, report, model=model, muon=muon, adamw=adamw)
    lengths = torch.tensor([len(clip.codes) for clip in clips])
    for step in loop.steps(recipe.steps, "clvp"):
        generator = make_step_generator(recipe.seed, step)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        batch = draw_batch(recipe, clips, lengths, generator)
        scores, speech_states = compute_batch_scores(model, batch)
        loss, accuracy = compute_ranking_loss(scores, batch.same_text)
        ctc_loss = compute_ctc_loss(model.to_symbols, speech_states, batch.lengths, batch.symbols)
        norm = optimizer_step(loss + recipe.ctc_weight * ctc_loss, model, (muon, adamw), lr)
        model.temperature.data.clamp_(max=MAX_LOG_TEMPERATURE)
        done = step + 1
        if done % 50 == 0:
            metrics = {"loss": loss.item(), "found": accuracy.item(), "spelling": ctc_loss.item()}
            loop.log_metrics(done, **metrics, gradient=norm)
        if done % EVALUATE_EVERY == 0 and held_out:
            share = compute_ranking_accuracy(
                model, held_out[:EVALUATION_CLIPS], make_step_generator(recipe.seed, -1)
            )
            loop.log_metrics(done, share_beaten=share)
    return model.eval()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClvpBatch:
    """b clips with their texts, then their corrupted versions: n rows in all.

    text: (n, t);  codes: (n, m);  masks: true where not padded and not masked;
    same_text: (b, n), true where another clip has the same text and so is no negative;
    symbols: the targets of the CTC loss, without word boundaries;  lengths: (b,) codes of each.
    """

    text: Tensor
    text_mask: Tensor
    codes: Tensor
    codes_mask: Tensor
    same_text: Tensor
    symbols: tuple[Tensor, ...]
    lengths: Tensor


def draw_batch(
    recipe: ClvpRecipe, clips: Sequence[TokenizedClip], lengths: Tensor, generator: torch.Generator
) -> ClvpBatch:
    """Draw clips of similar length and corrupt them.  lengths: (N,) codes of every clip."""
    pool = torch.randperm(len(clips), generator=generator)[: POOL_BATCHES * recipe.batch]
    pool = pool[lengths[pool].argsort()]
    first = random_int(0, max(1, len(pool) - recipe.batch + 1), generator)
    chosen = [clips[i] for i in pool[first : first + recipe.batch].tolist()]
    texts, codes, b = [c.text for c in chosen], [c.codes for c in chosen], len(chosen)
    all_texts, all_codes = [*texts], [*codes]
    for _ in range(recipe.num_negatives):
        for text, code_ids in zip(texts, codes, strict=True):
            all_texts.append(corrupt_text(text, texts[random_int(0, b, generator)], generator))
            all_codes.append(corrupt_codes(code_ids, generator))
    text, text_mask = pad_and_mask([append_stop_token(text) for text in all_texts])
    padded, codes_mask = pad_and_mask(all_codes)
    same = torch.tensor([[torch.equal(one, other) for other in texts] for one in texts])
    same.fill_diagonal_(False)
    return ClvpBatch(
        text=text,
        text_mask=mask_random_positions(text_mask, recipe.hidden, generator),
        codes=padded,
        codes_mask=mask_random_positions(codes_mask, recipe.hidden, generator),
        same_text=functional.pad(same, (0, len(all_texts) - b)),
        symbols=tuple(remove_special_tokens(text) for text in texts),
        lengths=torch.tensor([len(code_ids) for code_ids in codes]),
    )


def append_stop_token(text: Tensor) -> Tensor:
    """Append one stop token, as the engine does: (t,) to (t + 1,)."""
    return functional.pad(text, (0, 1), value=STOP_TOKEN)


def pad_and_mask(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad rows to (n, longest); return them and the mask of real values."""
    lengths = torch.tensor([len(row) for row in rows])
    padded = pad_sequence([row.long() for row in rows], batch_first=True)
    return padded, torch.arange(padded.shape[1]) < lengths.unsqueeze(1)


def mask_random_positions(mask: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Mask some positions, but never the first: (n, t) to (n, t)."""
    hidden = torch.rand(mask.shape, generator=generator) < share
    hidden[:, 0] = False
    return mask & ~hidden


def compute_batch_scores(model: Clvp, batch: ClvpBatch) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Score b texts against n clips, and b clips against n texts: (b, n) each.

    Also returns the states of the speech encoder for the b clips: (b, m, d).
    """
    b = len(batch.same_text)
    with torch.autocast("cpu", torch.bfloat16):
        text = model.encode_text(batch.text, batch.text_mask)
        speech_states = model.encode_speech_states(batch.codes, batch.codes_mask)
        speech = model.project_speech_states(speech_states, batch.codes_mask)
    return (model.compare(text[:b], speech), model.compare(text, speech[:b]).T), speech_states[:b]


def compute_ranking_loss(scores: tuple[Tensor, Tensor], same_text: Tensor) -> tuple[Tensor, Tensor]:
    """Compute InfoNCE in both directions, with corrupted negatives.

    scores: two of (b, n), positive pairs on the diagonal;  same_text: (b, n).
    Returns the loss () and the share of texts () whose own codes rank first.
    """
    partners = torch.arange(len(same_text))
    by_text, by_speech = (score.masked_fill(same_text, -math.inf) for score in scores)
    loss = functional.cross_entropy(by_text, partners)
    loss = (loss + functional.cross_entropy(by_speech, partners)) / 2
    return loss, (by_text.argmax(1) == partners).float().mean()


@torch.no_grad()
def compute_ranking_accuracy(
    model: Clvp, clips: Sequence[TokenizedClip], generator: torch.Generator, rivals: int = 15
) -> float:
    """Return the share of corrupted codes that score below the true ones (chance: 0.5)."""
    beaten = 0.0
    for clip in clips:
        drafts, mask = pad_and_mask(
            [clip.codes, *(corrupt_codes(clip.codes, generator) for _ in range(rivals))]
        )
        scores = model.score(append_stop_token(clip.text).long()[None], drafts, mask)
        beaten += float((scores[1:] < scores[0]).float().mean())
    return beaten / len(clips)
