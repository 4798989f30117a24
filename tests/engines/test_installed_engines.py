"""A package that is installed beside the studio adds an engine by its entry points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines import registry
from engines.model_files import CHECKSUMS_FILE
from engines.registry import get_engine_class, get_options_class, list_engines
from studio.model_store.bundles import summarize_model, verify_model_files
from studio.schemas.settings import Settings
from studio.synthesis.request_builder import SpeechRequestInput, build_request

ENTRY_POINTS = """
[testudo.engines]
hum = support.fake_engine:FakeEngine
tortoise = support.fake_engine:FakeEngine
half = support.fake_engine:FakeEngine
[testudo.engine_options]
hum = support.fake_engine:FakeOptions
tortoise = support.fake_engine:FakeOptions
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package that adds the engine hum."""
    info = tmp_path / "site" / "hum-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hum\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    registry._find_installed_engines.cache_clear()
    yield
    registry._find_installed_engines.cache_clear()


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    """A studio with a voice and a model of the engine hum."""
    (tmp_path / "voices" / "ann").mkdir(parents=True)
    model = tmp_path / "models" / "hummer"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({"engine": "hum", "about": "hums"}))
    save_file({"pitch": torch.ones(3)}, model / "pitch.safetensors")
    return ProjectPaths.from_root(tmp_path)


def test_the_engine_of_a_package_is_listed_last_and_replaces_none() -> None:
    assert list_engines() == [*registry.ENGINES, "hum"]
    assert get_engine_class("hum").__name__ == "FakeEngine"
    assert get_options_class("hum").__name__ == "FakeOptions"
    assert get_options_class("tortoise").__name__ == "TortoiseOptions"


def test_an_engine_without_options_is_unknown() -> None:
    with pytest.raises(ValueError, match="no engine 'half'"):
        get_options_class("half")


def test_a_model_of_the_package_is_summarized_and_spoken_with(layout: ProjectPaths) -> None:
    model = summarize_model(layout, "hummer")
    assert (model.engine, model.speaks, model.problem, model.about) == ("hum", True, "", "hums")
    assert len(model.weights_id) == 16
    wish = SpeechRequestInput(text="Hello.", voice="ann", request_fields={"bundle": "hummer"})
    assert build_request(Settings(), wish, layout).engine == "hum"


def test_changed_weights_of_the_package_are_found(layout: ProjectPaths) -> None:
    model = layout.model("hummer")
    assert verify_model_files(layout, "hummer", ProgressReporter()).good
    (model / CHECKSUMS_FILE).write_text(json.dumps({"pitch.safetensors": {"sha256": "0" * 64}}))
    checks = verify_model_files(layout, "hummer", ProgressReporter()).checks
    assert [check.file for check in checks if not check.good] == ["pitch.safetensors"]


def test_a_model_whose_package_is_not_installed_is_refused(layout: ProjectPaths) -> None:
    config = layout.model("hummer") / "config.json"
    config.write_text(json.dumps({"engine": "gone"}))
    wish = SpeechRequestInput(text="Hello.", voice="ann", request_fields={"bundle": "hummer"})
    with pytest.raises((AppError, ValueError), match="no engine 'gone'"):
        build_request(Settings(), wish, layout)
