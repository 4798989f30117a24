"""Speaker datasets and encoder runs of a studio, and the requests of its jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import AppError, InvalidValueError
from core.paths import ProjectPaths
from core.serialization import from_dict, to_dict
from speakers.dataset import FeatureFile, Speaker, SpeakerDataset, write_speaker_dataset
from studio.app.task_registry import TASKS
from studio.encoders.requests import (
    AugmentationOptions,
    EvaluateRequest,
    FeatureConfig,
    PreprocessRequest,
)
from studio.encoders.service import EncoderService, build_train_config


def write_dataset(layout: ProjectPaths, name: str) -> Path:
    folder = layout.encoder_dataset(name)
    folder.mkdir(parents=True)
    speakers = tuple(
        Speaker(id=speaker, files=(FeatureFile(path=f"{speaker}/1.npy", frames=360),))
        for speaker in ("ann", "bob")
    )
    write_speaker_dataset(folder, SpeakerDataset(speakers=speakers))
    return folder


def test_datasets_are_listed_with_their_size_or_their_problem(layout: ProjectPaths) -> None:
    write_dataset(layout, "good")
    (write_dataset(layout, "torn") / "dataset.json").write_text("{")
    good, torn = EncoderService(layout).list_datasets()
    assert (good.name, good.kind, good.speakers, good.files) == ("good", "ge2e_mel", 2, 2)
    assert good.hours == pytest.approx(7.2 / 3600) and good.problem == ""
    assert torn.name == "torn" and "cannot be read" in torn.problem


def test_a_dataset_is_found_by_its_name_or_its_path(layout: ProjectPaths) -> None:
    folder = write_dataset(layout, "good")
    service = EncoderService(layout)
    assert service.find_dataset("good") == service.find_dataset(str(folder)) == folder
    with pytest.raises(AppError, match=r"no speaker dataset 'other' \(there: good\)"):
        service.find_dataset("other")


def test_options_come_from_the_preset_the_file_and_the_command_line(tmp_path: Path) -> None:
    assert build_train_config(None, {"kind": "singer"}).hidden == 768
    path = tmp_path / "encoder.yaml"
    path.write_text("kind: peewee\nsteps: 7\nlearning_rate: 0.5\n")
    config = build_train_config(path, {"steps": 9})
    assert (config.kind, config.optimizer, config.steps) == ("peewee", "sgd", 9)
    assert config.learning_rate == 0.5


def test_requests_survive_the_way_to_the_worker() -> None:
    preprocess = PreprocessRequest(
        sources=("a", "b"),
        name="x",
        features=FeatureConfig(kind="world"),
        augmentation=AugmentationOptions(augmented_copies=2),
    )
    evaluate = EvaluateRequest(encoder="resemblyzer", data="voices", method="pca", out="p.png")
    for name, request in (("preprocess_speakers", preprocess), ("plot_speakers", evaluate)):
        assert from_dict(type(request), to_dict(request)) == request
        assert TASKS[name].request == f"studio.encoders.requests:{type(request).__name__}"


def test_requests_that_cannot_be_done_are_refused() -> None:
    with pytest.raises(AppError, match="not a valid dataset name"):
        PreprocessRequest(sources=("a",), name="../x")
    with pytest.raises(InvalidValueError, match="at least one folder"):
        PreprocessRequest(sources=(), name="x")
    with pytest.raises(InvalidValueError, match="must be one of utterance, speaker"):
        EvaluateRequest(encoder="a", data="b", level="word")
