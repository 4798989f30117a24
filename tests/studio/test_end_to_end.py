"""The program with the real engine and a tiny bundle of random weights: noise, but all the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from audio.io import read_clip
from core.options import list_option_fields
from core.paths import ProjectPaths
from support.tiny_bundle import make_tiny_bundle
from tortoise.generation.options import TortoiseOptions

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--samples", "3", "--iterations", "2")


@pytest.fixture
def whole(
    layout: ProjectPaths, testudo: Run, monkeypatch: pytest.MonkeyPatch, real_engines: object
) -> Iterator[Run]:
    """The program with the engines that the registry really holds."""
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)
    make_tiny_bundle(layout.models / "tiny", seed=0)
    layout.settings_file.write_text("bundle: tiny\nvoice: alice\n")
    yield testudo


def test_a_text_goes_through_the_whole_pipeline(whole: Run, tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    code, told, err = whole(
        *("speak", "Good evening.", "--out", str(out), "--candidates", "2", "--json", *QUICK)
    )
    answer = json.loads(told)
    assert code == 0, err
    assert {"draft", "rank", "latents", "diffusion", "vocode"} <= set(answer["stages"])
    assert [type(candidate["score"]) for candidate in answer["candidates"]] == [float, float]
    wave = read_clip(out).wave
    assert bool(torch.isfinite(wave).all()) and float(wave.abs().max()) <= 1


def test_it_is_reproduced_bit_for_bit_with_other_batches(whole: Run, tmp_path: Path) -> None:
    first, again = tmp_path / "a.wav", tmp_path / "b.wav"
    assert whole("speak", "Good. Day.", "--out", str(first), "--voice", "random", *QUICK)[0] == 0
    code, _, err = whole(
        *("speak", "--like", str(first), "--out", str(again), "--sample-batch-size", "1")
    )
    assert code == 0 and "may sound different" not in err
    assert torch.equal(read_clip(first).wave, read_clip(again).wave)


def test_every_knob_of_the_engine_is_a_flag(whole: Run) -> None:
    code, told, _ = whole("speak", "--help")
    assert code == 0
    assert [
        knob.flag for knob in list_option_fields(TortoiseOptions) if knob.flag not in told
    ] == []
    assert "ultra_fast, fast, standard, high_quality" in told


def test_every_knob_is_recorded_with_the_clip(whole: Run, tmp_path: Path) -> None:
    out = tmp_path / "a.flac"
    assert whole("speak", "Hello there.", "--out", str(out), *QUICK, "--top-p", "0.5")[0] == 0
    record = json.loads(whole("read", str(out), "--json")[1])
    assert set(record["options"]) == {knob.name for knob in list_option_fields(TortoiseOptions)}
    assert record["options"]["top_p"] == 0.5 and len(record["weights_id"]) == 16


def test_long_texts_are_split_within_the_limit_of_the_weights(whole: Run, tmp_path: Path) -> None:
    out = tmp_path / "a.wav"
    text = "one two three four five six seven eight nine ten " * 3
    code, told, err = whole("speak", text, "--out", str(out), "--json", *QUICK)
    assert code == 0, err
    assert len(json.loads(told)["lines"]) >= 3


def test_a_voice_that_was_slim_is_heard_again_for_cvvp(whole: Run, tmp_path: Path) -> None:
    out = str(tmp_path / "a.wav")
    assert whole("speak", "Hello.", "--out", out, "--slim-latents", *QUICK)[0] == 0
    code, _, err = whole("speak", "Hello.", "--out", out, "--cvvp-weight", "0.5", *QUICK)
    assert code == 0, err
    code, _, err = whole(
        *("speak", "Hello.", "--out", out, "--cvvp-weight", "0.5", "--slim-latents", *QUICK)
    )
    assert code == 2 and "cvvp_weight is 0.5" in err


def test_models_are_listed_and_verified(whole: Run, layout: ProjectPaths) -> None:
    listed = json.loads(whole("models", "list", "--json")[1])
    tiny = next(model for model in listed if model["name"] == "tiny")
    assert tiny["speaks"] is True and "gpt" in tiny["networks"]
    assert whole("models", "verify", "tiny")[0] == 0
    weights = layout.models / "tiny" / "gpt.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, out, _ = whole("models", "verify", "tiny")
    assert code == 2 and "not good" in out
    code, _, err = whole("speak", "Hello.", *QUICK)
    assert code == 2 and "gpt.safetensors" in err and err.count("\n") == 1
