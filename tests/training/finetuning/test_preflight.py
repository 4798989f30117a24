"""What would end a run badly is found before, with what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from support.tiny_bundle import make_tiny_bundle
from support.tiny_dataset import make_tiny_dataset
from tortoise.generation.text_length import load_text_analyzer
from training.dataset_prep.manifest import ManifestError
from training.finetuning.config.facts import MachineFacts, read_model_facts
from training.finetuning.config.fields import apply_overrides
from training.finetuning.config.schema import (
    DatasetConfig,
    DiffusionTrainingConfig,
    FinetuneConfig,
    OptimizerConfig,
    SampleConfig,
    ScheduleConfig,
    WeightsConfig,
)
from training.finetuning.preflight.checks import run_preflight
from training.finetuning.preflight.clips import find_audio, inspect_clips
from training.finetuning.preflight.findings import PreflightFinding, PreflightInput

ROOM = 10**12
CONFIG = FinetuneConfig(
    dataset=DatasetConfig(name="hum"),
    weights=WeightsConfig(bundle="tiny"),
    optimizer=OptimizerConfig(batch=4),
    schedule=ScheduleConfig(steps=20),
    samples=SampleConfig(text="we sat"),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def hummed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_dataset(tmp_path_factory.mktemp("training"), "hum")


@pytest.fixture
def dataset(tmp_path: Path, hummed: Path) -> Path:
    return Path(shutil.copytree(hummed, tmp_path / "hum"))


@pytest.fixture
def findings(dataset: Path, bundle: Path) -> Callable[..., dict[str, PreflightFinding]]:
    def look(changes: dict[str, Any] | None = None, **around: Any) -> dict[str, PreflightFinding]:
        config = apply_overrides(CONFIG, changes or {})
        around = {"dataset": dataset, "bundle": bundle, "free": ROOM} | around
        machine = around.pop("machine", MachineFacts(memory=ROOM, cores=2))
        found = run_preflight(PreflightInput(config=config, machine=machine, **around))
        assert [item.level for item in found] == sorted(item.level for item in found)
        for item in found:
            apply_overrides(config, item.changes)  # what is proposed can be set
            assert item.what.endswith(".") and item.why.endswith(".") and item.fix.endswith(".")
        return {item.kind: item for item in found}

    return look


Look = Callable[..., dict[str, PreflightFinding]]


def test_a_sound_request_is_let_through(findings: Look) -> None:
    assert {kind for kind, item in findings().items() if item.level == "stop"} == set()


@pytest.mark.parametrize(
    ("changes", "kind", "proposed"),
    [
        ({"optimizer.batch": 11}, "batch", {"optimizer.batch": 10, "optimizer.accumulate": 1}),
        ({"diffusion.steps": 5, "diffusion.batch": 64}, "batch", {"diffusion.batch": 10}),
        ({"optimizer.accumulate": 4}, "accumulate", {"optimizer.accumulate": 2}),
        ({"diffusion.steps": 5, "diffusion.window": 1000}, "window", {"diffusion.window": 17}),
        ({"optimizer.precision": "fp16"}, "fp16", {"optimizer.precision": "fp32"}),
        ({"optimizer.eight_bit": True}, "eight_bit", {"optimizer.eight_bit": False}),
        ({"machine.processes": 4}, "processes", {"machine.processes": 1}),
        ({"weights.frozen": ["layers 0-9"]}, "no_layer", {"weights.frozen": ("layers 0-1",)}),
        (
            {"weights.frozen": ["layers 0-1"], "weights.method": "lora"},
            "all_frozen",
            {"weights.frozen": ()},
        ),
        (
            {"weights.frozen": ["text", "conditioning", "codes", "heads", "layers 0-1"]},
            "all_frozen",
            {"weights.frozen": ()},
        ),
        ({"samples.text": "far too long " * 9}, "sentence", {"samples.text": ""}),
        ({"checkpoints.every": 1000}, "no_checkpoint", {"checkpoints.every": 4}),
        ({"diffusion.steps": 5}, "small_gpt", {"schedule.steps": 0}),
    ],
)
def test_a_field_that_does_not_suit_is_reported_with_the_one_that_does(
    findings: Look, changes: dict[str, Any], kind: str, proposed: dict[str, Any]
) -> None:
    changes = {"diffusion.window": 8, "diffusion.batch": 4} | changes
    assert findings(changes)[kind].changes == proposed
    assert kind not in findings(changes | proposed)


def test_what_does_not_learn_is_not_asked_for(findings: Look) -> None:
    only = {"schedule.steps": 0, "diffusion.steps": 5, "diffusion.window": 8, "diffusion.batch": 4}
    wrong = {"optimizer.batch": 900, "weights.frozen": ["layers 77"]}
    assert {"batch", "no_layer"}.isdisjoint(findings(only | wrong))
    assert "window" not in findings({"diffusion.window": 900})


def test_many_processes_share_a_batch_of_few_clips(findings: Look) -> None:
    found = findings({"machine.processes": 16, "optimizer.batch": 16})
    assert found["batch"].changes["machine.processes"] == 1


def test_a_full_disk_is_noticed_before_the_run(findings: Look) -> None:
    assert findings(free=1000)["disk"].changes == {"checkpoints.keep_last": 1}
    assert findings({"checkpoints.keep_last": 1}, free=1000)["disk"].changes == {}


def test_too_little_memory_is_reported_with_what_needs_less(findings: Look) -> None:
    machine = MachineFacts(device="cuda:0", memory=1000, gpus=1)
    half = {"optimizer.batch": 2, "optimizer.accumulate": 2}
    assert findings(machine=machine)["memory"].changes == half
    single = findings({"optimizer.batch": 1}, machine=machine)["memory"]
    assert single.changes == {"weights.method": "lora"} and single.level == "warn"


def test_more_processes_than_gpus_stop_the_run(findings: Look) -> None:
    machine = MachineFacts(device="cuda:0", memory=ROOM, gpus=2)
    assert findings({"machine.processes": 4}, machine=machine)["processes"].level == "stop"
    assert "processes" not in findings({"machine.processes": 2}, machine=machine)


def test_eight_bits_need_the_package(findings: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MachineFacts(device="cuda:0", memory=ROOM, gpus=1)
    monkeypatch.setattr("training.finetuning.preflight.machine.find_spec", lambda name: None)
    told = findings({"optimizer.eight_bit": True}, machine=machine)["eight_bit"]
    assert "bitsandbytes" in told.why
    monkeypatch.setattr("training.finetuning.preflight.machine.find_spec", lambda name: name)
    assert "eight_bit" not in findings({"optimizer.eight_bit": True}, machine=machine)


@pytest.fixture
def hurt(tmp_path: Path, bundle: Path) -> Path:
    """A copy of the bundle, to be harmed."""
    return Path(shutil.copytree(bundle, tmp_path / "hurt"))


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("config.json", "no_weights"),
        ("tokenizer.json", "no_weights"),
        ("dvae.safetensors", "no_weights"),
        ("gpt.safetensors", "no_weights"),
        ("mel_stats.safetensors", "no_weights"),
        ("diffusion.safetensors", "no_diffusion"),
        ("clvp.safetensors", "mute"),
    ],
)
def test_weights_that_lack_something_are_reported(
    findings: Look, hurt: Path, file: str, kind: str
) -> None:
    (hurt / file).unlink()
    found = findings({"diffusion.steps": 5, "diffusion.window": 8}, bundle=hurt)
    assert kind in found and (file.split(".")[0] in found[kind].why or kind == "no_diffusion")


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "dvae.safetensors", "mel_stats.safetensors"]
)
def test_weights_that_were_cut_short_are_reported(findings: Look, hurt: Path, file: str) -> None:
    (hurt / file).write_bytes((hurt / file).read_bytes()[:-9])
    assert findings(bundle=hurt)["no_weights"].place == "models"


def test_a_dataset_that_is_gone_or_empty_or_junk_is_reported(
    findings: Look, dataset: Path, tmp_path: Path
) -> None:
    assert "There is no folder" in findings(dataset=tmp_path / "gone")["no_dataset"].why
    lists = dataset / "train.txt"
    for content, told in (
        (b"", "is empty"),
        (b"\x00\x01\x02", "not a text file"),
        ("audio/clip00.wav|stra\xdfe".encode("latin-1"), "not UTF-8"),
        (b"one column only", "Line 1"),
        (b"nowhere.wav|text\n", "1 have no audio file"),
        (b"../../etc/passwd|text\n", "is outside of"),
    ):
        lists.write_bytes(content)
        found = findings()["no_dataset"]
        assert told in found.why and found.place == "prepare"
    lists.unlink()
    assert "There is no" in findings()["no_dataset"].why


def test_clips_that_cannot_be_learned_from_are_left_out_and_reported(
    findings: Look, dataset: Path, bundle: Path
) -> None:
    audio = dataset / "audio"
    noise = np.random.default_rng(0).normal(0, 0.1, 22_050).astype(np.float32)
    soundfile.write(audio / "short.wav", noise[:8_000], 22_050)
    soundfile.write(audio / "long.wav", np.tile(noise, 3), 22_050)
    soundfile.write(audio / "silent.wav", noise * 0, 22_050)
    soundfile.write(audio / "nan.wav", noise * np.nan, 22_050, subtype="FLOAT")
    soundfile.write(audio / "slow.wav", noise[:6_000], 6_000)
    (audio / "junk.wav").write_bytes(b"RIFF what is this")
    (audio / "empty.wav").write_bytes(b"")
    soundfile.write(audio / "good.flac", noise[:20_000], 22_050)
    lines = [f"audio/{name}.wav|so it is" for name in
             ("short", "long", "silent", "nan", "slow", "junk", "empty", "nowhere")]  # fmt: skip
    lines += ["good|" + "much text " * 9, "good|", "good|it is good"]
    (dataset / "train.txt").write_text("\n".join(lines) + "\n")
    clips = inspect_clips(
        dataset, CONFIG.dataset, read_model_facts(bundle, "tiny"), load_text_analyzer(bundle)
    )
    assert [clip.text for clip in clips.train] == ["it is good"]
    assert [clip.problem for clip in clips.left_out] == [
        *("too_short", "too_long", "silent", "unreadable", "unreadable", "unreadable"),
        *("unreadable", "missing", "much_text", "no_text"),
    ]
    told = findings({"optimizer.batch": 1})["left_out"]
    assert told.what.startswith("10 clips") and "4 have an audio file that cannot" in told.why


def test_validation_that_is_missing_or_was_learned_is_reported(
    findings: Look, dataset: Path
) -> None:
    audio, text = (dataset / "train.txt").read_text().splitlines()[0].split("|")
    with (dataset / "validation.txt").open("a") as validation:
        validation.write(f"{audio}|{text.upper().replace(' ', '  ')}!\n")
    assert (
        findings()["leak"].what
        == "The text of 1 clip for validation is also in the training split."
    )
    (dataset / "validation.txt").unlink()
    assert findings()["no_validation"].place == "prepare"


def test_signs_that_nobody_can_read_are_reported(findings: Look, dataset: Path) -> None:
    with (dataset / "train.txt").open("a", encoding="utf-8") as lines:
        lines.write("audio/clip05.wav|it is § so\n")
    assert "unknown" not in findings(), "what the tokenizer can spell out is read"
    with (dataset / "train.txt").open("a", encoding="utf-8") as lines:
        lines.write("audio/clip06.wav|so it 🐢 is\n")
    assert "🐢" in findings()["unknown"].why


@pytest.mark.parametrize("named", ["audio/clip00.wav", "clip00.wav", "clip00", "audio/clip00"])
def test_sound_is_found_as_the_lists_of_others_name_it(dataset: Path, named: str) -> None:
    assert find_audio(dataset, named) == dataset / "audio" / "clip00.wav"


@pytest.mark.parametrize("named", ["../00.wav", "/etc/hosts", "audio/../../x", "a\0b"])
def test_sound_outside_the_dataset_is_not_looked_for(dataset: Path, named: str) -> None:
    with pytest.raises(ManifestError, match="is outside of"):
        find_audio(dataset, named)


def test_little_speech_is_reported(findings: Look) -> None:
    assert findings()["little"].level == "warn"


def test_a_high_rate_is_reported_where_it_harms(
    findings: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "fast" not in findings({"optimizer.rate": 1e-3})
    monkeypatch.setattr("training.finetuning.config.facts.SMALL_PARAMETERS", 1)
    assert findings({"optimizer.rate": 1e-3})["fast"].changes == {"optimizer.rate": 1e-5}
    assert "fast" not in findings({"optimizer.rate": 1e-3, "weights.method": "lora"})


def test_a_diffusion_network_alone_may_learn() -> None:
    alone = replace(
        CONFIG, schedule=ScheduleConfig(steps=0), diffusion=DiffusionTrainingConfig(steps=9)
    )
    assert alone.total_steps == 9
