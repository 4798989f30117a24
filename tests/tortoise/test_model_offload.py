"""Networks at work: prepared once, in the precision asked for, and taken back where wanted."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from core.progress import ProgressReporter
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.loading import load_model
from tortoise.generation import model_offload
from tortoise.generation.model_offload import LoadedNetworks, ModelManager
from tortoise.generation.reranking import compute_clvp_scores
from tortoise.modules.linear_formats import PackedLinear


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def networks(folder: Path) -> LoadedNetworks:
    return LoadedNetworks(bundle=load_model(folder), device=torch.device("cpu"))


def bench(
    networks: LoadedNetworks, half: bool = False, low_vram: bool = False, precision: str = "exact"
) -> ModelManager:
    report = ProgressReporter()
    return ModelManager(
        networks=networks, low_vram=low_vram, half=half, report=report, precision=precision
    )


def test_a_network_is_prepared_once(networks: LoadedNetworks) -> None:
    with bench(networks).use("gpt") as first, bench(networks).use("gpt") as again:
        assert first is again


def test_the_gpt_works_on_a_copy_in_16_bits_and_exactly_on_its_own(
    networks: LoadedNetworks,
) -> None:
    with bench(networks, half=True).use("gpt") as copy:
        assert copy.mel_head.weight.dtype == torch.bfloat16
    with bench(networks, half=True).use("gpt", exact=True) as gpt:
        assert gpt.mel_head.weight.dtype == torch.float32


def test_vocoders_come_folded(networks: LoadedNetworks) -> None:
    with bench(networks).use("vocoder") as vocoder:
        assert not any(name.endswith("weight_g") for name, _ in vocoder.named_parameters())


def test_a_ranker_in_16_bits_judges_nearly_alike(networks: LoadedNetworks) -> None:
    text, rows = torch.tensor([[3, 4, 5, 0]]), [torch.tensor([1, 2, 9]), torch.tensor([7, 7, 8, 1])]
    scores = []
    for half in (False, True):
        with bench(networks, half=half).use("clvp") as clvp:
            scores.append(compute_clvp_scores(clvp, text, rows, ProgressReporter()))
    torch.testing.assert_close(scores[1], scores[0], atol=0.1, rtol=0.05)
    assert not torch.equal(*scores), "nothing was computed in 16 bits"


def has_packed_layers(network: nn.Module) -> bool:
    return any(isinstance(one, PackedLinear) for one in network.modules())


@pytest.mark.parametrize("name", ["gpt", "clvp", "diffusion"])
def test_the_large_networks_are_packed_unless_they_must_be_exact(
    networks: LoadedNetworks, name: str
) -> None:
    with bench(networks, precision="float32").use(name) as packed:
        assert has_packed_layers(packed)
    with bench(networks, precision="float32").use(name, exact=True) as network:
        assert not has_packed_layers(network)
    with bench(networks).use(name) as network:
        assert not has_packed_layers(network)


def test_a_packed_network_does_not_keep_the_weights_of_the_other(networks: LoadedNetworks) -> None:
    with bench(networks).use("gpt") as gpt:
        weight = weakref.ref(gpt.gpt.blocks[0].mlp.c_fc.weight)
    with bench(networks, precision="float32").use("gpt") as packed:
        del gpt
        gc.collect()
        assert weight() is None
        assert has_packed_layers(packed)


def test_vocoders_are_computed_as_ever(networks: LoadedNetworks) -> None:
    with bench(networks, precision="int8").use("vocoder") as vocoder:
        assert not has_packed_layers(vocoder)


def test_fast_is_measured_once(networks: LoadedNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, tuple[str, ...]]] = []

    def choose(width: int, rows: int, formats: tuple[str, ...]) -> str:
        asked.append((width, rows, formats))
        return "bfloat16"

    monkeypatch.setattr(model_offload, "choose_fastest_format", choose)
    assert [networks.resolve_precision("fast") for _ in range(2)] == ["bfloat16"] * 2
    assert asked == [(32, 16, ("float32", "bfloat16"))], "a narrow network loses too much in int8"
    assert networks.resolve_precision("exact") == "exact"


def test_a_missing_format_gives_way_to_one_with_more_bits(
    networks: LoadedNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_offload, "is_format_available", lambda name: name == "float32")
    assert networks.resolve_precision("int8") == "float32"
    monkeypatch.setattr(model_offload, "is_format_available", lambda name: False)
    assert networks.resolve_precision("int8") == "exact"
    monkeypatch.setattr(model_offload, "choose_fastest_format", lambda *args: None)
    assert networks.resolve_precision("fast") == "exact"


def test_other_devices_compute_in_16_bits_or_exactly(folder: Path) -> None:
    networks = LoadedNetworks(bundle=load_model(folder), device=torch.device("meta"))
    names = ("exact", "float32", "bfloat16", "int8", "fast")
    found = [networks.resolve_precision(name) for name in names]
    assert found == ["exact", "exact", "bfloat16", "bfloat16", "bfloat16"]


def test_loading_is_timed_and_gradients_are_off(networks: LoadedNetworks) -> None:
    report = ProgressReporter()
    desk = ModelManager(networks=networks, low_vram=True, half=False, report=report)
    with desk.use("clvp") as clvp:
        assert torch.is_inference_mode_enabled()
        assert next(clvp.parameters()).device.type == "cpu"
    assert report.timings["load"] > 0
