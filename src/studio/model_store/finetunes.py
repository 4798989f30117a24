"""Finetunes: models that learned one voice, and which of them `auto` means.

    resolve_bundle(layout, "auto", "alice")     finetunes/alice-001, or starter where there is none

`auto` is resolved when a request is made, so that what was spoken says with which weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError
from core.paths import ProjectPaths
from studio.model_store.bundles import ModelSummary, list_models
from studio.voices.catalog import Voice, parse_blend
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    VOICE_LATENTS_FILE,
    FinetuneMetadata,
    read_finetune_metadata,
)
from training.finetuning.checkpoints.selection import (
    SampleScores,
    ValidationResult,
    select_best_checkpoint,
)

AUTO = "auto"
STARTER_MODEL = "starter"
FINETUNES_PREFIX = "finetunes/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetunedModel:
    """A finetune that is there. bundle: its name as a model;  learned: what its file says."""

    bundle: str
    path: Path
    speaks: bool
    metadata: FinetuneMetadata

    @property
    def voice(self) -> str:
        """Whose it is; one that learned from a plain folder speaks as the dataset is called."""
        return get_finetune_voice(self.metadata)


def list_finetunes(layout: ProjectPaths, voice: str = "") -> list[FinetunedModel]:
    """List the finetunes, of one voice or of all, the latest first; damaged ones are left out."""
    found = [
        _read_finetuned_model(bundle)
        for bundle in list_models(layout)
        if bundle.name.startswith(FINETUNES_PREFIX)
    ]
    own = [item for item in found if item is not None and voice in ("", item.voice)]
    return sorted(own, key=lambda item: -item.metadata.created)


def list_run_models(layout: ProjectPaths, dataset: str, run: str) -> list[FinetunedModel]:
    """List the models that were made of a run, the latest first."""
    made = (dataset, run)
    return [m for m in list_finetunes(layout) if (m.metadata.dataset, m.metadata.run) == made]


def select_best_finetune(layout: ProjectPaths, voice: str) -> FinetunedModel | None:
    """Return the finetune of a voice to speak with, or None.

    Of those that began with the same model and learned from the same dataset as the latest one,
    since only their figures compare; `training.finetuning.checkpoints.selection` chooses between
    the checkpoints of one run in the same way.
    """
    able = [item for item in list_finetunes(layout, voice) if item.speaks] if voice else []
    if not able:
        return None
    latest = able[0].metadata
    alike = [
        item
        for item in able
        if (item.metadata.dataset, item.metadata.base_weights_id)
        == (latest.dataset, latest.base_weights_id)
    ]
    chosen = select_best_checkpoint(*_collect_scores(alike)).step
    return alike[chosen] if chosen is not None else alike[0]


def resolve_model_name(layout: ProjectPaths, bundle: str, voice: str) -> str:
    """Return the model that is meant: `auto` is the best finetune of the voice, if it has one.

    voice: who speaks; a blend and a made-up voice have none.
    """
    if bundle != AUTO:
        return bundle
    best = select_best_finetune(layout, _get_single_voice(voice))
    if best is not None:
        return best.bundle
    able = [
        item.name
        for item in list_models(layout)
        if item.speaks and FINETUNES_PREFIX not in item.name
    ]
    return STARTER_MODEL if STARTER_MODEL in able or not able else able[0]


def find_finetune_latents(bundle: Path, voice: Voice) -> Path | None:
    """Return where a finetune keeps its own voice, if this is it and unchanged since; or None.

    It was heard from the clips that were kept for learning, which are better than all there are.
    """
    path = bundle / VOICE_LATENTS_FILE
    if not path.is_file():
        return None
    try:
        learned = read_finetune_metadata(bundle)
    except (ValueError, OSError):
        return None
    return (
        path
        if get_finetune_voice(learned) == voice.name and _has_training_clips(voice, learned)
        else None
    )


def get_finetune_voice(learned: FinetuneMetadata) -> str:
    """Name the voice that a finetune learned; see studio.datasets.voice_from_dataset."""
    return learned.voice or learned.dataset


def _has_training_clips(voice: Voice, learned: FinetuneMetadata) -> bool:
    """Whether the clips of a voice are those that it was prepared from."""
    try:
        states = {path.name: path.stat() for path in voice.clips}
    except OSError:
        return False
    if learned.voice and learned.sources:
        now = {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
        return now == {Path(name).name: tuple(told) for name, told in learned.sources.items()}
    return all(max(s.st_mtime, s.st_ctime) <= learned.created for s in states.values())


def _read_finetuned_model(bundle: ModelSummary) -> FinetunedModel | None:
    if not (bundle.path / FINETUNE_FILE).is_file():
        return None
    try:
        learned = read_finetune_metadata(bundle.path)
    except (ValueError, OSError):
        return None
    return FinetunedModel(
        bundle=bundle.name, path=bundle.path, speaks=bundle.speaks, metadata=learned
    )


def _collect_scores(
    models: Sequence[FinetunedModel],
) -> tuple[list[ValidationResult], list[SampleScores]]:
    """Return the figures of models as if each were a step; the latest is 0, so it wins ties."""
    learned = [item.metadata for item in models]
    validations = [
        ValidationResult(step=number, loss=item.loss)
        for number, item in enumerate(learned)
        if item.loss is not None
    ]
    judgements = [
        SampleScores(
            step=number, wer=item.scores.get("wer"), similarity=item.scores.get("similarity")
        )
        for number, item in enumerate(learned)
        if item.scores
    ]
    return validations, judgements


def _get_single_voice(spoken_by: str) -> str:
    """Return the voice that speaks alone, or ""."""
    try:
        parts = parse_blend(spoken_by)
    except AppError:
        return ""
    return parts[0].voice if len(parts) == 1 and not parts[0].is_random else ""
