"""The GE2E speaker encoder (arXiv:1710.10467) with the published weights of Resemblyzer.

Shapes: b batch, n samples, f mel frames, k windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio.clip import Clip
from audio.energy_vad import find_speech_spans
from audio.mel import MelSpec, log_mel
from core.errors import UnrecoverableError

GE2E_MEL = MelSpec(
    sample_rate=16_000, n_fft=400, hop=160, bands=40, high_hz=8_000.0, scale="slaney", power=2.0
)
EMBEDDING_DIM = 256
WINDOW_FRAMES = 160  # 1.6 s, as in training
WINDOW_HOP = 77
SPEECH_RMS = 10 ** (-22 / 20)  # of recordings; the network is sensitive to the level


class Ge2eEncoder(nn.Module):
    """Three LSTM layers over a mel window, as published."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(GE2E_MEL.bands, EMBEDDING_DIM, 3, batch_first=True)
        self.linear = nn.Linear(EMBEDDING_DIM, EMBEDDING_DIM)

    def forward(self, mels: Tensor) -> Tensor:
        """mels: (b, f, 40) energies, not logs. Returns (b, 256) of unit length."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(self.linear(hidden[-1]).relu(), dim=1)

    @torch.inference_mode()
    def embed_windows(self, clip: Clip) -> Tensor:
        """Return one vector of unit length for each 1.6 s window of the speech: (k, 256)."""
        spoken = trim_pauses(clip.resample(GE2E_MEL.sample_rate))
        rms = float(spoken.square().mean().sqrt())
        wave = spoken * (SPEECH_RMS / max(rms, 1e-8))
        frames = 1 + len(wave) // GE2E_MEL.hop
        count = max(1, 1 + -(-(frames - WINDOW_FRAMES) // WINDOW_HOP))
        needed = ((count - 1) * WINDOW_HOP + WINDOW_FRAMES) * GE2E_MEL.hop
        mel = log_mel(F.pad(wave, (0, max(0, needed - len(wave)))), GE2E_MEL)[0].exp().T
        windows = mel.unfold(0, WINDOW_FRAMES, WINDOW_HOP).transpose(1, 2)  # (k, 160, 40)
        return self.forward(windows[:count].contiguous())

    def embed(self, clips: Sequence[Clip]) -> Tensor:
        """Return the mean direction of all windows of clips of one speaker: (256,)."""
        return F.normalize(torch.cat([self.embed_windows(clip) for clip in clips]).mean(0), dim=0)


def trim_pauses(clip: Clip) -> Tensor:
    """Return the speech of a clip without its pauses: (n,); the whole clip where none is found."""
    spans = find_speech_spans(clip)
    return torch.cat([clip.wave[span.start : span.stop] for span in spans]) if spans else clip.wave


def find_ge2e_weights() -> Path | None:
    """Return the weights in the installed package Resemblyzer, without importing it."""
    spec = find_spec("resemblyzer")
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders))) / "pretrained.pt" if folders else None
    return path if path is not None and path.is_file() else None


@lru_cache(maxsize=1)
def load_ge2e_encoder() -> Ge2eEncoder:
    """Load the published encoder.  Raises UnrecoverableError where it is not installed."""
    path = find_ge2e_weights()
    if path is None:
        raise UnrecoverableError(
            "The speaker encoder is not installed. Install it with: "
            "pip install --no-deps Resemblyzer==0.1.4",
            code="missing_package",
        )
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    encoder = Ge2eEncoder()
    encoder.load_state_dict({key: state[key] for key in encoder.state_dict()})
    return encoder.requires_grad_(False).eval()
