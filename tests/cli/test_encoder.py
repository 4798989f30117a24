"""testudo encoder: the whole way on the shipped voices, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import InvalidValueError
from core.paths import ProjectPaths
from jobs.detached import wait_for_exit
from speakers.training.config import read_encoder_config
from support.audio_helpers import VOICES

Testudo = Callable[..., tuple[int, str, str]]
TINY = (
    *("--steps", "4", "--hidden", "8", "--embedding", "6", "--layers", "1", "--umap-every", "0"),
    *("--speakers-per-batch", "2", "--utterances-per-speaker", "2", "--validation-share", "0.5"),
    *("--train-iters", "2", "--val-iters", "1", "--vis-every", "1"),
)
END_S = 240.0  # of a process that starts on a busy machine


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for voice in ("clara", "felix", "vera", "angus"):
        shutil.copytree(VOICES / voice, tmp_path / "recordings" / voice)
    return tmp_path / "recordings"


def test_the_whole_way_from_recordings_to_pictures(
    testudo: Testudo, layout: ProjectPaths, recordings: Path, tmp_path: Path
) -> None:
    (recordings / "cover.jpg").write_bytes(b"x")
    code, out, _ = testudo("encoder", "preprocess", str(recordings), "--name", "four")
    assert code == 0 and "left out" in out and "cover.jpg: not an audio file (.jpg)" in out
    assert "4 speakers, 16 recordings" in out and "testudo encoder train four" in out
    assert "four  4 speakers, 16 files" in testudo("encoder", "datasets")[1]

    code, out, _ = testudo("encoder", "train", "four", "--run-id", "one", *TINY)
    assert code == 0 and "testudo encoder watch one" in out
    assert wait_for_exit(layout.encoder_run("one"), END_S)
    code, out, _ = testudo("encoder", "watch", "one")
    assert code == 0 and "done, step 4 of 4, loss" in out
    assert "one  done, step 4 of 4" in testudo("encoder", "runs")[1]

    table = tmp_path / "speakers.csv"
    assert testudo("encoder", "table", "one", "four", "-o", str(table))[0] == 0
    assert len(table.read_text().splitlines()) == 5
    code, out, _ = testudo("encoder", "verify", "one", str(recordings), "--json")
    measured = json.loads(out)
    assert 0.0 <= measured["eer"] <= 1.0 and measured["utterances"] == 16
    for method in ("pca", "similarity", "det"):
        picture = tmp_path / f"{method}.png"
        made = testudo("encoder", "plot", "one", "four", "--method", method, "-o", str(picture))
        assert made[0] == 0 and picture.read_bytes().startswith(b"\x89PNG")
    embeddings = tmp_path / "all.parquet"
    assert testudo("encoder", "embed", "one", "four", "-o", str(embeddings))[0] == 0
    assert embeddings.is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("preprocess", "nowhere"), "does not exist"),
        (("train", "nothing"), "no speaker dataset 'nothing' (there: none)"),
        (("runs", "nothing"), "no encoder run 'nothing' (there: none)"),
        (("verify", "nothing", "x"), "There is no encoder file nothing"),
        (("plot", "a", "b", "--method", "mds"), "must be one of tsne, umap, pca"),
        (("train", "x", "--steps", "0"), "steps is 0; it must be"),
        (("train", "x", "--loss", "pred"), "needs kind: singer"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(
    testudo: Testudo, arguments: tuple[str, ...], told: str
) -> None:
    code, _, error = testudo("encoder", *arguments)
    assert code == 2 and told in error


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"missing\.yml cannot be read"):
        read_encoder_config(tmp_path / "missing.yml")
