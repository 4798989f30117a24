"""Preflight checks of a run: everything that would make it fail, each with its fix. Light.

blocking = [finding for finding in run_preflight(request) if finding.level == "stop"]
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


def run_preflight(request: PreflightInput) -> list[PreflightFinding]:
    """Return all findings, blocking ones first."""
    config = request.config
    facts = collect_preflight_facts(
        request.dataset, request.bundle, config.dataset, config.weights.bundle
    )
    return collect_findings(request, facts)


def collect_preflight_facts(
    dataset: Path, bundle: Path, choice: DatasetConfig, model: str
) -> PreflightFacts | PreflightFinding:
    """Read the files of a dataset and a model; return a finding where they cannot be read.

    dataset, bundle: folders;  model: the name of the bundle.
    """
    try:
        model_facts = read_model_facts(bundle, model)
        analyzer = load_text_analyzer(bundle)
        measure = analyzer.published or analyzer  # as the training tokenizes its texts
    except (ValueError, OSError) as cause:
        return make_unusable_model_finding(model, str(cause))
    if not dataset.is_dir():
        return make_unusable_dataset_finding(choice.name, f"There is no folder {dataset}.")
    try:
        clips = inspect_clips(dataset, choice, model_facts, measure)
    except (ManifestError, OSError) as cause:
        return make_unusable_dataset_finding(choice.name, str(cause))
    return PreflightFacts(bundle=model_facts, measure=measure, clips=clips)


def collect_findings(
    request: PreflightInput, facts: PreflightFacts | PreflightFinding
) -> list[PreflightFinding]:
    """Return the findings of some facts, blocking ones first."""
    if isinstance(facts, PreflightFinding):
        return [facts]
    parts = (check_weights, check_dataset, check_machine)
    findings = [finding for part in parts for finding in part(request, facts)]
    return sorted(findings, key=lambda finding: finding.level != "stop")
