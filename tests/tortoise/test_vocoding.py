from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from audio.mel import vocoder_mel
from support.golden_cases import GOLDEN, Case, golden, load_strictly
from tortoise.generation.options import VOCODERS
from tortoise.generation.vocoding import (
    GRIFFIN_LIM,
    VOCODER_NETWORKS,
    choose_vocoder,
    prepare_for_inference,
    vocode,
)
from tortoise.modules.vocoders.bigvgan import BigVgan, BigVganConfig, make_kaiser_sinc_filter
from tortoise.modules.vocoders.hifigan import Hifigan, HifiganConfig, decode_latents
from tortoise.modules.vocoders.univnet import UnivNet, UnivNetConfig
from tortoise.modules.weight_norm import fold_weight_norm


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


MEL = torch.randn(2, 10, 5, generator=seeded()) - 5
MEL_VOCODERS = [UnivNet(UnivNetConfig.tiny()), BigVgan(BigVganConfig.tiny())]


@pytest.mark.parametrize("net", MEL_VOCODERS, ids=["univnet", "bigvgan"])
def test_a_mel_is_spoken_in_full_and_within_range(net: UnivNet | BigVgan) -> None:
    wave = vocode(net, MEL, seeded())
    assert wave.shape == (2, 5 * net.config.hop) and wave.dtype == torch.float32
    assert wave.isfinite().all() and wave.abs().max() <= 1


def test_the_same_seed_speaks_the_same_wave_and_another_seed_another() -> None:
    net = UnivNet(UnivNetConfig.tiny())
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(vocode(net, MEL, seeded(3)), vocode(net, MEL, seeded(3)))
    assert not torch.equal(vocode(net, MEL, seeded(3)), vocode(net, MEL, seeded(4)))
    assert torch.equal(before, torch.get_rng_state())


def test_a_vocoder_for_inference_leaves_the_one_that_learns_as_it_was() -> None:
    net = UnivNet(UnivNetConfig.tiny())
    names = list(net.state_dict())
    quick = prepare_for_inference(net)
    torch.testing.assert_close(vocode(quick, MEL, seeded()), vocode(net, MEL, seeded()))
    assert list(net.state_dict()) == names and all(p.requires_grad for p in net.parameters())
    assert not any(p.requires_grad for p in quick.parameters())


def test_auto_takes_the_first_that_speaks_mels() -> None:
    assert choose_vocoder("auto", ["gpt", "vocoder", "bigvgan"]) == "vocoder"
    assert choose_vocoder("auto", ["hifigan", "bigvgan"]) == "bigvgan"
    assert choose_vocoder("hifigan", ["hifigan", "vocoder"]) == "hifigan"


def test_every_vocoder_of_the_options_can_be_chosen() -> None:
    assert set(VOCODERS) == {"auto", GRIFFIN_LIM, *VOCODER_NETWORKS}


def test_without_a_network_a_mel_is_spoken_by_searching_for_phases() -> None:
    assert choose_vocoder("griffin_lim", []) == GRIFFIN_LIM
    tone = 0.3 * torch.sin(torch.arange(24_000) * (2 * math.pi * 440 / 24_000))
    mel = vocoder_mel(tone)
    wave = vocode(None, mel, seeded())
    assert wave.shape == (1, 256 * mel.shape[-1]) and wave.abs().max() <= 1
    loudness = wave[0, 4_000:20_000].square().mean()
    assert loudness == pytest.approx(float(tone.square().mean()), rel=0.3)


def test_an_unknown_vocoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"griffin.*univnet, bigvgan, hifigan"):
        choose_vocoder("griffin", ["vocoder"])


@pytest.mark.parametrize("wanted", ["bigvgan", "auto"])
def test_a_vocoder_that_the_weights_lack_is_refused_with_those_they_hold(wanted: str) -> None:
    with pytest.raises(ValueError, match=rf"no vocoder '{wanted}'; they hold hifigan"):
        choose_vocoder(wanted, ["gpt", "hifigan"])


def test_a_low_pass_keeps_low_tones_and_removes_high_ones() -> None:
    response = torch.fft.rfft(make_kaiser_sinc_filter(2, 12).flatten(), 256).abs()
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
    published = case.constructor["config"]
    config = BigVganConfig(
        mel_bands=published["num_mels"],
        channels=published["upsample_initial_channel"],
        upsample_rates=tuple(published["upsample_rates"]),
        upsample_kernels=tuple(published["upsample_kernel_sizes"]),
        block_kernels=tuple(published["resblock_kernel_sizes"]),
        block_dilations=tuple(map(tuple, published["resblock_dilation_sizes"])),
    )
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
    ("file", "build"),
    [
        ("vocoder.pth", lambda: UnivNet(UnivNetConfig.released())),
        ("hifidecoder.pth", lambda: Hifigan(HifiganConfig.released())),
        ("bigvgan_24khz_100band.pth", lambda: BigVgan(BigVganConfig.released())),
        ("bigvgan_base_24khz_100band.pth", lambda: BigVgan(BigVganConfig.released_base())),
    ],
)
def test_parameters_are_those_of_the_published_file(
    file: str, build: Callable[[], nn.Module]
) -> None:
    manifest = GOLDEN.parent / "manifest.json"
    if not manifest.exists():
        pytest.skip(f"no {manifest}")
    entry = json.loads(manifest.read_text("utf-8"))["checkpoints"][file]
    with torch.device("meta"):
        net = build()
    published = {row["key"]: row["shape"] for row in entry["state_dict"]}
    assert {key: list(value.shape) for key, value in net.state_dict().items()} == published
