"""The networks that benchmarks/speed.py compares with: other steps, the same results."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.reference_networks import ReferenceClvp, ReferenceDiffusion, ReferenceGpt
from tortoise.generation.diffusion import apply_classifier_free_guidance
from tortoise.generation.kv_cache import KVCacheDecoder, prefill
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.gpt import Gpt, GptConfig

pytestmark = pytest.mark.thorough
TEXT = torch.tensor([[3, 4, 5, 6, 7, 8, 9, 0]])


def randomly_filled(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.requires_grad_(False).eval()


@torch.inference_mode()
def test_steps_and_the_second_pass_of_gpt_2_give_our_results() -> None:
    gpt = randomly_filled(Gpt(GptConfig.tiny()))
    assert isinstance(gpt, Gpt)
    reference, voice = ReferenceGpt(gpt), torch.randn(1, 32)
    stepper = KVCacheDecoder(gpt, prefill(gpt, voice, TEXT), rows=3)
    cache = reference.prefill(voice, TEXT, rows=3)
    for position, codes in enumerate(torch.randint(0, 64, (4, 3))):
        found = reference.decode_step(codes, position, cache)
        ours = gpt.mel_head(stepper.decode_step(codes))
        torch.testing.assert_close(ours, found, atol=1e-4, rtol=1e-3)
    codes = torch.randint(0, 64, (1, 20))
    found = reference.second_pass(voice, TEXT, codes)
    torch.testing.assert_close(gpt.latents(voice, TEXT, codes), found, atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_ranking_with_a_text_for_each_candidate_gives_our_scores() -> None:
    clvp = randomly_filled(Clvp(ClvpConfig.tiny()))
    assert isinstance(clvp, Clvp)
    codes = torch.randint(0, 24, (5, 40))
    found = ReferenceClvp(clvp).score(TEXT, codes)
    torch.testing.assert_close(clvp.score(TEXT, codes), found, atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_guidance_in_two_passes_gives_our_batch_of_two() -> None:
    decoder = randomly_filled(DiffusionDecoder(DiffusionConfig.tiny()))
    assert isinstance(decoder, DiffusionDecoder)
    x, embedding, steps = torch.randn(1, 8, 50), torch.randn(1, 16, 50), torch.tensor([300])
    found = apply_classifier_free_guidance(
        *ReferenceDiffusion(decoder).pair(x, steps, embedding), 2
    )
    without = decoder.expand_unconditioned_embedding(embedding)
    both = decoder(x.repeat(2, 1, 1), steps.repeat(2), torch.cat([embedding, without]))
    ours = apply_classifier_free_guidance(*both.chunk(2), 2)
    torch.testing.assert_close(ours, found, atol=1e-3, rtol=1e-3)
