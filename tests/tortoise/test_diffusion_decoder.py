"""The diffusion network against the reference, and what training asks of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from support.diffusion_helpers import decoder_of, tiny_decoder
from support.golden_cases import Call, Case, golden
from support.published_layers import published_shapes, shapes_of
from tortoise.modules.diffusion_decoder import (
    DiffusionConfig,
    DiffusionDecoder,
    noise_from_velocity,
    timestep_embedding,
)
from tortoise.modules.noise_schedule import gather_per_item, make_linear_schedule


def embed(net: DiffusionDecoder, aligned: Tensor, conditioning: Tensor, frames: int) -> Tensor:
    embed_aligned = net.embed_latents if aligned.is_floating_point() else net.embed_codes
    return net.interpolate_to_frames(embed_aligned(aligned, conditioning), frames)


def check_conditioning(net: DiffusionDecoder, call: Call) -> None:
    mels = call.args["conditioning_input"]
    call.check(latent=net.get_conditioning(mels if mels.dim() == 4 else [mels]))


def check_embedding(net: DiffusionDecoder, call: Call) -> None:
    args = call.args
    embedding = embed(
        net, args["aligned_conditioning"], args["conditioning_latent"], args["expected_seq_len"]
    )
    call.check(emb=embedding)
    if args.get("return_code_pred"):
        call.check(mel_pred=net.predict_mel(embedding))


def check_forward(net: DiffusionDecoder, call: Call) -> None:
    args, x = call.args, call.args["x"]
    if "precomputed_aligned_embeddings" in args:
        embedding = args["precomputed_aligned_embeddings"]
    else:
        embedding = embed(
            net, args["aligned_conditioning"], args["conditioning_latent"], x.shape[-1]
        )
    if args.get("conditioning_free"):
        embedding = net.expand_unconditioned_embedding(embedding)
    call.check(out=net(x, torch.as_tensor(args["timesteps"]), embedding))
    if args.get("return_code_pred"):
        call.check(mel_pred=net.predict_mel(embedding))


def check_time(net: DiffusionDecoder, call: Call) -> None:
    call.check(emb=timestep_embedding(torch.tensor(call.args["timesteps"]), call.args["dim"]))


CHECKS = {
    "get_conditioning": check_conditioning,
    "timestep_independent": check_embedding,
    "forward": check_forward,
    "timestep_embedding": check_time,
}


@golden("diffusion_tts")
@torch.no_grad()
def test_the_network_agrees_with_the_reference(case: Case) -> None:
    net = decoder_of(case)
    checked = [CHECKS[call.method](net, call) for call in case.calls if call.method in CHECKS]
    assert checked


def test_the_published_sizes_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        net = DiffusionDecoder(DiffusionConfig.released())
    assert shapes_of(net) == published_shapes("diffusion_decoder.pth")


@torch.no_grad()
def test_items_of_a_batch_do_not_see_each_other() -> None:
    net, generator = tiny_decoder(), torch.Generator().manual_seed(1)
    x, embedding = (torch.randn(2, n, 20, generator=generator) for n in (8, 16))
    t = torch.tensor([5, 3000])
    both = net(x, t, embedding)
    for item in range(2):
        alone = net(x[item : item + 1], t[item : item + 1], embedding[item : item + 1])
        torch.testing.assert_close(both[item : item + 1], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_clips_of_equal_length_count_equally_and_in_any_order() -> None:
    net = tiny_decoder()
    mels = torch.randn(1, 3, 8, 40, generator=torch.Generator().manual_seed(2))
    together = net.get_conditioning(mels)
    singly = torch.stack([net.get_conditioning([clip]) for clip in mels.unbind(1)]).mean(0)
    torch.testing.assert_close(together, singly, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together, net.get_conditioning(mels.flip(1)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_only_forgotten_items_lose_their_embedding() -> None:
    net = tiny_decoder()
    embedding = torch.randn(3, 16, 9, generator=torch.Generator().manual_seed(3))
    left = net.drop_conditioning(embedding, torch.tensor([False, True, False]))
    assert torch.equal(left[[0, 2]], embedding[[0, 2]])
    assert torch.equal(left[1:2], net.expand_unconditioned_embedding(embedding[1:2]))


def test_layer_drop_spares_the_ends_and_repeats_with_its_seed() -> None:
    net = tiny_decoder()
    last = len(net.layers) - 1
    assert net.sample_skipped_layers(1.0, torch.Generator()) == frozenset(range(1, last))
    assert net.sample_skipped_layers(0.0, torch.Generator()) == frozenset()
    first, second = (
        net.sample_skipped_layers(0.5, torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert first == second


@torch.no_grad()
def test_a_skipped_layer_is_left_out() -> None:
    net, generator = tiny_decoder(), torch.Generator().manual_seed(5)
    x, embedding = (torch.randn(1, n, 12, generator=generator) for n in (8, 16))
    t = torch.tensor([100])
    whole, part = net(x, t, embedding), net(x, t, embedding, skipped={1})
    assert not torch.allclose(whole, part)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="heads 3"):
        DiffusionConfig(width=16, heads=3)


@torch.no_grad()
def test_bfloat16_autocast_stays_close() -> None:
    net, generator = tiny_decoder(), torch.Generator().manual_seed(6)
    x, embedding = (torch.randn(1, n, 12, generator=generator) for n in (8, 16))
    exact = net(x, torch.tensor([50]), embedding)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = net(x, torch.tensor([50]), embedding)
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() < 0.05 * exact.norm()


def test_the_true_velocity_names_the_true_noise_at_every_step() -> None:
    draw = torch.Generator().manual_seed(0)
    mel, noise, spread = (torch.randn(3, 8, 5, generator=draw) for _ in range(3))
    t = torch.tensor([0, 2000, 3999])
    schedule = make_linear_schedule()
    abar = gather_per_item(schedule.alphas_cumprod, t, mel)
    velocity = abar.sqrt() * noise - (1 - abar).sqrt() * mel
    noisy = schedule.add_noise(mel, t, noise)
    named, kept = noise_from_velocity(torch.cat([velocity, spread], 1), noisy, t).chunk(2, dim=1)
    torch.testing.assert_close(named, noise, atol=1e-5, rtol=1e-5)
    assert torch.equal(kept, spread)


def test_a_new_network_that_predicts_velocity_takes_pure_noise_for_noise() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = DiffusionDecoder(replace(DiffusionConfig.tiny(), predicts="velocity")).eval()
        x, embedding = torch.randn(1, 8, 6), torch.randn(1, 16, 6)
    named = net(x, torch.tensor([3999]), embedding)[:, :8]
    torch.testing.assert_close(named, x, atol=1e-3, rtol=1e-3)


def test_what_a_network_cannot_predict_is_refused() -> None:
    with pytest.raises(ValueError, match="noise or velocity; got mel"):
        DiffusionConfig(predicts="mel")  # type: ignore[arg-type]
