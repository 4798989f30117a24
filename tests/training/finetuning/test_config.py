"""train.yaml: read strictly, written with its help, refused with the nearest right field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.serialization import to_dict
from core.yaml_io import parse_yaml
from training.finetuning.config.fields import apply_overrides, list_config_sections, parse_overrides
from training.finetuning.config.schema import (
    ConfigError,
    DatasetConfig,
    FinetuneConfig,
    MachineConfig,
    OptimizerConfig,
    SampleConfig,
    ScheduleConfig,
    WeightsConfig,
    parse_config,
    read_config,
    write_config,
)

CONFIG = FinetuneConfig(
    dataset=DatasetConfig(name="alice"), weights=WeightsConfig(bundle="starter")
)
HEAD = "dataset: {name: alice}\nweights: {bundle: starter}\n"
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "train.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(
    name=WORDS.filter(lambda name: bool(name.strip())),
    sentence=WORDS,
    rate=st.floats(1e-8, 1e-1),
    marks=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True).map(sorted),
    frozen=st.lists(st.sampled_from(["text", "codes", "layers 1", "layers 0-3"]), unique=True),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    sentence: str,
    rate: float,
    marks: list[float],
    frozen: list[str],
) -> None:
    config = FinetuneConfig(
        dataset=DatasetConfig(name=name),
        weights=WeightsConfig(bundle="finetunes/old", method="lora", frozen=tuple(frozen)),
        optimizer=OptimizerConfig(rate=rate, seed=2**32 - 1),
        schedule=ScheduleConfig(steps=10_000_000, milestones=tuple(marks)),
        samples=SampleConfig(text=sentence),
    )
    path = tmp_path_factory.mktemp("config") / "train.yaml"
    write_config(path, config)
    assert read_config(path) == config
    assert [file.name for file in path.parent.iterdir()] == ["train.yaml"]


def test_every_field_has_its_help_above_it(tmp_path: Path) -> None:
    write_config(tmp_path / "train.yaml", CONFIG)
    lines = (tmp_path / "train.yaml").read_text().splitlines()
    for section in list_config_sections():
        assert f"{section.name}:" in lines
        for field in section.fields:
            assert field.help, f"{field.key} has no help"
            place = next(i for i, line in enumerate(lines) if line.startswith(f"  {field.name}:"))
            assert lines[place - 1].startswith("  # ")
            first_words = " ".join(field.help.split()[:3])
            assert any(first_words in line for line in lines), field.key
    assert max(map(len, lines)) <= 100


def test_a_file_says_only_what_differs_and_may_write_numbers_as_people_do(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, HEAD + "optimizer: {rate: 1e-4, clip: 1}\n"))
    assert config == replace(CONFIG, optimizer=OptimizerConfig(rate=1e-4, clip=1.0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"\x00\xff\xfe\x01 junk", "not text in UTF-8"),
        (b"\x89PNG\r\n", "not text in UTF-8"),
        ("dataset: \x07", "not YAML"),
        ("stra\xdfe: 1".encode("latin-1"), "not text in UTF-8"),
        ("dataset: [1", "line 1"),
        ("- 1\n- 2", "must hold sections"),
        ("just words", "must hold sections"),
        ("", "lacks dataset, weights"),
        (HEAD + "dataset: {name: bob}", "line 3: has 'dataset' twice"),
        ("dataset: {name: a, name: b}", "line 1: has 'name' twice"),
        ("dataset: &here {name: a}\nweights: *here", "write the value out"),
        ("dataset: !!python/object:os.system {}", "line 1"),
        ("[" * 5000, "nested too deeply|line 1"),
        (HEAD + "optimizer: {lr: 1}", "Did you mean 'optimizer.rate'"),
        (HEAD + "optimizer: {batchs: 1}", "Did you mean 'optimizer.batch'"),
        (HEAD + "optimiser: {rate: 1}", "Did you mean 'optimizer'"),
        (HEAD + "epochs: 500", "Did you mean 'schedule.steps'"),
        (HEAD + "schedule: {weight_decay: 0.1}", "Did you mean 'optimizer.weight_decay'"),
        (HEAD + "zebra: 1", "There are: dataset, weights"),
        (HEAD + "optimizer: [1]", "optimizer must be a table"),
        (HEAD + "optimizer: {batch: 1.5}", "optimizer.batch must be a whole number, not 1.5"),
        (HEAD + "optimizer: {batch: 0}", "optimizer.batch is 0; it must be from 1"),
        (HEAD + "optimizer: {rate: .nan}", "optimizer.rate is nan; it must be a number"),
        (HEAD + "optimizer: {rate: 3}", "optimizer.rate is 3"),
        (HEAD + "optimizer: {eight_bit: yes please}", "must be true or false"),
        (HEAD + "optimizer: {text_weight: 0, mel_weight: 0}", "nothing to train"),
        (HEAD + "schedule: {shape: multistep, milestones: [0.5, 0.2]}", r"Write \[0.2, 0.5\]"),
        (HEAD + "schedule: {shape: multistep, milestones: [0.5, 0.5]}", "larger than the one"),
        (HEAD + "schedule: {milestones: [0.5, 1]}", "above 0 and below 1"),
        (HEAD + "schedule: {shape: multistep, milestones: []}", "milestones is empty"),
        (HEAD + "schedule: {shape: multistep, warm_up: 0.6}", "Warm up for less"),
        (HEAD + "schedule: {shape: cosin}", "Did you mean 'cosine'"),
        (HEAD + "schedule: {steps: 0}", "schedule.steps and diffusion.steps are both 0"),
        (HEAD + "machine: {processes: 3}", "Use a batch of 9"),
        (HEAD + "machine: {device: cpu}\noptimizer: {precision: fp16}", "Use bf16 or fp32"),
        (HEAD + "machine: {device: cpu}\noptimizer: {eight_bit: true}", "NVIDIA"),
        ("dataset: {name: a}\nweights: {bundle: b, frozen: [ears]}", "may name text"),
        ("dataset: {name: a}\nweights: {bundle: b, frozen: [layers 3-1]}", "layers 0-2"),
        ("dataset: {name: a}\nweights: {bundle: b, method: lore}", "Did you mean 'lora'"),
        ("dataset: {name: ' '}\nweights: {bundle: b}", "dataset.name is empty"),
        ("dataset: {name: a}\nweights: {bundle: ''}", "weights.bundle is empty"),
        ("dataset: {name: a, train: ../x}\nweights: {bundle: b}", "name of a file"),
        ("dataset: {name: a, validation: train.txt}\nweights: {bundle: b}", "Name two files"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=told) as refusal:
        read_config(path)
    assert str(path) in str(refusal.value)


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="larger than"):
        read_config(written(tmp_path, b"#" * 1_000_001))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_config(parse_yaml(text))
    except ValueError:
        return
    raise AssertionError("a configuration needs a dataset and a model")


def test_every_field_can_be_set_to_its_own_default() -> None:
    plain = to_dict(CONFIG)
    for section in list_config_sections():
        for field in section.fields:
            value = plain[section.name][field.name]
            assert apply_overrides(CONFIG, {field.key: value}) == CONFIG
            assert field.default in (None, value)


def test_the_description_of_a_field_is_what_is_enforced() -> None:
    for section in list_config_sections():
        for field in section.fields:
            for wrong in wrong_values(field):
                with pytest.raises(ConfigError, match=field.name):
                    apply_overrides(CONFIG, {field.key: wrong})


def wrong_values(field: Any) -> list[Any]:
    wrong: list[Any] = [{"a": 1}]
    wrong += [field.low - 1] if field.low is not None else []
    wrong += [field.high + 1] if field.high is not None else []
    wrong += ["none of these"] if field.choices else []
    return wrong


def test_changes_are_read_as_they_are_typed() -> None:
    typed = ["optimizer.rate=1e-4", "weights.frozen=[text, layers 0-1]", "samples.text=", "a.b==x"]
    assert parse_overrides(typed) == {
        "optimizer.rate": 1e-4,
        "weights.frozen": ["text", "layers 0-1"],
        "samples.text": "",
        "a.b": "=x",
    }
    with pytest.raises(ConfigError, match="sets nothing; write it as"):
        parse_overrides(["optimizer.rate"])
    with pytest.raises(ConfigError, match=r"optimizer\.rate: '\[1' cannot be read"):
        parse_overrides(["optimizer.rate=[1"])


def test_an_unknown_change_names_the_nearest_field() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'optimizer\.rate' or 'diffusion\.rate'"):
        apply_overrides(CONFIG, {"rate": 1})
    with pytest.raises(ConfigError, match=r"Did you mean 'checkpoints\.every'"):
        apply_overrides(CONFIG, {"checkpoint.every": 1})


def test_frozen_layers_are_counted_out() -> None:
    weights = WeightsConfig(bundle="b", frozen=("text", "layers 0-2", "layers 5"))
    assert weights.frozen_layers == {0, 1, 2, 5}


def test_a_batch_is_shared_evenly() -> None:
    config = replace(CONFIG, machine=MachineConfig(processes=4))
    assert config.optimizer.clips_per_step == 8
