"""Choosing drafts: the original's mixture and order, and what our additions promise."""

from __future__ import annotations

import pytest
import torch

from core.progress import ProgressReporter
from support.golden_cases import Case, golden
from tortoise.generation.batching import run_in_batches
from tortoise.generation.reranking import (
    add_confidence,
    combine_scores,
    compute_clvp_scores,
    rank_candidates,
)
from tortoise.generation.sampling import CodeCandidate
from tortoise.modules.clvp import Clvp, ClvpConfig


def drafts(*lengths: int, unfinished: tuple[int, ...] = ()) -> list[CodeCandidate]:
    return [
        CodeCandidate(
            codes=torch.ones(n, dtype=torch.long), finished=i not in unfinished, confidence=-1.0
        )
        for i, n in enumerate(lengths)
    ]


@golden("pipeline_utils")
def test_the_mixture_agrees_with_the_reference(case: Case) -> None:
    calls = [call for call in case.calls if call.method == "rerank"]
    assert calls
    for call in calls:
        per_clip = call.args["cvvp_per_clip"]
        clips = per_clip if per_clip.shape[-1] == call.args["clvp"].numel() else per_clip.T
        scores = combine_scores(call.args["clvp"], clips.mean(0), call.args["cvvp_amount"])
        order = rank_candidates(scores.flatten(), drafts(*[9] * scores.numel()))
        top = call.outputs["top3"].value
        call.check(score=scores, top3=torch.tensor(order[: top.numel()]).view_as(top))


def test_a_missing_judge_leaves_the_other_alone() -> None:
    scores = torch.tensor([1.0, 2.0])
    assert torch.equal(combine_scores(scores, None, 0.7), scores)
    assert torch.equal(combine_scores(None, scores, 0.3), scores)


def test_a_draft_that_ended_goes_before_a_better_one_that_did_not() -> None:
    assert rank_candidates(torch.tensor([3.0, 1.0, 2.0]), drafts(5, 5, 5, unfinished=(0,))) == (
        2,
        1,
        0,
    )


def test_the_length_penalty_leans_the_ranking_and_1_does_not() -> None:
    scores, rows = torch.tensor([1.0, 1.1]), drafts(40, 20)
    assert rank_candidates(scores, rows, 1.0) == (1, 0)
    assert rank_candidates(scores, rows, 4.0) == (0, 1)
    assert rank_candidates(scores.flip(0), rows, -2.0) == (1, 0)


def test_a_score_does_not_depend_on_the_other_drafts() -> None:
    torch.manual_seed(0)
    clvp = Clvp(ClvpConfig.tiny()).eval()
    text = torch.tensor([[3, 4, 5, 0]])
    rows = [torch.randint(0, 24, (n,)) for n in (4, 9, 6, 9)]
    with torch.no_grad():
        together = compute_clvp_scores(clvp, text, rows, ProgressReporter())
        alone = torch.cat(
            [compute_clvp_scores(clvp, text, [row], ProgressReporter()) for row in rows]
        )
        pairs = compute_clvp_scores(clvp, text, rows, ProgressReporter(), batch=2)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(pairs, alone, atol=1e-5, rtol=1e-4)


def test_a_batch_too_large_is_halved_until_it_fits() -> None:
    sizes: list[int] = []
    halved: list[int] = []

    def run(first: int, end: int) -> list[int]:
        if end - first > 2:
            raise torch.OutOfMemoryError
        sizes.append(end - first)
        return list(range(first, end))

    assert run_in_batches(9, 8, run, halved.append) == list(range(9))
    assert sizes == [2, 2, 2, 2, 1]
    assert halved == [4, 2]


def test_one_alone_that_does_not_fit_is_an_error() -> None:
    def run(first: int, end: int) -> list[int]:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        run_in_batches(3, 2, run)


def test_confidence_counts_by_its_share_and_on_the_scale_of_its_spread() -> None:
    sure = [
        CodeCandidate(codes=torch.ones(4, dtype=torch.long), finished=True, confidence=value)
        for value in (-1.0, -2.0, -3.0)
    ]
    scores = torch.tensor([10.0, 20.0, 30.0])  # against the GPT's own order
    assert add_confidence(scores, sure, 0.0) is scores
    assert add_confidence(scores, sure, 0.25).argmax() == 2
    assert add_confidence(scores, sure, 0.5).abs().max() < 1e-6
    assert add_confidence(scores, sure, 0.75).argmax() == 0
    assert add_confidence(scores[:1], sure[:1], 0.5).tolist() == [10.0]
