"""The shared blocks: group rule, relative position bias, attention around a residual."""

from __future__ import annotations

import math

import pytest
import torch

from tortoise.modules.attention import (
    AttentionBlock,
    RelativePositionBias,
    get_relative_position_bucket,
    group_norm,
)


@pytest.mark.parametrize(
    ("channels", "groups"), [(8, 8), (16, 8), (24, 8), (64, 16), (72, 8), (96, 32), (1024, 32)]
)
def test_the_number_of_groups_follows_the_published_rule(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


def test_a_new_attention_block_is_the_identity() -> None:
    x = torch.randn(2, 16, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(AttentionBlock(16, 2, relative_positions=True)(x), x)


def test_near_distances_have_their_own_bucket_and_directions_differ() -> None:
    near = get_relative_position_bucket(torch.arange(-7, 8))
    assert near.unique().numel() == 15
    assert get_relative_position_bucket(torch.tensor([-1000, 1000])).tolist() == [15, 31]


def test_the_bias_depends_on_the_distance_alone() -> None:
    bias = RelativePositionBias(heads=3, scale=2.0)
    full = bias(9)
    assert full.shape == (3, 9, 9)
    assert torch.equal(full[:, 1:, 1:], full[:, :-1, :-1])
    expected = bias.relative_attention_bias(get_relative_position_bucket(torch.tensor([4]))) * 2.0
    assert torch.equal(full[:, 2, 6], expected[0])  # key 6 seen from query 2


def test_attention_adds_the_bias_to_the_scaled_scores() -> None:
    generator = torch.Generator().manual_seed(1)
    block = AttentionBlock(16, 2, relative_positions=True)
    for parameter in block.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(2, 16, 11, generator=generator)
    q, k, v = block.qkv(block.norm(x)).view(2, 2, 24, 11).transpose(2, 3).chunk(3, dim=-1)
    scores = q @ k.transpose(2, 3) / math.sqrt(8) + block.relative_pos_embeddings(11)
    mixed = (scores.softmax(-1) @ v).transpose(2, 3).reshape(2, 16, 11)
    expected = x + block.proj_out(mixed)
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():  # another kernel
        torch.testing.assert_close(block(x), expected.detach(), atol=1e-4, rtol=1e-4)


def test_heads_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="10 channels"):
        AttentionBlock(10, 4)
