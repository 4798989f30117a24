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

from jobs.plain import to_plain
from studio.configuring_machine import machine_facts
from studio.configuring_pace import known_pace
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout, shown
from studio.system import free_bytes
from training.config import (
    CONFIG_FILE,
    ConfigError,
    DataChoice,
    FinetuneConfig,
    WeightsChoice,
    config_of,
    read_config,
    write_config,
)
from training.config_fields import (
    ConfigField,
    ConfigSection,
    changes_of,
    config_sections,
    with_changes,
)
from training.config_yaml import told_in_yaml
from training.preflight import check, judge, look
from training.preflight_found import Finding, Sight, Situation
from training.suggest import Plan, Proposal, plan, suggest
from training.suggest_facts import BundleFacts, DatasetFacts, MachineFacts

__all__ = ["ConfigField", "ConfigSection", "Finding", "Plan", "Proposal", "config_sections"]

# Any: each field has its own type.

BEFORE = "train.before.yaml"
"""The configuration that was saved before the last one, should somebody want it back."""
STARTER, PUBLISHED = "starter", "tortoise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A configuration against the files and the machine it is meant for.

    plan, facts, bundle: None where the files cannot be looked at, which `findings` explain.
    """

    config: FinetuneConfig
    machine: MachineFacts
    findings: tuple[Finding, ...]
    facts: DatasetFacts | None = None
    bundle: BundleFacts | None = None
    plan: Plan | None = None

    @property
    def stops(self) -> tuple[Finding, ...]:
        """What would end the run badly."""
        return tuple(finding for finding in self.findings if finding.level == "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedConfig:
    """A configuration that was saved. when: seconds since 1970;  problem: why it cannot be used."""

    dataset: str
    path: Path
    when: float
    problem: str = ""


def default_bundle(layout: Layout) -> str:
    """Name the model to begin with where none is named: the published one, if it is there."""
    return PUBLISHED if layout.bundle(PUBLISHED).is_dir() else STARTER


def propose(layout: Layout, dataset: str, bundle: str = "", device: str = "auto") -> Proposal:
    """Propose a configuration from dataset, model and machine, each weighed field with its reason.

    bundle: "" for the usual one.  Raises StudioError where there is nothing to learn, or nothing to
    begin from.
    """
    with refusing(ConfigError):
        weights = WeightsChoice(bundle=bundle or default_bundle(layout))
        start = FinetuneConfig(dataset=DataChoice(name=dataset), weights=weights)
    seen = examine(layout, start, device)
    if seen.facts is None or seen.bundle is None or not seen.facts.clips:
        finding = seen.stops[0]
        raise StudioError(f"{finding.what} {finding.why} {finding.fix}", cause="missing_file")
    return suggest(seen.facts, seen.machine, seen.bundle)


def examine(layout: Layout, config: FinetuneConfig, device: str = "auto") -> Examined:
    """Look at everything a configuration needs: what is wrong, and what the run comes to.

    Raises StudioError for names that cannot name a dataset or model.
    """
    situation = situation_of(layout, config, device)
    seen = _look_once(*_asked(situation), _stamp(situation))
    findings = tuple(judge(situation, seen))
    if not isinstance(seen, Sight):
        return Examined(config=config, machine=situation.machine, findings=findings)
    facts = seen.clips.facts(config.dataset.name)
    pace = known_pace(situation.dataset, config, situation.machine)
    return Examined(
        config=config,
        machine=situation.machine,
        findings=findings,
        facts=facts,
        bundle=seen.bundle,
        plan=plan(config, facts, seen.bundle, pace),
    )


def refuse_doomed(layout: Layout, config: FinetuneConfig, device: str = "auto") -> None:
    """Raise StudioError, with all that has to be mended, for a run that would end badly."""
    situation = situation_of(layout, config, device)
    stops = [item for item in check(situation) if item.level == "stop"]
    if stops:
        words = " ".join(f"{item.what} {item.why} {item.fix}" for item in stops)
        raise StudioError(words, cause="bad_request")


def situation_of(layout: Layout, config: FinetuneConfig, device: str = "auto") -> Situation:
    """Name the folders and the machine that a configuration is for."""
    return Situation(
        config=config,
        dataset=layout.dataset(config.dataset.name),
        bundle=layout.bundle(config.weights.bundle),
        machine=machine_facts(layout, config.machine.device or device),
        free=free_bytes(layout.training),
    )


def values_of(config: FinetuneConfig) -> dict[str, Any]:
    """Return the fields as a form holds them: "optimizer.rate" and the rest, each plain."""
    plain = to_plain(config)
    return {
        f"{section}.{name}": value
        for section, choice in plain.items()
        for name, value in choice.items()
    }


def config_from(values: Mapping[str, Any]) -> FinetuneConfig:
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
    with refusing(ConfigError):
        return config_of(plain)


def changed(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Return the configuration with some fields set, such as a finding's `changes`."""
    with refusing(ConfigError):
        return with_changes(config, changes)


