"""Build the network and optimizer of a training, and compute its losses.

Shapes: n speakers, m utterances of each, f frames, c bins, e embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from speakers.modules.checkpoints import (
    EncoderFileError,
    EncoderModel,
    build_model,
    load_checkpoint,
)
from speakers.modules.ge2e import (
    GRAD_CLIP,
    GE2EEncoder,
    compute_ge2e_loss,
    compute_similarities,
)
from speakers.modules.peewee import (
    PeeweeEncoder,
    compute_peewee_loss,
    compute_peewee_similarities,
)
from speakers.modules.singer import SingerEncoder, compute_singer_losses
from speakers.training.config import EncoderTrainConfig
from speakers.training.sampler import Batch

CLASS_LAYER = "class_layer."
COSINE_FLOOR = 0.02  # of the learning rate, at the last step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchLosses:
    """The losses of a batch, each (): `total` is trained. similarities: (n, m, n);
    embeddings: (n, m, e). prediction and accuracy are None without a class head."""

    total: Tensor
    ge2e: Tensor
    similarities: Tensor
    embeddings: Tensor
    prediction: Tensor | None = None
    accuracy: Tensor | None = None


def create_network(config: EncoderTrainConfig, bins: int, classes: int) -> EncoderModel:
    """Build the network with the random weights of the seed, or those of `start_from`.

    Raises EncoderFileError where the encoder to start from has other sizes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(
            config.kind,
            bins=bins,
            hidden=config.hidden,
            embedding=config.embedding,
            layers=config.layers,
            classes=classes if config.class_head else 0,
        )
    if config.start_from:
        _load_start(model, Path(config.start_from))
    return model.train()


def create_optimizer(model: nn.Module, config: EncoderTrainConfig) -> torch.optim.Optimizer:
    """Create Adam or SGD at the configured learning rate."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=config.learning_rate)
    return torch.optim.Adam(model.parameters(), lr=config.learning_rate)


def compute_losses(model: EncoderModel, batch: Batch, utterances: int, use: str) -> BatchLosses:
    """Return all losses of a batch. use: the loss to train, `ge2e`, `pred` or `both`."""
    flat = model(batch.frames)  # (n * m, e)
    embeddings = flat.unflatten(0, (-1, utterances))
    if isinstance(model, PeeweeEncoder):
        similarities = compute_peewee_similarities(embeddings, model.W, model.B)
        loss = compute_peewee_loss(similarities)
        return BatchLosses(total=loss, ge2e=loss, similarities=similarities, embeddings=embeddings)
    if isinstance(model, SingerEncoder):
        labels = batch.speakers.to(flat.device).repeat_interleave(utterances)
        scores = model.classify(flat) if model.training else None  # other speakers have no class
        found = compute_singer_losses(model, embeddings, scores, labels, use)
        return BatchLosses(
            total=found.total,
            ge2e=found.ge2e,
            similarities=found.similarities,
            embeddings=embeddings,
            prediction=found.prediction,
            accuracy=found.accuracy,
        )
    similarities = compute_similarities(embeddings, model.similarity_weight, model.similarity_bias)
    loss = compute_ge2e_loss(similarities)
    return BatchLosses(total=loss, ge2e=loss, similarities=similarities, embeddings=embeddings)


def update_weights(
    model: EncoderModel, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float
) -> float:
    """Update the weights as the original of each network does; return the gradient's norm."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if isinstance(model, GE2EEncoder):
        model.scale_similarity_gradients()
        norm = nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
    else:
        norm = nn.utils.get_total_norm(
            [value.grad for value in model.parameters() if value.grad is not None]
        )
        model.scale_gradients()
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return float(norm)


def compute_learning_rate(config: EncoderTrainConfig, progress: float) -> float:
    """Return the learning rate. progress: 0 at the first step, 1 at the last."""
    if config.lr_schedule == "constant":
        return config.learning_rate
    share = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    return config.learning_rate * (COSINE_FLOOR + (1 - COSINE_FLOOR) * share)


def _load_start(model: EncoderModel, path: Path) -> None:
    """Load the weights of another encoder, except for its class head."""
    own = model.state_dict()
    weights = {
        name: value
        for name, value in load_checkpoint(path).model.state_dict().items()
        if not name.startswith(CLASS_LAYER)
    }
    wrong = [name for name, value in weights.items() if own.get(name, value).shape != value.shape]
    missing = {name for name in own if not name.startswith(CLASS_LAYER)} ^ set(weights)
    if wrong or missing:
        raise EncoderFileError(
            f"{path.name} is no encoder of this size: {', '.join(sorted(wrong) or sorted(missing))}"
            " differ. Choose its kind, features and sizes in the configuration."
        )
    model.load_state_dict({**own, **weights})
