"""Choosing drafts: the original's mixture and order, and what our additions promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from core.progress import ProgressReporter
from support.golden_cases import Case, golden
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.config import ModelConventions, read_config, write_config
from tortoise.checkpoints.loading import load_model
from tortoise.generation.batching import run_in_batches
from tortoise.generation.model_offload import LoadedNetworks, ModelManager
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.pipeline import ConditioningLatents
from tortoise.generation.reranking import (
    BATCH_SIZE,
    add_confidence,
    combine_scores,
    compute_clvp_scores,
    find_contenders,
    rank_candidates,
    score_candidates,
)
from tortoise.generation.sampling import CodeCandidate
from tortoise.modules.clvp import Clvp, ClvpConfig

MAX_RANKING_BYTES = 2_000_000_000  # beside the weights


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


def count_codes(clvp: Clvp, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the shapes that the speech encoder is given from now on."""
    shapes: list[tuple[int, int]] = []
    encode = type(clvp).encode_speech_states

    def count(self: Clvp, codes: torch.Tensor, mask: torch.Tensor | None = None) -> Any:
        shapes.append((codes.shape[0], codes.shape[1]))
        return encode(self, codes, mask)

    monkeypatch.setattr(type(clvp), "encode_speech_states", count)
    return shapes


def test_rows_of_like_length_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    clvp = Clvp(ClvpConfig.tiny()).eval()
    text = torch.tensor([[3, 4, 5, 0]])
    rows = [torch.randint(0, 24, (n,)) for n in (4, 9, 4, 9, 4)]
    shapes = count_codes(clvp, monkeypatch)
    with torch.no_grad():
        compute_clvp_scores(clvp, text, rows, ProgressReporter(), batch=2)
    assert shapes == [(2, 9), (2, 4), (1, 4)]


@pytest.mark.parametrize(
    ("unfinished", "options", "share", "expected"),
    [
        ((1,), TortoiseOptions(candidates=2), 0.0, [0, 2]),
        ((), TortoiseOptions(candidates=1), 0.0, [0, 1, 2]),
        ((1,), TortoiseOptions(candidates=3), 0.0, [0, 1, 2]),
        ((0, 1, 2), TortoiseOptions(), 0.0, [0, 1, 2]),
        ((1,), TortoiseOptions(length_penalty=1.5), 0.0, [0, 1, 2]),
        ((1,), TortoiseOptions(), 0.3, [0, 1, 2]),
    ],
)
def test_only_drafts_that_can_be_chosen_are_scored(
    unfinished: tuple[int, ...], options: TortoiseOptions, share: float, expected: list[int]
) -> None:
    drawn = drafts(5, 5, 5, unfinished=unfinished)
    assert find_contenders(drawn, options, share) == expected


@pytest.mark.parametrize("trims", [False, True])
def test_leaving_out_drafts_without_an_end_changes_no_choice(
    trims: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_tiny_bundle(tmp_path / "tiny")
    config = read_config(folder)
    conventions = replace(config.conventions, clvp_trims_codes=trims)
    write_config(folder, replace(config, conventions=conventions))
    networks = LoadedNetworks(bundle=load_model(folder), device=torch.device("cpu"))
    manager = ModelManager(networks=networks, low_vram=False, half=False, report=ProgressReporter())
    torch.manual_seed(0)
    drawn = [
        CodeCandidate(codes=torch.randint(0, 20, (n,)), finished=n < 24, confidence=-1.0)
        for n in (24, 6, 9, 24, 7)
    ]
    voice, text = ConditioningLatents(gpt=torch.zeros(1, 32)), torch.tensor([[3, 4, 5, 0]])
    shapes = count_codes(networks.bundle.clvp, monkeypatch)

    def choose(options: TortoiseOptions) -> tuple[torch.Tensor, tuple[int, ...]]:
        shapes.clear()
        scores = score_candidates(drawn, voice, text, options, manager, lambda size: None, None)
        return scores, rank_candidates(scores, drawn)[: options.candidates]

    all_scores, best = choose(TortoiseOptions(candidates=5))
    assert sum(count for count, _ in shapes) == 5
    some_scores, few = choose(TortoiseOptions(candidates=3))
    assert sum(count for count, _ in shapes) == 3
    assert few == best[:3]
    torch.testing.assert_close(some_scores[[1, 2, 4]], all_scores[[1, 2, 4]], atol=1e-5, rtol=1e-4)
    assert some_scores[0] == some_scores[3] == some_scores[[1, 2, 4]].min()


@pytest.mark.parametrize("is_masked", [False, True])
def test_ranking_at_the_published_width_takes_less_than_two_gigabytes(is_masked: bool) -> None:
    config = replace(ClvpConfig.released(), text_depth=1, speech_depth=3)  # depth adds none
    with FakeTensorMode(), torch.inference_mode(), MemTracker() as tracker:
        clvp = Clvp(config).eval()
        codes = torch.zeros(BATCH_SIZE, ModelConventions().max_codes, dtype=torch.long)
        mask = torch.ones_like(codes, dtype=torch.bool) if is_masked else None
        clvp.score(codes[:1], codes, mask, torch.zeros(1, config.latent_dim))
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    weights = sum(weight.numel() * 4 for weight in clvp.parameters())
    assert 100_000_000 < peak["Total"] - weights < MAX_RANKING_BYTES


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