def changes_from(written: Sequence[str]) -> dict[str, Any]:
    """Read changes as somebody typed them: "optimizer.rate=1e-4"."""
    with refusing(ConfigError):
        return changes_of(written)


def told(config: FinetuneConfig) -> str:
    """Return a configuration as its file has it."""
    return told_in_yaml(config)


def save(layout: Layout, config: FinetuneConfig) -> Path:
    """Write train.yaml into the dataset, each field below its help; the one before stays beside.

    Raises StudioError where there is no such dataset.
    """
    folder = _dataset(layout, config.dataset.name)
    path = folder / CONFIG_FILE
    with writing_to(path):
        before = path.read_bytes() if path.is_file() else b""
        write_config(path, config)
        if before and before != path.read_bytes():
            (folder / BEFORE).write_bytes(before)
    return path


def read(layout: Layout, dataset: str) -> FinetuneConfig:
    """Read the configuration of a dataset.  Raises StudioError where there is no good one."""
    path = _dataset(layout, dataset) / CONFIG_FILE
    if not path.is_file():
        raise StudioError(
            f"{dataset} has no configuration yet. Make one: `testudo configure {dataset}`.",
            cause="missing_file",
        )
    with refusing(ConfigError):
        return read_config(path)


def list_configs(layout: Layout) -> list[SavedConfig]:
    """Return the configurations of all datasets, the newest first."""
    found = [_saved(path) for path in layout.training.glob(f"*/{CONFIG_FILE}")]
    return sorted(found, key=lambda saved: saved.when, reverse=True)


def _saved(path: Path) -> SavedConfig:
    problem = ""
    try:
        read_config(path)
    except ConfigError as cause:
        problem = str(cause)
    return SavedConfig(
        dataset=path.parent.name, path=path, when=path.stat().st_mtime, problem=problem
    )


def _dataset(layout: Layout, name: str) -> Path:
    folder = layout.dataset(name)
    if folder.is_dir():
        return folder
    raise StudioError(f"There is no dataset {shown(name)}. Prepare it first.", cause="missing_file")


def _asked(situation: Situation) -> tuple[Path, Path, DataChoice, str]:
    config = situation.config
    return situation.dataset, situation.bundle, config.dataset, config.weights.bundle


@lru_cache(maxsize=8)
def _look_once(
    dataset: Path, bundle: Path, choice: DataChoice, model: str, stamp: str
) -> Sight | Finding:
    """Look again only when a file has changed: a form asks at every turn of a knob."""
    return look(dataset, bundle, choice, model)


def _stamp(situation: Situation) -> str:
    """Name the state of the files that decide what is seen."""
    choice = situation.config.dataset
    files = [situation.dataset / name for name in (choice.train, choice.validation, "audio")]
    files += sorted(situation.bundle.glob("*"))
    known = [(str(file), file.stat().st_mtime_ns if file.exists() else 0) for file in files]
    return json.dumps(known)
