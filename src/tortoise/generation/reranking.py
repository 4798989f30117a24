"""Ranking of candidates by match with the text (CLVP) and with the voice (CVVP).

Shapes: n candidates, t text tokens, m codes, e width of CVVP's space, p phone classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from core.progress import ProgressReporter
from tortoise.generation.batching import OnHalved, ignore_halved, run_in_batches
from tortoise.generation.model_offload import ModelManager
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.pipeline import ConditioningLatents, prepare_codes_for_ranking
from tortoise.generation.sampling import CodeCandidate
from tortoise.generation.text_plan import TextPlan
from tortoise.modules.clvp import Clvp
from tortoise.modules.cvvp import Cvvp
from tortoise.modules.speaker_codec import SpeakerCodec

BATCH_SIZE = 32  # candidates ranked at once


def compute_clvp_scores(
    clvp: Clvp,
    text: Tensor,
    rows: Sequence[Tensor],
    report: ProgressReporter,
    batch: int = 0,
    on_halved: OnHalved = ignore_halved,
) -> Tensor:
    """Score how well each candidate matches the text; higher is better.

    text: (1, t) ended by a stop; rows: codes of each candidate, (m,), of any length. Shorter rows
    are masked, so that a score does not depend on the other candidates; where there are several
    batches, each has rows of similar length. Returns (n,) float32 on the CPU.
    """
    device = text.device
    text_latent = clvp.encode_text(text)
    size = batch or BATCH_SIZE
    order = list(range(len(rows)))
    if len(rows) > size:
        order.sort(key=lambda index: len(rows[index]), reverse=True)

    def score(first: int, end: int) -> list[float]:
        report.check_cancelled()
        chosen = [rows[index].to(device) for index in order[first:end]]
        codes = pad_sequence(chosen, batch_first=True)
        lengths = torch.tensor([len(row) for row in chosen], device=device)
        mask = torch.arange(codes.shape[1], device=device) < lengths[:, None]
        scores: list[float] = clvp.score(
            text, codes, None if bool(mask.all()) else mask, text_latent
        ).tolist()
        return scores

    scores = torch.empty(len(rows))
    scores[order] = torch.tensor(run_in_batches(len(rows), size, score, on_halved))
    return scores


def compute_cvvp_scores(
    cvvp: Cvvp, voice: Tensor, rows: Sequence[Tensor], report: ProgressReporter
) -> Tensor:
    """Score how well each candidate matches the voice; higher is better.

    voice: (1, e) mean of the unit latents of its clips (see `voice.hear_for_cvvp`), so that this is
    the mean of the original's scores over the clips.  Returns (n,) float32 on the CPU.
    """
    scores = []
    for row in rows:
        report.check_cancelled()
        spoken = F.normalize(cvvp.encode_speech(row.to(voice.device)[None]).float(), dim=-1)
        scores.append((spoken * voice.float()).sum() * cvvp.temperature.float().exp())
    return torch.stack(scores).cpu()


def combine_scores(clvp: Tensor | None, cvvp: Tensor | None, weight: float) -> Tensor:
    """The original's mixture of both scores, either of which may be left out.  (n,) each."""
    if clvp is None or cvvp is None:
        only = cvvp if clvp is None else clvp
        assert only is not None, "there is no score to rank by"
        return only
    return weight * cvvp + (1 - weight) * clvp


def rank_candidates(
    scores: Tensor, candidates: Sequence[CodeCandidate], length_penalty: float = 1.0
) -> tuple[int, ...]:
    """Return the indices of the candidates, best first.

    Candidates with a stop code come before those cut off at the limit. In the original the length
    penalty has no effect, as it samples without beams; here it changes the ranking: each doubling
    of length is worth `length_penalty - 1` standard deviations of the scores. scores: (n,).
    """
    lengths = torch.tensor(
        [max(len(candidate.codes), 1) for candidate in candidates], dtype=torch.float64
    )
    spread = float(scores.double().std()) if len(scores) > 1 else 0.0
    leaning = (length_penalty - 1) * spread / math.log(2)
    worth = (scores.double() + leaning * lengths.log()).tolist()
    return tuple(
        sorted(range(len(candidates)), key=lambda i: (not candidates[i].finished, -worth[i]))
    )


