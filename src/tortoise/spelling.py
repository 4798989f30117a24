"""Spell what a network hears of codes, with connectionist temporal classification (Graves, 2006).

Shapes: n clips, m codes, d width, s symbols. The head that spells is a linear layer (d to s); the
stop, which no clip says, stands for nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

STOP = 0
BOUNDARY = 2
"""The id between words, in the published vocabulary and in ours."""


def symbols_of(text: Tensor) -> Tensor:
    """What is said of a text: its ids (t,) without the stop and the boundaries between words."""
    return text[(text != BOUNDARY) & (text != STOP)].long()


def spelling_loss(
    speller: nn.Linear, heard: Tensor, lengths: Tensor, said: Sequence[Tensor]
) -> Tensor:
    """How badly clips are spelled from what is heard of them, in nats a symbol: ().

    heard: (n, m, d);  lengths: (n,) codes of each;  said: the symbols of each. A clip of fewer
    codes than symbols cannot be spelled and does not count.
    """
    return _ctc(speller, heard, lengths, said, "mean")


@torch.no_grad()
def misspelled(
    speller: nn.Linear, heard: Tensor, lengths: Tensor, said: Sequence[Tensor]
) -> Tensor:
    """How badly each clip spells what it should say: nats (n,), never infinite."""
    nats = _ctc(speller, heard, lengths, said, "none")
    hopeless = 2.0 * float(nats.max()) + 1.0
    return torch.where(nats > 0, nats, hopeless)


def _ctc(
    speller: nn.Linear,
    heard: Tensor,
    lengths: Tensor,
    said: Sequence[Tensor],
    reduction: Literal["mean", "none"],
) -> Tensor:
    with torch.autocast(heard.device.type, enabled=False):
        spelled = functional.linear(heard.float(), speller.weight.float(), speller.bias.float())
        # on the CPU: the same sums on every device, and there is little to add up
        loss: Tensor = functional.ctc_loss(
            spelled.log_softmax(-1).transpose(0, 1).cpu(),
            torch.cat(list(said)).cpu(),
            lengths.cpu(),
            torch.tensor([len(symbols) for symbols in said]),
            blank=STOP,
            reduction=reduction,
            zero_infinity=True,
        )
    return loss
