"""Propose, check, save and load training configurations. Light.

    proposal = propose_config(layout, "alice")
    report = check_config(layout, proposal.config)
    if not report.blocking_findings: save_config(layout, proposal.config)

The configuration of a dataset is training/<dataset>/train.yaml; each run has a copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import write_bytes
from core.paths import ProjectPaths, quote_for_message
from core.serialization import to_dict
from core.yaml_io import format_commented_yaml
from studio.diagnostics.system_info import get_free_bytes
from studio.training_runs.machine_facts import get_machine_facts
from studio.training_runs.throughput import estimate_step_times
from training.finetuning.config.facts import DatasetFacts, MachineFacts, ModelFacts
from training.finetuning.config.fields import (
    ConfigField,
    ConfigSection,
    apply_overrides,
    list_config_sections,
    parse_overrides,
)
from training.finetuning.config.schema import (
    CONFIG_FILE,
    ConfigError,
    DatasetConfig,
    FinetuneConfig,
    WeightsConfig,
    parse_config,
    read_config,
    write_config,
)
from training.finetuning.config.suggest import (
    ConfigProposal,
    TrainingPlan,
    plan_training,
    suggest_config,
)
from training.finetuning.preflight.checks import (
    collect_findings,
    collect_preflight_facts,
    run_preflight,
)
from training.finetuning.preflight.findings import PreflightFacts, PreflightFinding, PreflightInput

__all__ = [
    "CONFIG_FILE",
    "ConfigField",
    "ConfigProposal",
    "ConfigSection",
    "FinetuneConfig",
    "PreflightFinding",
    "TrainingPlan",
    "list_config_sections",
]

# Any: each field has its own type.

PREVIOUS_CONFIG_FILE = "train.before.yaml"
"""The configuration before the last save."""
STARTER_MODEL, PUBLISHED_MODEL = "starter", "tortoise"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReport:
    """A checked configuration.

    plan, facts, bundle: None where the files cannot be read, which `findings` explain.
    """

    config: FinetuneConfig
    machine: MachineFacts
    findings: tuple[PreflightFinding, ...]
    facts: DatasetFacts | None = None
    bundle: ModelFacts | None = None
    plan: TrainingPlan | None = None

    @property
    def blocking_findings(self) -> tuple[PreflightFinding, ...]:
        """The findings that prevent a start."""
        return tuple(finding for finding in self.findings if finding.level == "stop")


def get_default_model_name(layout: ProjectPaths) -> str:
    """Return the published model where it is installed, else the starter."""
    return PUBLISHED_MODEL if layout.model(PUBLISHED_MODEL).is_dir() else STARTER_MODEL


def propose_config(
    layout: ProjectPaths, dataset: str, bundle: str = "", device: str = "auto"
) -> ConfigProposal:
    """Propose a configuration for a dataset, model and machine, with reasons.

    bundle: "" for the default model.  Raises AppError for an empty dataset or an unusable model.
    """
    with reraise_as_app_error(ConfigError):
        weights = WeightsConfig(bundle=bundle or get_default_model_name(layout))
        start = FinetuneConfig(dataset=DatasetConfig(name=dataset), weights=weights)
    report = check_config(layout, start, device)
    if report.facts is None or report.bundle is None or not report.facts.clips:
        finding = report.blocking_findings[0]
        raise AppError(f"{finding.what} {finding.why} {finding.fix}", code="missing_file")
    return suggest_config(report.facts, report.machine, report.bundle)


def check_config(
    layout: ProjectPaths, config: FinetuneConfig, device: str = "auto"
) -> ConfigReport:
    """Check a configuration against the files and the machine, and plan its run.

    Raises AppError for names that cannot name a dataset or model.
    """
    situation = build_preflight_input(layout, config, device)
    collected = _collect_facts_cached(
        *_get_fact_sources(situation), _compute_files_fingerprint(situation)
    )
    findings = tuple(collect_findings(situation, collected))
    if not isinstance(collected, PreflightFacts):
        return ConfigReport(config=config, machine=situation.machine, findings=findings)
    facts = collected.clips.to_dataset_facts(config.dataset.name)
    pace = estimate_step_times(situation.dataset, config, situation.machine)
    return ConfigReport(
        config=config,
        machine=situation.machine,
        findings=findings,
        facts=facts,
        bundle=collected.bundle,
        plan=plan_training(config, facts, collected.bundle, pace),
    )


def raise_on_blocking_findings(
    layout: ProjectPaths, config: FinetuneConfig, device: str = "auto"
) -> None:
    """Raise AppError, naming every blocking finding and its fix."""
    situation = build_preflight_input(layout, config, device)
    stops = [item for item in run_preflight(situation) if item.level == "stop"]
    if stops:
        message = " ".join(f"{item.what} {item.why} {item.fix}" for item in stops)
        raise AppError(message, code="bad_request")


def build_preflight_input(
    layout: ProjectPaths, config: FinetuneConfig, device: str = "auto"
) -> PreflightInput:
    """Collect what the preflight checks need."""
    return PreflightInput(
        config=config,
        dataset=layout.dataset(config.dataset.name),
        bundle=layout.model(config.weights.bundle),
        machine=get_machine_facts(layout, config.machine.device or device),
        free=get_free_bytes(layout.training),
    )


def config_to_values(config: FinetuneConfig) -> dict[str, Any]:
    """Return the fields by dotted name, such as "optimizer.rate"."""
    plain = to_dict(config)
    return {
        f"{section}.{name}": value
        for section, choice in plain.items()
        for name, value in choice.items()
    }


def config_from_values(values: Mapping[str, Any]) -> FinetuneConfig:
    """Build a configuration from fields by dotted name; missing ones have their default.

    Raises AppError naming the field that is wrong.
    """
    plain: dict[str, Any] = {}
    for key, value in values.items():
        section, sign, name = key.partition(".")
        if sign:
            plain.setdefault(section, {})[name] = value
        else:
            plain[key] = value  # refused by its name
    with reraise_as_app_error(ConfigError):
        return parse_config(plain)


def apply_changes(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Return the configuration with some fields changed."""
    with reraise_as_app_error(ConfigError):
        return apply_overrides(config, changes)


