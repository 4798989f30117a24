"""Spelling costs least what is said, and a hopeless clip never spoils a comparison."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.losses import compute_ctc_nll, remove_special_tokens


def speller() -> nn.Linear:
    """Hears one number a symbol and names that symbol."""
    head = nn.Linear(6, 6)
    with torch.no_grad():
        head.weight.copy_(torch.eye(6) * 9)
        head.bias.zero_()
    return head


def heard(*symbols: int) -> torch.Tensor:
    return nn.functional.one_hot(torch.tensor([symbols]), 6).float()


def test_boundaries_are_not_said() -> None:
    assert remove_special_tokens(torch.tensor([3, 4, 2, 5], dtype=torch.int16)).tolist() == [
        3,
        4,
        5,
    ]


def test_what_is_said_costs_next_to_nothing() -> None:
    rows = heard(3, 0, 4, 4, 5)
    right = compute_ctc_nll(speller(), rows, torch.tensor([5]), [torch.tensor([3, 4, 5])])
    wrong = compute_ctc_nll(speller(), rows, torch.tensor([5]), [torch.tensor([3, 5, 5])])
    assert right < 0.01 and wrong > 1


def test_each_clip_is_judged_by_its_own_text_within_its_own_length() -> None:
    rows = torch.cat([heard(3, 4, 0, 0), heard(3, 4, 5, 1)])
    said = [torch.tensor([3, 4])] * 2
    nats = compute_ctc_nll(speller(), rows, torch.tensor([4, 2]), said)
    assert nats.shape == (2,) and nats.max() < 0.1
    worse = compute_ctc_nll(speller(), rows, torch.tensor([4, 4]), said)
    assert worse[1] > worse[0] + 5


def test_a_clip_too_short_to_be_spelled_is_the_worst_and_finite() -> None:
    rows = torch.cat([heard(3, 4, 5), heard(3, 3, 3)])
    nats = compute_ctc_nll(speller(), rows, torch.tensor([3, 2]), [torch.tensor([3, 4, 5])] * 2)
    assert torch.isfinite(nats).all() and nats[1] > nats[0]


def test_a_ranker_that_spells_puts_the_draft_that_says_the_text_first() -> None:
    clvp = Clvp(replace(ClvpConfig.tiny(), spells=True)).eval()
    text = torch.tensor([[5, 2, 6, 7, 0]])
    codes = torch.randint(0, 24, (3, 12), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([12, 9, 3])
    mask = torch.arange(12) < lengths[:, None]
    with torch.inference_mode():
        scores = clvp.score(text, codes, mask)
        alone = [clvp.score(text, codes[n : n + 1, :m]) for n, m in enumerate(lengths.tolist())]
    assert scores.shape == (3,) and scores.max() < 0
    assert torch.allclose(scores, torch.cat(alone), atol=1e-4)  # whatever is ranked beside it


def test_published_rankers_have_nothing_to_spell_with() -> None:
    assert not any("to_symbols" in name for name in Clvp(ClvpConfig.tiny()).state_dict())
