"""Verification, tables, projections and pictures of speaker embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest import approx

from core.errors import AppError
from speakers.evaluation.plots import (
    plot_curves,
    plot_det,
    plot_features,
    plot_projection,
    plot_similarity,
)
from speakers.evaluation.projection import METHODS, project
from speakers.evaluation.table import (
    EmbeddedUtterances,
    build_speaker_table,
    compute_similarity_matrix,
    get_embeddings,
    rank_similar,
    read_speaker_table,
    write_speaker_table,
)
from speakers.evaluation.verification import (
    Trials,
    compute_det_curve,
    make_trials,
    verify_speakers,
)

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def utterances() -> EmbeddedUtterances:
    """Five utterances of each of four speakers that are easily told apart."""
    random = np.random.default_rng(0)
    centers = random.normal(size=(4, 16))
    made = np.repeat(centers, 5, axis=0) + 0.2 * random.normal(size=(20, 16))
    names = np.repeat(["ann", "bob", "cy", "di"], 5)
    return EmbeddedUtterances(
        embeddings=(made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32),
        speakers=tuple(names),
        files=tuple(f"{name}-{row}" for row, name in enumerate(names)),
        genders=tuple(np.repeat(["female", "male", "male", ""], 5)),
        names=tuple(name.title() for name in names),
    )


def test_speakers_that_are_apart_have_no_errors(utterances: EmbeddedUtterances) -> None:
    result = verify_speakers(make_trials(utterances.embeddings, utterances.speakers))
    assert result.eer == approx(0.0, abs=1e-9) and result.same > 0.8 > result.different
    assert (result.same_pairs, result.different_pairs) == (40, 150)


def test_the_equal_error_rate_is_where_both_errors_meet() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.6, 0.5, 0.4, 0.2, 0.1, 0.0])
    same = np.array([True] * 4 + [False] * 6)
    result = verify_speakers(Trials(scores=scores, same=same))
    assert result.eer == approx(0.25)  # one speaker of four; interpolated between impostors
    assert 0.4 <= result.threshold <= 0.7


def test_embeddings_without_information_are_wrong_half_of_the_time() -> None:
    noise = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    trials = make_trials(noise, [str(row % 20) for row in range(200)])
    assert verify_speakers(trials).eer == approx(0.5, abs=0.04)


def test_the_det_curve_goes_from_rejecting_to_accepting(utterances: EmbeddedUtterances) -> None:
    noise = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    curve = compute_det_curve(make_trials(noise, [str(row % 6) for row in range(60)]))
    assert np.all(np.diff(curve.false_acceptance) <= 0) and np.all(
        np.diff(curve.false_rejection) >= 0
    )


@pytest.mark.parametrize("speakers", [["a", "a", "a"], ["a", "b", "c"]])
def test_trials_need_two_speakers_and_two_utterances_of_one(speakers: list[str]) -> None:
    with pytest.raises(AppError, match="at least 2 speakers"):
        make_trials(np.eye(3, dtype=np.float32), speakers)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_mean_embeddings_is_read_as_written(
    tmp_path: Path, utterances: EmbeddedUtterances, suffix: str
) -> None:
    table = build_speaker_table(utterances)
    assert list(table["speaker"]) == ["ann", "bob", "cy", "di"] and set(table["utterances"]) == {5}
    mean = utterances.embeddings[:5].mean(0)
    assert get_embeddings(table)[0] == approx(mean / np.linalg.norm(mean), abs=1e-6)
    write_speaker_table(table, tmp_path / f"table{suffix}")
    read = read_speaker_table(tmp_path / f"table{suffix}")
    assert list(read["gender"]) == ["female", "male", "male", ""]
    assert get_embeddings(read) == approx(get_embeddings(table), abs=1e-6)


def test_a_table_can_be_limited_and_searched(utterances: EmbeddedUtterances) -> None:
    table = build_speaker_table(utterances, max_per_speaker=2)
    assert set(table["utterances"]) == {2}
    nearest = rank_similar(utterances.embeddings[7], table)
    assert nearest[0][0] == "bob" and nearest[0][1] > nearest[1][1]


def test_another_file_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(AppError, match="not a table of speakers"):
        read_speaker_table(tmp_path / "x.csv")
    with pytest.raises(AppError, match=r"\.csv or \.parquet"):
        read_speaker_table(tmp_path / "x.xls")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_projections_keep_speakers_together_and_repeat(
    utterances: EmbeddedUtterances, method: str
) -> None:
    if method == "umap":
        pytest.importorskip("umap")
    points = project(utterances.embeddings, method, seed=3)
    assert points.shape == (20, 2) and np.isfinite(points).all()
    if method != "umap":  # whose compilation takes long enough once
        assert np.array_equal(points, project(utterances.embeddings, method, seed=3))
    centers = points.reshape(4, 5, 2).mean(1)
    distance = np.linalg.norm(points[:, None] - centers[None], axis=-1)
    assert (distance.argmin(1) == np.repeat(np.arange(4), 5)).mean() >= 0.9


def test_a_projection_needs_three_points() -> None:
    with pytest.raises(AppError, match="at least 3"):
        project(np.eye(2, dtype=np.float32), "pca")


def test_pictures_are_written(tmp_path: Path, utterances: EmbeddedUtterances) -> None:
    trials = make_trials(utterances.embeddings, utterances.speakers)
    points = project(utterances.embeddings, "pca")
    plot_projection(points, utterances.speakers, utterances.genders, "PCA", tmp_path / "pca.png")
    matrix = compute_similarity_matrix(utterances.embeddings)
    plot_similarity(matrix, utterances.files, "Similarity", tmp_path / "similarity.png")
    plot_det(trials, verify_speakers(trials), "DET", tmp_path / "det.png")
    plot_curves(
        {"train": [(1, 2.0), (2, 1.0)], "validation": [(2, 1.5)]}, "Loss", tmp_path / "l.png"
    )
    plot_features(np.ones((20, 5), np.float32), "Features", tmp_path / "f.png")
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["det.png", "f.png", "l.png", "pca.png", "similarity.png"]
    assert all(path.read_bytes().startswith(PNG) for path in tmp_path.iterdir())
