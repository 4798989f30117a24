"""The singer identity encoder: the GE2E network with a class head beside the contrastive loss.

Shapes: n speakers, m utterances of each, b utterances, f frames, c bins, e embedding, k classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from speakers.modules.ge2e import GE2EEncoder, compute_ge2e_loss, compute_similarities

LOSSES = ("ge2e", "pred", "both")


class SingerEncoder(GE2EEncoder):
    """A larger GE2E encoder. classes: speakers of the training set, 0 for no class head."""

    def __init__(
        self,
        bins: int = 80,
        hidden: int = 768,
        embedding: int = 256,
        layers: int = 3,
        classes: int = 0,
    ):
        super().__init__(bins, hidden, embedding, layers)
        if classes:
            self.class_layer = nn.Linear(embedding, classes)

    @classmethod
    def tiny(cls) -> SingerEncoder:
        """Return a network for tests."""
        return cls(bins=80, hidden=16, embedding=8, layers=2, classes=4)

    @property
    def classes(self) -> int:
        """The number of classes, 0 without a class head."""
        return self.class_layer.out_features if hasattr(self, "class_layer") else 0

    def classify(self, embeddings: Tensor) -> Tensor | None:
        """Return a score for each class: (b, e) -> (b, k); None without a class head."""
        return self.class_layer(embeddings) if self.classes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SingerLosses:
    """The losses of a batch, each (): the contrastive one, the class head's, and what is trained.

    accuracy: of the class head, 0 to 1. prediction and accuracy are None without a class head.
    similarities: (n, m, n).
    """

    ge2e: Tensor
    prediction: Tensor | None
    total: Tensor
    accuracy: Tensor | None
    similarities: Tensor


def compute_singer_losses(
    model: GE2EEncoder, embeddings: Tensor, scores: Tensor | None, labels: Tensor | None, use: str
) -> SingerLosses:
    """Return all losses of a batch.

    embeddings: (n, m, e);  scores: (n * m, k), and labels (n * m,) the classes of the speakers;
    use: the loss to train, one of `LOSSES`.
    """
    similarities = compute_similarities(embeddings, model.similarity_weight, model.similarity_bias)
    ge2e = compute_ge2e_loss(similarities)
    prediction = accuracy = None
    if scores is not None and labels is not None:
        prediction = functional.cross_entropy(scores, labels)
        accuracy = (scores.argmax(1) == labels).float().mean()
    if use != "ge2e" and prediction is None:
        raise ValueError(f"the loss {use!r} needs a class head")
    total = {"ge2e": ge2e, "pred": prediction}.get(use)
    if total is None:
        assert prediction is not None
        total = ge2e + prediction
    return SingerLosses(
        ge2e=ge2e,
        prediction=prediction,
        total=total,
        accuracy=accuracy,
        similarities=similarities,
    )
