"""Trainings of synthesizer and vocoder: falling loss, exact resume, stop, options, pictures."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from core.errors import InvalidValueError
from core.progress import ProgressReporter
from runs import event_log
from runs.event_log_reader import EventLogReader
from runs.state import load_state
from support.tiny_sv2tts import make_tiny_phoneme_model
from sv2tts import mel as mels
from sv2tts.data import batches
from sv2tts.data.preprocessing import (
    PreprocessOptions,
    SourceUtterance,
    adopt_model_format,
    preprocess,
)
from sv2tts.data.train_list import (
    ALIGNMENTS_DIR,
    AUDIO_DIR,
    EMBEDS_DIR,
    MELS_DIR,
    VALIDATION_FILE,
    TrainItem,
    draw_batch,
    read_train_list,
    write_train_list,
)
from sv2tts.modules.tacotron import Tacotron, TacotronConfig
from sv2tts.text import PHONEME_COUNT, read_training_text
from sv2tts.training import vocoder_task
from sv2tts.training.config import (
    SYNTHESIZER_FILE,
    VOCODER_FILE,
    SchedulePhase,
    SynthesizerTrainConfig,
    VocoderTrainConfig,
    apply_hparams,
    parse_hparams,
    read_config,
    write_config,
)
from sv2tts.training.synthesizer_task import (
    aligned_attention_loss,
    compute_attention,
    guided_attention_loss,
)
from sv2tts.training.trainer import train

TACOTRON = {
    "embed_dims": 8, "encoder_dims": 8, "decoder_dims": 8, "postnet_dims": 8, "encoder_K": 2,
    "lstm_dims": 8, "postnet_K": 2, "num_highways": 1, "speaker_embedding_size": 4,
}  # fmt: skip
WAVERNN = {"rnn_dims": 8, "fc_dims": 8, "compute_dims": 8, "res_out_dims": 8, "res_blocks": 1}
SCHEDULE = (
    SchedulePhase(r=4, learning_rate=3e-3, until_step=4, batch_size=3),
    SchedulePhase(r=2, learning_rate=1e-3, until_step=8, batch_size=2),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for name in (AUDIO_DIR, MELS_DIR, EMBEDS_DIR):
        (folder / name).mkdir()
    items = []
    random = np.random.default_rng(0)
    for number in range(8):
        time = np.arange(4_000 + 400 * number) / 16_000
        wave = (0.5 * np.sin(2 * np.pi * (150 + 20 * number) * time)).astype(np.float32)
        mel = mels.synthesizer_mel(torch.from_numpy(wave)).T.numpy()
        names = [f"{kind}-{number}.npy" for kind in ("audio", "mel", "embed")]
        np.save(folder / AUDIO_DIR / names[0], wave)
        np.save(folder / MELS_DIR / names[1], mel)
        np.save(folder / EMBEDS_DIR / names[2], random.normal(size=4).astype(np.float32))
        items.append(
            TrainItem(
                audio=names[0],
                mel=names[1],
                embed=names[2],
                samples=len(wave),
                frames=len(mel),
                text=f"line {number} | of text",
            )
        )
    write_train_list(folder, items)
    return folder


@pytest.fixture(autouse=True)
def short_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    """WaveRNN learns and makes sounds sample by sample."""
    monkeypatch.setattr(vocoder_task, "SAMPLE_FRAMES", 8)
    monkeypatch.setattr(batches, "VOCODER_FRAMES", 2)


def make_run(folder: Path, kind: str, **changes: Any) -> Path:
    folder.mkdir()
    common: dict[str, Any] = {"validation_share": 0.25, "eval_every": 4, "save_every": 4}
    if kind == "synthesizer":
        config: Any = SynthesizerTrainConfig(
            schedule=SCHEDULE,
            guided_attention=1.0,
            **{"network": TACOTRON, **common, **changes},
        )
        write_config(folder / SYNTHESIZER_FILE, config)
    else:
        config = VocoderTrainConfig(steps=8, batch_size=3, network=WAVERNN, **{**common, **changes})
        write_config(folder / VOCODER_FILE, config)
    return folder


def run_training(run: Path, dataset: Path) -> str:
    return train(run, dataset, ProgressReporter()).state


@pytest.mark.parametrize("kind", ["synthesizer", "vocoder"])
def test_a_training_writes_model_curves_and_pictures(
    tmp_path: Path, dataset: Path, kind: str
) -> None:
    run = make_run(tmp_path / "run", kind)
    assert run_training(run, dataset) == "done"
    metrics = EventLogReader(run / "events.jsonl").read()
    assert metrics.step == 8 and metrics.ended is not None
    assert (run / f"{kind}.pt").is_file() and (run / f"{kind}_best.pt").is_file()
    assert (run / "wavs" / "step_8.wav").stat().st_size > 1_000
    if kind == "synthesizer":
        assert (run / "plots" / "attention_step_4.png").is_file()
        assert metrics.points["synthesizer", "attention"]


@pytest.mark.parametrize("kind", ["synthesizer", "vocoder"])
def test_a_stopped_training_ends_with_the_same_weights(
    tmp_path: Path, dataset: Path, kind: str
) -> None:
    whole = make_run(tmp_path / "whole", kind)
    run_training(whole, dataset)
    parted = make_run(tmp_path / "parted", kind)
    steps = iter(range(100))
    report = ProgressReporter(stopped=lambda: next(steps) >= 5)
    assert train(parted, dataset, report).state == "stopped"
    assert run_training(parted, dataset) == "done"
    first, second = load_state(whole), load_state(parted)
    assert first is not None and second is not None
    assert_same(first["task"], second["task"])


def assert_same(first: Any, second: Any) -> None:
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, Mapping):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def test_the_loss_falls(tmp_path: Path, dataset: Path) -> None:
    run = make_run(tmp_path / "run", "vocoder", eval_every=0, vis_every=1)
    config = read_config(run / VOCODER_FILE, VocoderTrainConfig)
    write_config(
        run / VOCODER_FILE, apply_hparams(config, "steps=20, learning_rate=0.02, save_every=0")
    )
    run_training(run, dataset)
    points = EventLogReader(run / "events.jsonl").read().points["vocoder", "loss"]
    losses = [value for _, value in points]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_curve_has_only_its_end_where_points_are_off(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "MAX_LOG_INTERVAL_S", math.inf)  # steps may be slow here
    run = make_run(tmp_path / "run", "vocoder", eval_every=0, vis_every=0)
    run_training(run, dataset)
    points = EventLogReader(run / "events.jsonl").read().points["vocoder", "loss"]
    assert [step for step, _ in points] == [8]


def test_weights_of_another_network_do_not_start_a_training(tmp_path: Path, dataset: Path) -> None:
    first = make_run(tmp_path / "first", "vocoder")
    run_training(first, dataset)
    content = torch.load(first / "vocoder.pt", weights_only=True)
    del content["model_state"]["fc1.bias"]
    torch.save(content, tmp_path / "torn.pt")
    second = make_run(tmp_path / "second", "vocoder", start_from=str(tmp_path / "torn.pt"))
    result = train(second, dataset, ProgressReporter())
    assert result.state == "failed" and "lacks fc1.bias" in result.message


def test_a_model_can_be_finetuned(tmp_path: Path, dataset: Path) -> None:
    first = make_run(tmp_path / "first", "synthesizer")
    run_training(first, dataset)
    second = make_run(tmp_path / "second", "synthesizer", start_from=str(first))
    assert run_training(second, dataset) == "done"
    before = torch.load(first / "synthesizer.pt", weights_only=True)["model_state"]
    after = torch.load(second / "synthesizer.pt", weights_only=True)["model_state"]
    assert before.keys() == after.keys()
    assert int(after["step"]) == int(before["step"]) + 8


def test_a_model_folder_can_be_finetuned_and_says_how_it_reads(tmp_path: Path) -> None:
    model = make_tiny_phoneme_model(tmp_path / "model")
    source = SourceUtterance(path=tmp_path / "a.wav", name="a", text="One, two.")
    noise = np.random.default_rng(0).normal(size=32_000)
    soundfile.write(source.path, 0.2 * noise, 16_000)
    folder = tmp_path / "data"
    options = PreprocessOptions(trim=False)
    preprocess([source], folder, adopt_model_format(options, model), ProgressReporter())
    (folder / "embeds").mkdir(exist_ok=True)
    np.save(folder / "embeds" / "embed-a.npy", np.ones(16, np.float32))
    changes = {"start_from": str(model), "validation_share": 0.0}
    run = make_run(tmp_path / "run", "synthesizer", **changes)
    assert train(run, folder, ProgressReporter()).state == "done"

    preprocess([source], folder, options, ProgressReporter())
    other = make_run(tmp_path / "other", "synthesizer", **changes)
    refused = train(other, folder, ProgressReporter())
    assert "80 bands, those of the network 100" in refused.message


def test_what_cannot_be_trained_is_refused(tmp_path: Path, dataset: Path) -> None:
    run = make_run(tmp_path / "run", "synthesizer", max_mel_frames=20)
    result = train(run, dataset, ProgressReporter())
    assert result.state == "failed" and "at most 20 frames" in result.message
    other = make_run(tmp_path / "other", "vocoder", ground_truth=False)
    result = train(other, dataset, ProgressReporter())
    assert result.state == "failed" and "has no synthesized.txt" in result.message


def test_batches_depend_on_step_and_seed_only(dataset: Path) -> None:
    items = read_train_list(dataset)
    drawn = [draw_batch(items, 3, step, seed=1) for step in range(64)]
    assert drawn[40] == draw_batch(items, 3, 40, seed=1)
    counts = {item.mel: sum(item in batch for batch in drawn) for item in items}
    assert max(counts.values()) - min(counts.values()) <= 1
    spread = np.mean(
        [max(b.frames for b in batch) - min(b.frames for b in batch) for batch in drawn]
    )
    assert spread < 20
    assert len(draw_batch(items, 100, 0, seed=1)) == len(items)


def test_bad_lines_of_a_list_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.npy|b.npy|c.npy|10|2|x\na|b|c|ten|2|x\n", "utf-8")
    with pytest.raises(InvalidValueError, match="line 2"):
        read_train_list(tmp_path)
    (tmp_path / "train.txt").write_text("../a.npy|b.npy|c.npy|10|2|x\n", "utf-8")
    with pytest.raises(InvalidValueError, match="may hold no folder"):
        read_train_list(tmp_path)


def test_original_option_lists_are_read() -> None:
    text = "tts_schedule=[(7, 1e-3, 100, 12), (2, 1e-4, 200, 6)],tts_clip_grad_norm=0.5"
    changed = apply_hparams(SynthesizerTrainConfig(), text)
    assert [phase.r for phase in changed.schedule] == [7, 2]
    assert changed.clip_grad_norm == 0.5
    assert parse_hparams("mode=MOL, ground_truth=False") == {"mode": "MOL", "ground_truth": False}
    start = parse_hparams("start_from=/data/a-1/synthesizer.pt, seed=3, clip_grad_norm=.5")
    assert start == {"start_from": "/data/a-1/synthesizer.pt", "seed": 3, "clip_grad_norm": 0.5}
    assert parse_hparams("start_from=../a.pt") == {"start_from": "../a.pt"}
    for bad, message in (
        ("tts_schedul=1", "There is no option"),
        ("steps", "not a list of options"),
        ("steps=f(1)", "not a list of options"),
        ("tts_schedule=[1]", "is not a list of"),
        ("clip_grad_norm=-1", "clip_grad_norm"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            apply_hparams(SynthesizerTrainConfig(), bad)


def test_guided_attention_prefers_the_diagonal() -> None:
    diagonal = torch.eye(12).unsqueeze(0)
    characters = torch.ones(1, 12, dtype=torch.bool)
    assert guided_attention_loss(diagonal, characters) < 0.01
    assert guided_attention_loss(diagonal.flip(-1), characters) > 0.3


def test_known_attention_has_the_share_of_each_symbol_in_a_step() -> None:
    starts = torch.tensor([0.0, 3.0, 4.0, 8.0])
    made = compute_attention(starts, steps=6, r=2)
    assert made.sum(-1).tolist() == [1.0] * 6
    assert made[:2].tolist() == [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]
    assert made.argmax(-1)[2:].tolist() == [2, 2, 3, 3]


def test_steps_along_the_own_attention_give_the_same_as_step_by_step() -> None:
    config = replace(TacotronConfig.tiny(), dropout=0.0, encoder_dropout=0.0)
    model = Tacotron(config).eval()
    model.r = 2
    draw = torch.Generator().manual_seed(0)
    chars = torch.tensor([[3, 4, 5, 6, 1], [3, 4, 1, 0, 0]])
    mel = torch.randn(2, config.n_mels, 12, generator=draw)
    speaker = torch.randn(2, config.speaker_embedding_size, generator=draw)
    alone = model(chars, mel, speaker)
    along = model(chars, mel, speaker, alignment=alone.attention.detach())
    for first, second in zip(alone, along, strict=True):
        torch.testing.assert_close(first, second)


def test_forced_attention_needs_alignments(tmp_path: Path, dataset: Path) -> None:
    run = make_run(tmp_path / "run", "synthesizer", forced_attention=4)
    result = train(run, dataset, ProgressReporter())
    assert result.state == "failed" and "Set forced_attention to 0" in result.message


def test_attention_on_the_spoken_symbol_costs_nothing_and_elsewhere_much() -> None:
    known = torch.nn.functional.one_hot(torch.tensor([[0, 2, 4]]), 6).float()
    assert aligned_attention_loss(known, known) < 1e-3
    assert aligned_attention_loss(known.roll(1, dims=-1), known) > 5.0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_reads_phonemes_alignments_and_the_validation_list(
    tmp_path: Path, dataset: Path, precision: str
) -> None:
    folder = tmp_path / "phonemes"
    shutil.copytree(dataset, folder)
    items = [
        replace(item, text="{HH AH0 L OW1 [SPACE] DH EH1 R .}") for item in read_train_list(folder)
    ]
    (folder / ALIGNMENTS_DIR).mkdir()
    for item in items:
        places = np.linspace(0, item.frames, 10, dtype=np.float32)
        np.save(folder / ALIGNMENTS_DIR / item.mel, places)
    write_train_list(folder, items[2:])
    write_train_list(folder, items[:2], VALIDATION_FILE)
    network = {**TACOTRON, "num_chars": PHONEME_COUNT}
    changes = {"network": network, "symbols": "phonemes", "precision": precision}
    changes |= {"forced_attention": 6}
    run = make_run(tmp_path / "run", "synthesizer", **changes)
    assert run_training(run, folder) == "done"
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    begin = next(line for line in lines if line["kind"] == "begin")
    assert (begin["clips"], begin["validation_clips"]) == (6, 2)
    validation = next(line for line in lines if line["kind"] == "validation")
    assert validation["mel"] > 0 and validation["attention"] is not None


def test_phonemes_have_to_be_in_braces() -> None:
    assert read_training_text("{HH .}", "phonemes")[-1] == 1
    with pytest.raises(InvalidValueError, match="braces"):
        read_training_text("hello", "phonemes")
