"""Align text and speech: the best monotonic path through an attention matrix.

Shapes: m frames of sound, t text tokens, h tables (attention heads).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from text.tokenizer import Tokenizer
from tortoise.modules.gpt import Attention, Block, Gpt

MAX_SKIPPED_TOKENS = 3  # tokens that one frame may pass over: a comma and the blanks around it
MAX_CANDIDATE_HEADS = 48  # of all heads, those that gather most
MAX_ALIGNMENT_HEADS = 4  # of those, the ones that read most surely forwards


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """token_of: (m,) the token of each frame, monotonic; trust: confidence, 0 to 1."""

    frame_tokens: Tensor
    confidence: float

    def first_frame(self, token: int) -> int:
        """Return the first frame of this token or a later one; m where there is none."""
        return int((self.frame_tokens < token).sum())


def align_by_attention(attention: Tensor) -> Alignment:
    """Align text and frames by the attention heads of the GPT.

    attention: (h, m, t) attention of each frame to each token. Only some heads follow the text.
    These have much attention on a forward path through the text and little on a backward path; the
    difference is the confidence.
    """
    shares = attention / attention.sum(-1, keepdim=True).clamp_min(1e-9)  # (h, m, t)
    forwards = compute_path_scores(shares)  # (h,)
    likely = forwards.topk(min(MAX_CANDIDATE_HEADS, len(shares))).indices
    ahead = forwards[likely] - compute_path_scores(shares[likely].flip(-1))
    reading = likely[ahead.topk(min(MAX_ALIGNMENT_HEADS, len(likely))).indices]
    table = shares[reading].mean(0)  # (m, t)
    there, back = compute_path_scores(table[None]), compute_path_scores(table.flip(-1)[None])
    trust = float(((there - back) / there.clamp_min(1e-9)).clamp(0, 1))
    return Alignment(frame_tokens=find_viterbi_path(table), confidence=trust)


def compute_path_scores(tables: Tensor) -> Tensor:
    """Return how much the best way through each table gathers per frame; 0 where there is no way.

    tables: (h, m, t). Returns (h,).
    """
    best = _get_initial_scores(tables[:, 0])
    for frame in range(1, tables.shape[1]):
        best = tables[:, frame] + _get_transition_scores(best).amax(0)
    ends = best[:, -1 - MAX_SKIPPED_TOKENS :].amax(-1)  # the last tokens may be passed over as well
    return ends.nan_to_num(neginf=0.0) / tables.shape[1]


def find_viterbi_path(table: Tensor) -> Tensor:
    """Find the way through a table, from its first token to its last, that gathers the most.

    table: (m, t). Returns (m,) the token of each frame; all zero where there is no way. Each frame
    stays at its token or goes on by at most MOST_SKIPPED + 1.
    """
    m, t = table.shape
    came = torch.zeros(m, t, dtype=torch.long)  # how far each place was from the one before it
    best = _get_initial_scores(table[0])
    for frame in range(1, m):
        most, came[frame] = _get_transition_scores(best).max(0)
        best = table[frame] + most
    first_end = max(0, t - 1 - MAX_SKIPPED_TOKENS)
    token = first_end + int(best[first_end:].argmax())
    if not bool(best[token].isfinite()):  # more text than the frames can pass
        return torch.zeros(m, dtype=torch.long)
    return _trace_back(came, token)


def find_phone_path(table: Tensor, optional: Tensor) -> Tensor | None:
    """Find the likeliest way through phones that are all spoken, but for the optional ones.

    table: (m, t) log-probability of each phone in each frame; optional: (t,) bool, no two of them
    beside each other. Returns (m,) the phone of each frame; None where there are too few frames.
    """
    m, t = table.shape
    came = torch.zeros(m, t, dtype=torch.long)  # how far each place was from the one before it
    best = torch.full((t,), -torch.inf)
    best[0] = table[0, 0]
    if optional[0]:
        best[1:2] = table[0, 1:2]
    passable = F.pad(optional, (1, 0))[:t]  # whether the phone before each one is optional
    for frame in range(1, m):
        step, jump = (F.pad(best, (by, 0), value=-torch.inf)[:t] for by in (1, 2))
        ways = torch.stack([best, step, jump.where(passable, -torch.inf)])
        most, came[frame] = ways.max(0)
        best = table[frame] + most
    token = t - 2 if t > 1 and optional[-1] and best[-2] > best[-1] else t - 1
    if not bool(best[token].isfinite()):
        return None
    return _trace_back(came, token)


def _trace_back(came: Tensor, token: int) -> Tensor:
    """Return the token of each frame, (m,), of the way that ends at a token.

    came: (m, t) how many tokens before each place the way to it was in the frame before.
    """
    path = torch.zeros(len(came), dtype=torch.long)
    for frame in range(len(came) - 1, -1, -1):
        path[frame] = token
        token -= int(came[frame, token])
    return path


def _get_initial_scores(row: Tensor) -> Tensor:
    """Return the score of the first frame: (…, t); a path starts at one of the first tokens."""
    return torch.cat(
        [
            row[..., : MAX_SKIPPED_TOKENS + 1],
            torch.full_like(row[..., MAX_SKIPPED_TOKENS + 1 :], -torch.inf),
        ],
        dim=-1,
    )


def _get_transition_scores(best: Tensor) -> Tensor:
    """Return the scores of reaching each token from 0, 1, … tokens before it.

    best: (…, t). Returns (MOST_SKIPPED + 2, …, t).
    """
    t = best.shape[-1]
    padded = torch.nn.functional.pad(best, (MAX_SKIPPED_TOKENS + 1, 0), value=-torch.inf)
    return torch.stack(
        [
            padded[..., MAX_SKIPPED_TOKENS + 1 - by :][..., :t]
            for by in range(MAX_SKIPPED_TOKENS + 2)
        ]
    )


MIN_ALIGNMENT_CONFIDENCE = (
    0.4  # a GPT that has learnt to read reaches 0.7 to 0.85, a random one stays below 0.2
)


def compute_text_attention(gpt: Gpt, conditioning: Tensor, text: Tensor, codes: Tensor) -> Tensor:
    """Return the text attention of the GPT for each predicted code.

    conditioning: (1, d);  text: (1, t) ended by a stop;  codes: (1, m).
    Returns (h, m, t): each head of each layer, the code being predicted, the token looked at.
    """
    spoken = F.pad(codes, (1, 0), value=gpt.config.start_mel_token)[:, :-1]
    x = torch.cat([gpt.prefix(conditioning, text), gpt.embed_codes(spoken)], dim=1)
    first_token, t, m = 2, text.shape[1], codes.shape[1]  # after the voice and the start token
    looks = []
    for layer in gpt.gpt.h:
        block = cast(Block, layer)
        weights = _attention_weights(block.attn, block.ln_1(x), m)  # (heads, m, n)
        looks.append(weights[..., first_token : first_token + t])
        x = block(x)
    return torch.cat(looks)


def align_text_parts(
    parts: Sequence[str], tokenizer: Tokenizer, gpt: Gpt, conditioning: Tensor, codes: Tensor
) -> tuple[list[int], Alignment]:
    """Return the code at which each part of a text begins, and the confidence.

    parts: joined with spaces they are the text; conditioning: (1, d); codes: (1, m).
    """
    tokens = tokenizer.encode(" ".join(parts))
    text = torch.tensor([[*tokens, gpt.config.stop_text_token]], device=codes.device)
    attention = compute_text_attention(gpt, conditioning, text, codes).float().cpu()
    alignment = align_by_attention(attention)
    before = count_tokens_before(parts, tokenizer)
    return [alignment.first_frame(token) if token else 0 for token in before], alignment


def count_tokens_before(parts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """Return the number of tokens before each part of a text."""
    return [len(tokenizer.encode(" ".join(parts[:index]))) for index in range(len(parts))]


def _attention_weights(attention: Attention, x: Tensor, last: int) -> Tensor:
    """Attention of the last positions over everything up to them.

    x: (1, n, d). Returns (heads, last, n).
    """
    query, key, _ = attention.split(x)
    n = x.shape[1]
    scores = query[0, :, -last:] @ key[0].transpose(-1, -2) / math.sqrt(query.shape[-1])
    ahead = torch.ones(n, n, dtype=torch.bool, device=x.device).triu(1)[-last:]
    return scores.masked_fill(ahead, -torch.inf).softmax(-1)
