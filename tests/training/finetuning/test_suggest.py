"""What is proposed can be run, and what the plan says is exact."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.model_files import ModelFileError
from training.finetuning.config.facts import (
    DatasetFacts,
    MachineFacts,
    ModelFacts,
    NetworkFacts,
    count_parameters,
    read_model_facts,
)
from training.finetuning.config.lr_schedule import compute_lr
from training.finetuning.config.memory_estimate import (
    estimate_max_batch_size,
    estimate_memory_bytes,
)
from training.finetuning.config.schema import (
    CheckpointConfig,
    DatasetConfig,
    DiffusionTrainingConfig,
    FinetuneConfig,
    OptimizerConfig,
    ScheduleConfig,
    WeightsConfig,
    read_config,
    write_config,
)
from training.finetuning.config.suggest import (
    StepTimes,
    list_checkpoint_steps,
    plan_training,
    round_down,
    suggest_config,
)

SMALL = ModelFacts(
    name="starter",
    gpt=NetworkFacts(parameters=6_283_138, size=12_575_892, layers=6, width=256, heads=4),
    diffusion=NetworkFacts(parameters=4_286_764, size=8_597_040, layers=5, width=160, heads=4),
    dvae=NetworkFacts(parameters=1_443_984, size=3_155_760),
    max_text_tokens=236,
    max_clip_codes=290,
)
PUBLISHED = ModelFacts(
    name="tortoise",
    gpt=NetworkFacts(parameters=423_000_000, size=1_690_000_000, layers=30, width=1024, heads=16),
    diffusion=NetworkFacts(
        parameters=288_000_000, size=1_160_000_000, layers=10, width=1024, heads=16
    ),
    dvae=NetworkFacts(parameters=58_000_000, size=240_000_000),
)
LJ = DatasetFacts(
    name="lj", clips=20, validation_clips=4, seconds=146.0, longest_s=9.9, codes=215, tokens=142
)
DATASETS = st.builds(
    lambda clips, longest: DatasetFacts(
        name="any",
        clips=clips,
        seconds=clips * longest * 0.7,
        longest_s=longest,
        codes=int(longest * 21.5) + 1,
        tokens=int(longest * 15) + 1,
    ),
    st.integers(1, 20_000),
    st.floats(0.6, 11.6),
)
MACHINES = st.one_of(
    st.builds(MachineFacts, memory=st.sampled_from([None, 2 * 10**9, 64 * 10**9])),
    st.builds(
        MachineFacts,
        device=st.just("cuda:0"),
        gpus=st.just(1),
        memory=st.sampled_from([None, 4 * 10**9, 8 * 10**9, 24 * 10**9, 141 * 10**9]),
    ),
)
CONFIGS = st.builds(
    lambda gpt, diffusion, batch, every: FinetuneConfig(
        dataset=DatasetConfig(name="any"),
        weights=WeightsConfig(bundle="any"),
        optimizer=OptimizerConfig(batch=batch),
        schedule=ScheduleConfig(steps=gpt),
        diffusion=DiffusionTrainingConfig(steps=diffusion),
        checkpoints=CheckpointConfig(every=every),
    ),
    st.integers(1, 3_000),
    st.integers(0, 3_000),
    st.integers(1, 64),
    st.integers(1, 4_000),
)


@given(DATASETS, MACHINES, st.sampled_from([SMALL, PUBLISHED]))
def test_a_proposal_fits_the_dataset_and_says_why(
    facts: DatasetFacts, machine: MachineFacts, bundle: ModelFacts
) -> None:
    proposal = suggest_config(facts, machine, bundle)
    config = proposal.config
    assert config.optimizer.batch <= facts.clips and config.diffusion.batch <= max(8, facts.clips)
    assert config.diffusion.window <= max(4, facts.codes)
    assert config.optimizer.clips_per_step <= max(facts.clips * 1.5, 1)
    assert 5 <= len(list_checkpoint_steps(config)) <= 12
    names = {f"{section}.{name}" for section in ("weights", "optimizer", "schedule", "diffusion",
             "checkpoints") for name in getattr(config, section).__slots__}  # fmt: skip
    assert proposal.reasons and set(proposal.reasons) <= names
    assert not machine.is_cpu or config.optimizer.precision == "fp32"


def test_the_starter_lets_only_what_shapes_its_sound_learn() -> None:
    config = suggest_config(LJ, MachineFacts(cores=2), SMALL).config
    assert (config.schedule.steps, config.diffusion.steps) == (0, 450)
    assert config.checkpoints.every == 75
    assert (config.diffusion.rate, config.diffusion.batch, config.diffusion.window) == (5e-4, 8, 64)


def test_a_speaker_codec_learns_the_voice_alone() -> None:
    proposal = suggest_config(LJ, MachineFacts(cores=2), replace(SMALL, has_speaker_codec=True))
    config = proposal.config
    assert config.schedule.steps == 0 and config.diffusion.steps > 0
    assert "speaker codec" in proposal.reasons["schedule.steps"]


def test_published_weights_let_the_gpt_learn_gently() -> None:
    gpu = MachineFacts(device="cuda:0", gpus=1, memory=24 * 10**9)
    config = suggest_config(LJ, gpu, PUBLISHED).config
    assert config.optimizer.rate == 1e-5 and config.weights.method == "full"
    assert config.diffusion.steps == 0 and config.optimizer.precision == "bf16"
    small = suggest_config(LJ, replace(gpu, memory=6 * 10**9), PUBLISHED).config
    assert small.weights.method == "lora" and small.optimizer.rate == 1e-4


@given(DATASETS, st.integers(3, 120))
def test_the_batch_that_should_fit_is_estimated_to_fit(facts: DatasetFacts, gb: int) -> None:
    machine = MachineFacts(device="cuda:0", memory=gb * 10**9)
    config = FinetuneConfig(
        dataset=DatasetConfig(name="any"), weights=WeightsConfig(bundle="any", method="lora")
    )
    batch = estimate_max_batch_size(config, PUBLISHED, facts, machine)
    held = replace(config, optimizer=replace(config.optimizer, batch=batch))
    assert batch == 1 or estimate_memory_bytes(held, PUBLISHED, facts) <= gb * 10**9


@given(CONFIGS)
def test_checkpoints_come_at_every_multiple_and_at_the_end_of_each_stage(
    config: FinetuneConfig,
) -> None:
    steps = list_checkpoint_steps(config)
    every, ends = config.checkpoints.every, {config.schedule.steps, config.total_steps}
    expected = [
        step for step in range(1, config.total_steps + 1) if step % every == 0 or step in ends
    ]
    assert list(steps) == expected and steps[-1] == config.total_steps


def test_a_stage_that_is_left_out_has_no_checkpoint() -> None:
    config = FinetuneConfig(
        dataset=DatasetConfig(name="any"),
        weights=WeightsConfig(bundle="any"),
        schedule=ScheduleConfig(steps=0),
        diffusion=DiffusionTrainingConfig(steps=25),
        checkpoints=CheckpointConfig(every=10),
    )
    assert list_checkpoint_steps(config) == (10, 20, 25)


@given(CONFIGS, DATASETS)
def test_a_plan_counts_what_will_happen(config: FinetuneConfig, facts: DatasetFacts) -> None:
    found = plan_training(
        config, facts, SMALL, StepTimes(gpt_s=2.0, diffusion_s=3.0, checkpoint_s=10.0)
    )
    gpt, diffusion = config.schedule.steps, config.diffusion.steps
    assert found.steps == found.gpt_steps + found.diffusion_steps == gpt + diffusion
    assert found.checkpoints == list_checkpoint_steps(config)
    assert found.seconds == 2 * gpt + 3 * diffusion + 10 * len(found.checkpoints)
    assert found.epochs == gpt * config.optimizer.batch / facts.clips
    assert (found.steps_per_epoch - 1) * found.clips_per_step < facts.clips
    assert found.disk_bytes > found.checkpoint_bytes > 0
    for step, rate in found.curve:
        assert rate == compute_lr(config.schedule, config.optimizer.rate, step, gpt)
    for step, rate in found.diffusion_curve:
        assert rate == compute_lr(config.schedule, config.diffusion.rate, step - gpt, diffusion)
    assert plan_training(config, facts, SMALL).seconds is None


def test_keeping_more_checkpoints_takes_more_disk() -> None:
    config = suggest_config(LJ, MachineFacts(), SMALL).config
    more = replace(config, checkpoints=replace(config.checkpoints, keep_last=6))
    assert plan_training(more, LJ, SMALL).disk_bytes > plan_training(config, LJ, SMALL).disk_bytes


@given(st.floats(0.0, 1e6))
def test_nice_numbers_are_below_and_near(number: float) -> None:
    assert round_down(number) <= max(1.0, number) < 1.5 * round_down(number) + 1


def test_the_facts_of_the_starter_are_read_from_its_headers() -> None:
    folder = Path(__file__).resolve().parents[3] / "models" / "starter"
    facts = read_model_facts(folder, "starter")
    assert (
        facts.is_small
        and facts.gpt.layers == 5
        and facts.has_speaker_codec
        and facts.diffusion.exists
    )
    assert facts.gpt.parameters == 6_224_811
    assert (facts.max_text_tokens, facts.max_clip_codes) == (236, 290)


@pytest.mark.parametrize("cut", [0, 4, 20, -1])
def test_a_damaged_file_of_weights_is_refused(tmp_path: Path, cut: int) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    whole = struct.pack("<Q", len(header)) + header + b"\0" * 24
    path = tmp_path / "gpt.safetensors"
    path.write_bytes(whole)
    assert count_parameters(path) == 6
    path.write_bytes(whole[:cut])
    with pytest.raises(ModelFileError, match="damaged or truncated"):
        count_parameters(path)


def test_a_proposal_survives_its_file(tmp_path: Path) -> None:
    config = suggest_config(LJ, MachineFacts(), SMALL).config
    write_config(tmp_path / "train.yaml", config)
    assert read_config(tmp_path / "train.yaml") == config
