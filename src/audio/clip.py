"""A piece of recorded or spoken sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import soxr
import torch
from torch import Tensor

from core.errors import CodedError


class ClipError(CodedError, ValueError):
    """A clip cannot be used; the message says what came, what is allowed and what to do."""

    code = "bad_clip"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """One mono sound.

    wave: (n,) float32 in [-1, 1];  sample_rate: Hz;  name: what messages call it.
    """

    wave: Tensor
    sample_rate: int
    name: str = ""

    def __post_init__(self) -> None:
        if self.wave.dim() != 1:
            raise ValueError(f"a clip's wave is (n,), not {tuple(self.wave.shape)}")
        if self.sample_rate <= 0:
            raise ValueError(f"a clip's sample rate is positive, not {self.sample_rate}")

    @property
    def duration_s(self) -> float:
        """Seconds of sound."""
        return self.wave.shape[0] / self.sample_rate

    def resample(self, sample_rate: int) -> Clip:
        """Return the same sound at another rate (itself when the rate is its own).

        Sharper than `audio.mel.resample`, which keeps to what published weights have heard.
        """
        if sample_rate == self.sample_rate:
            return self
        samples = self.wave.detach().cpu().numpy()
        wave = torch.from_numpy(soxr.resample(samples, self.sample_rate, sample_rate, "HQ"))
        return replace(self, wave=wave, sample_rate=sample_rate)
