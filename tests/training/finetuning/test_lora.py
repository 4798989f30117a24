"""Adapters begin as nothing, learn alone, and merge into plain weights that speak the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engines.model_files import get_network_path
from engines.safetensors_io import read_tensors
from support.finetune_helpers import make_case
from tortoise.checkpoints.layout import ADAPTER_FILE, get_adapter_paths
from tortoise.modules.gpt import Gpt, GptConfig
from training.finetuning.checkpoints.run_layout import get_checkpoint_dir
from training.finetuning.optim.freezing import (
    NoTrainableParametersError,
    freeze_parts,
    get_trainable_parameters,
)
from training.finetuning.optim.lora import (
    add_lora_adapters,
    get_adapter_state_dict,
    get_merged_state_dict,
)


def network() -> Gpt:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gpt(GptConfig.tiny())


def latents(gpt: Gpt) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    conditioning = torch.randn(1, gpt.config.model_dim, generator=draws)
    text = torch.randint(1, 30, (1, 7), generator=draws)
    codes = torch.randint(0, 60, (1, 9), generator=draws)
    return gpt.latents(conditioning, text, codes)


def learn_something(gpt: Gpt) -> None:
    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in get_trainable_parameters(gpt):
            parameter.add_(torch.randn(parameter.shape, generator=draws) * 0.1)


def test_adapters_change_nothing_until_they_learn() -> None:
    gpt = network()
    before = latents(gpt)
    add_lora_adapters(gpt, rank=4, alpha=8.0, frozen=frozenset(), seed=0)
    assert torch.equal(latents(gpt), before)
    learn_something(gpt)
    assert not torch.allclose(latents(gpt), before, atol=1e-2)


def test_merged_weights_speak_as_the_adapters_do() -> None:
    gpt, plain = network(), network()
    add_lora_adapters(gpt, rank=4, alpha=8.0, frozen=frozenset(), seed=0)
    learn_something(gpt)
    merged = get_merged_state_dict(gpt)
    assert merged.keys() == plain.state_dict().keys()
    plain.load_state_dict(merged)
    torch.testing.assert_close(latents(plain), latents(gpt), rtol=1e-4, atol=1e-5)


def test_a_weight_and_its_adapters_add_up_to_the_merged_one() -> None:
    gpt, before = network(), network().state_dict()
    add_lora_adapters(gpt, rank=4, alpha=2.0, frozen=frozenset(), seed=0)
    learn_something(gpt)
    adapters, merged = get_adapter_state_dict(gpt), get_merged_state_dict(gpt)
    name = "gpt.h.1.mlp.c_fc"
    product = adapters[f"{name}.down"] @ adapters[f"{name}.up"]
    torch.testing.assert_close(before[f"{name}.weight"] + product, merged[f"{name}.weight"])
    assert torch.equal(merged["text_head.weight"], before["text_head.weight"])


def test_only_adapters_of_layers_that_are_not_frozen_learn() -> None:
    gpt = network()
    add_lora_adapters(gpt, rank=2, alpha=2.0, frozen=frozenset({0}), seed=0)
    names = {name for name, p in gpt.named_parameters() if p.requires_grad}
    assert names and all(name.startswith("gpt.h.1.") for name in names)
    assert all(name.endswith((".down", ".up")) for name in names)


def test_equal_seeds_give_equal_adapters_and_leave_the_global_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = network(), network()
    for gpt in (first, second):
        add_lora_adapters(gpt, rank=2, alpha=2.0, frozen=frozenset(), seed=7)
    assert torch.equal(torch.rand(3), expected)
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("text", "text_embedding.weight"),
        ("conditioning", "conditioning_encoder.init.weight"),
        ("codes", "mel_embedding.weight"),
        ("heads", "mel_head.bias"),
        ("layers 1", "gpt.h.1.ln_1.weight"),
        ("layers 0-1", "gpt.h.0.mlp.c_fc.weight"),
    ],
)
def test_a_frozen_part_does_not_learn_and_the_rest_does(part: str, name: str) -> None:
    gpt = network()
    freeze_parts(gpt, [part])
    parameters = dict(gpt.named_parameters())
    assert not parameters[name].requires_grad
    assert parameters["gpt.ln_f.weight"].requires_grad


def test_a_layer_that_is_not_there_and_freezing_everything_are_refused() -> None:
    with pytest.raises(ValueError, match="has the layers 0 to 1"):
        freeze_parts(network(), ["layers 0-2"])
    gpt = network()
    add_lora_adapters(gpt, rank=2, alpha=2.0, frozen=frozenset({0, 1}), seed=0)
    with pytest.raises(NoTrainableParametersError, match="nothing is left to train"):
        freeze_parts(gpt, ["layers 0-1"])


def test_a_run_with_adapters_publishes_plain_weights_and_saves_little(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    case.write(
        weights={"method": "lora", "rank": 2, "frozen": ["layers 0"]}, diffusion={"steps": 0}
    )
    outcome = case.train()
    assert outcome.state == "done" and outcome.best_step is not None
    state = torch.load(case.run / "state.pt", weights_only=True)
    assert set(state["parts"]["model"]) == {
        f"gpt.h.1.{place}.{half}"
        for place in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
        for half in ("down", "up")
    }
    adapter = read_tensors(get_checkpoint_dir(case.run, outcome.best_step) / ADAPTER_FILE)
    assert len(adapter) == 8
    folder = case.places.publish
    assert folder is not None and not (folder / ADAPTER_FILE).exists()
    kept, base = get_adapter_paths(folder)
    assert read_tensors(kept).keys() == adapter.keys()
    assert base.samefile(get_network_path(case.places.bundle, "gpt"))  # takes no room of its own
    old = read_tensors(get_network_path(case.places.bundle, "gpt"))
    new = read_tensors(get_network_path(folder, "gpt"))
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    places = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert changed == {f"gpt.h.1.{place}.weight" for place in places}
