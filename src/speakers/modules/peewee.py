"""The speaker encoder of Pee Wee TTS: GE2E without ReLU, with a summed loss.

Shapes: n speakers, m utterances of each, b utterances, f frames, c bins, e embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6
PROJECTION_GRAD_SCALE, SIMILARITY_GRAD_SCALE = 0.5, 0.01
LSTM_CLIP, OTHER_CLIP = 3.0, 1.0
ORTHOGONAL_GAIN = 3.0
WINDOW_FRAMES, WINDOW_HOP = 160, 80
SILENT_VALUE = 1e-8  # a window whose mean value is below it is empty


class PeeweeEncoder(nn.Module):
    """An LSTM whose last output is projected to unit length; names are the original's."""

    def __init__(self, bins: int = 80, hidden: int = 256, embedding: int = 256, layers: int = 3):
        super().__init__()
        self.W = nn.Parameter(torch.tensor([10.0]))
        self.B = nn.Parameter(torch.tensor([-5.0]))
        self.lstm = nn.LSTM(bins, hidden, layers, batch_first=True)
        self.projection_layer = nn.Linear(hidden, embedding)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("weight"):
                nn.init.orthogonal_(parameter, gain=ORTHOGONAL_GAIN)
            else:
                nn.init.zeros_(parameter)

    @classmethod
    def tiny(cls) -> PeeweeEncoder:
        """Return a network for tests."""
        return cls(bins=80, hidden=16, embedding=8, layers=2)

    @property
    def similarity_weight(self) -> Tensor:
        """The factor of the cosine similarity: (1,)."""
        return self.W

    @property
    def similarity_bias(self) -> Tensor:
        """What is added to the scaled similarity: (1,)."""
        return self.B

    @property
    def embedding_size(self) -> int:
        """The length of an embedding."""
        return self.projection_layer.out_features

    def forward(self, frames: Tensor) -> Tensor:
        """(b, f, c) -> (b, e), each of unit length."""
        output, _ = self.lstm(frames)
        return functional.normalize(self.projection_layer(output[:, -1]), dim=-1)

    def scale_gradients(self) -> None:
        """Scale the gradients, then clip those of the LSTM to norm 3 and all others to 1."""
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and not name.startswith("lstm"):
                is_projection = name.startswith("projection_layer")
                scale = PROJECTION_GRAD_SCALE if is_projection else SIMILARITY_GRAD_SCALE
                parameter.grad *= scale
        others = [self.W, self.B, *self.projection_layer.parameters()]
        nn.utils.clip_grad_norm_(self.lstm.parameters(), LSTM_CLIP)
        nn.utils.clip_grad_norm_(others, OTHER_CLIP)


def compute_peewee_similarities(embeddings: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the scaled similarity of each utterance to each speaker: (n, m, e) -> (n, m, n).

    Centroids count as constants.
    """
    own, others = compute_centroids(embeddings)
    cosine = functional.cosine_similarity(embeddings[:, :, None], others[None, None], dim=-1)
    own_cosine = functional.cosine_similarity(embeddings, own, dim=-1)
    is_own = torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)[:, None]
    return weight * (torch.where(is_own, own_cosine[..., None], cosine) + EPSILON) + bias


def compute_centroids(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of a speaker's other utterances, and that of all: (n, m, e), (n, e)."""
    fixed, utterances = embeddings.detach(), embeddings.shape[1]
    total = fixed.sum(1)
    return (total[:, None] - fixed) / (utterances - 1), total / utterances


def compute_peewee_loss(similarities: Tensor) -> Tensor:
    """Return the softmax loss summed over the utterances: (n, m, n) -> ()."""
    own = similarities.diagonal(dim1=0, dim2=2).T  # (n, m)
    return (torch.log(similarities.exp().sum(-1) + EPSILON) - own).sum()


def embed_windows(model: PeeweeEncoder, mels: Tensor) -> Tensor:
    """Return one embedding per utterance: (b, f, c) -> (b, e), not of unit length.

    The sum over windows of 160 frames, one every 80, divided by the number of windows that are not
    empty. Empty windows count as silence, but are added as well, as in the original.
    """
    count = -(-mels.shape[1] // WINDOW_HOP)
    missing = (count - 1) * WINDOW_HOP + WINDOW_FRAMES - mels.shape[1]
    windows = functional.pad(mels, (0, 0, 0, missing)).unfold(1, WINDOW_FRAMES, WINDOW_HOP)
    windows = windows.transpose(2, 3)  # (b, windows, 160, c)
    filled = windows.sum((2, 3)) > WINDOW_FRAMES * SILENT_VALUE  # (b, windows)
    windows = windows * filled[:, :, None, None]
    embeddings = model(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
    return embeddings.sum(1) / filled.sum(1, keepdim=True).clamp(min=1)
