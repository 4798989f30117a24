"""The strength of a LoRA finetune from the command line: stated, recorded, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from studio.model_store.finetunes import has_lora_adapter
from studio.schemas.settings import Settings
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.lora_finetune import make_lora_finetune
from support.tiny_bundle import make_tiny_bundle

Run = Callable[..., tuple[int, str, str]]
MODEL = "finetunes/own"
QUICK = ("--samples", "2", "--iterations", "2", "--seed", "5", "--voice", "random#3")


@pytest.fixture
def whole(
    layout: ProjectPaths,
    testudo: Run,
    monkeypatch: pytest.MonkeyPatch,
    real_engines: Mapping[str, tuple[str, str]],
) -> Run:
    """The program with the real engine, the bundle `tiny`, and a LoRA finetune of it."""
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)
    base = make_tiny_bundle(layout.models / "tiny", seed=0)
    make_lora_finetune(base, layout.models / "finetunes" / "own", voice="alice")
    layout.settings_file.write_text("bundle: tiny\nvoice: alice\n")
    return testudo


def speak(whole: Run, out: Path, *flags: str) -> Tensor:
    code, _, err = whole("speak", "Good day.", "--out", str(out), *QUICK, *flags)
    assert code == 0, err
    return read_clip(out).wave


def test_a_clip_with_none_of_the_adapter_is_that_of_the_base_and_says_so(
    whole: Run, tmp_path: Path
) -> None:
    base = speak(whole, tmp_path / "base.wav", "--model", "tiny")
    none = speak(whole, tmp_path / "none.wav", "--model", MODEL, "--lora-strength", "0")
    half = speak(whole, tmp_path / "half.wav", "--model", MODEL, "--lora-strength", "0.5")
    full = speak(whole, tmp_path / "full.wav", "--model", MODEL)
    assert torch.equal(base, none)
    assert not torch.equal(half, none) and not torch.equal(half, full)
    record = read_metadata(tmp_path / "half.wav")
    assert (record.bundle, record.options["lora_strength"]) == (MODEL, 0.5)
    again = tmp_path / "again.wav"
    assert whole("speak", "--like", str(tmp_path / "half.wav"), "--out", str(again))[0] == 0
    assert torch.equal(read_clip(again).wave, half)


def test_a_strength_is_refused_where_the_model_has_no_adapter(whole: Run, tmp_path: Path) -> None:
    code, out, err = whole(
        *("speak", "Hello.", "--out", str(tmp_path / "a.wav"), *QUICK, "--lora-strength", "0.5")
    )
    assert code == 2 and "the model tiny has no LoRA adapter" in out + err
    code, out, err = whole(
        "speak", '{"lora_strength": 0.5} Hello.', "--out", str(tmp_path / "a.wav"), *QUICK
    )
    assert code == 2 and "Line 1" in out + err and "no LoRA adapter" in out + err
    assert not (tmp_path / "a.wav").exists()


def test_a_strength_in_the_settings_concerns_only_models_that_have_an_adapter(
    whole: Run, layout: ProjectPaths
) -> None:
    settings = Settings(bundle="tiny", voice="alice", options={"lora_strength": 0.5})
    given = SpeechRequestInput(text="Hello.")
    assert build_request(settings, given, layout).options["lora_strength"] == 1.0
    own = SpeechRequestInput(text="Hello.", request_fields={"bundle": MODEL})
    assert build_request(settings, own, layout).options["lora_strength"] == 0.5
    stated = SpeechRequestInput(text="Hello.", options={"lora_strength": 1.5})
    with pytest.raises(AppError, match="the model tiny has no LoRA adapter"):
        build_request(settings, stated, layout)


def test_auto_is_a_model_with_an_adapter_where_the_voice_has_one(
    whole: Run, layout: ProjectPaths
) -> None:
    assert has_lora_adapter(layout, "auto", "alice") and has_lora_adapter(layout, MODEL, "bob")
    for bundle, voice in (("auto", "bob"), ("tiny", "alice"), ("nothing", ""), ("../x", "")):
        assert not has_lora_adapter(layout, bundle, voice)


def test_a_line_may_have_a_strength_of_its_own(whole: Run, tmp_path: Path) -> None:
    out = tmp_path / "a.wav"
    text = 'One day.\n{"lora_strength": 0} Good day.'
    code, told, err = whole("speak", text, "--out", str(out), "--json", "--model", MODEL, *QUICK)
    assert code == 0, err
    takes = [read_metadata(Path(line["path"])) for line in json.loads(told)["lines"]]
    assert [take.options["lora_strength"] for take in takes] == [1.0, 0.0]