def parse_changes(written: Sequence[str]) -> dict[str, Any]:
    """Parse changes such as "optimizer.rate=1e-4"."""
    with reraise_as_app_error(ConfigError):
        return parse_overrides(written)


def format_config_yaml(config: FinetuneConfig) -> str:
    """Return the text of the configuration's file."""
    return format_commented_yaml(config)


def save_config(layout: ProjectPaths, config: FinetuneConfig) -> Path:
    """Write train.yaml of the dataset; the previous one is kept as `PREVIOUS_CONFIG_FILE`.

    Raises AppError where there is no such dataset.
    """
    folder = _find_dataset_dir(layout, config.dataset.name)
    path = folder / CONFIG_FILE
    with translate_write_errors(path):
        before = path.read_bytes() if path.is_file() else b""
        write_config(path, config)
        if before and before != path.read_bytes():
            write_bytes(folder / PREVIOUS_CONFIG_FILE, before)
    return path


def load_config(layout: ProjectPaths, dataset: str) -> FinetuneConfig:
    """Read the configuration of a dataset.  Raises AppError where there is no valid one."""
    path = _find_dataset_dir(layout, dataset) / CONFIG_FILE
    if not path.is_file():
        raise AppError(
            f"{dataset} has no configuration yet. Make one.",
            code="missing_file",
            cli_hint=f"`testudo configure {dataset}` makes one.",
        )
    with reraise_as_app_error(ConfigError):
        return read_config(path)


def _find_dataset_dir(layout: ProjectPaths, name: str) -> Path:
    folder = layout.dataset(name)
    if folder.is_dir():
        return folder
    raise AppError(
        f"There is no dataset {quote_for_message(name)}. Prepare it first.", code="missing_file"
    )


def _get_fact_sources(situation: PreflightInput) -> tuple[Path, Path, DatasetConfig, str]:
    config = situation.config
    return situation.dataset, situation.bundle, config.dataset, config.weights.bundle


@lru_cache(maxsize=8)
def _collect_facts_cached(
    dataset: Path, bundle: Path, choice: DatasetConfig, model: str, stamp: str
) -> PreflightFacts | PreflightFinding:
    """Read the files again only when one has changed; forms call this often."""
    return collect_preflight_facts(dataset, bundle, choice, model)


def _compute_files_fingerprint(situation: PreflightInput) -> str:
    choice = situation.config.dataset
    files = [situation.dataset / name for name in (choice.train, choice.validation, "audio")]
    files += sorted(situation.bundle.glob("*"))
    known = [(str(file), file.stat().st_mtime_ns if file.exists() else 0) for file in files]
    return json.dumps(known)
