"""Codes between drawing and speaking: the original's fix-up and trim, and what we keep instead."""

from __future__ import annotations

import torch

from support.golden_cases import Case, golden
from tortoise.checkpoints.config import ModelConventions
from tortoise.generation.code_postprocessing import (
    count_missing_pause_codes,
    find_silence_start,
    overwrite_after_stop,
    pad_codes,
    prepare_spoken_codes,
)
from tortoise.generation.diffusion import codes_to_frames

PUBLISHED = ModelConventions()
OWN = ModelConventions(calm_follows=False)
STOP = 8193


@golden("pipeline_utils")
def test_fix_up_trim_and_length_agree_with_the_reference(case: Case) -> None:
    seen = set()
    for call in case.calls:
        seen.add(call.method)
        if call.method == "fix_autoregressive_output":
            call.check(
                fixed=overwrite_after_stop(call.args["codes"], call.args["stop_token"], PUBLISHED)
            )
        elif call.method == "calm-token trim":
            kept = find_silence_start(call.args["codes"].flatten(), PUBLISHED)
            expected = call.outputs["kept_latents"].value
            call.check(kept_latents=torch.full_like(expected, kept))
        elif call.method == "output_seq_len":
            lengths = call.args["n_latents"]
            frames = [codes_to_frames(n) if n else 0 for n in lengths.flatten().tolist()]
            call.check(frames=torch.tensor(frames).view_as(lengths))
    assert {"fix_autoregressive_output", "calm-token trim", "output_seq_len"} <= seen


def test_a_filled_row_is_as_long_as_the_ranker_expects() -> None:
    row = pad_codes(torch.tensor([5, 6, 7]), True, STOP, PUBLISHED)
    assert row.shape == (500,)
    assert row[:5].tolist() == [5, 6, 7, 83, 83]
    assert row[-3:].tolist() == [45, 45, 248]


def test_a_row_without_stop_stays_as_it_is() -> None:
    codes = torch.arange(500)
    assert torch.equal(pad_codes(codes, False, STOP, PUBLISHED), codes)


def test_a_pause_inside_a_finished_take_is_kept() -> None:
    codes = torch.tensor([1, *[83] * 20, 2, 83, 83])
    assert prepare_spoken_codes(codes, True, 3, PUBLISHED).tolist() == [
        1,
        *[83] * 20,
        2,
        83,
        83,
        83,
    ]


def test_a_take_that_found_no_end_is_cut_at_its_first_long_pause() -> None:
    codes = torch.tensor([1, *[83] * 20, 2, 2])
    assert prepare_spoken_codes(codes, False, 2, PUBLISHED).tolist() == [1, 83, 83]


def test_nothing_but_silence_still_gives_one_code_to_speak() -> None:
    assert prepare_spoken_codes(torch.tensor([83, 83]), True, 0, PUBLISHED).tolist() == [83]


def test_weights_that_know_no_calm_behind_a_take_are_not_fed_any() -> None:
    codes = torch.tensor([1, 83, 2, 83, 83])
    assert prepare_spoken_codes(codes, True, 8, OWN).tolist() == [1, 83, 2, 83, 83]
    assert prepare_spoken_codes(codes, True, 1, OWN).tolist() == [1, 83, 2, 83]
    assert prepare_spoken_codes(torch.tensor([83]), True, 0, OWN).tolist() == [83]
    assert prepare_spoken_codes(torch.tensor([], dtype=torch.long), True, 8, OWN)[:1].tolist() == [
        83
    ]


def test_the_pause_that_codes_do_not_have_is_counted() -> None:
    assert count_missing_pause_codes(torch.tensor([1, 2]), 8, OWN) == 8
    assert count_missing_pause_codes(torch.tensor([1, 83, 83]), 8, OWN) == 6
    assert (
        count_missing_pause_codes(
            prepare_spoken_codes(torch.tensor([1, 2]), True, 8, PUBLISHED), 8, PUBLISHED
        )
        == 0
    )
