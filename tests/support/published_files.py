"""Small stand-ins for the published files: right names, containers and keys, tiny networks.

files = small_files()                     # name -> content
fit_small_files(monkeypatch)              # conversion expects the tiny sizes
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from support.tiny_bundle import ARCHITECTURES, CONVENTIONS, random_network, write_tiny_tokenizer
from tortoise.checkpoints.layout import TOKENIZER_FILE
from tortoise.checkpoints.published import PUBLISHED_FILES, PublishedFile


def published_by_name(name: str) -> PublishedFile:
    return next(file for file in PUBLISHED_FILES if file.name == name)


@lru_cache(maxsize=1)
def small_files() -> Mapping[str, bytes]:
    """Every published file, small: name -> content."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        contents = {file.name: _small_weights(file) for file in PUBLISHED_FILES if file.network}
    contents["mel_norms.pth"] = saved(-torch.linspace(9.5, 1.6, 80))
    return contents


def _small_weights(file: PublishedFile) -> bytes:
    state: dict[str, object] = dict(random_network(file.network).state_dict())
    if file.network == "gpt":
        state["gpt.h.0.attn.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
        state["gpt.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    if not file.container:
        return saved(state)
    return saved({file.container: state, "step": 7, "optim_g": {"lr": 1e-4}, "githash": "abc"})


def saved(value: object) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def small_tokenizer(folder: Path) -> bytes:
    """A tokenizer.json of the published kind."""
    write_tiny_tokenizer(folder)
    return (folder / TOKENIZER_FILE).read_bytes()


def fit_small_files(monkeypatch: pytest.MonkeyPatch, tokenizer: bytes) -> None:
    """Let conversion and checksums expect the small files instead of the published ones."""
    tokens = len(json.loads(tokenizer)["model"]["vocab"])
    monkeypatch.setattr("tortoise.checkpoints.convert.PUBLISHED_TEXT_TOKENS", tokens)
    monkeypatch.setattr("tortoise.checkpoints.convert.PUBLISHED_CONVENTIONS", CONVENTIONS)
    monkeypatch.setattr(
        "tortoise.checkpoints.convert.get_published_architecture",
        lambda file: ARCHITECTURES[file.network],
    )
    unhashed = tuple(dataclasses.replace(file, sha256="") for file in PUBLISHED_FILES)
    monkeypatch.setattr("studio.model_store.bundles.PUBLISHED_FILES", unhashed)


def served(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Each content under the first place where it is published: repository/path -> content."""
    places = {name: published_by_name(name).sources[0] for name in contents}
    return {f"{places[n].repo}/{places[n].path}": content for n, content in contents.items()}
