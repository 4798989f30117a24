"""Configurations from the studio's side, and `testudo configure`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.report import Event, Reporter
from studio import configuring
from studio.configuring_machine import ask_machine, is_known, machine_facts, remember_devices
from studio.configuring_pace import FILE, Trial, known_pace, remember_trial, work_of
from studio.configuring_try import TryBatch
from studio.errors import StudioError
from studio.layout import Layout
from studio.studio import Studio
from studio.system import FoundDevice, Torch
from studio.tasks import try_batch
from studio.work import TASKS
from tiny_bundle import make_tiny_bundle
from tiny_dataset import make_tiny_dataset
from training.config import DiffusionChoice, FinetuneConfig, read_config, write_config
from training.config_fields import with_changes
from training.finetune_step import Tried
from training.suggest_facts import MachineFacts

Testudo = Callable[..., tuple[int, str, str]]
CPU = FoundDevice(name="cpu", label="processor")
GPUS = (
    FoundDevice(name="cuda:0", label="Large", memory=24 * 10**9),
    FoundDevice(name="cuda:1", label="Small", memory=8 * 10**9),
    CPU,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a dataset that fits it, to be copied."""
    place = tmp_path_factory.mktemp("made")
    make_tiny_bundle(place / "tiny")
    make_tiny_dataset(place, "hum")
    return place


@pytest.fixture
def hum(layout: Layout, made: Path) -> Path:
    """A dataset, a model that fits it, and a machine that was asked before."""
    remember_devices(layout, (CPU,))
    shutil.copytree(made / "tiny", layout.models / "tiny")
    return Path(shutil.copytree(made / "hum", layout.training / "hum"))


@pytest.fixture
def config(layout: Layout, hum: Path) -> FinetuneConfig:
    return configuring.propose(layout, "hum", "tiny").config


def test_a_proposal_can_be_run_as_it_is(layout: Layout, config: FinetuneConfig) -> None:
    seen = configuring.examine(layout, config)
    assert not seen.stops and seen.plan is not None and seen.facts is not None
    assert (seen.facts.clips, seen.facts.validation_clips) == (10, 2)
    assert seen.plan.steps == config.total_steps and seen.plan.seconds is None
    configuring.refuse_doomed(layout, config)


def test_a_form_holds_a_configuration_and_gives_it_back(config: FinetuneConfig) -> None:
    values = configuring.values_of(config)
    assert {field.key for part in configuring.config_sections() for field in part.fields} == set(
        values
    )
    assert configuring.config_from(json.loads(json.dumps(values))) == config
    with pytest.raises(StudioError, match=r"optimizer\.rate is 7"):
        configuring.config_from(values | {"optimizer.rate": 7})
    with pytest.raises(StudioError, match=r"Did you mean 'optimizer\.batch'"):
        configuring.config_from(values | {"optimizer.batches": 7})
    with pytest.raises(StudioError, match="There is no 'rate'"):
        configuring.config_from(values | {"rate": 7})


def test_saving_keeps_the_configuration_before(layout: Layout, config: FinetuneConfig) -> None:
    path = configuring.save(layout, config)
    later = configuring.changed(config, {"optimizer.seed": 9})
    assert configuring.save(layout, later) == path == layout.dataset("hum") / "train.yaml"
    assert configuring.read(layout, "hum") == later
    assert read_config(path.with_name(configuring.BEFORE)) == config
    configuring.save(layout, later)
    assert read_config(path.with_name(configuring.BEFORE)) == config, "nothing new, nothing lost"
    assert configuring.told(later) == path.read_text()


def test_saved_configurations_are_listed_with_what_is_wrong(
    layout: Layout, config: FinetuneConfig
) -> None:
    configuring.save(layout, config)
    other = layout.dataset("other")
    other.mkdir()
    (other / "train.yaml").write_bytes(b"\xff\xfe junk")
    listed = {saved.dataset: saved for saved in configuring.list_configs(layout)}
    assert listed["hum"].problem == "" and "not text in UTF-8" in listed["other"].problem
    with pytest.raises(StudioError, match="not text in UTF-8"):
        configuring.read(layout, "other")


@pytest.mark.parametrize("name", ["../alice", "/etc", "a/b", "", " ", ".."])
def test_names_from_a_browser_lead_nowhere(layout: Layout, name: str) -> None:
    for ask in (configuring.propose, configuring.read):
        with pytest.raises(StudioError):
            ask(layout, name)
    with pytest.raises(StudioError, match="cannot name"):
        configuring.propose(layout, "hum", "../../models/starter")


def test_what_is_not_there_is_told(layout: Layout, hum: Path) -> None:
    with pytest.raises(StudioError, match="'gone' cannot be used"):
        configuring.propose(layout, "gone", "tiny")
    with pytest.raises(StudioError, match="The model 'lost' cannot be used"):
        configuring.propose(layout, "hum", "lost")
    with pytest.raises(StudioError, match="There is no dataset 'gone'"):
        configuring.read(layout, "gone")
    with pytest.raises(StudioError, match="has no configuration yet"):
        configuring.read(layout, "hum")


