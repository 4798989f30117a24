"""Pictures of embeddings and training curves, drawn by matplotlib without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import DetCurveDisplay

from core.files import atomic_path
from speakers.evaluation.verification import Trials, Verification, compute_det_curve

Floats = npt.NDArray[np.float32]
GENDER_MARKERS = {"female": "o", "male": "s", "": "^"}
GENDER_LABELS = {"female": "female", "male": "male", "": "unknown"}
MAX_LEGEND_ENTRIES = 30
MAX_NAMED_ROWS = 40  # of a matrix
COLORS = "hsv"
SIZE_IN = (9.0, 7.0)
DPI = 120


def plot_projection(
    points: Floats, speakers: Sequence[str], genders: Sequence[str], title: str, path: Path
) -> None:
    """Draw points (n, 2): one color for each speaker, one marker for each gender ("" unknown)."""
    figure, axes = _create_figure(title)
    known = [gender if gender in GENDER_MARKERS else "" for gender in genders]
    names = sorted(set(speakers))
    palette = colormaps[COLORS](np.linspace(0.0, 0.92, len(names)))
    colors = dict(zip(names, palette, strict=True))
    for name in names:
        for gender, marker in GENDER_MARKERS.items():
            rows = [
                row
                for row, one in enumerate(zip(speakers, known, strict=True))
                if one == (name, gender)
            ]
            if rows:
                axes.scatter(
                    *(points[rows, 0], points[rows, 1]),
                    color=colors[name],
                    marker=marker,
                    s=28,
                )
    handles = [
        axes.scatter([], [], color="grey", marker=GENDER_MARKERS[gender], label=label)
        for gender, label in GENDER_LABELS.items()
        if gender in known
    ]
    axes.legend(handles=handles, title="gender", fontsize="small")
    if len(names) <= MAX_LEGEND_ENTRIES:
        figure.legend(
            handles=[axes.scatter([], [], color=colors[name], label=name) for name in names],
            loc="outside right upper",
            title="speaker",
            fontsize="small",
        )
    axes.set_xticks([])
    axes.set_yticks([])
    _save(figure, path)


def plot_similarity(matrix: Floats, names: Sequence[str], title: str, path: Path) -> None:
    """Draw the similarity of every two speakers.  matrix: (s, s)."""
    figure, axes = _create_figure(title)
    image = axes.imshow(matrix, vmin=min(0.0, float(matrix.min())), vmax=1.0, cmap="viridis")
    figure.colorbar(image, ax=axes, label="cosine similarity")
    if len(names) <= MAX_NAMED_ROWS:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize="small")
        axes.set_yticks(range(len(names)), names, fontsize="small")
    _save(figure, path)


def plot_det(trials: Trials, result: Verification, title: str, path: Path) -> None:
    """Draw the DET curve of the trials, with the equal error rate."""
    figure, axes = _create_figure(title)
    curve = compute_det_curve(trials)
    display = DetCurveDisplay(fpr=curve.false_acceptance, fnr=curve.false_rejection)
    display.plot(ax=axes, name=f"EER {result.eer:.2%} at similarity {result.threshold:.2f}")
    axes.set_xlabel("false acceptance")
    axes.set_ylabel("false rejection")
    _save(figure, path)


def plot_curves(
    curves: Mapping[str, Sequence[tuple[int, float]]], title: str, path: Path, ylabel: str = ""
) -> None:
    """Draw curves over training steps: name -> (step, value) pairs."""
    figure, axes = _create_figure(title)
    for name, values in curves.items():
        marker = "o" if len(values) < 2 else ""
        axes.plot(*zip(*values, strict=True), label=name, marker=marker)
    axes.set_xlabel("step")
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(fontsize="small")
    _save(figure, path)


def plot_features(features: Floats, title: str, path: Path) -> None:
    """Draw the features of an utterance over time: (frames, bins)."""
    figure, axes = _create_figure(title)
    axes.imshow(features.T, origin="lower", aspect="auto", cmap="magma")
    axes.set_xlabel("frame")
    axes.set_ylabel("feature")
    _save(figure, path)


def _create_figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        figure.savefig(part)
