"""Everything that would end a run badly, found before time is lost, each with what to do. Light.

    stops = [finding for finding in check(situation) if finding.level == "stop"]

A run whose configuration passes without a "stop" begins, learns and ends.
"""

from __future__ import annotations

from pathlib import Path

from tortoise.measure import read_measure
from training.config import DataChoice
from training.manifest import ManifestError
from training.preflight_clips import look_at_clips
from training.preflight_dataset import dataset_findings, no_dataset
from training.preflight_found import Finding, Sight, Situation
from training.preflight_machine import machine_findings
from training.preflight_weights import no_bundle, weights_findings
from training.suggest_facts import read_bundle_facts


def check(situation: Situation) -> list[Finding]:
    """Return what was found, that which stops the run first."""
    config = situation.config
    seen = look(situation.dataset, situation.bundle, config.dataset, config.weights.bundle)
    return judge(situation, seen)


def look(dataset: Path, bundle: Path, choice: DataChoice, model: str) -> Sight | Finding:
    """Look at the files of a dataset and a model, or say why they cannot be looked at.

    dataset, bundle: folders;  model: what the bundle is called.
    """
    try:
        facts = read_bundle_facts(bundle, model)
        measure = read_measure(bundle)
    except (ValueError, OSError) as cause:
        return no_bundle(model, str(cause))
    if not dataset.is_dir():
        return no_dataset(choice.name, f"There is no folder {dataset}.")
    try:
        clips = look_at_clips(dataset, choice, facts, measure)
    except (ManifestError, OSError) as cause:
        return no_dataset(choice.name, str(cause))
    return Sight(bundle=facts, measure=measure, clips=clips)


def judge(situation: Situation, seen: Sight | Finding) -> list[Finding]:
    """Return what is wrong with what was seen, that which stops the run first."""
    if isinstance(seen, Finding):
        return [seen]
    parts = (weights_findings, dataset_findings, machine_findings)
    findings = [finding for part in parts for finding in part(situation, seen)]
    return sorted(findings, key=lambda finding: finding.level != "stop")
