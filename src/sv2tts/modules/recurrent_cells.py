"""Steps of recurrent cells: one that the caller splits, and all of them in one call.

Shapes: b batch, d steps, c channels, h hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gru_step(given: Tensor, inner: Tensor, hidden: Tensor) -> Tensor:
    """Return the next state of a GRU. given, inner: (b, 3 h) of input and state; hidden: (b, h)."""
    reset, update, fresh = given.chunk(3, dim=-1)
    inner_reset, inner_update, inner_fresh = inner.chunk(3, dim=-1)
    gate = (update + inner_update).sigmoid()
    candidate = (fresh + (reset + inner_reset).sigmoid() * inner_fresh).tanh()
    return candidate + gate * (hidden - candidate)


def run_cell(cell: nn.GRUCell | nn.LSTMCell, x: Tensor) -> Tensor:
    """Run a cell over all steps in one call: (b, d, c) -> (b, d, h)."""
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    zeros = x.new_zeros(1, len(x), cell.hidden_size)
    options = (True, 1, 0.0, cell.training, False, True)  # one layer, one direction, batch first
    if isinstance(cell, nn.LSTMCell):
        return torch.lstm(x, [zeros, zeros], weights, *options)[0]
    return torch.gru(x, zeros, weights, *options)[0]
