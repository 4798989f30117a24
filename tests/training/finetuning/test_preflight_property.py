"""Random datasets at the pre-flight: whatever it lets through learns, and ends as planned."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.progress import ProgressReporter
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.loading import load_model
from training.finetuning.checkpoints.run_layout import RunPaths
from training.finetuning.config.facts import MachineFacts
from training.finetuning.config.fields import apply_overrides
from training.finetuning.config.schema import (
    CONFIG_FILE,
    CheckpointConfig,
    ConfigError,
    DatasetConfig,
    DiffusionTrainingConfig,
    FinetuneConfig,
    OptimizerConfig,
    SampleConfig,
    ScheduleConfig,
    WeightsConfig,
    write_config,
)
from training.finetuning.config.suggest import list_checkpoint_steps, plan_training
from training.finetuning.dataset import extract_features, load_features
from training.finetuning.preflight.checks import (
    collect_findings,
    collect_preflight_facts,
    run_preflight,
)
from training.finetuning.preflight.findings import PreflightFacts, PreflightFinding, PreflightInput
from training.finetuning.trainer import finetune

SOUNDS = ("good", "other", "flac", "short", "long", "silent", "nan", "junk", "empty", "nowhere")
TEXTS = (
    "so it went",
    "we run home",
    "SO IT WENT",
    "",
    "§§",
    "much text " * 9,
    "it | is",
    "ñ 🐢 ok",
)


@dataclass(frozen=True, kw_only=True)
class World:
    """A bundle, and sound files that datasets are made of."""

    bundle: Path
    sounds: Path
    place: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    sounds = root / "sounds"
    sounds.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 66_150).astype(np.float32)
    soundfile.write(sounds / "good.wav", noise[:15_000], 22_050)
    soundfile.write(sounds / "other.wav", np.stack([noise[:40_000]] * 2, 1), 44_100)
    soundfile.write(sounds / "flac.flac", noise[:18_000], 22_050)
    soundfile.write(sounds / "short.wav", noise[:8_000], 22_050)
    soundfile.write(sounds / "long.wav", noise, 22_050)
    soundfile.write(sounds / "silent.wav", noise[:15_000] * 0, 22_050)
    soundfile.write(sounds / "nan.wav", noise[:15_000] * np.nan, 22_050, subtype="FLOAT")
    (sounds / "junk.wav").write_bytes(b"\x00\x01\x02 this is no sound")
    (sounds / "empty.wav").write_bytes(b"")
    return World(bundle=make_tiny_bundle(root / "tiny"), sounds=sounds, place=root)


Lines = list[tuple[str, str]]
GOOD_LINES = st.lists(st.tuples(st.sampled_from(SOUNDS[:3]), st.sampled_from(TEXTS[:3])),
                      max_size=50)  # fmt: skip
ANY_LINES = st.lists(st.tuples(st.sampled_from(SOUNDS), st.sampled_from(TEXTS)), max_size=50)
LINES = st.one_of(GOOD_LINES, ANY_LINES)
CHANGES = st.fixed_dictionaries(
    {
        "optimizer.batch": st.integers(1, 12),
        "schedule.steps": st.integers(0, 3),
        "diffusion.steps": st.integers(0, 2),
        "diffusion.batch": st.integers(1, 12),
        "diffusion.window": st.integers(4, 30),
        "checkpoints.every": st.integers(1, 6),
        "weights.method": st.sampled_from(["full", "lora"]),
    },
    optional={
        "optimizer.accumulate": st.integers(1, 3),
        "optimizer.precision": st.sampled_from(["fp32", "bf16", "fp16"]),
        "weights.frozen": st.lists(
            st.sampled_from(["text", "codes", "heads", "layers 0", "layers 0-1", "layers 7"]),
            unique=True,
        ),
        "schedule.shape": st.sampled_from(["constant", "multistep", "cosine"]),
        "samples.text": st.sampled_from(["", "so it went", "much text " * 9]),
        "optimizer.rate": st.sampled_from([1e-8, 1e-4]),
    },
)
BASE = FinetuneConfig(
    dataset=DatasetConfig(name="any"),
    weights=WeightsConfig(bundle="tiny"),
    samples=SampleConfig(text=""),
    schedule=ScheduleConfig(steps=1),
    optimizer=OptimizerConfig(batch=1),
    diffusion=DiffusionTrainingConfig(batch=1, window=8),
    checkpoints=CheckpointConfig(every=3),
)


def dataset_of(world: World, train: Lines, validation: Lines, number: int) -> Path:
    """Write a dataset of the sounds in the world."""
    folder = world.place / f"dataset{number}"
    (folder / "audio").mkdir(parents=True)
    for name, lines in (("train", train), ("validation", validation)):
        told = []
        for place, (sound, text) in enumerate(lines):
            source = world.sounds / f"{sound}.{'flac' if sound == 'flac' else 'wav'}"
            target = folder / "audio" / f"{name}{place:02d}-{sound}{source.suffix}"
            if source.exists():
                os.link(source, target)
            told.append(f"audio/{target.name}|{text}\n")
        (folder / f"{name}.txt").write_text("".join(told), encoding="utf-8")
    return folder


def situation_of(world: World, dataset: Path, changes: dict[str, Any]) -> PreflightInput | None:
    try:
        config = apply_overrides(BASE, changes)
    except ConfigError:
        return None
    machine = MachineFacts(cores=2, memory=10**12)
    return PreflightInput(
        config=config, dataset=dataset, bundle=world.bundle, machine=machine, free=10**12
    )


def mended(situation: PreflightInput) -> tuple[PreflightInput, list[PreflightFinding]]:
    """Press "Fix it" until nothing is left that can be fixed so."""
    for _ in range(20):
        stops = [item for item in run_preflight(situation) if item.level == "stop"]
        changes = {key: value for item in stops for key, value in item.changes.items()}
        if not changes:
            break
        config = apply_overrides(situation.config, changes)
        situation = PreflightInput(
            config=config,
            dataset=situation.dataset,
            bundle=situation.bundle,
            machine=situation.machine,
            free=situation.free,
        )
    return situation, stops


COUNTER = iter(range(10**9))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(train=LINES, validation=LINES, changes=CHANGES)
def test_what_is_let_through_has_clips_and_steps_enough(
    world: World, train: Lines, validation: Lines, changes: dict[str, Any]
) -> None:
    dataset = dataset_of(world, train, validation, next(COUNTER))
    situation = situation_of(world, dataset, changes)
    if situation is None:
        return
    situation, stops = mended(situation)
    config = situation.config
    seen = collect_preflight_facts(dataset, world.bundle, config.dataset, "tiny")
    assert isinstance(seen, PreflightFacts)
    assert collect_findings(situation, seen) == run_preflight(situation)
    usable = sum(sound in SOUNDS[:3] and text in TEXTS[:3] for sound, text in train)
    assert len(seen.clips.train) >= usable
    if stops:  # what is left cannot be mended by a field
        assert not seen.clips.train and {item.kind for item in stops} == {"no_dataset"}
        return
    found = plan_training(config, seen.clips.to_dataset_facts("any"), seen.bundle)
    assert found.steps >= 1 and list_checkpoint_steps(config)[-1] == found.steps
    assert not config.schedule.steps or config.optimizer.batch <= len(seen.clips.train)
    assert not config.diffusion.steps or config.diffusion.batch <= len(seen.clips.train)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(train=ANY_LINES, validation=ANY_LINES)
def test_the_trainer_hears_just_the_clips_that_the_pre_flight_counts(
    world: World, train: Lines, validation: Lines
) -> None:
    good = [("good", "so it went")]
    dataset = dataset_of(world, train + good, validation, next(COUNTER))
    seen = collect_preflight_facts(dataset, world.bundle, BASE.dataset, "tiny")
    assert isinstance(seen, PreflightFacts)
    heard = load_features(
        extract_features(dataset, BASE.dataset, load_model(world.bundle), ProgressReporter())
    )
    for facts, clips in (
        (seen.clips.train, heard.train),
        (seen.clips.validation, heard.validation),
    ):
        assert [(Path(fact.audio).stem, fact.codes, fact.tokens) for fact in facts] == [
            (clip.name, len(clip.codes), len(clip.text)) for clip in clips
        ]
    lost = Counter(fact.problem for fact in seen.clips.left_out)
    event(f"left out: {sum(lost.values()) > 0}")


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(train=LINES, validation=st.lists(st.sampled_from([("good", "we run home")]), max_size=2),
       changes=CHANGES)  # fmt: skip
def test_a_run_that_is_let_through_ends_as_planned(
    world: World, train: Lines, validation: Lines, changes: dict[str, Any]
) -> None:
    dataset = dataset_of(world, [*train, ("good", "so it went")], validation, next(COUNTER))
    situation = situation_of(world, dataset, changes | {"samples.text": ""})
    if situation is None:
        return
    situation, stops = mended(situation)
    assert not stops
    config = situation.config
    seen = collect_preflight_facts(dataset, world.bundle, config.dataset, "tiny")
    assert isinstance(seen, PreflightFacts)
    planned = plan_training(config, seen.clips.to_dataset_facts("any"), seen.bundle)
    run = dataset / "runs" / "first"
    run.mkdir(parents=True)
    write_config(run / CONFIG_FILE, config)
    outcome = finetune(run, RunPaths(bundle=world.bundle, dataset=dataset), ProgressReporter())
    assert outcome.state == "done", outcome
    told = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert told[-1]["kind"] == "end" and told[-1]["step"] == planned.steps
    assert [one["step"] for one in told if one["kind"] == "checkpoint"] == list(planned.checkpoints)
    begun = next(one for one in told if one["kind"] == "begin")
    assert begun["steps"] == planned.steps and begun["clips"] == len(seen.clips.train)
    taken = [one for one in (run / "checkpoints").rglob("*") if one.suffix == ".safetensors"]
    assert taken and all(one.stat().st_size <= planned.checkpoint_bytes for one in taken)
    size = sum(one.stat().st_size for one in run.rglob("*") if one.is_file())
    assert size <= planned.disk_bytes
