"""Random voices: the reference, and that a seed means a voice."""

from __future__ import annotations

import torch

from support.golden_cases import Case, golden, load_strictly
from tortoise.modules.random_latents import RandomLatentConfig, RandomLatentGenerator


@golden("rlg")
def test_random_latents_agree_with_the_reference(case: Case) -> None:
    config = RandomLatentConfig(channels=case.constructor["channels"])
    network = load_strictly(RandomLatentGenerator(config), case.state())
    for call in case.calls:
        with torch.no_grad():
            call.check(latent=network(call.args["randn"]))


def test_a_seed_is_a_voice_and_another_seed_another() -> None:
    network = RandomLatentGenerator(RandomLatentConfig.tiny())
    first, again, other = (network.draw(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (1, 8)
