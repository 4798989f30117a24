"""Project embeddings onto a plane with PCA, t-SNE or UMAP."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from core.errors import AppError

Floats = npt.NDArray[np.float32]
MIN_POINTS = 3
PERPLEXITY = 40.0  # as in the pictures of the singer identity encoder
NEIGHBOURS = 15  # UMAP's own default


def project(embeddings: Floats, method: str, seed: int = 0) -> Floats:
    """Return a point for each embedding: (n, d) -> (n, 2).  method: "pca", "tsne" or "umap".

    Raises AppError for fewer than three embeddings, or where UMAP is not installed.
    """
    if method not in METHODS:
        raise AppError(f"{method!r} is no projection. Choose one of {', '.join(METHODS)}.")
    if len(embeddings) < MIN_POINTS:
        raise AppError(
            f"A projection needs at least {MIN_POINTS} embeddings; there are {len(embeddings)}."
        )
    points: Floats = np.asarray(METHODS[method](embeddings, seed), np.float32)
    return points


def _project_pca(embeddings: Floats, seed: int) -> Floats:
    points: Floats = PCA(n_components=2, random_state=seed).fit_transform(embeddings)
    return points


def _project_tsne(embeddings: Floats, seed: int) -> Floats:
    perplexity = min(PERPLEXITY, (len(embeddings) - 1) / 3)
    model = TSNE(perplexity=perplexity, init="pca", metric="cosine", random_state=seed)
    points: Floats = model.fit_transform(embeddings)
    return points


def _project_umap(embeddings: Floats, seed: int) -> Floats:
    try:
        from umap import UMAP
    except ImportError as error:
        raise AppError(
            "UMAP needs the package umap-learn. Install it with "
            "`pip install -r requirements-extra.txt`, or choose tsne or pca.",
            code="missing_package",
        ) from error
    neighbours = min(NEIGHBOURS, len(embeddings) - 1)
    init = "spectral" if len(embeddings) > NEIGHBOURS else "random"
    model = UMAP(n_neighbors=neighbours, metric="cosine", init=init, random_state=seed, n_jobs=1)
    points: Floats = model.fit_transform(embeddings)
    return points


METHODS: dict[str, Callable[[Floats, int], Floats]] = {
    "pca": _project_pca,
    "tsne": _project_tsne,
    "umap": _project_umap,
}
