"""Training configurations: proposed, checked, worked out, saved and read. Light.

    proposed = propose(layout, "alice")
    seen = examine(layout, proposed.config)
    if not seen.stops: save(layout, proposed.config)

A configuration lies at training/<dataset>/train.yaml; a run takes a copy of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import AppError, reraise_as_app_error, translate_write_errors
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
    "PreflightFinding",
    "TrainingPlan",
    "list_config_sections",
]

# Any: each field has its own type.

PREVIOUS_CONFIG_FILE = "train.before.yaml"
"""The configuration that was saved before the last one, should somebody want it back."""
STARTER_MODEL, PUBLISHED_MODEL = "starter", "tortoise"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReport:
    """A configuration against the files and the machine it is meant for.

    plan, facts, bundle: None where the files cannot be looked at, which `findings` explain.
    """

    config: FinetuneConfig
    machine: MachineFacts
    findings: tuple[PreflightFinding, ...]
    facts: DatasetFacts | None = None
    bundle: ModelFacts | None = None
    plan: TrainingPlan | None = None

    @property
    def blocking_findings(self) -> tuple[PreflightFinding, ...]:
        """What would end the run badly."""
        return tuple(finding for finding in self.findings if finding.level == "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedConfig:
    """A configuration that was saved. when: seconds since 1970;  problem: why it cannot be used."""

    dataset: str
    path: Path
    modified_at: float
    problem: str = ""


def get_default_model_name(layout: ProjectPaths) -> str:
    """Name the model to begin with where none is named: the published one, if it is there."""
    return PUBLISHED_MODEL if layout.model(PUBLISHED_MODEL).is_dir() else STARTER_MODEL


def propose_config(
    layout: ProjectPaths, dataset: str, bundle: str = "", device: str = "auto"
) -> ConfigProposal:
    """Propose a configuration from dataset, model and machine, each weighed field with its reason.

    bundle: "" for the usual one.  Raises StudioError where there is nothing to learn, or nothing to
    begin from.
    """
    with reraise_as_app_error(ConfigError):
        weights = WeightsConfig(bundle=bundle or get_default_model_name(layout))
        start = FinetuneConfig(dataset=DatasetConfig(name=dataset), weights=weights)
    seen = check_config(layout, start, device)
    if seen.facts is None or seen.bundle is None or not seen.facts.clips:
        finding = seen.blocking_findings[0]
        raise AppError(f"{finding.what} {finding.why} {finding.fix}", code="missing_file")
    return suggest_config(seen.facts, seen.machine, seen.bundle)


def check_config(
    layout: ProjectPaths, config: FinetuneConfig, device: str = "auto"
) -> ConfigReport:
    """Look at everything a configuration needs: what is wrong, and what the run comes to.

    Raises StudioError for names that cannot name a dataset or model.
    """
    situation = build_preflight_input(layout, config, device)
    seen = _collect_facts_cached(
        *_get_fact_sources(situation), _compute_files_fingerprint(situation)
    )
    findings = tuple(collect_findings(situation, seen))
    if not isinstance(seen, PreflightFacts):
        return ConfigReport(config=config, machine=situation.machine, findings=findings)
    facts = seen.clips.to_dataset_facts(config.dataset.name)
    pace = estimate_step_times(situation.dataset, config, situation.machine)
    return ConfigReport(
        config=config,
        machine=situation.machine,
        findings=findings,
        facts=facts,
        bundle=seen.bundle,
        plan=plan_training(config, facts, seen.bundle, pace),
    )


def raise_on_blocking_findings(
    layout: ProjectPaths, config: FinetuneConfig, device: str = "auto"
) -> None:
    """Raise StudioError, with all that has to be mended, for a run that would end badly."""
    situation = build_preflight_input(layout, config, device)
    stops = [item for item in run_preflight(situation) if item.level == "stop"]
    if stops:
        words = " ".join(f"{item.what} {item.why} {item.fix}" for item in stops)
        raise AppError(words, code="bad_request")


def build_preflight_input(
    layout: ProjectPaths, config: FinetuneConfig, device: str = "auto"
) -> PreflightInput:
    """Name the folders and the machine that a configuration is for."""
    return PreflightInput(
        config=config,
        dataset=layout.dataset(config.dataset.name),
        bundle=layout.model(config.weights.bundle),
        machine=get_machine_facts(layout, config.machine.device or device),
        free=get_free_bytes(layout.training),
    )


def config_to_values(config: FinetuneConfig) -> dict[str, Any]:
    """Return the fields as a form holds them: "optimizer.rate" and the rest, each plain."""
    plain = to_dict(config)
    return {
        f"{section}.{name}": value
        for section, choice in plain.items()
        for name, value in choice.items()
    }


def config_from_values(values: Mapping[str, Any]) -> FinetuneConfig:
    """Make a configuration of what a form holds; what is not named has its default.

    Raises StudioError naming the field that is wrong.
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
    """Return the configuration with some fields set, such as a finding's `changes`."""
    with reraise_as_app_error(ConfigError):
        return apply_overrides(config, changes)


def parse_changes(written: Sequence[str]) -> dict[str, Any]:
    """Read changes as somebody typed them: "optimizer.rate=1e-4"."""
    with reraise_as_app_error(ConfigError):
        return parse_overrides(written)


def format_config_yaml(config: FinetuneConfig) -> str:
    """Return a configuration as its file has it."""
    return format_commented_yaml(config)


def save_config(layout: ProjectPaths, config: FinetuneConfig) -> Path:
    """Write train.yaml into the dataset, each field below its help; the one before stays beside.

    Raises StudioError where there is no such dataset.
    """
    folder = _find_dataset_dir(layout, config.dataset.name)
    path = folder / CONFIG_FILE
    with translate_write_errors(path):
        before = path.read_bytes() if path.is_file() else b""
        write_config(path, config)
        if before and before != path.read_bytes():
            (folder / PREVIOUS_CONFIG_FILE).write_bytes(before)
    return path


def load_config(layout: ProjectPaths, dataset: str) -> FinetuneConfig:
    """Read the configuration of a dataset.  Raises StudioError where there is no good one."""
    path = _find_dataset_dir(layout, dataset) / CONFIG_FILE
    if not path.is_file():
        raise AppError(
            f"{dataset} has no configuration yet. Make one: `testudo configure {dataset}`.",
            code="missing_file",
        )
    with reraise_as_app_error(ConfigError):
        return read_config(path)


def list_configs(layout: ProjectPaths) -> list[SavedConfig]:
    """Return the configurations of all datasets, the newest first."""
    found = [_read_saved_config(path) for path in layout.training.glob(f"*/{CONFIG_FILE}")]
    return sorted(found, key=lambda saved: saved.modified_at, reverse=True)


def _read_saved_config(path: Path) -> SavedConfig:
    problem = ""
    try:
        read_config(path)
    except ConfigError as cause:
        problem = str(cause)
    return SavedConfig(
        dataset=path.parent.name, path=path, modified_at=path.stat().st_mtime, problem=problem
    )


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
    """Look again only when a file has changed: a form asks at every turn of a knob."""
    return collect_preflight_facts(dataset, bundle, choice, model)


def _compute_files_fingerprint(situation: PreflightInput) -> str:
    """Name the state of the files that decide what is seen."""
    choice = situation.config.dataset
    files = [situation.dataset / name for name in (choice.train, choice.validation, "audio")]
    files += sorted(situation.bundle.glob("*"))
    known = [(str(file), file.stat().st_mtime_ns if file.exists() else 0) for file in files]
    return json.dumps(known)
