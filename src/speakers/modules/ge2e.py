"""The GE2E speaker encoder and its loss (arXiv:1710.10467), as Real-Time Voice Cloning has them.

Shapes: n speakers, m utterances of each, b utterances, f frames, c bins, e embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5  # added to norms, as the published encoder was trained with
SIMILARITY_GRAD_SCALE = 0.01
GRAD_CLIP = 3.0


class GE2EEncoder(nn.Module):
    """An LSTM, whose last hidden state is projected to an embedding of unit length.

    Attribute names are those of the published encoder.pt.
    """

    def __init__(self, bins: int = 40, hidden: int = 256, embedding: int = 256, layers: int = 3):
        super().__init__()
        self.similarity_weight = nn.Parameter(torch.tensor([10.0]))
        self.similarity_bias = nn.Parameter(torch.tensor([-5.0]))
        self.lstm = nn.LSTM(bins, hidden, layers, batch_first=True)
        self.linear = nn.Linear(hidden, embedding)

    @classmethod
    def tiny(cls) -> GE2EEncoder:
        """Return a network for tests."""
        return cls(bins=40, hidden=16, embedding=8, layers=2)

    @property
    def embedding_size(self) -> int:
        """The length of an embedding."""
        return self.linear.out_features

    def forward(self, frames: Tensor) -> Tensor:
        """(b, f, c) -> (b, e), each of unit length with values >= 0."""
        _, (hidden, _) = self.lstm(frames)
        raw = functional.relu(self.linear(hidden[-1]))
        return raw / (raw.norm(dim=1, keepdim=True) + EPSILON)

    def scale_similarity_gradients(self) -> None:
        """Multiply the gradients of weight and bias of the similarity by 0.01."""
        for parameter in (self.similarity_weight, self.similarity_bias):
            if parameter.grad is not None:
                parameter.grad *= SIMILARITY_GRAD_SCALE


def compute_similarities(embeddings: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the scaled similarity of each utterance to each speaker's centroid.

    embeddings: (n, m, e).  Returns (n, m, n). The centroid of an utterance's own speaker is
    computed without it (Eq. 8 and 9).
    """
    speakers, utterances = embeddings.shape[:2]
    if utterances < 2:
        raise ValueError("GE2E needs two utterances or more of each speaker")
    total = embeddings.sum(1)  # (n, e)
    centroids = _normalize(total / utterances)
    own = _normalize((total[:, None] - embeddings) / (utterances - 1))  # (n, m, e)
    scores = embeddings @ centroids.T  # (n, m, n)
    is_own = torch.eye(speakers, dtype=torch.bool, device=embeddings.device)[:, None]
    cosine = torch.where(is_own, (embeddings * own).sum(-1, keepdim=True), scores)
    return cosine * weight + bias


def compute_ge2e_loss(similarities: Tensor) -> Tensor:
    """Return the softmax loss, averaged over the utterances (Eq. 6): (n, m, n) -> ()."""
    speakers, utterances = similarities.shape[:2]
    targets = torch.arange(speakers, device=similarities.device).repeat_interleave(utterances)
    return functional.cross_entropy(similarities.flatten(0, 1), targets)


def _normalize(vectors: Tensor) -> Tensor:
    return vectors / (vectors.norm(dim=-1, keepdim=True) + EPSILON)
