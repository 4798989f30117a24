"""Packed layers: the same results within the precision of their format, and fall-backs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tortoise.generation.text_plan import plan_text
from tortoise.modules import linear_formats
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.gpt import Gpt, GptConfig, Projection
from tortoise.modules.linear_formats import (
    LINEAR_FORMATS,
    LinearFormat,
    PackedConvolution,
    PackedLinear,
    choose_fastest_format,
    is_format_available,
)
from tortoise.modules.packing import pack_linears

CLOSE = {"rtol": 0.02, "atol": 0.0}
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.02, "int8": 0.03}  # of the norm of the result


@pytest.fixture(params=LINEAR_FORMATS)
def name(request: pytest.FixtureRequest) -> LinearFormat:
    if not is_format_available(request.param):
        pytest.skip(f"this processor does not compute {request.param}")
    return request.param


def assert_close(found: torch.Tensor, expected: torch.Tensor, name: LinearFormat) -> None:
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert (found - expected).norm() <= TOLERANCES[name] * expected.norm()


@torch.inference_mode()
def test_layers_multiply_as_before(name: LinearFormat) -> None:
    torch.manual_seed(0)
    for layer in (nn.Linear(48, 96), nn.Linear(48, 96, bias=False), Projection(48, 96)):
        packed = pack_linears(nn.Sequential(layer), name)[0]
        assert isinstance(packed, PackedLinear)
        for x in (torch.randn(1, 48), torch.randn(3, 7, 48)):
            assert_close(packed(x), layer(x), name)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@torch.inference_mode()
def test_convolutions_slide_as_before(name: LinearFormat, kernel: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(32, 48, kernel, padding=kernel // 2)
    x = torch.randn(2, 32, 70)
    assert_close(PackedConvolution(conv, name)(x), conv(x), name)


@torch.inference_mode()
def test_a_row_in_eight_bits_does_not_depend_on_large_rows_beside_it() -> None:
    if not is_format_available("int8"):
        pytest.skip("this torch has no int8 layers")
    torch.manual_seed(0)
    layer = PackedLinear(torch.randn(96, 48), None, "int8")
    row = torch.randn(1, 48)
    beside = layer(torch.cat([row, 1_000 * torch.randn(3, 48)]))[:1]
    assert (beside - layer(row)).norm() <= 0.02 * beside.norm()


@torch.inference_mode()
def test_the_largest_sums_do_not_overflow(name: LinearFormat) -> None:
    layer = PackedLinear(torch.full((64, 512), 3.0), None, name)
    torch.testing.assert_close(layer(torch.ones(2, 512)), torch.full((2, 64), 1536.0), **CLOSE)


def test_convolutions_that_are_no_matrix_product_stay_as_they_are(name: LinearFormat) -> None:
    convs = nn.Sequential(
        nn.Conv1d(8, 8, 3, padding=1, stride=2),
        nn.Conv1d(8, 8, 3, padding=2, dilation=2),
        nn.Conv1d(8, 8, 3, padding=1, groups=2),
        nn.Conv1d(8, 8, 4, padding=2),
    )
    assert all(isinstance(layer, nn.Conv1d) for layer in pack_linears(convs, name))


@torch.inference_mode()
def test_durations_and_voices_are_the_same_in_every_format(name: LinearFormat) -> None:
    torch.manual_seed(0)
    gpt = Gpt(replace(GptConfig.tiny(), aligner_width=16, aligner_depth=2)).eval()
    packed = pack_linears(gpt, name)
    voice, text = torch.randn(1, 32), torch.tensor([[3, 4, 5, 6, 0]])
    plans = [plan_text(network, voice, text) for network in (gpt, packed)]
    assert plans[0] is not None and plans[1] is not None
    assert torch.equal(plans[0].durations, plans[1].durations)
    mel = torch.randn(1, 80, 40)
    assert torch.equal(packed.condition(mel), gpt.condition(mel))


@torch.inference_mode()
def test_a_ranker_that_spells_is_packed_too(name: LinearFormat) -> None:
    torch.manual_seed(0)
    clvp = Clvp(replace(ClvpConfig.tiny(), spells=True)).eval()
    text, codes = torch.tensor([[3, 4, 5, 0]]), torch.randint(0, 24, (2, 30))
    found, expected = pack_linears(clvp, name).score(text, codes), clvp.score(text, codes)
    torch.testing.assert_close(found, expected, atol=0.5, rtol=0.02)


@torch.inference_mode()
def test_whole_networks_answer_nearly_alike_and_the_original_is_unchanged(
    name: LinearFormat,
) -> None:
    torch.manual_seed(0)
    gpt = Gpt(GptConfig.tiny()).eval()
    before = {key: value.clone() for key, value in gpt.state_dict().items()}
    packed = pack_linears(gpt, name)
    embedded = torch.randn(2, 20, 32)
    assert_close(packed.states(embedded), gpt.states(embedded), name)
    assert all(torch.equal(value, before[key]) for key, value in gpt.state_dict().items())
    assert packed.mel_embedding.weight is gpt.mel_embedding.weight
    assert not any(isinstance(one, (nn.Linear, Projection)) for one in packed.gpt.modules())
    assert isinstance(packed.mel_head, PackedLinear)

    decoder = DiffusionDecoder(DiffusionConfig.tiny()).eval()
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    x, embedding, steps = torch.randn(2, 8, 30), torch.randn(2, 16, 30), torch.tensor([3, 900])
    found = pack_linears(decoder, name)(x, steps, embedding)
    assert_close(found, decoder(x, steps, embedding), name)


def test_a_missing_operator_makes_its_format_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(linear_formats, "_pack_int8", refuse)
    is_format_available.cache_clear()
    assert not is_format_available("int8")
    assert choose_fastest_format(32, 1, ("int8",)) is None
    is_format_available.cache_clear()


def test_the_fastest_available_format_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_formats, "PackedLinear", lambda *args: None)
    seconds = iter([1.0, 0.9, 0.5, 0.6])  # plain, float32, bfloat16, int8
    monkeypatch.setattr(linear_formats, "_time_layers", lambda *args: next(seconds))
    monkeypatch.setattr(linear_formats, "is_format_available", lambda name: True)
    assert choose_fastest_format(32, 1) == "bfloat16"
    seconds = iter([1.0, 0.99, 0.97, 1.2])
    assert choose_fastest_format(32, 1) is None
