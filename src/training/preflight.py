"""Everything that would end a run badly, found before time is lost, each with what to do. Light.

    stops = [finding for finding in check(situation) if finding.level == "stop"]

A run whose configuration passes without a "stop" begins, learns and ends.
"""

from __future__ import annotations

from tortoise.measure import read_measure
from training.manifest import ManifestError
from training.preflight_clips import look_at_clips
from training.preflight_dataset import dataset_findings, no_dataset
from training.preflight_found import Finding, Sight, Situation
from training.preflight_machine import machine_findings
from training.preflight_weights import no_bundle, weights_findings
from training.suggest_facts import read_bundle_facts


def check(situation: Situation) -> list[Finding]:
    """Return what was found, that which stops the run first."""
    return judge(situation, look(situation))


def look(situation: Situation) -> Sight | Finding:
    """Look at the files, or say why they cannot be looked at."""
    config = situation.config
    try:
        bundle = read_bundle_facts(situation.bundle, config.weights.bundle)
        measure = read_measure(situation.bundle)
    except (ValueError, OSError) as cause:
        return no_bundle(config.weights.bundle, str(cause))
    if not situation.dataset.is_dir():
        return no_dataset(config.dataset.name, f"There is no folder {situation.dataset}.")
    try:
        clips = look_at_clips(situation.dataset, config.dataset, bundle, measure)
    except (ManifestError, OSError) as cause:
        return no_dataset(config.dataset.name, str(cause))
    return Sight(bundle=bundle, measure=measure, clips=clips)


def judge(situation: Situation, seen: Sight | Finding) -> list[Finding]:
    """Return what is wrong with what was seen, that which stops the run first."""
    if isinstance(seen, Finding):
        return [seen]
    parts = (weights_findings, dataset_findings, machine_findings)
    findings = [finding for part in parts for finding in part(situation, seen)]
    return sorted(findings, key=lambda finding: finding.level != "stop")