def test_a_doomed_run_is_refused_with_all_that_is_wrong(
    layout: Layout, config: FinetuneConfig
) -> None:
    doomed = configuring.changed(
        config, {"diffusion.batch": 99, "diffusion.window": 900, "optimizer.precision": "fp16"}
    )
    with pytest.raises(StudioError, match=r"(?s)diffusion\.batch is 99.*window.*fp16"):
        configuring.refuse_doomed(layout, doomed)


def test_a_change_of_the_dataset_is_seen(layout: Layout, hum: Path, config: FinetuneConfig) -> None:
    assert not configuring.examine(layout, config).stops
    (hum / "train.txt").write_text("")
    assert [item.kind for item in configuring.examine(layout, config).stops] == ["no_dataset"]


def test_published_weights_are_begun_from_where_they_are(layout: Layout) -> None:
    assert configuring.default_bundle(layout) == "starter"
    (layout.models / "tortoise").mkdir()
    assert configuring.default_bundle(layout) == "tortoise"


def test_what_torch_said_of_the_machine_is_remembered(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_known(layout) and machine_facts(layout).device == "cpu"
    monkeypatch.setattr("studio.configuring_machine.ask_torch", lambda: Torch(devices=GPUS))
    assert ask_machine(layout).device == "cuda:0" and is_known(layout)
    assert machine_facts(layout).memory == 24 * 10**9 and machine_facts(layout).gpus == 2
    assert machine_facts(layout, "CUDA").device == "cuda:0"
    assert machine_facts(layout, "cuda:1").memory == 8 * 10**9
    assert machine_facts(layout, "cpu").gpus == 0
    (layout.state / "machine.json").write_text("[{}]")
    assert not is_known(layout)
    monkeypatch.setattr("studio.configuring_machine.ask_torch", Torch)
    assert ask_machine(layout).device == "cpu", "a broken torch leaves the processor"


def test_a_trial_tells_the_time_of_like_work_only(hum: Path, config: FinetuneConfig) -> None:
    machine = MachineFacts()
    assert known_pace(hum, config, machine) is None
    remember_trial(hum, Trial(work=work_of(config, machine), clip_s=0.5, stretch_s=0.25))
    pace = known_pace(hum, config, machine)
    assert pace is not None and pace.diffusion_s == 0.25 * config.diffusion.batch
    assert known_pace(hum, config, MachineFacts(device="cuda:0")) is None
    assert known_pace(hum, with_changes(config, {"weights.method": "lora"}), machine) is None
    (hum / ".cache" / FILE).write_text("{")
    assert known_pace(hum, config, machine) is None


def test_an_earlier_run_tells_the_time_with_its_checkpoints(
    hum: Path, config: FinetuneConfig
) -> None:
    config = with_changes(config, {"schedule.steps": 4, "diffusion.steps": 0, "optimizer.batch": 2})
    run = hum / "runs" / "001"
    run.mkdir(parents=True)
    write_config(run / "train.yaml", config)
    told: list[dict[str, Any]] = [{"kind": "begin", "time": 100.0, "step": 0, "steps": 4,
             "gpt_steps": 4, "clips": 10}]  # fmt: skip
    told += [{"kind": "step", "time": 100.0 + step, "step": step, "stage": "gpt", "seconds": 3.0}
             for step in range(1, 5)]  # fmt: skip
    told += [{"kind": "checkpoint", "time": 132.0, "step": 4, "path": "x", "bytes": 1}]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    pace = known_pace(hum, config, MachineFacts())
    assert pace is not None and (pace.gpt_s, pace.checkpoint_s) == (3.0, 20.0)
    larger = known_pace(hum, with_changes(config, {"optimizer.batch": 4}), MachineFacts())
    assert larger is not None and larger.gpt_s == 6.0
    assert known_pace(hum, with_changes(config, {"diffusion.steps": 3}), MachineFacts()) is None


def test_a_dry_step_takes_real_steps_and_then_the_time_is_known(
    layout: Layout, config: FinetuneConfig
) -> None:
    config = configuring.changed(config, {"schedule.steps": 3, "optimizer.batch": 2})
    wish = TryBatch(values=configuring.values_of(config))
    found = try_batch.tried(layout, wish, "cpu", Reporter())
    assert (found.batch, found.diffusion_batch, found.device) == (2, 8, "cpu")
    assert found.gpt_s > 0 and found.diffusion_s > 0 and found.seconds
    assert found.chance == pytest.approx(2.996, abs=1e-3)  # ln 20 codes
    assert found.changes == {"schedule.steps": 0} and "blind guessing" in found.advice
    plan = configuring.examine(layout, configuring.changed(config, found.changes)).plan
    assert plan is not None and plan.seconds == pytest.approx(found.seconds)


def test_a_full_memory_halves_the_batch_and_says_so_once(
    layout: Layout, config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def hold_three(
        config: object, dataset: Path, bundle: Path, batch: int, stage: str, report: Reporter
    ) -> Tried:
        asked.append((stage, batch))
        if batch > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return Tried(seconds=1.0, memory=5, loss=1.0, chance=3.0 if stage == "gpt" else None)

    monkeypatch.setattr(try_batch, "try_steps", hold_three)
    config = configuring.changed(config, {"schedule.steps": 3, "optimizer.batch": 10})
    events: list[Event] = []
    wish = TryBatch(values=configuring.values_of(config))
    found = try_batch.tried(layout, wish, "cpu", Reporter(events.append))
    assert asked == [("gpt", 10), ("gpt", 5), ("gpt", 2), *(("diffusion", n) for n in (8, 4, 2))]
    assert len([one for one in events if one.kind == "warning"]) == 2, "once for each stage"
    assert found.changes == {
        "optimizer.batch": 2,
        "optimizer.accumulate": 5,
        "diffusion.batch": 2,
    }
    assert configuring.changed(config, found.changes).optimizer.clips_per_step == 10

    def hold_none(*asked: object) -> Tried:
        raise MemoryError

    monkeypatch.setattr(try_batch, "try_steps", hold_none)
    with pytest.raises(StudioError, match="not hold a single clip"):
        try_batch.tried(layout, wish, "cpu", Reporter())


def test_a_trial_of_what_cannot_run_is_refused(layout: Layout, config: FinetuneConfig) -> None:
    doomed = configuring.changed(config, {"diffusion.batch": 99})
    wish = TryBatch(values=configuring.values_of(doomed))
    with pytest.raises(StudioError, match=r"diffusion\.batch is 99"):
        try_batch.tried(layout, wish, "cpu", Reporter())


def test_a_trial_is_a_job_of_the_worker(layout: Layout, config: FinetuneConfig) -> None:
    config = configuring.changed(config, {"diffusion.batch": 2})
    studio = Studio.open(layout.root, inline=True)
    try:
        job = studio.submit(TryBatch(values=configuring.values_of(config)))
        done = studio.wait(job.id, 60)
    finally:
        studio.close()
    assert done.state == "done" and done.result is not None, done.error
    assert done.result["diffusion_batch"] == 2 and done.result["batch"] == 0
    assert "try_batch" in TASKS


def test_the_command_saves_a_plan_that_it_prints(testudo: Testudo, hum: Path) -> None:
    code, out, err = testudo("configure", "hum", "--bundle", "tiny", "--set", "diffusion.window=8")
    assert code == 0 and not err
    config = read_config(hum / "train.yaml")
    assert config.diffusion.window == 8
    assert f"steps        {config.total_steps:,} (0 GPT" in out and "--try measures it" in out
    assert "diffusion.window " not in out, "what was asked for needs no reason"
    code, out, _ = testudo("configure", "hum", "--keep", "--set", "optimizer.seed=5", "--json")
    told = json.loads(out)
    assert told["config"]["diffusion"]["window"] == 8 and told["config"]["optimizer"]["seed"] == 5
    assert told["plan"]["steps"] == config.total_steps and told["path"].endswith("train.yaml")


def test_the_command_stops_at_what_would_end_badly_and_mends_it(
    testudo: Testudo, hum: Path
) -> None:
    wrong = ("configure", "hum", "--bundle", "tiny", "--steps", "5", "--batch", "64")
    code, out, _ = testudo(*wrong)
    assert code == 2 and "STOP  optimizer.batch is 64" in out and "Nothing was saved." in out
    assert not (hum / "train.yaml").exists()
    code, out, _ = testudo(*wrong, "--fix")
    assert code == 0 and read_config(hum / "train.yaml").optimizer.batch == 10


def test_the_command_shows_the_file_without_saving(testudo: Testudo, hum: Path) -> None:
    code, out, _ = testudo("configure", "hum", "--bundle", "tiny", "--show")
    assert code == 0 and "# Learning rate at its highest" in out
    assert not (hum / "train.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hum", "--set", "optimizer.lr=1"), "Did you mean 'optimizer.rate'"),
        (("hum", "--set", "optimizer.rate"), "write it as optimizer.rate=1e-4"),
        (("hum", "--rate", "fast"), "optimizer.rate must be a number, not 'fast'"),
        (("hum", "--steps", "-1"), "schedule.steps is -1"),
        (("gone",), "'gone' cannot be used"),
        (("../hum",), "cannot name a dataset"),
    ],
)
def test_the_command_refuses_in_a_sentence(
    testudo: Testudo, hum: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, _, err = testudo("configure", *arguments, "--bundle", "tiny")
    assert code == 2 and told in err


def test_the_command_tries_what_it_plans(testudo: Testudo, hum: Path) -> None:
    code, out, _ = testudo(
        *("configure", "hum", "--bundle", "tiny", "--set", "diffusion.batch=2", "--try")
    )
    assert code == 0 and "tried        2 stretches at once" in out
    assert "time         about" in out and "blind guessing: 3.00" in out


def test_a_window_is_never_longer_than_the_clips(layout: Layout, config: FinetuneConfig) -> None:
    assert config.diffusion.window < DiffusionChoice().window
