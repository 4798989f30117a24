"""A merged model lies between its parents, loads, speaks, and knows where it came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.model_files import write_json
from engines.safetensors_io import read_tensors, save_tensors
from studio.app.studio import Studio
from studio.schemas.clip_tools import MergeModelsRequest, MergeModelsResult
from studio.schemas.settings import Settings
from studio.workers.merge_models import merge_two_models
from support.tiny_bundle import ARCHITECTURES, make_tiny_bundle, random_network
from tortoise.checkpoints.layout import compute_weights_id
from tortoise.checkpoints.loading import MelStats, save_mel_stats, save_network
from tortoise.checkpoints.merge import interpolate_tensors
from tortoise.checkpoints.verify import verify_model_folder
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions
from tortoise.modules.clvp import Clvp


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> ProjectPaths:
    """Two tiny bundles of one architecture: the models one and two."""
    layout = ProjectPaths.from_root(tmp_path_factory.mktemp("root"))
    for seed, name in enumerate(("one", "two")):
        make_tiny_bundle(layout.models / name, seed=seed)
    save_mel_stats(layout.models / "two", norms(layout.models / "one"))
    return layout


def norms(folder: Path) -> MelStats:
    return MelStats(norms=read_tensors(folder / "mel_stats.safetensors")["mel_norms"])


def merge(
    layout: ProjectPaths, share: float, name: str, report: ProgressReporter | None = None
) -> MergeModelsResult:
    wish = MergeModelsRequest(first="one", second="two", name=name, share=share)
    return merge_two_models(Studio(layout, Settings()), wish, report or ProgressReporter())


@pytest.mark.parametrize(("share", "parent"), [(0.0, "one"), (1.0, "two")])
def test_nothing_or_all_of_the_second_is_one_of_the_parents(
    studio: ProjectPaths, share: float, parent: str
) -> None:
    made = merge(studio, share, f"all-{parent}")
    assert made.weights_id == compute_weights_id(studio.models / parent)
    assert set(made.mixed) == set(ARCHITECTURES)


def test_every_weight_lies_between(studio: ProjectPaths) -> None:
    merge(studio, 0.25, "quarter")
    folders = [studio.models / name for name in ("one", "two", "finetunes/quarter")]
    for name in ARCHITECTURES:
        one, two, made = (read_tensors(folder / f"{name}.safetensors") for folder in folders)
        for key, value in made.items():
            assert value.dtype == one[key].dtype
            wanted = one[key]
            if wanted.is_floating_point():
                wanted = one[key] * 0.75 + two[key] * 0.25
            torch.testing.assert_close(value, wanted)


def test_a_merged_model_is_whole_and_speaks(studio: ProjectPaths) -> None:
    made = merge(studio, 0.5, "both")
    folder = studio.model(made.name)
    assert all(not wrong for _, wrong in verify_model_folder(folder, ProgressReporter()))
    engine = TortoiseEngine.load(folder, torch.device("cpu"))
    wave = torch.sin(torch.arange(48_000) * 0.05) * 0.3
    speaker = engine.condition([Clip(wave=wave, sample_rate=24_000)], ProgressReporter())
    options = TortoiseOptions(samples=2, iterations=2, seed=1)
    (take,) = engine.synthesize("hello.", speaker, options, ProgressReporter()).candidates
    clip = take.clip
    assert clip.wave.numel() and bool(torch.isfinite(clip.wave).all())


def test_the_parents_are_recorded_with_their_shares(studio: ProjectPaths) -> None:
    made = merge(studio, 0.3, "recorded")
    folder = studio.model(made.name)
    record = json.loads((folder / "merge.json").read_text())
    assert [(parent["name"], parent["share"]) for parent in record["parents"]] == [
        ("one", 0.7),
        ("two", 0.3),
    ]
    assert record["parents"][0]["weights_id"] == compute_weights_id(studio.models / "one")
    about = json.loads((folder / "config.json").read_text())["about"]
    assert about == "Merged: 70 % one, 30 % two"


def other_shape(folder: Path) -> None:
    architecture = replace(ARCHITECTURES["clvp"], codes=99)
    save_network(folder, "clvp", Clvp(architecture), architecture)


def missing_key(folder: Path) -> None:
    tensors = read_tensors(folder / "gpt.safetensors")
    save_tensors(folder / "gpt.safetensors", dict(list(tensors.items())[1:]))


def other_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["conventions"]["max_codes"] = 23
    write_json(folder / "config.json", config)


def other_words(folder: Path) -> None:
    described = json.loads((folder / "tokenizer.json").read_text())
    described["model"]["vocab"]["a"], described["model"]["vocab"]["b"] = 17, 16
    write_json(folder / "tokenizer.json", described)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "architecture": (other_shape, r"they differ in the clvp: codes is 22 and 99"),
    "a tensor": (missing_key, r"they differ in the gpt: .* is \(.*\) and nothing"),
    "conventions": (other_config, r"differ in their settings: max_codes is 24 and 23"),
    "tokenizer": (other_words, r"tokenize texts differently \(tokenizer.json\)"),
    "mels": (
        lambda folder: save_mel_stats(folder, MelStats(norms=-torch.ones(80))),
        r"normalize mels differently",
    ),
    "not whole": (lambda folder: (folder / "clvp.safetensors").unlink(), r"lacks clvp"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_models_that_do_not_go_together_are_refused_by_their_first_difference(
    what: str, tmp_path: Path
) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    for name in ("one", "two"):
        make_tiny_bundle(layout.models / name)
    change, told = REFUSED[what]
    change(layout.models / "two")
    with pytest.raises(AppError, match=told):
        merge(layout, 0.5, "new")
    assert not (layout.models / "finetunes").exists()


def test_names_are_checked_and_nothing_is_overwritten(studio: ProjectPaths) -> None:
    with pytest.raises(AppError, match="is not a valid model name"):
        merge(studio, 0.5, "../escape")
    merge(studio, 0.0, "taken")
    with pytest.raises(AppError, match="already a model 'taken'"):
        merge(studio, 0.5, "taken")
    same = MergeModelsRequest(first="one", second="one", name="same")
    with pytest.raises(AppError, match="merged with itself"):
        merge_two_models(Studio(studio, Settings()), same, ProgressReporter())
    with pytest.raises(ValueError, match=r"share is 1.5; it must be from 0.0 to 1.0"):
        MergeModelsRequest(first="one", second="two", name="far", share=1.5)


def test_a_full_disk_is_noticed_first(
    studio: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.workers.merge_models.RESERVED_DISK_BYTES", 10**18)
    with pytest.raises(AppError, match="free; the merged model needs"):
        merge(studio, 0.5, "large")


def test_stopping_leaves_nothing(studio: ProjectPaths) -> None:
    seen: list[ProgressEvent] = []
    report = ProgressReporter(
        seen.append, stopped=lambda: sum(e.kind == "progress" for e in seen) > 2
    )
    with pytest.raises(Cancelled):
        merge(studio, 0.5, "stopped", report)
    assert not [path for path in (studio.models / "finetunes").iterdir() if "stopped" in path.name]


def test_whole_numbers_are_taken_from_the_nearer_parent() -> None:
    one, two = torch.tensor([1, 2]), torch.tensor([5, 6])
    assert interpolate_tensors(one, two, 0.4).tolist() == [1, 2] and interpolate_tensors(
        one, two, 0.6
    ).tolist() == [5, 6]
    assert interpolate_tensors(one.half(), two.float(), 0.5).dtype == torch.float32


def test_a_network_that_only_the_first_has_is_kept(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    for name in ("one", "two"):
        make_tiny_bundle(layout.models / name)
    config = json.loads((layout.models / "two" / "config.json").read_text())
    del config["classifier"]
    write_json(layout.models / "two" / "config.json", config)
    (layout.models / "two" / "classifier.safetensors").unlink()
    save_network(layout.models / "two", "gpt", random_network("gpt"), ARCHITECTURES["gpt"])
    made = merge(layout, 0.5, "kept")
    assert made.mixed == ("gpt",)
    assert (layout.model(made.name) / "classifier.safetensors").is_file()
