"""Chunks of a growing wave: the original's cross-fade, and that nothing is lost."""

from __future__ import annotations

import torch

from support.golden_cases import Case, golden
from tortoise.generation.streaming import ChunkJoiner


@golden("streaming")
def test_chunks_agree_with_the_reference(case: Case) -> None:
    joiner = ChunkJoiner(case.constructor["overlap_len"])
    for call in case.calls:
        call.check(chunk=joiner.add(call.args["wav_gen"]))
        if "overlap" in call.outputs:
            assert joiner.held is not None
            call.check(overlap=joiner.held)


def test_chunks_of_versions_that_agree_are_the_wave_itself() -> None:
    wave = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    joiner = ChunkJoiner(overlap=100)
    chunks = [joiner.add(wave[:end]) for end in (1500, 3000, 5000)]
    torch.testing.assert_close(torch.cat([*chunks, joiner.finish()]), wave)


def test_a_short_last_growth_is_given_to_its_end() -> None:
    wave = torch.randn(1550, generator=torch.Generator().manual_seed(0))
    joiner = ChunkJoiner(overlap=100)
    chunks = [joiner.add(wave[:1500]), joiner.add(wave)]
    assert torch.equal(torch.cat([*chunks, joiner.finish()]), wave)


def test_a_jump_between_versions_is_faded_over() -> None:
    joiner = ChunkJoiner(overlap=100)
    first, second = joiner.add(torch.zeros(1000)), joiner.add(torch.ones(2000))
    steps = torch.cat([first, second]).diff()
    assert steps.max() < 0.02
