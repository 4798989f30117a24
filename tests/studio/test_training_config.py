"""Configurations from the studio's side, and `testudo configure`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from studio.app.studio import Studio
from studio.app.task_registry import TASKS
from studio.diagnostics.system_info import DeviceInfo, TorchInfo
from studio.schemas.batch_probe import BatchProbeRequest
from studio.schemas.settings import Settings
from studio.training_runs import config_service as configuring
from studio.training_runs.machine_facts import (
    detect_machine,
    get_machine_facts,
    is_machine_known,
    save_devices,
)
from studio.training_runs.throughput import (
    THROUGHPUT_FILE,
    ThroughputSample,
    build_workload_key,
    estimate_step_times,
    save_throughput_sample,
)
from studio.workers import probe_batch as try_batch
from support.inline_worker import InlineStudio
from support.tiny_bundle import make_tiny_bundle
from support.tiny_dataset import make_tiny_dataset
from training.finetuning.batch_probe import StepProbeResult
from training.finetuning.config.facts import MachineFacts
from training.finetuning.config.fields import apply_overrides
from training.finetuning.config.schema import (
    DiffusionTrainingConfig,
    FinetuneConfig,
    read_config,
    write_config,
)

Testudo = Callable[..., tuple[int, str, str]]
CPU = DeviceInfo(name="cpu", label="processor")
GPUS = (
    DeviceInfo(name="cuda:0", label="Large", memory=24 * 10**9),
    DeviceInfo(name="cuda:1", label="Small", memory=8 * 10**9),
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
def hum(layout: ProjectPaths, made: Path) -> Path:
    """A dataset, a model that fits it, and a machine that was asked before."""
    save_devices(layout, (CPU,))
    shutil.copytree(made / "tiny", layout.models / "tiny")
    return Path(shutil.copytree(made / "hum", layout.training / "hum"))


@pytest.fixture
def config(layout: ProjectPaths, hum: Path) -> FinetuneConfig:
    return configuring.propose_config(layout, "hum", "tiny").config


def test_a_proposal_can_be_run_as_it_is(layout: ProjectPaths, config: FinetuneConfig) -> None:
    seen = configuring.check_config(layout, config)
    assert not seen.blocking_findings and seen.plan is not None and seen.facts is not None
    assert (seen.facts.clips, seen.facts.validation_clips) == (10, 2)
    assert seen.plan.steps == config.total_steps and seen.plan.seconds is None
    configuring.raise_on_blocking_findings(layout, config)


def test_a_form_holds_a_configuration_and_gives_it_back(config: FinetuneConfig) -> None:
    values = configuring.config_to_values(config)
    assert {
        field.key for part in configuring.list_config_sections() for field in part.fields
    } == set(values)
    assert configuring.config_from_values(json.loads(json.dumps(values))) == config
    with pytest.raises(AppError, match=r"optimizer\.rate is 7"):
        configuring.config_from_values(values | {"optimizer.rate": 7})
    with pytest.raises(AppError, match=r"Did you mean 'optimizer\.batch'"):
        configuring.config_from_values(values | {"optimizer.batches": 7})
    with pytest.raises(AppError, match="There is no 'rate'"):
        configuring.config_from_values(values | {"rate": 7})


def test_saving_keeps_the_configuration_before(
    layout: ProjectPaths, config: FinetuneConfig
) -> None:
    path = configuring.save_config(layout, config)
    later = configuring.apply_changes(config, {"optimizer.seed": 9})
    assert configuring.save_config(layout, later) == path == layout.dataset("hum") / "train.yaml"
    assert configuring.load_config(layout, "hum") == later
    assert read_config(path.with_name(configuring.PREVIOUS_CONFIG_FILE)) == config
    configuring.save_config(layout, later)
    assert read_config(path.with_name(configuring.PREVIOUS_CONFIG_FILE)) == config, (
        "nothing new, nothing lost"
    )
    assert configuring.format_config_yaml(later) == path.read_text()


def test_a_configuration_that_is_no_text_is_refused(layout: ProjectPaths, hum: Path) -> None:
    (hum / "train.yaml").write_bytes(b"\xff\xfe junk")
    with pytest.raises(AppError, match="not text in UTF-8"):
        configuring.load_config(layout, "hum")


@pytest.mark.parametrize("name", ["../alice", "/etc", "a/b", "", " ", ".."])
def test_names_from_a_browser_lead_nowhere(layout: ProjectPaths, name: str) -> None:
    for ask in (configuring.propose_config, configuring.load_config):
        with pytest.raises(AppError):
            ask(layout, name)
    with pytest.raises(AppError, match="is not a valid"):
        configuring.propose_config(layout, "hum", "../../models/starter")


def test_what_is_not_there_is_reported(layout: ProjectPaths, hum: Path) -> None:
    with pytest.raises(AppError, match="'gone' cannot be used"):
        configuring.propose_config(layout, "gone", "tiny")
    with pytest.raises(AppError, match="The model 'lost' cannot be used"):
        configuring.propose_config(layout, "hum", "lost")
    with pytest.raises(AppError, match="There is no dataset 'gone'"):
        configuring.load_config(layout, "gone")
    with pytest.raises(AppError, match="has no configuration yet"):
        configuring.load_config(layout, "hum")


def test_a_doomed_run_is_refused_with_all_that_is_wrong(
    layout: ProjectPaths, config: FinetuneConfig
) -> None:
    doomed = configuring.apply_changes(
        config, {"diffusion.batch": 99, "diffusion.window": 900, "optimizer.precision": "fp16"}
    )
    with pytest.raises(AppError, match=r"(?s)diffusion\.batch is 99.*window.*fp16"):
        configuring.raise_on_blocking_findings(layout, doomed)


def test_a_change_of_the_dataset_is_seen(
    layout: ProjectPaths, hum: Path, config: FinetuneConfig
) -> None:
    assert not configuring.check_config(layout, config).blocking_findings
    (hum / "train.txt").write_text("")
    assert [item.kind for item in configuring.check_config(layout, config).blocking_findings] == [
        "no_dataset"
    ]


def test_published_weights_are_begun_from_where_they_are(layout: ProjectPaths) -> None:
    assert configuring.get_default_model_name(layout) == "starter"
    (layout.models / "tortoise").mkdir()
    assert configuring.get_default_model_name(layout) == "tortoise"


def test_the_devices_that_torch_found_are_saved(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_machine_known(layout) and get_machine_facts(layout).device == "cpu"
    monkeypatch.setattr(
        "studio.training_runs.machine_facts.probe_torch", lambda: TorchInfo(devices=GPUS)
    )
    assert detect_machine(layout).device == "cuda:0" and is_machine_known(layout)
    assert get_machine_facts(layout).memory == 24 * 10**9 and get_machine_facts(layout).gpus == 2
    assert get_machine_facts(layout, "CUDA").device == "cuda:0"
    assert get_machine_facts(layout, "cuda:1").memory == 8 * 10**9
    assert get_machine_facts(layout, "cpu").gpus == 0
    (layout.state / "machine.json").write_text("[{}]")
    assert not is_machine_known(layout)
    monkeypatch.setattr("studio.training_runs.machine_facts.probe_torch", TorchInfo)
    assert detect_machine(layout).device == "cpu", "a broken torch leaves the processor"


def test_a_trial_tells_the_time_of_like_work_only(hum: Path, config: FinetuneConfig) -> None:
    machine = MachineFacts()
    assert estimate_step_times(hum, config, machine) is None
    save_throughput_sample(
        hum, ThroughputSample(work=build_workload_key(config, machine), clip_s=0.5, stretch_s=0.25)
    )
    pace = estimate_step_times(hum, config, machine)
    assert pace is not None and pace.diffusion_s == 0.25 * config.diffusion.batch
    assert estimate_step_times(hum, config, MachineFacts(device="cuda:0")) is None
    assert (
        estimate_step_times(hum, apply_overrides(config, {"weights.method": "lora"}), machine)
        is None
    )
    (hum / ".cache" / THROUGHPUT_FILE).write_text("{")
    assert estimate_step_times(hum, config, machine) is None


def test_an_earlier_run_tells_the_time_with_its_checkpoints(
    hum: Path, config: FinetuneConfig
) -> None:
    config = apply_overrides(
        config, {"schedule.steps": 4, "diffusion.steps": 0, "optimizer.batch": 2}
    )
    run = hum / "runs" / "001"
    run.mkdir(parents=True)
    write_config(run / "train.yaml", config)
    told: list[dict[str, Any]] = [{"kind": "begin", "time": 100.0, "step": 0, "steps": 4,
             "gpt_steps": 4, "clips": 10}]  # fmt: skip
    told += [{"kind": "step", "time": 100.0 + step, "step": step, "stage": "gpt", "seconds": 3.0}
             for step in range(1, 5)]  # fmt: skip
    told += [{"kind": "checkpoint", "time": 132.0, "step": 4, "path": "x", "bytes": 1}]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    pace = estimate_step_times(hum, config, MachineFacts())
    assert pace is not None and (pace.gpt_s, pace.checkpoint_s) == (3.0, 20.0)
    larger = estimate_step_times(
        hum, apply_overrides(config, {"optimizer.batch": 4}), MachineFacts()
    )
    assert larger is not None and larger.gpt_s == 6.0
    assert (
        estimate_step_times(hum, apply_overrides(config, {"diffusion.steps": 3}), MachineFacts())
        is None
    )


def test_a_dry_step_takes_real_steps_and_then_the_time_is_known(
    layout: ProjectPaths, config: FinetuneConfig
) -> None:
    config = configuring.apply_changes(config, {"schedule.steps": 3, "optimizer.batch": 2})
    wish = BatchProbeRequest(values=configuring.config_to_values(config))
    found = try_batch.probe_batch_size(
        Studio(layout, Settings(device="cpu")), wish, ProgressReporter()
    )
    assert (found.batch, found.diffusion_batch, found.device) == (2, 8, "cpu")
    assert found.gpt_s > 0 and found.diffusion_s > 0 and found.seconds
    assert found.chance == pytest.approx(2.996, abs=1e-3)  # ln 20 codes
    assert found.changes == {"schedule.steps": 0} and "random guessing" in found.advice
    plan = configuring.check_config(layout, configuring.apply_changes(config, found.changes)).plan
    assert plan is not None and plan.seconds == pytest.approx(found.seconds)


def test_a_full_memory_halves_the_batch_and_says_so_once(
    layout: ProjectPaths, config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def hold_three(
        config: object,
        dataset: Path,
        bundle: Path,
        batch: int,
        stage: str,
        report: ProgressReporter,
    ) -> StepProbeResult:
        asked.append((stage, batch))
        if batch > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return StepProbeResult(
            seconds=1.0, memory=5, loss=1.0, chance=3.0 if stage == "gpt" else None
        )

    monkeypatch.setattr(try_batch, "probe_training_step", hold_three)
    config = configuring.apply_changes(config, {"schedule.steps": 3, "optimizer.batch": 10})
    events: list[ProgressEvent] = []
    wish = BatchProbeRequest(values=configuring.config_to_values(config))
    found = try_batch.probe_batch_size(
        Studio(layout, Settings(device="cpu")), wish, ProgressReporter(events.append)
    )
    assert asked == [("gpt", 10), ("gpt", 5), ("gpt", 2), *(("diffusion", n) for n in (8, 4, 2))]
    assert len([one for one in events if one.kind == "warning"]) == 2, "once for each stage"
    assert found.changes == {
        "optimizer.batch": 2,
        "optimizer.accumulate": 5,
        "diffusion.batch": 2,
    }
    assert configuring.apply_changes(config, found.changes).optimizer.clips_per_step == 10

    def hold_none(*asked: object) -> StepProbeResult:
        raise MemoryError

    monkeypatch.setattr(try_batch, "probe_training_step", hold_none)
    with pytest.raises(AppError, match="Not even one clip fits"):
        try_batch.probe_batch_size(Studio(layout, Settings(device="cpu")), wish, ProgressReporter())


def test_a_trial_of_what_cannot_run_is_refused(
    layout: ProjectPaths, config: FinetuneConfig
) -> None:
    doomed = configuring.apply_changes(config, {"diffusion.batch": 99})
    wish = BatchProbeRequest(values=configuring.config_to_values(doomed))
    with pytest.raises(AppError, match=r"diffusion\.batch is 99"):
        try_batch.probe_batch_size(Studio(layout, Settings(device="cpu")), wish, ProgressReporter())


def test_a_trial_is_a_job_of_the_worker(layout: ProjectPaths, config: FinetuneConfig) -> None:
    config = configuring.apply_changes(config, {"diffusion.batch": 2})
    studio = InlineStudio.open(layout.root)
    try:
        job = studio.submit(BatchProbeRequest(values=configuring.config_to_values(config)))
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


def test_short_flags_set_the_stage_that_is_trained(testudo: Testudo, hum: Path) -> None:
    short = ("--steps", "7", "--batch", "3", "--rate", "2e-4")
    assert testudo("configure", "hum", "--bundle", "tiny", *short)[0] == 0
    config = read_config(hum / "train.yaml")
    assert config.schedule.steps == 0
    assert (config.diffusion.steps, config.diffusion.batch) == (7, 3)
    assert config.diffusion.rate == 2e-4
    both = ("--set", "schedule.steps=5", *short[2:])
    assert testudo("configure", "hum", "--bundle", "tiny", *both)[0] == 0
    config = read_config(hum / "train.yaml")
    assert (config.schedule.steps, config.optimizer.batch, config.optimizer.rate) == (5, 3, 2e-4)


def test_the_command_stops_at_what_would_end_badly_and_mends_it(
    testudo: Testudo, hum: Path
) -> None:
    wrong = ("configure", "hum", "--bundle", "tiny", "--set", "schedule.steps=5", "--batch", "64")
    code, out, _ = testudo(*wrong)
    assert code == 2 and "STOP  optimizer.batch is 64" in out and "Nothing was saved." in out
    assert not (hum / "train.yaml").exists()
    code, out, _ = testudo(*wrong, "--fix")
    assert code == 0 and read_config(hum / "train.yaml").optimizer.batch == 10


def test_the_command_shows_the_file_without_saving(testudo: Testudo, hum: Path) -> None:
    code, out, _ = testudo("configure", "hum", "--bundle", "tiny", "--show")
    assert code == 0 and "# Peak learning rate" in out
    assert not (hum / "train.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hum", "--set", "optimizer.lr=1"), "Did you mean 'optimizer.rate'"),
        (("hum", "--set", "optimizer.rate"), "write it as optimizer.rate=1e-4"),
        (("hum", "--rate", "fast"), "diffusion.rate must be a number, not 'fast'"),
        (("hum", "--steps", "-1"), "diffusion.steps is -1"),
        (("gone",), "'gone' cannot be used"),
        (("../hum",), "is not a valid dataset name"),
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
    assert code == 0 and "tried        2 segments at once" in out
    assert "time         about" in out and "random guessing: 3.00" in out


def test_a_window_is_never_longer_than_the_clips(
    layout: ProjectPaths, config: FinetuneConfig
) -> None:
    assert config.diffusion.window < DiffusionTrainingConfig().window
