"""Random voices: the reference, and that a seed means a voice."""

from __future__ import annotations

import torch

from golden_cases import Case, golden, load_strictly
from tortoise.random_voice import RandomVoice, RandomVoiceConfig


@golden("rlg")
def test_random_latents_agree_with_the_reference(case: Case) -> None:
    config = RandomVoiceConfig(channels=case.constructor["channels"])
    network = load_strictly(RandomVoice(config), case.state())
    for call in case.calls:
        with torch.no_grad():
            call.check(latent=network(call.args["randn"]))


def test_a_seed_is_a_voice_and_another_seed_another() -> None:
    network = RandomVoice(RandomVoiceConfig.tiny())
    first, again, other = (network.draw(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (1, 8)
