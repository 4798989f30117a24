"""Muon over kernels: the same steps as over matrices, and state that survives."""

from __future__ import annotations

import torch
from torch import nn

from training.finetuning.optim.optimizers import ConvMuon, create_conv_muon_and_adamw


def kernel() -> nn.Parameter:
    return nn.Parameter(torch.randn(16, 8, 3, generator=torch.Generator().manual_seed(0)))


def push(weight: nn.Parameter, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    weight.grad = torch.randn(weight.shape, generator=draw)


def test_a_kernel_moves_like_the_matrix_of_its_taps() -> None:
    ours, theirs = kernel(), nn.Parameter(kernel().data.flatten(1))
    muon = ConvMuon([ours], 0.01, 0.1)
    plain = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for seed in range(3):
        push(ours, seed)
        assert ours.grad is not None
        theirs.grad = ours.grad.flatten(1)
        muon.step()
        plain.step()
    assert torch.equal(ours.flatten(1), theirs)


def test_the_rate_that_is_set_is_the_rate_that_is_used() -> None:
    weight, before = kernel(), kernel()
    muon = ConvMuon([weight], 0.01, 0.0)
    muon.param_groups[0]["lr"] = 0.0
    push(weight, 0)
    muon.step()
    assert torch.equal(weight, before)


def test_saved_momentum_goes_on_as_if_nothing_had_happened() -> None:
    whole, parted = kernel(), kernel()
    one, first = ConvMuon([whole], 0.01, 0.0), ConvMuon([parted], 0.01, 0.0)
    for seed in range(2):
        for weight, muon in ((whole, one), (parted, first)):
            push(weight, seed)
            muon.step()
    second = ConvMuon([parted], 0.01, 0.0)
    second.load_state_dict(first.state_dict())
    for weight, muon in ((whole, one), (parted, second)):
        push(weight, 9)
        muon.step()
    assert torch.equal(whole, parted)


def test_what_is_no_kernel_is_left_to_adamw() -> None:
    block = nn.Sequential(nn.Conv1d(32, 32, 3), nn.Linear(32, 32), nn.Conv1d(1, 4, 3))
    module = nn.ModuleDict({"block": block, "head": nn.Conv1d(32, 32, 1)})
    muon, adamw = create_conv_muon_and_adamw(module, block, 0.01, 0.0)
    moved = [p for group in muon.param_groups for p in group["params"]]
    left = [p for group in adamw.param_groups for p in group["params"]]
    assert len(moved) == 1 and moved[0] is block[0].weight
    assert len(moved) + len(left) == len(list(module.parameters()))
