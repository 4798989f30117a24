"""Packed blocks: the same results as the blocks, in a layout of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tortoise.modules import packing
from tortoise.modules.attention import MAX_PLAIN_LENGTH, AttentionBlock, compute_attention
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.packing import compute_norm_affine, pack_linears, rotate_in_place
from tortoise.modules.transformer import HEAD_DIM, RotaryEmbedding, apply_rotary_embedding


@torch.inference_mode()
def test_the_norm_is_that_of_torch_even_far_from_zero() -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(8, 32)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    rows = torch.randn(2, 40, 32) * torch.rand(32) + 100 * torch.randn(32)
    gain, offset = compute_norm_affine(rows, norm)
    expected = norm(rows.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(torch.addcmul(offset, rows, gain), expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_heads_are_rotated_as_in_the_network() -> None:
    torch.manual_seed(0)
    heads = torch.randn(2, 30, 3, HEAD_DIM)
    angles = RotaryEmbedding()(30)
    expected = apply_rotary_embedding(heads.transpose(1, 2), angles).transpose(1, 2)
    half = angles[:, None, ::2]
    rotate_in_place(heads, half.cos(), half.sin())
    torch.testing.assert_close(heads, expected)


@pytest.mark.parametrize("masked", [False, True])
@torch.inference_mode()
def test_candidates_are_read_in_parts_of_the_batch(
    monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    torch.manual_seed(0)
    clvp = Clvp(ClvpConfig.tiny()).eval()
    codes = torch.randint(0, 24, (5, 30))
    mask = torch.arange(30) < torch.tensor([30, 7, 12, 30, 1])[:, None] if masked else None
    expected = clvp.encode_speech(codes, mask)
    monkeypatch.setattr(packing, "POSITIONS_AT_ONCE", 60)
    found = pack_linears(clvp, "float32").encode_speech(codes, mask)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("from_norm", [False, True])
@torch.inference_mode()
def test_attention_blocks_take_any_layout(positions: bool, from_norm: bool) -> None:
    torch.manual_seed(0)
    block = AttentionBlock(32, 4, relative_positions=positions, residual_from_norm=from_norm)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    packed = pack_linears(nn.Sequential(block), "float32")
    x = torch.randn(2, 32, 50)
    for laid in (x, x.transpose(1, 2).contiguous().transpose(1, 2)):
        torch.testing.assert_close(packed(laid), block(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [20, MAX_PLAIN_LENGTH + 1])
@torch.inference_mode()
def test_attention_in_16_bits_is_that_of_32_bits(length: int) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, length, 16)
    bias = torch.randn(1, 2, length, length)
    exact = compute_attention(q, k, v, bias)
    found = compute_attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), bias.bfloat16())
    assert (found.float() - exact).norm() < 0.02 * exact.norm()
