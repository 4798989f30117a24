"""A README file in results/ and training/ is not taken for a clip, a dataset or a run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from audio.io import write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.datasets.service import Datasets
from studio.history.query import Search
from studio.history.service import History
from studio.training_runs.config_service import list_configs
from studio.training_runs.service import TrainingRunService, find_dataset_folder
from support.api_helpers import tone
from webui.training.configure_actions import list_dataset_names

Testudo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def readmes(layout: ProjectPaths) -> ProjectPaths:
    """The root with the folders of a fresh clone, each with a README file."""
    for folder in (layout.results, layout.training):
        folder.mkdir()
        (folder / "README.md").write_text("# What this folder holds\n")
    return layout


def test_the_training_folder_of_a_fresh_clone_holds_no_dataset(
    readmes: ProjectPaths, testudo: Testudo
) -> None:
    assert list_configs(readmes) == [] and Datasets(readmes).list_deleted() == []
    assert list_dataset_names(readmes) == []
    assert TrainingRunService(readmes, lambda: "cpu", lambda: None).list() == []
    with pytest.raises(AppError, match=r"\(there: none\)"):
        find_dataset_folder(readmes, "mine")
    with pytest.raises(AppError, match=r"There is no dataset 'README\.md'"):
        find_dataset_folder(readmes, "README.md")
    code, out, _ = testudo("runs", "--json")
    assert code == 0 and json.loads(out) == []


def test_the_results_folder_of_a_fresh_clone_holds_no_clip(readmes: ProjectPaths) -> None:
    history = History.open(readmes)
    history.scan(ProgressReporter())
    assert history.find(Search()).rows == ()
    (readmes.results / "alice").mkdir()
    write_clip(readmes.results / "alice" / "00001-hello.wav", tone())
    history.scan(ProgressReporter())
    assert [row.path for row in history.find(Search()).rows] == ["alice/00001-hello.wav"]
