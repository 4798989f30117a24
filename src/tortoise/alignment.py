"""When the parts of a text are heard in a clip: read off the attention of the GPT that spoke it.

Shapes: b = 1 batch, t text tokens, m mel codes, d model width, h heads of all layers together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from speech.align import Alignment, align_by_attention
from tortoise.gpt import Attention, Block, Gpt
from tortoise.tokenizer import Tokenizer

LEAST_TRUST = 0.4  # a GPT that has learnt to read reaches 0.7 to 0.85, a random one stays below 0.2


def attention_to_text(gpt: Gpt, conditioning: Tensor, text: Tensor, codes: Tensor) -> Tensor:
    """Show where the network looks in the text while it predicts each code.

    conditioning: (1, d);  text: (1, t) ended by a stop;  codes: (1, m).
    Returns (h, m, t): each head of each layer, the code being predicted, the token looked at.
    """
    spoken = F.pad(codes, (1, 0), value=gpt.config.start_mel_token)[:, :-1]
    x = torch.cat([gpt.prefix(conditioning, text), gpt.embed_codes(spoken)], dim=1)
    first_token, t, m = 2, text.shape[1], codes.shape[1]  # after the voice and the start token
    looks = []
    for layer in gpt.gpt.h:
        block = cast(Block, layer)
        weights = _weights(block.attn, block.ln_1(x), m)  # (heads, m, n)
        looks.append(weights[..., first_token : first_token + t])
        x = block(x)
    return torch.cat(looks)


def align_parts(
    parts: Sequence[str], tokenizer: Tokenizer, gpt: Gpt, conditioning: Tensor, codes: Tensor
) -> tuple[list[int], Alignment]:
    """Say at which code each part of a text begins, and how sure that is.

    parts: joined with spaces they are the text;  conditioning: (1, d);  codes: (1, m).
    """
    tokens = tokenizer.encode(" ".join(parts))
    text = torch.tensor([[*tokens, gpt.config.stop_text_token]], device=codes.device)
    attention = attention_to_text(gpt, conditioning, text, codes).float().cpu()
    alignment = align_by_attention(attention)
    before = [len(tokenizer.encode(" ".join(parts[:index]))) for index in range(len(parts))]
    return [alignment.first_frame(token) if token else 0 for token in before], alignment


def _weights(attention: Attention, x: Tensor, last: int) -> Tensor:
    """Attention of the last positions over everything up to them.

    x: (1, n, d). Returns (heads, last, n).
    """
    query, key, _ = attention.split(x)
    n = x.shape[1]
    scores = query[0, :, -last:] @ key[0].transpose(-1, -2) / math.sqrt(query.shape[-1])
    ahead = torch.ones(n, n, dtype=torch.bool, device=x.device).triu(1)[-last:]
    return scores.masked_fill(ahead, -torch.inf).softmax(-1)
