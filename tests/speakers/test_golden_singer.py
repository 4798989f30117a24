"""Features, network, losses and early stopping equal those of the singer identity encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from speakers.modules.eer import compute_batch_eer
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.features import (
    RunningStatistics,
    compute_singer_mel,
    encode_pitch,
    normalize_features,
)
from speakers.modules.ge2e import compute_ge2e_loss, compute_similarities
from speakers.modules.singer import SingerEncoder, compute_singer_losses
from speakers.modules.world import compute_pitch, compute_world_features
from speakers.training.early_stopping import EarlyStopping
from support.speaker_cases import count_layers, to_float
from support.sv2tts_cases import Sv2ttsCase, sv2tts_cases

EARLY_STOPPING = {"patience": 3, "threshold": 0.05}  # of the cases


@sv2tts_cases("singer", "features_")
def test_mel_and_pitch(case: Sv2ttsCase) -> None:
    wave = to_float(case.tensors["in/wav_int16"])
    np.testing.assert_allclose(compute_singer_mel(wave), case.tensors["out/mel"], atol=1e-4)
    midi, unvoiced = case.tensors["out/vuv_midi"].numpy().T
    np.testing.assert_array_equal(encode_pitch(midi, unvoiced), case.tensors["out/onehot_midi"])


@sv2tts_cases("singer", "features_")
def test_world_features(case: Sv2ttsCase) -> None:
    pytest.importorskip("pyworld")
    wave, params = to_float(case.tensors["in/wav_int16"]), case.facts["params"]
    for name, shape in case.facts["shapes"].items():
        method, reduction = name.split("_")
        if reduction != "world":
            pytest.importorskip("pysptk")
        config = FeatureConfig(
            kind="world",
            sample_rate=params["sr"],
            low_hz=float(params["fmin"]),
            high_hz=float(params["fmax"]),
            frame_ms=float(params["frame_dur_ms"]),
            harmonics=params["num_harm_feats"],
            aperiodicities=params["num_aper_feats"],
            fft_size=params["fft_size"],
            pitch_method=method,
            reduction=reduction,
        )
        found, expected = (
            compute_world_features(wave, config),
            case.tensors[f"out/world_{name}"].numpy(),
        )
        assert found.shape == tuple(shape) and config.bins == shape[1]
        scale = np.abs(expected).max(0)
        error = np.abs(found - expected).max(0)
        assert (error <= 1e-3 * np.maximum(scale, 1e-6)).all(), (name, error, scale)
    hop = round(params["sr"] * params["frame_dur_ms"] / 1_000)
    midi, unvoiced = compute_pitch(wave, replace(config, pitch_method="dio"), hop)
    np.testing.assert_allclose(
        np.stack([midi, unvoiced], 1), case.tensors["out/vuv_midi"], atol=1e-3
    )


@sv2tts_cases("singer", "model_")
def test_the_network_and_its_losses(case: Sv2ttsCase) -> None:
    linear, recurrent = (
        case.tensors["weights/linear.weight"],
        case.tensors["weights/lstm.weight_ih_l0"],
    )
    scores, labels = case.tensors["out/class_scores"], case.tensors["in/labels"]
    classes = scores.shape[1] if case.facts["use_classify"] else 0
    network = SingerEncoder(
        recurrent.shape[1], linear.shape[1], linear.shape[0], count_layers(case), classes
    )
    network.load_state_dict(case.group("weights"))
    embeddings = network(case.tensors["in/frames"])
    torch.testing.assert_close(embeddings, case.tensors["out/embeds"], atol=1e-5, rtol=0)
    found_scores = network.classify(embeddings)
    if found_scores is None:  # the original has a constant score for the first class
        found_scores = functional.one_hot(torch.zeros_like(labels), scores.shape[1]).float()
    torch.testing.assert_close(found_scores, scores, atol=1e-5, rtol=0)
    speakers = len(labels.unique())
    losses = compute_singer_losses(
        network, embeddings.unflatten(0, (speakers, -1)), found_scores, labels, "both"
    )
    assert losses.prediction is not None and losses.accuracy is not None
    assert float(losses.ge2e) == pytest.approx(case.facts["ge2e"], abs=1e-5)
    assert float(losses.prediction) == pytest.approx(case.facts["pred"], abs=1e-5)
    assert float(losses.total) == pytest.approx(case.facts["both"], abs=1e-5)
    assert float(losses.accuracy) == pytest.approx(case.facts["accuracy"], abs=1e-5)
    pytest.importorskip("sklearn")
    eer = compute_batch_eer(losses.similarities.detach().numpy())
    assert eer == pytest.approx(case.facts["eer"], abs=1e-5)


@sv2tts_cases("singer", "normalise_")
def test_normalization_and_early_stopping(case: Sv2ttsCase) -> None:
    arrays = [value.numpy() for name, value in sorted(case.tensors.items()) if "in/a" in name]
    statistics = RunningStatistics()
    for array in arrays:
        statistics.add(array)
    np.testing.assert_allclose(statistics.mean, case.tensors["out/mean"])
    np.testing.assert_allclose(statistics.std, case.tensors["out/std"])
    for method in ("zero_one", "unit_var", "schluter", "global_unit_var"):
        found = normalize_features(arrays[0], method, statistics.mean, statistics.std)
        np.testing.assert_allclose(found, case.tensors[f"out/{method}"])
    stopping = EarlyStopping(patience=EARLY_STOPPING["patience"], threshold=0.05)
    told: list[str | int] = []
    for loss in case.facts["losses"]:
        told.append("lowest_loss" if stopping.update(loss) else stopping.left)
        if stopping.is_over:
            break
    assert told == case.facts["returns"]


def test_the_contrastive_loss_alone_needs_no_class_head() -> None:
    network = SingerEncoder(bins=4, hidden=6, embedding=5, layers=1)
    embeddings = network(torch.rand(6, 7, 4)).unflatten(0, (3, 2))
    losses = compute_singer_losses(network, embeddings, None, None, "ge2e")
    similarities = compute_similarities(
        embeddings, network.similarity_weight, network.similarity_bias
    )
    assert float(losses.total) == float(compute_ge2e_loss(similarities))
    with pytest.raises(ValueError, match="class head"):
        compute_singer_losses(network, embeddings, None, None, "both")
