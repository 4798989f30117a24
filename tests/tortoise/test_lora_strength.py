"""The strength of a LoRA adapter: none of it is the base, all of it the finetune as ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.progress import ProgressReporter
from engines.model_files import ModelFileError
from engines.safetensors_io import read_tensors, save_tensors
from support.lora_finetune import make_lora_finetune
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.layout import LORA_DIR, get_adapter_paths, has_adapter
from tortoise.checkpoints.loading import load_model
from tortoise.checkpoints.verify import verify_model_folder
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def finetune(base: Path) -> Path:
    return make_lora_finetune(base, base.parent / "lora")


def speak(engine: TortoiseEngine, **changes: object) -> Tensor:
    """Speak with the random voice 3, whose latents no training has changed."""
    quick = {"samples": 4, "iterations": 2, "seed": 1, "max_codes": 12}
    speaker = engine.sample_random_speaker(3, ProgressReporter())
    options = TortoiseOptions(**{**quick, **changes})  # type: ignore[arg-type]
    output = engine.synthesize("hello there", speaker, options, ProgressReporter())
    return output.candidates[0].clip.wave


def test_none_of_the_adapter_is_the_base_and_all_of_it_the_finetune_bit_for_bit(
    base: Path, finetune: Path, tmp_path: Path
) -> None:
    without_choice = tmp_path / "as before"
    shutil.copytree(finetune, without_choice, ignore=shutil.ignore_patterns(LORA_DIR))
    plain, as_ever = (speak(TortoiseEngine.load(folder, CPU)) for folder in (base, without_choice))
    engine = TortoiseEngine.load(finetune, CPU)
    assert not torch.equal(plain, as_ever)
    assert torch.equal(speak(engine), as_ever)
    assert torch.equal(speak(engine, lora_strength=0.0), plain)
    assert torch.equal(speak(engine, lora_strength=1.0), as_ever)


def test_a_strength_between_them_and_one_beyond_sound_different(finetune: Path) -> None:
    engine = TortoiseEngine.load(finetune, CPU)
    waves = [speak(engine, lora_strength=strength) for strength in (0.0, 0.5, 1.0, 2.0)]
    again = speak(engine, lora_strength=0.5)
    assert torch.equal(again, waves[1])
    pairs = [(one, other) for at, one in enumerate(waves) for other in waves[at + 1 :]]
    assert not any(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("how", [{"precision": "float32"}, {"half_precision": True}])
def test_copies_of_the_network_in_other_formats_follow(
    finetune: Path, how: dict[str, object]
) -> None:
    engine = TortoiseEngine.load(finetune, CPU)
    half, full = speak(engine, lora_strength=0.5, **how), speak(engine, **how)
    assert not torch.equal(half, full)
    fresh = TortoiseEngine.load(finetune, CPU)
    assert torch.equal(speak(fresh, lora_strength=0.5, **how), half)


def test_weights_lie_on_the_line_between_base_and_finetune(base: Path, finetune: Path) -> None:
    model = load_model(finetune)
    assert model.set_lora_strength(0.25) and not model.set_lora_strength(0.25)
    between = dict(model.gpt.named_parameters())
    old, new = (read_tensors(folder / "gpt.safetensors") for folder in (base, finetune))
    for name, weight in between.items():
        torch.testing.assert_close(weight.data, torch.lerp(old[name], new[name], 0.25))


def test_a_model_without_an_adapter_refuses_a_strength(base: Path) -> None:
    engine = TortoiseEngine.load(base, CPU)
    assert not has_adapter(base)
    with pytest.raises(ModelFileError, match="the model tiny has no LoRA adapter"):
        speak(engine, lora_strength=0.5)
    assert speak(engine, lora_strength=1.0).numel()
    with pytest.raises(ValueError, match=r"lora_strength is 2\.5; it must be from 0\.0 to 2\.0"):
        TortoiseOptions(lora_strength=2.5)


@pytest.mark.parametrize("fault", ["shape", "name", "half", "infinite"])
def test_an_adapter_that_does_not_fit_is_refused_and_found_by_verify(
    finetune: Path, tmp_path: Path, fault: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(finetune, broken)
    adapter, _ = get_adapter_paths(broken)
    tensors = read_tensors(adapter)
    first = min(tensors)
    changed = {
        "shape": {first: tensors[first][:-1]},
        "name": {"gpt.h.9.attn.c_attn.down": tensors[first]},
        "half": {},
        "infinite": {first: torch.full_like(tensors[first], torch.inf)},
    }[fault]
    kept = {name: value for name, value in tensors.items() if fault != "half" or name != first}
    save_tensors(adapter, {**kept, **changed})
    with pytest.raises(ModelFileError, match="does not fit the GPT of the model"):
        speak(TortoiseEngine.load(broken, CPU), lora_strength=0.5)
    found = dict(verify_model_folder(broken, ProgressReporter()))
    assert "does not fit" in found["lora/adapter.safetensors"]
    whole = dict(verify_model_folder(finetune, ProgressReporter()))
    assert whole["lora/adapter.safetensors"] == ""
