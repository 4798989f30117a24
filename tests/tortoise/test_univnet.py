from __future__ import annotations

import torch
from torch import Tensor

from support.golden_cases import Case, golden, load_strictly
from tortoise.generation.vocoding import PADDING_FRAMES, SILENCE_LOG_MEL
from tortoise.modules.vocoders.univnet import UnivNet, UnivNetConfig, location_variable_conv
from tortoise.modules.weight_norm import fold_weight_norm


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny() -> UnivNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UnivNet(UnivNetConfig.tiny())


def test_every_frame_is_convolved_with_its_own_kernel() -> None:
    hop, frames, channels, outputs = 4, 3, 2, 5
    x = torch.randn(1, hop * frames, channels, generator=seeded())
    kernels = torch.randn(1, frames, 3 * channels, outputs, generator=seeded(1))
    biases = torch.randn(1, frames, 1, outputs, generator=seeded(2))
    y = location_variable_conv(x, kernels, biases, hop)
    for frame in range(frames):
        taps = kernels[0, frame].unflatten(0, (3, channels)).permute(2, 1, 0)  # (o, c, k)
        everywhere = torch.nn.functional.conv1d(
            x.transpose(1, 2), taps, biases[0, frame, 0], padding=1
        )
        here = slice(hop * frame, hop * (frame + 1))
        torch.testing.assert_close(y[0, here], everywhere[0].T[here])


def test_a_mel_becomes_a_hop_of_samples_per_frame() -> None:
    net = tiny()
    mel, noise = torch.randn(2, 10, 6), torch.randn(2, 4, 6)
    wave = net(mel, noise)
    assert wave.shape == (2, 1, 6 * net.config.hop)
    assert wave.abs().max() <= 1


def test_folding_weight_norm_changes_nothing_but_the_parameters() -> None:
    net, mel, noise = tiny(), torch.randn(1, 10, 6), torch.randn(1, 4, 6)
    before = net(mel, noise)
    names = set(net.state_dict())
    fold_weight_norm(net)
    torch.testing.assert_close(net(mel, noise), before)
    assert "conv_pre.weight_g" in names and "conv_pre.weight" in net.state_dict()
    assert not any(name.endswith(("weight_g", "weight_v")) for name in net.state_dict())


def test_every_parameter_learns() -> None:
    net = tiny()
    net(torch.randn(1, 10, 6), torch.randn(1, 4, 6)).square().mean().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@golden("univnet")
def test_univnet_agrees_with_the_reference(case: Case) -> None:
    net = load_strictly(UnivNet(config_of(case.constructor)), case.state())
    for folded in (False, True):
        if folded:
            fold_weight_norm(net)
        for call in case.calls:
            call.check(wav=run(net, call.method, call.args["c"], call.args["z"]))


def run(net: torch.nn.Module, method: str, mel: Tensor, noise: Tensor) -> Tensor:
    if method == "forward":
        return net(mel, noise)
    padded = torch.nn.functional.pad(mel, (0, PADDING_FRAMES), value=SILENCE_LOG_MEL)
    return net(padded, noise)[..., : -PADDING_FRAMES * 256].clamp(-1, 1)


def config_of(constructor: dict[str, object]) -> UnivNetConfig:
    return UnivNetConfig(
        noise_dim=constructor["noise_dim"],
        channel_size=constructor["channel_size"],
        dilations=tuple(constructor["dilations"]),
        strides=tuple(constructor["strides"]),
        leaky_slope=constructor["lReLU_slope"],
        predictor_taps=constructor["kpnet_conv_size"],
        mel_bands=constructor["n_mel_channels"],
    )
