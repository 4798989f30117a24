"""The encoder of Pee Wee TTS equals the original."""

from __future__ import annotations

import pytest
import torch

from speakers.modules.peewee import (
    PeeweeEncoder,
    compute_centroids,
    compute_peewee_loss,
    compute_peewee_similarities,
    embed_windows,
)
from support.sv2tts_cases import Sv2ttsCase, sv2tts_cases


@sv2tts_cases("peewee", "encoder_")
def test_network_loss_and_windows(case: Sv2ttsCase) -> None:
    sizes = case.facts["sizes"]
    network = PeeweeEncoder(sizes["input"], sizes["hidden"], sizes["projection"], sizes["layers"])
    network.load_state_dict(case.group("weights"))
    batch = case.tensors["in/batch"]
    embeddings = network(batch.flatten(0, 1)).unflatten(0, batch.shape[:2])
    torch.testing.assert_close(embeddings, case.tensors["out/embeds"], atol=1e-4, rtol=0)
    own, others = compute_centroids(embeddings)
    torch.testing.assert_close(own, case.tensors["out/ji_centroids"], atol=1e-4, rtol=0)
    torch.testing.assert_close(others, case.tensors["out/jk_centroids"], atol=1e-4, rtol=0)
    loss = compute_peewee_loss(compute_peewee_similarities(embeddings, network.W, network.B))
    assert float(loss) == pytest.approx(case.facts["loss"], abs=1e-4)
    found = embed_windows(network, case.tensors["in/infer_mels"])
    torch.testing.assert_close(found, case.tensors["out/infer_embeds"], atol=1e-4, rtol=0)


def test_gradients_are_scaled_and_clipped_by_part() -> None:
    network = PeeweeEncoder.tiny()
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 10.0)
    network.scale_gradients()
    lstm = torch.cat([p.grad.flatten() for p in network.lstm.parameters() if p.grad is not None])
    assert float(lstm.norm()) == pytest.approx(3.0, rel=1e-4)
    assert network.W.grad is not None and network.projection_layer.weight.grad is not None
    ratio = network.projection_layer.weight.grad[0, 0] / network.W.grad[0]
    assert float(ratio) == pytest.approx(0.5 / 0.01, rel=1e-4)
