"""GE2E features, network, loss and training step equal those of Real-Time Voice Cloning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from audio.io import read_clip
from speakers.modules.eer import compute_batch_eer
from speakers.modules.features import compute_mel, normalize_volume
from speakers.modules.ge2e import (
    GRAD_CLIP,
    GE2EEncoder,
    compute_ge2e_loss,
    compute_similarities,
)
from speakers.modules.partials import PartialOptions, compute_partial_slices
from speakers.modules.silence import (
    WEBRTC,
    choose_windows,
    detect_voice,
    smooth_flags,
    trim_silence,
)
from support.speaker_cases import count_layers, get_speech, to_float
from support.sv2tts_cases import Sv2ttsCase, sv2tts_cases


def make_network(case: Sv2ttsCase) -> GE2EEncoder:
    linear, recurrent = (
        case.tensors["weights/linear.weight"],
        case.tensors["weights/lstm.weight_ih_l0"],
    )
    sizes = (recurrent.shape[1], linear.shape[1], linear.shape[0], count_layers(case))
    network = GE2EEncoder(*sizes)
    network.load_state_dict(case.group("weights"))
    return network


@sv2tts_cases("encoder", "features_")
def test_volume_silence_and_mel(case: Sv2ttsCase) -> None:
    pytest.importorskip(WEBRTC)
    wave = to_float(case.tensors["in/wav_int16"])
    loud = normalize_volume(wave)
    np.testing.assert_allclose(loud, case.tensors["out/normalized"], atol=1e-6)
    whole = loud[: len(loud) - len(loud) % 480]
    flags = detect_voice(whole)
    np.testing.assert_array_equal(flags, case.tensors["out/vad_flags"].numpy().astype(bool))
    smoothed = smooth_flags(flags)
    np.testing.assert_allclose(smoothed, case.tensors["out/smoothed"], atol=1e-12)
    np.testing.assert_array_equal(
        choose_windows(smoothed), case.tensors["out/keep_windows"].numpy().astype(bool)
    )
    trimmed = trim_silence(loud)
    np.testing.assert_allclose(trimmed, case.tensors["out/trimmed"], atol=1e-6)
    np.testing.assert_allclose(
        compute_mel(trimmed), case.tensors["out/mel_pad_constant"], rtol=1e-4, atol=1e-6
    )
    slices = compute_partial_slices(len(trimmed), PartialOptions.from_overlap(0.5))
    assert [[part.start, part.stop] for part in slices] == case.facts["partial_mel_slices"]


@sv2tts_cases("encoder", "partial_slices")
def test_partial_slices(case: Sv2ttsCase) -> None:
    facts = case.facts
    for row in facts["rtvc"]:
        options = PartialOptions.from_overlap(
            row["overlap"], row["partial_utterance_n_frames"], row["min_pad_coverage"]
        )
        slices = compute_partial_slices(row["n_samples"], options)
        assert [[part.start, part.stop] for part in slices] == row["mel"], row
    for row in facts["resemblyzer"]:
        options = PartialOptions.from_rate(row["rate"], row["min_coverage"])
        slices = compute_partial_slices(row["n_samples"], options)
        assert [[part.start, part.stop] for part in slices] == row["mel"], row


@sv2tts_cases("encoder", "model_")
def test_the_network(case: Sv2ttsCase) -> None:
    network = make_network(case).eval()
    with torch.inference_mode():
        _, (hidden, _) = network.lstm(case.tensors["in/frames"])
        torch.testing.assert_close(hidden[-1], case.tensors["out/hidden_last"], atol=1e-5, rtol=0)
        found = network(case.tensors["in/frames"])
        torch.testing.assert_close(found, case.tensors["out/embeds"], atol=1e-5, rtol=0)
        wave = case.tensors["in/wav"].numpy()
        slices = compute_partial_slices(len(wave), PartialOptions.from_overlap(0.5))
        padded = np.pad(wave, (0, max(0, slices[-1].stop * 160 - len(wave))))
        mel = compute_mel(padded)
        partials = network(torch.from_numpy(np.stack([mel[part] for part in slices])))
        torch.testing.assert_close(partials, case.tensors["out/partial_embeds"], atol=1e-5, rtol=0)
        mean = partials.mean(0)
        torch.testing.assert_close(
            mean / mean.norm(), case.tensors["out/utterance_embed"], atol=1e-5, rtol=0
        )
        whole = network(torch.from_numpy(compute_mel(wave))[None])[0]
        torch.testing.assert_close(whole, case.tensors["out/whole_embed"], atol=1e-5, rtol=0)


@sv2tts_cases("encoder", "ge2e_")
def test_the_loss_and_its_gradients(case: Sv2ttsCase) -> None:
    embeddings = case.tensors["in/embeds"].requires_grad_()
    weight = torch.tensor([case.facts["w"]], requires_grad=True)
    bias = torch.tensor([case.facts["b"]], requires_grad=True)
    similarities = compute_similarities(embeddings, weight, bias)
    loss = compute_ge2e_loss(similarities)
    loss.backward()
    assert float(loss) == pytest.approx(case.facts["loss"], abs=1e-5)
    torch.testing.assert_close(
        similarities.detach(), case.tensors["out/similarity"], atol=1e-5, rtol=1e-5
    )
    for value, name in ((embeddings, "embeds"), (weight, "w"), (bias, "b")):
        torch.testing.assert_close(
            value.grad, case.tensors[f"out/grad_{name}"], atol=1e-5, rtol=1e-4
        )
    pytest.importorskip("sklearn")
    eer = compute_batch_eer(similarities.detach().numpy())
    assert eer == pytest.approx(case.facts["eer"], abs=1e-6)


@sv2tts_cases("encoder", "train_step_")
def test_training_steps(case: Sv2ttsCase) -> None:
    network, shape = make_network(case), (case.facts["speakers"], case.facts["utterances"])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    for step, expected in enumerate(case.facts["losses_before_each_step"]):
        similarities = compute_similarities(
            network(case.tensors["in/frames"]).unflatten(0, shape),
            network.similarity_weight,
            network.similarity_bias,
        )
        loss = compute_ge2e_loss(similarities)
        optimizer.zero_grad()
        loss.backward()
        assert float(loss) == pytest.approx(expected, abs=1e-5)
        if step == 0:
            assert_gradients(case, network, "out/raw_grad/")
        network.scale_similarity_gradients()
        nn.utils.clip_grad_norm_(network.parameters(), GRAD_CLIP)
        if step == 0:
            assert_gradients(case, network, "out/used_grad/")
        optimizer.step()
        for name, value in network.state_dict().items():
            if (known := case.tensors.get(f"after{step + 1}/{name}")) is not None:
                torch.testing.assert_close(value, known, atol=1e-5, rtol=0)


def assert_gradients(case: Sv2ttsCase, network: GE2EEncoder, prefix: str) -> None:
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(
            parameter.grad, case.tensors[f"{prefix}{name}"], atol=1e-5, rtol=1e-3
        )


@sv2tts_cases("encoder", "preprocess_")
def test_preprocessed_recordings(case: Sv2ttsCase) -> None:
    pytest.importorskip(WEBRTC)
    for row in case.facts["rows"]:
        wave = read_clip(get_speech(row["file"])).wave.numpy()
        mel = compute_mel(trim_silence(normalize_volume(wave)))
        assert len(mel) == row["frames"], row["file"]
        assert float(mel.mean()) == pytest.approx(row["mean"], rel=1e-4)
        assert float(mel.std()) == pytest.approx(row["std"], rel=1e-4)
