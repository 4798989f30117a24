"""Everything that would end a run badly, found before time is lost, each with what to do. Light.

    stops = [finding for finding in check(situation) if finding.level == "stop"]

A run whose configuration passes without a "stop" begins, learns and ends.
"""

from __future__ import annotations

from pathlib import Path

from tortoise.generation.text_length import load_text_analyzer
from training.dataset_prep.manifest import ManifestError
from training.finetuning.config.facts import read_model_facts
from training.finetuning.config.schema import DatasetConfig
from training.finetuning.preflight.clips import inspect_clips
from training.finetuning.preflight.dataset import check_dataset, make_unusable_dataset_finding
from training.finetuning.preflight.findings import PreflightFacts, PreflightFinding, PreflightInput
from training.finetuning.preflight.machine import check_machine
from training.finetuning.preflight.weights import check_weights, make_unusable_model_finding

# Any: a change sets a field to a value of its own type.


def run_preflight(situation: PreflightInput) -> list[PreflightFinding]:
    """Return what was found, that which stops the run first."""
    config = situation.config
    seen = collect_preflight_facts(
        situation.dataset, situation.bundle, config.dataset, config.weights.bundle
    )
    return collect_findings(situation, seen)


def collect_preflight_facts(
    dataset: Path, bundle: Path, choice: DatasetConfig, model: str
) -> PreflightFacts | PreflightFinding:
    """Look at the files of a dataset and a model, or say why they cannot be looked at.

    dataset, bundle: folders;  model: what the bundle is called.
    """
    try:
        facts = read_model_facts(bundle, model)
        measure = load_text_analyzer(bundle)
    except (ValueError, OSError) as cause:
        return make_unusable_model_finding(model, str(cause))
    if not dataset.is_dir():
        return make_unusable_dataset_finding(choice.name, f"There is no folder {dataset}.")
    try:
        clips = inspect_clips(dataset, choice, facts, measure)
    except (ManifestError, OSError) as cause:
        return make_unusable_dataset_finding(choice.name, str(cause))
    return PreflightFacts(bundle=facts, measure=measure, clips=clips)


def collect_findings(
    situation: PreflightInput, seen: PreflightFacts | PreflightFinding
) -> list[PreflightFinding]:
    """Return what is wrong with what was seen, that which stops the run first."""
    if isinstance(seen, PreflightFinding):
        return [seen]
    parts = (check_weights, check_dataset, check_machine)
    findings = [finding for part in parts for finding in part(situation, seen)]
    return sorted(findings, key=lambda finding: finding.level != "stop")
