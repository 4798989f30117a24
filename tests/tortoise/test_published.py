"""The table of published files against the inventory of what was published."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.model_files import compute_sha256
from support.golden_cases import GOLDEN
from tortoise.checkpoints.config import NETWORK_CLASSES
from tortoise.checkpoints.convert import check_tokenizer, get_published_architecture, read_mel_norms
from tortoise.checkpoints.layout import REQUIRED_NETWORKS
from tortoise.checkpoints.loading import build_network
from tortoise.checkpoints.published import PUBLISHED_FILES, PublishedFile, find_published_files

REFERENCE = GOLDEN.parent
INVENTORY = REFERENCE / "manifest.json"
needs_inventory = pytest.mark.skipif(not INVENTORY.is_file(), reason=f"no {INVENTORY}")
NETWORK_FILES = [file for file in PUBLISHED_FILES if file.network]


@pytest.fixture(scope="module")
def inventory() -> dict[str, Any]:
    return json.loads(INVENTORY.read_text(encoding="utf-8"))["checkpoints"]


@needs_inventory
@pytest.mark.parametrize("file", NETWORK_FILES, ids=lambda file: file.name)
def test_a_released_network_has_the_published_keys_and_shapes(
    file: PublishedFile, inventory: dict[str, Any]
) -> None:
    published = {e["key"]: tuple(e["shape"]) for e in inventory[file.name]["state_dict"]}
    with torch.device("meta"):
        network = build_network(file.network, get_published_architecture(file))
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert ours == published
    assert file.container == (inventory[file.name]["container_key"] or "")


@needs_inventory
@pytest.mark.parametrize("file", NETWORK_FILES, ids=lambda file: file.name)
def test_exactly_the_published_surplus_is_dropped(
    file: PublishedFile, inventory: dict[str, Any]
) -> None:
    about = inventory[file.name]
    surplus = [entry["key"] for entry in about.get("published_extra_keys", [])]
    surplus += about.get("aliases_after_post_init", [])
    assert all(file.is_ignored_key(key) for key in surplus)
    assert not any(file.is_ignored_key(entry["key"]) for entry in about["state_dict"])


@needs_inventory
@pytest.mark.parametrize("file", NETWORK_FILES, ids=lambda file: file.name)
def test_every_file_is_sought_where_it_was_published(
    file: PublishedFile, inventory: dict[str, Any]
) -> None:
    about = inventory[file.name]
    listed = {
        (place["repo_id"], place["filename"].split(" ")[0], place.get("revision", "main"))
        for place in about["download"]
        if place.get("hub") == "huggingface"
    }
    ours = {(place.repo, place.path, place.revision) for place in file.sources}
    assert ours <= listed
    assert file.sha256 == about.get("sha256", "")
    assert file.size > about["tensor_bytes"] * 0.99


@needs_inventory
def test_the_reference_copies_have_the_checksums_in_the_table(inventory: dict[str, Any]) -> None:
    by_name = {file.name: file for file in PUBLISHED_FILES}
    assert by_name["mel_norms.pth"].sha256 == inventory["mel_norms.pth"]["sha256"]
    assert by_name["tokenizer.json"].sha256 == compute_sha256(REFERENCE / "tokenizer.json")


@needs_inventory
def test_the_reference_copies_are_taken_for_published(inventory: dict[str, Any]) -> None:
    check_tokenizer(REFERENCE / "tokenizer.json")
    norms = read_mel_norms(REFERENCE / "mel_norms.safetensors")
    assert norms.tolist() == inventory["mel_norms.pth"]["values"]


@needs_inventory
def test_no_published_network_is_forgotten(inventory: dict[str, Any]) -> None:
    listed = {name for name, about in inventory.items() if about["class"] and about["download"]}
    listed -= {"wav2vec2 aligner (redaction)"}  # not a network of ours
    assert listed == {file.name for file in NETWORK_FILES}


def test_the_needed_files_are_those_that_speaking_needs() -> None:
    needed = {file.network for file in PUBLISHED_FILES if file.needed and file.network}
    assert needed == set(REQUIRED_NETWORKS)
    assert all(file.network in NETWORK_CLASSES for file in NETWORK_FILES)


def test_what_is_not_optional_fills_each_network_once() -> None:
    counts = Counter(file.network for file in NETWORK_FILES if not file.optional)
    assert set(counts.values()) == {1}


def test_files_are_found_under_any_of_their_names_least_deep_first(tmp_path: Path) -> None:
    for name in (
        "deep/er/autoregressive.pth",
        "deep/autoregressive.pth",
        "clips_mel_norms.pth",
        "much/deep/er/clvp2.pth",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_published_files(tmp_path) == {
        "autoregressive.pth": tmp_path / "deep/autoregressive.pth",
        "mel_norms.pth": tmp_path / "clips_mel_norms.pth",
    }
