from __future__ import annotations

import json

import pytest
import torch

from golden_cases import GOLDEN, Case, golden, load_strictly
from tortoise.bigvgan import BigVgan, BigVganConfig, low_pass
from tortoise.hifigan import Hifigan, HifiganConfig, decode_latents
from tortoise.univnet import UnivNet, UnivNetConfig
from tortoise.vocoders import build_vocoder, for_inference, vocode, vocoder_class
from tortoise.weight_norm import fold_weight_norm


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


MEL = torch.randn(2, 10, 5, generator=seeded()) - 5
MEL_VOCODERS = [UnivNetConfig.tiny(), BigVganConfig.tiny()]


@pytest.mark.parametrize("config", MEL_VOCODERS)
def test_a_mel_is_spoken_in_full_and_within_range(config: UnivNetConfig | BigVganConfig) -> None:
    wave = vocode(build_vocoder(config), MEL, seeded())
    assert wave.shape == (2, 5 * config.hop) and wave.dtype == torch.float32
    assert wave.isfinite().all() and wave.abs().max() <= 1


def test_the_same_seed_speaks_the_same_wave_and_another_seed_another() -> None:
    net = build_vocoder(UnivNetConfig.tiny())
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(vocode(net, MEL, seeded(3)), vocode(net, MEL, seeded(3)))
    assert not torch.equal(vocode(net, MEL, seeded(3)), vocode(net, MEL, seeded(4)))
    assert torch.equal(before, torch.get_rng_state())


def test_a_vocoder_for_inference_leaves_the_one_that_learns_as_it_was() -> None:
    net = build_vocoder(UnivNetConfig.tiny())
    names = list(net.state_dict())
    quick = for_inference(net)
    torch.testing.assert_close(vocode(quick, MEL, seeded()), vocode(net, MEL, seeded()))
    assert list(net.state_dict()) == names and all(p.requires_grad for p in net.parameters())
    assert not any(p.requires_grad for p in quick.parameters())


def test_an_unknown_vocoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"griffin.*univnet, bigvgan, hifigan"):
        vocoder_class("griffin")


def test_a_low_pass_keeps_low_tones_and_removes_high_ones() -> None:
    response = torch.fft.rfft(low_pass(2, 12).flatten(), 256).abs()
    assert response[:32] == pytest.approx(1.0, abs=0.1) and response[110:].max() < 0.02


def test_the_decoder_speaks_a_code_for_its_length_in_time() -> None:
    config = HifiganConfig.tiny()
    latents = torch.randn(2, 7, config.latent_dim, generator=seeded())
    voice = torch.randn(2, config.voice_dim, generator=seeded(1))
    wave = decode_latents(Hifigan(config), latents, voice)
    assert wave.shape == (2, int(7 * 4 * 24_000 / 22_050) * config.hop)


def test_another_voice_sounds_different() -> None:
    net, latents = Hifigan(HifiganConfig.tiny()), torch.randn(1, 7, 6, generator=seeded())
    voices = torch.randn(2, 6, generator=seeded(1))
    assert not torch.equal(*(decode_latents(net, latents, voice[None]) for voice in voices))


@golden("bigvgan")
def test_bigvgan_agrees_with_the_reference(case: Case) -> None:
    config = BigVganConfig.from_published(case.constructor["config"])
    net = load_strictly(BigVgan(config), case.state())
    for call in case.calls:
        if call.method == "forward":
            call.check(wav=net(call.args["x"]))
        else:
            call.check(wav=vocode(net, call.args["c"], seeded()).unsqueeze(1))


@golden("hifigan")
def test_the_decoder_agrees_with_the_reference(case: Case) -> None:
    made_as = case.constructor
    config = HifiganConfig(
        latent_dim=made_as["in_channels"],
        voice_dim=made_as["cond_channels"],
        channels=made_as["upsample_initial_channel"],
        upsample_rates=tuple(made_as["upsample_factors"]),
        upsample_kernels=tuple(made_as["upsample_kernel_sizes"]),
        block_kernels=tuple(made_as["resblock_kernel_sizes"]),
        block_dilations=tuple(tuple(d) for d in made_as["resblock_dilation_sizes"]),
    )
    net = load_strictly(Hifigan(config), case.state())
    fold_weight_norm(net)
    for call in case.calls:
        if call.method == "forward":
            call.check(wav=net(call.args["x"], call.args["g"]))
        else:
            wave = decode_latents(net, call.args["c"], call.args["g"])
            call.check(wav=wave.unsqueeze(1))


@pytest.mark.parametrize(
    ("file", "config"),
    [
        ("vocoder.pth", UnivNetConfig.released()),
        ("hifidecoder.pth", HifiganConfig.released()),
        ("bigvgan_24khz_100band.pth", BigVganConfig.released()),
        ("bigvgan_base_24khz_100band.pth", BigVganConfig.released_base()),
    ],
)
def test_parameters_are_those_of_the_published_file(
    file: str, config: UnivNetConfig | BigVganConfig | HifiganConfig
) -> None:
    manifest = GOLDEN.parent / "manifest.json"
    if not manifest.exists():
        pytest.skip(f"no {manifest}")
    entry = json.loads(manifest.read_text("utf-8"))["checkpoints"][file]
    with torch.device("meta"):
        net = build_vocoder(config)
    published = {row["key"]: row["shape"] for row in entry["state_dict"]}
    assert {key: list(value.shape) for key, value in net.state_dict().items()} == published
    assert isinstance(net, (UnivNet, BigVgan, Hifigan))
