"""The SV2TTS networks and signal processing agree with the reference cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from core.progress import ProgressReporter
from sv2tts import mel, waveform_labels
from sv2tts.data.batches import collate_synthesizer, crop_vocoder_item, make_vocoder_item
from sv2tts.data.log_mmse import denoise_log_mmse, profile_noise
from sv2tts.data.preprocessing import PreprocessOptions, SourceUtterance, preprocess
from sv2tts.data.silences import split_at_silences
from sv2tts.generation.wavernn_generation import WaveRNNOptions, generate_wave
from sv2tts.modules import mol
from sv2tts.modules.tacotron import Tacotron, TacotronConfig, tacotron_loss
from sv2tts.modules.tacotron2 import Tacotron2, Tacotron2Config
from sv2tts.modules.wavernn import WaveRNN, WaveRNNConfig
from sv2tts.text import CLEANERS, ids_to_text, text_to_ids, text_to_peewee_ids
from sv2tts.training.tacotron2_task import make_stop_labels, mask_padding
from tests.support.sv2tts_cases import FOLDER, Sv2ttsCase, sv2tts_cases

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


def tacotron(case: Sv2ttsCase) -> Tacotron:
    config = TacotronConfig(
        num_chars=case.facts.get("num_chars", 66), dropout=0.0, encoder_dropout=0.0,
        **case.facts["dims"],
    )  # fmt: skip
    network = Tacotron(config)
    network.load_state_dict(case.group("weights"), strict=True)
    network.r = case.facts["r"]
    return network.eval()


def wavernn(case: Sv2ttsCase) -> WaveRNN:
    config = {key: value for key, value in case.facts["config"].items() if key != "hop_length"}
    config["upsample_factors"] = tuple(config["upsample_factors"])
    network = WaveRNN(WaveRNNConfig(mode=case.facts.get("mode", "RAW"), **config))
    network.load_state_dict(case.group("weights"), strict=True)
    assert network.config.hop == case.facts["config"]["hop_length"]
    return network.eval()


@sv2tts_cases("synthesizer", "tacotron_")
def test_tacotron_predicts_the_reference_mel(case: Sv2ttsCase) -> None:
    network, given, wanted = tacotron(case), case.group("in"), case.group("out")
    made = network(given["chars"], given["mel"], given["speaker_embedding"])
    for name in ("mel_decoder", "mel_postnet", "attention", "stop"):
        assert_close(getattr(made, name), wanted[name], **TOLERANCE)
    loss = tacotron_loss(made, given["mel"], given["stop_target"])
    assert loss.item() == pytest.approx(case.facts["losses"]["total"], abs=1e-4)


@sv2tts_cases("synthesizer", "tacotron_")
def test_tacotron_generates_the_reference_mel(case: Sv2ttsCase) -> None:
    network, given, wanted = tacotron(case), case.group("in"), case.group("out")
    facts = case.facts["generate"]
    with torch.no_grad():
        network.decoder.stop_proj.bias.fill_(facts["stop_proj_bias_used_for_generate"])
    made = network.generate(given["chars"], given["speaker_embedding"], max_frames=facts["steps"])
    assert made.mel_postnet.shape[-1] == facts["frames"]
    for name in ("mel_decoder", "mel_postnet", "attention"):
        assert_close(getattr(made, name), wanted[f"gen_{name}"], **TOLERANCE)


@sv2tts_cases("synthesizer", "train_step")
def test_one_training_step_changes_the_weights_as_the_reference_does(
    case: Sv2ttsCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sv2tts.modules.tacotron.ZONEOUT", 0.0)
    network, given = tacotron(case).train(), case.group("in")
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    made = network(given["chars"], given["mel"], given["speaker_embedding"])
    loss = tacotron_loss(made, given["mel"], given["stop_target"])
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    assert loss.item() == pytest.approx(case.facts["losses"]["total"], abs=1e-4)
    assert norm.item() == pytest.approx(case.facts["grad_norm_before_clip"], rel=1e-4)
    grads = {name: value.grad.clone() for name, value in network.named_parameters()}
    optimizer.step()
    for name, value in network.named_parameters():
        wanted = case.tensors.get(f"after/{name}")
        if wanted is not None:
            sure = grads[name].abs() >= 1e-6
            assert_close(value.detach()[sure], wanted[sure], atol=2e-4, rtol=0)


@sv2tts_cases("synthesizer", "collate")
def test_batches_are_padded_as_in_the_reference(case: Sv2ttsCase) -> None:
    given, wanted = case.group("in"), case.group("out")
    count = sum(name.startswith("chars") for name in given)
    made = collate_synthesizer(
        [given[f"chars{n}"] for n in range(count)],
        [given[f"mel{n}"] for n in range(count)],
        list(given["embeds"]),
        case.facts["r"],
    )
    assert torch.equal(made.chars, wanted["chars"])
    assert torch.equal(made.mel, wanted["mel"])
    assert torch.equal(made.speaker, given["embeds"])


@sv2tts_cases("synthesizer", "mel_")
def test_the_mel_and_its_inverse_agree_with_the_reference(case: Sv2ttsCase) -> None:
    wanted = case.group("out")
    wave = mel.normalize_peak(case.group("in")["wav_int16"].float() / 32_768)
    assert_close(wave, wanted["rescaled"], atol=1e-5, rtol=0)
    emphasized = mel.preemphasize(wave)[:400].double()
    assert_close(emphasized, wanted["preemphasised"], atol=1e-5, rtol=0)
    assert_close(mel.mel_db(wave).T, wanted["mel_db_unnormalised"], atol=0.05, rtol=0)
    made = mel.synthesizer_mel(wave)
    assert_close(made.T, wanted["mel"], atol=2e-3, rtol=0)
    assert_close(mel.denormalize_db(wanted["mel"]), wanted["denormalised"], atol=0.05, rtol=0)
    magnitude = mel.mel_to_magnitude(wanted["mel"].T)[:, :8].T
    assert_close(magnitude, wanted["linear_magnitude_first8"], atol=1e-3, rtol=1e-2)


@sv2tts_cases("synthesizer", "logmmse")
def test_noise_is_reduced_as_in_the_reference(case: Sv2ttsCase) -> None:
    given, wanted = case.group("in"), case.group("out")
    profile = profile_noise(given["noise"].numpy(), 16_000)
    assert profile.window == case.facts["window"]
    np.testing.assert_allclose(profile.power, wanted["noise_mu2"].numpy(), rtol=1e-5)
    made = denoise_log_mmse(given["wav"].numpy(), profile, case.facts["eta"])
    np.testing.assert_allclose(made, wanted["denoised"].numpy(), atol=1e-5)


@sv2tts_cases("synthesizer", "split_on_silences")
def test_recordings_are_split_at_silences_as_in_the_reference(case: Sv2ttsCase) -> None:
    for one in case.facts["cases"]:
        made = split_at_silences(one["words"], one["end_times"])
        ranges = [[int(part.start * 16_000), int(part.end * 16_000)] for part in made]
        assert ranges == one["segments_sample_ranges"], one["name"]
        assert [part.text for part in made] == one["texts"], one["name"]


@sv2tts_cases("synthesizer", "text")
def test_texts_become_the_reference_ids(case: Sv2ttsCase) -> None:
    for one in case.facts["cases"]:
        for cleaner in CLEANERS:
            if cleaner in one:
                ids = text_to_ids(one["text"], cleaner)
                assert ids == one[cleaner]["ids"], (cleaner, one["text"])
                assert CLEANERS[cleaner](one["text"]) == one[cleaner]["clean"]
                assert ids_to_text(ids) == one[cleaner]["back"]


@sv2tts_cases("vocoder", "forward")
def test_wavernn_predicts_the_reference_samples(case: Sv2ttsCase) -> None:
    network, given, wanted = wavernn(case), case.group("in"), case.group("out")
    upsampled, aux = network.upsample(given["mel"])
    assert_close(upsampled, wanted["mel_upsampled"], **TOLERANCE)
    assert_close(aux[:, :: network.config.hop], wanted["aux"], **TOLERANCE)
    logits = network(given["x"], given["mel"])
    assert_close(logits[:, : case.facts["logits_stored"]], wanted["logits"], **TOLERANCE)
    labels = given["labels"].long()[:, 1:]
    if network.config.mode == "MOL":
        target = waveform_labels.label_to_float(labels.float(), 16).unsqueeze(-1)
        loss = mol.mixture_loss(logits, target).mean()
    else:
        loss = F.cross_entropy(logits.transpose(1, 2), labels)
    assert loss.item() == pytest.approx(case.facts["loss"], rel=1e-3)


@sv2tts_cases("vocoder", "generate")
def test_wavernn_generates_the_reference_wave(case: Sv2ttsCase) -> None:
    network, wanted, labels = wavernn(case), case.group("out"), []

    def most_likely(logits: torch.Tensor) -> torch.Tensor:
        labels.append(logits.argmax(-1))
        return waveform_labels.label_to_float(labels[-1].float(), network.config.bits)

    options = WaveRNNOptions(
        batched=case.facts["batched"],
        target=case.facts["target"],
        overlap=case.facts["overlap"],
        mu_law=case.facts["mu_law"],
    )
    given = case.group("in")["mel"][0] * mel.MAX_ABS
    wave = generate_wave(network, given, options, most_likely)
    assert torch.equal(torch.stack(labels, 1).int(), wanted["labels"])
    assert_close(wave, wanted["wav"], atol=1e-5, rtol=0)


@sv2tts_cases("vocoder", "dataset")
def test_vocoder_crops_agree_with_the_reference(case: Sv2ttsCase) -> None:
    given, wanted, facts = case.group("in"), case.group("out"), case.facts
    config = WaveRNNConfig(pad=facts["pad"])
    item = make_vocoder_item(given["wav"], given["mel_disk"], config)
    assert_close(item.mel, wanted["mel"], atol=1e-6, rtol=0)
    off = (item.labels - wanted["labels"].long()).abs()
    assert off.max() <= 1 and (off > 0).float().mean() < 1e-3
    offset, frames = facts["collate_offset_frames"], facts["collate_mel_window"]
    silent = torch.zeros(80, len(given["collate_labels"]) // facts["hop"])
    crop = crop_vocoder_item(type(item)(silent, given["collate_labels"].long()), offset, config)
    assert crop.mel.shape[-1] == frames
    assert_close(crop.x, wanted["collate_x"][0], atol=1e-6, rtol=0)
    assert torch.equal(crop.labels, wanted["collate_y"][0].long())


@sv2tts_cases("vocoder", "maths")
def test_labels_mixtures_and_chunks_agree_with_the_reference(case: Sv2ttsCase) -> None:
    given, wanted = case.group("in"), case.group("out")
    x = given["x"]
    labels = waveform_labels.encode_mu_law(x, 512)
    companded = waveform_labels.label_to_float(labels, 9)
    made: dict[str, Any] = {
        "mulaw_labels": labels,
        "mulaw_decoded_from_labels": waveform_labels.decode_mu_law(companded, 512),
        "mulaw_expand_float": waveform_labels.decode_mu_law(x, 512),
        "float_2_label9": waveform_labels.float_to_label(x, 9),
        "float_2_label16": waveform_labels.float_to_label(x, 16),
        "preemph": mel.preemphasize(x),
        "deemph": mel.deemphasize(mel.preemphasize(x)),
        "folded": waveform_labels.fold(given["fold_x"], 30, 8),
        "folded_exact": waveform_labels.fold(given["fold_exact_x"], 30, 8),
        "unfolded": torch.from_numpy(waveform_labels.unfold(given["unfold_y"].numpy(), 8)),
    }
    for name, value in made.items():
        assert_close(value, wanted[name], atol=1e-6, rtol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
    parameters, target = given["mol_params"], given["mol_target"]
    loss = mol.mixture_loss(parameters, target)
    assert_close(loss, wanted["mol_loss_elementwise"], **TOLERANCE)
    sample = mol.sample_mixture(parameters, given["mol_u_mixture"], given["mol_u_logistic"])
    assert_close(sample, wanted["mol_sample"], **TOLERANCE)


@sv2tts_cases("peewee", "tacotron2")
def test_tacotron_2_agrees_with_the_reference(case: Sv2ttsCase) -> None:
    sizes = {key: value for key, value in case.facts["sizes"].items() if key != "batch_size"}
    sizes["num_layers"] = tuple(sizes["num_layers"])
    config = Tacotron2Config(
        n_mels=case.facts["n_mels"], characters=case.facts["char_values"], dropout=0.0, **sizes
    )
    network = Tacotron2(config)
    network.load_state_dict(case.group("weights"), strict=True)
    network.eval()
    given, wanted = case.group("in"), case.group("out")
    assert_close(network.encode_text(given["text"]), wanted["encoded_text"], **TOLERANCE)
    made = network(given["text"], given["speaker"], given["mels"])
    assert_close(made.before_postnet, wanted["before_postnet"], **TOLERANCE)
    assert_close(made.after_postnet, wanted["after_postnet"], **TOLERANCE)
    assert_close(torch.sigmoid(made.stop), wanted["stop"], **TOLERANCE)
    with torch.no_grad():
        network.stop_token_projection.linear_layer.bias.fill_(-9.0)
    frames = case.facts["inference_frames"]
    free = network.generate(given["text"][:1], given["speaker"][:1], max_frames=frames)
    assert_close(free.after_postnet, wanted["inference"], **TOLERANCE)


@sv2tts_cases("peewee", "stop_labels")
def test_stop_labels_begin_at_the_last_frame_of_speech(case: Sv2ttsCase) -> None:
    mel, wanted = case.group("in")["audio"], case.group("out")
    mask = mask_padding(mel)
    assert torch.equal(mask, wanted["mask"].bool())
    assert torch.equal(make_stop_labels(mask), wanted["stop_labels"])


@sv2tts_cases("peewee", "text")
def test_peewee_reads_characters_as_the_reference_does(case: Sv2ttsCase) -> None:
    for one in case.facts["cases"]:
        assert text_to_peewee_ids(one["text"], case.facts["char_values"]) == one["ids"]


@sv2tts_cases("synthesizer", "preprocess")
def test_utterances_are_preprocessed_as_in_the_reference(case: Sv2ttsCase, tmp_path: Path) -> None:
    speech = FOLDER.parents[1] / "speech"
    if not speech.is_dir():
        pytest.skip(f"there is no folder {speech} with the recordings of the case")
    rows = case.facts["rows"]
    names = [row["line"].split("|")[0][len("audio-") : -len(".npy")] for row in rows]
    names += [name.split(".")[0] for name in case.facts["dropped"]]
    found = {path.stem: path for path in speech.rglob("*.flac")}
    found |= {path.stem: path for path in speech.rglob("*.wav")}
    sources = [SourceUtterance(path=found[name], name=name, text="dummy text") for name in names]
    result = preprocess(sources, tmp_path, PreprocessOptions(), ProgressReporter())
    assert {Path(path).name for path in result.left_out} == {
        found[name].name for name in names[len(rows) :]
    }
    exact = soundfile.info(found[names[0]]).samplerate == 16_000
    for item, row in zip(result.items, rows, strict=True):
        columns = row["line"].split("|")
        assert [item.audio, item.mel, item.embed] == columns[:3]
        assert abs(item.samples - int(columns[3])) <= (0 if exact else 480)
        assert abs(item.frames - int(columns[4])) <= (0 if exact else 3)
        stored = np.load(tmp_path / "mels" / item.mel)
        assert stored.mean() == pytest.approx(row["mel_mean"], abs=0.02)
        assert stored.std() == pytest.approx(row["mel_std"], abs=0.02)
