"""Where the GPT looks in the text, and what follows from it for the parts of a text."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.generation.forced_alignment import align_text_parts, compute_text_attention
from tortoise.modules.gpt import Gpt, GptConfig


class Letters:
    """A tokenizer with one id per letter."""

    size = 60

    def clean(self, text: str) -> str:
        return text

    def encode(self, text: str) -> list[int]:
        return [1 + ord(letter) % 50 for letter in text]

    def pieces(self, text: str) -> list[str]:
        return list(text)


@pytest.fixture
def gpt() -> Gpt:
    torch.manual_seed(0)
    return Gpt(GptConfig.tiny()).eval()


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(1, 32, generator=generator),
        torch.randint(1, 50, (1, 15), generator=generator),
        torch.randint(0, 60, (1, 30), generator=generator),
    )


def test_attention_has_a_row_per_code_and_a_column_per_token(gpt: Gpt) -> None:
    conditioning, text, codes = inputs()
    with torch.no_grad():
        attention = compute_text_attention(gpt, conditioning, text, codes)
    config = gpt.config
    assert attention.shape == (config.layers * config.heads, 30, 15)
    assert float(attention.min()) >= 0
    assert float(attention.sum(-1).max()) <= 1 + 1e-5  # the rest goes to voice, stops and codes


def test_attention_is_the_one_that_the_network_uses(gpt: Gpt) -> None:
    conditioning, text, codes = inputs()
    with torch.no_grad():
        attention = compute_text_attention(gpt, conditioning, text, codes)
        spoken = F.pad(codes, (1, 0), value=gpt.config.start_mel_token)[:, :-1]
        x = torch.cat([gpt.prefix(conditioning, text), gpt.embed_codes(spoken)], dim=1)
        first = gpt.gpt.h[0]
        q, k, _ = first.attn.split(first.ln_1(x))
        n = x.shape[1]
        seen = torch.ones(n, n, dtype=torch.bool).tril()
        same = torch.eye(n).expand(1, gpt.config.heads, n, n)  # values that show the weights
        weights = F.scaled_dot_product_attention(q, k, same, attn_mask=seen)[0]
    heads = gpt.config.heads
    assert torch.allclose(attention[:heads], weights[:, -30:, 2:17], atol=1e-6)


def test_parts_begin_in_order_and_the_first_at_the_beginning(gpt: Gpt) -> None:
    conditioning, _, codes = inputs()
    with torch.no_grad():
        starts, alignment = align_text_parts(
            ["well now", "then", "so"], Letters(), gpt, conditioning, codes
        )
    assert starts[0] == 0 and starts == sorted(starts) and starts[-1] <= 30
    assert 0 <= alignment.confidence <= 1
