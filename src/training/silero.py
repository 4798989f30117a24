"""The network of silero-vad, which tells speech from other sound; its weights are in its package.

Built here rather than run as the package does, window by window: what does not depend on earlier
windows is computed for all of them at once, which is some fifty times as fast.
Shapes: w windows, n samples each, f frames in a window.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from safetensors.torch import load_file
from torch import Tensor, nn

RATE = 16_000  # Hz
WINDOW = 512  # samples judged at a time
CONTEXT = 64  # samples before them that are heard too
BINS = 129  # of a spectrum of 256 samples
WEIGHTS = "silero_vad_16k.safetensors"

State: TypeAlias = tuple[Tensor, Tensor]


class Silero(nn.Module):
    """A spectrum, four convolutions, and a memory of the windows before."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, windows: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Say how likely each window holds speech.

        windows: (w, CONTEXT + WINDOW) in a row;  state: of the windows before. Returns (w,) and
        the state after them.
        """
        padded = nn.functional.pad(windows[:, None], (0, CONTEXT), mode="reflect")
        waves = self.stft_conv(padded)  # (w, 2 * BINS, f)
        heard = (waves[:, :BINS].square() + waves[:, BINS:].square()).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            heard = layer(heard).relu()
        remembered, state = self.lstm_cell(heard[..., 0], state)  # (w, 128)
        likely = self.final_conv(remembered.relu().unsqueeze(-1)).sigmoid()  # (w, 1, 1)
        return likely[:, 0, 0], state


def has_silero() -> bool:
    """Whether the package is here, and the weights in it."""
    return _weights_file() is not None


@lru_cache(maxsize=1)
def load_silero() -> Silero:
    """Load the network; nothing is fetched."""
    path = _weights_file()
    if path is None:
        raise FileNotFoundError(f"silero-vad is not installed, or has no {WEIGHTS}.")
    held = load_file(path)
    renamed = {_name_here(name): value for name, value in held.items()}
    network = Silero()
    network.load_state_dict(renamed)
    return network.eval().requires_grad_(False)


def _name_here(name: str) -> str:
    """A cell's weights are those of the one layer that runs over the whole row."""
    return f"{name}_l0" if name.startswith("lstm_cell.") else name


def _weights_file() -> Path | None:
    found = find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "data" / WEIGHTS
    return path if path.is_file() else None