def score_candidates(
    candidates: Sequence[CodeCandidate],
    voice: ConditioningLatents,
    text: Tensor,
    options: TortoiseOptions,
    manager: ModelManager,
    on_halved: OnHalved,
    plan: TextPlan | None,
) -> Tensor:
    """Return the score of each candidate, (n,); higher is better.

    text: (1, t) ended by a stop. Without CLVP and CVVP the phones of the plan decide, and without
    these the confidence of the GPT. Candidates that cannot be chosen are not scored: they get the
    lowest score of the others.
    """
    bundle = manager.networks.bundle
    share = bundle.conventions.confidence_share
    if plan is not None and plan.phones is not None and not bundle.has("clvp"):
        with manager.use("dvae") as codec:
            scores = compute_phone_scores(codec, candidates, plan.phones)
        return add_confidence(scores, candidates, share)
    contenders = find_contenders(candidates, options, share)
    chosen = [candidates[index] for index in contenders]
    some = _compute_scores(chosen, voice, text, options, manager, on_halved)
    scores = some.min().repeat(len(candidates))
    scores[contenders] = some
    return scores


def find_contenders(
    candidates: Sequence[CodeCandidate], options: TortoiseOptions, confidence_share: float
) -> list[int]:
    """Return the indices of the candidates whose scores can change which ones are chosen.

    Those that were cut off at the limit rank last, so they are left out where enough others have
    ended; but the length penalty and the confidence compare all scores with each other.
    """
    ended = [index for index, candidate in enumerate(candidates) if candidate.finished]
    is_relative = options.length_penalty != 1 or confidence_share != 0
    if is_relative or len(ended) < options.candidates:
        return list(range(len(candidates)))
    return ended


def _compute_scores(
    candidates: Sequence[CodeCandidate],
    voice: ConditioningLatents,
    text: Tensor,
    options: TortoiseOptions,
    manager: ModelManager,
    on_halved: OnHalved,
) -> Tensor:
    """Return the scores of CLVP and CVVP, mixed with the confidence of the GPT: (n,)."""
    bundle = manager.networks.bundle
    config = bundle.config.architecture("gpt")
    rows = prepare_codes_for_ranking(candidates, config, bundle.conventions)
    weight = options.cvvp_weight
    clvp = cvvp = None
    if bundle.has("clvp") and weight < 1:
        with manager.use("clvp") as network:
            clvp = compute_clvp_scores(
                network, text, rows, manager.report, options.sample_batch_size, on_halved
            )
    if weight > 0 and voice.cvvp is not None:
        with manager.use("cvvp") as network:
            cvvp = compute_cvvp_scores(network, voice.cvvp, rows, manager.report)
    if clvp is None and cvvp is None:
        return torch.tensor([one.confidence for one in candidates])
    scores = combine_scores(clvp, cvvp, weight)
    return add_confidence(scores, candidates, bundle.conventions.confidence_share)


@torch.inference_mode()
def compute_phone_scores(
    codec: SpeakerCodec, candidates: Sequence[CodeCandidate], phones: Tensor
) -> Tensor:
    """Return how clearly the codes of each candidate sound like the text, in nats: (n,).

    phones: (p, 2 m) from the plan, which all candidates follow.
    """
    codes = torch.stack([candidate.codes for candidate in candidates]).to(phones.device)
    told = codec.classify_phones(codes) * phones
    return told.sum((1, 2)) / phones.sum().clamp(min=1.0)


def add_confidence(scores: Tensor, candidates: Sequence[CodeCandidate], share: float) -> Tensor:
    """Add the GPT's log probability to the scores, both scaled by their standard deviation.

    scores: (n,). Returns (n,); with share 0, or a single candidate, the scores unchanged.
    """
    if share == 0 or len(candidates) < 2:
        return scores
    confidence = torch.tensor([candidate.confidence for candidate in candidates])
    return (1 - share) * _standardize(scores.cpu()) + share * _standardize(confidence)


def _standardize(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std().clamp(min=1e-6)
