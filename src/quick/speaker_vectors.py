"""Speaker vectors of the speaker codec: a speaker encoder on clips of one level.

Shapes: k windows of 1.6 s, s speaker dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.clip import Clip
from speakers.embedding import Encoder, load_encoder

SPEECH_RMS = 10 ** (-22 / 20)  # that of recordings; the encoder is sensitive to the level


@lru_cache(maxsize=2)
def load_vector_encoder(name: str) -> Encoder:
    """Load the encoder that the config of a codec names.  Raises EncoderFileError for none."""
    return load_encoder(name)


def embed_windows(encoder: Encoder, clip: Clip) -> Tensor:
    """Return one vector of unit length for each window of the speech: (k, s)."""
    wave = clip.resample(encoder.feature_config.sample_rate).wave.float()
    wave = wave * (SPEECH_RMS / wave.square().mean().sqrt().clamp(min=1e-8))
    prepared = encoder.prepare_wave(wave.clamp(-1, 1).numpy())
    return torch.from_numpy(encoder.embed_partials(prepared).embeddings)


def embed_speaker(encoder: Encoder, clips: Sequence[Clip]) -> Tensor:
    """Return the mean direction of all windows of clips of one speaker: (s,)."""
    if not clips:
        raise ValueError("A voice needs at least one clip.")
    return F.normalize(torch.cat([embed_windows(encoder, clip) for clip in clips]).mean(0), dim=0)
