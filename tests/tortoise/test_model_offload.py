"""Networks at work: prepared once, in the precision asked for, and taken back where wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.progress import ProgressReporter
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.loading import load_model
from tortoise.generation.model_offload import LoadedNetworks, ModelManager
from tortoise.generation.reranking import compute_clvp_scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def networks(folder: Path) -> LoadedNetworks:
    return LoadedNetworks(bundle=load_model(folder), device=torch.device("cpu"))


def bench(networks: LoadedNetworks, half: bool = False, low_vram: bool = False) -> ModelManager:
    return ModelManager(networks=networks, low_vram=low_vram, half=half, report=ProgressReporter())


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


def test_loading_is_timed_and_gradients_are_off(networks: LoadedNetworks) -> None:
    report = ProgressReporter()
    desk = ModelManager(networks=networks, low_vram=True, half=False, report=report)
    with desk.use("clvp") as clvp:
        assert torch.is_inference_mode_enabled()
        assert next(clvp.parameters()).device.type == "cpu"
    assert report.timings["load"] > 0
