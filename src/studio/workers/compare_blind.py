"""Worker task: the samples of a blind comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.progress import ProgressReporter
from engines.device import pick_device
from studio.model_store.bundles import find_model_folder
from studio.training_runs.blind_comparison import (
    BASE_STEP,
    BlindComparison,
    CompareBlindRequest,
    plan_comparison,
    save_comparison,
)
from studio.training_runs.run_status import SAMPLES_DIR
from studio.training_runs.service import read_train_config
from studio.workers.context import TaskContext
from tortoise.checkpoints.loading import load_model
from training.finetuning.checkpoints.run_layout import get_checkpoint_dir
from training.finetuning.checkpoints.store import list_network_files
from training.finetuning.dataset import load_run_dataset
from training.finetuning.sample_speech import synthesize_samples, temporary_model

COMPARED_MODEL_DIR = ".comparing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareBlindResult:
    """How many samples were synthesized."""

    samples: int


def compare_blind_task(
    context: TaskContext, request: CompareBlindRequest, report: ProgressReporter
) -> CompareBlindResult:
    """Synthesize the samples of all steps; the earlier comparison stays until they are there."""
    layout = context.layout
    run, dataset = layout.run(request.dataset, request.run), layout.dataset(request.dataset)
    if not run.is_dir():
        raise AppError(f"The run {request.run} of {request.dataset} no longer exists.")
    config = read_train_config(run)
    base = find_model_folder(layout, config.weights.bundle)
    comparison = plan_comparison(request)
    with translate_write_errors(run), reraise_as_app_error(ValueError):
        device = pick_device(context.settings.device)
        loaded = load_model(base)
        clips = load_run_dataset(run, dataset, config.dataset, loaded, report).train
        for step in report.track(request.steps, "sample"):
            folder = get_checkpoint_dir(run, step)
            networks = list_network_files(folder) if step != BASE_STEP else []
            if step != BASE_STEP and not networks:
                raise AppError(f"The checkpoint of step {step:,} is not kept any more.")
            with temporary_model(base, networks, run / COMPARED_MODEL_DIR) as model:
                synthesize_samples(model, clips, _list_files(run, comparison, step), device, report)
        save_comparison(run, comparison)
    return CompareBlindResult(samples=sum(len(one.files) for one in comparison.sentences))


def _list_files(run: Path, comparison: BlindComparison, step: int) -> Mapping[Path, str]:
    """Return the files of a step and the text of each."""
    return {
        run / SAMPLES_DIR / sentence.files[sentence.steps.index(step)]: sentence.text
        for sentence in comparison.sentences
    }
