"""Finetuned models, and which of them `auto` means.

    resolve_model_name(layout, "auto", "alice")     finetunes/alice-001, or starter

`auto` is resolved when a request is made, so that the metadata of clips name the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.paths import ProjectPaths
from studio.model_store.bundles import FINETUNES_DIR, STARTER_MODEL, ModelSummary, list_models
from studio.voices.catalog import Voice, parse_blend
from tortoise.checkpoints.layout import has_adapter
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
LORA_STRENGTH = "lora_strength"  # the option of the engine
MERGED_STRENGTH = 1.0
FINETUNES_PREFIX = f"{FINETUNES_DIR}/"

# Any: option values


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetunedModel:
    """A finetuned model. bundle: its model name;  metadata: of its finetune.json."""

    bundle: str
    path: Path
    speaks: bool
    metadata: FinetuneMetadata

    @property
    def voice(self) -> str:
        """The voice that it was trained on, or the name of a dataset made of a plain folder."""
        return get_finetune_voice(self.metadata)


def list_finetunes(layout: ProjectPaths, voice: str = "") -> list[FinetunedModel]:
    """List the finetuned models of one voice or of all, the latest first, without damaged ones."""
    found = [
        _read_finetuned_model(bundle)
        for bundle in list_models(layout)
        if bundle.name.startswith(FINETUNES_PREFIX)
    ]
    own = [item for item in found if item is not None and voice in ("", item.voice)]
    return sorted(own, key=lambda item: -item.metadata.created)


def list_run_models(layout: ProjectPaths, dataset: str, run: str) -> list[FinetunedModel]:
    """List the models that were exported from a run, the latest first."""
    wanted = (dataset, run)
    return [m for m in list_finetunes(layout) if (m.metadata.dataset, m.metadata.run) == wanted]


def select_best_finetune(layout: ProjectPaths, voice: str) -> FinetunedModel | None:
    """Return the best finetuned model of a voice, or None.

    Compares those with the base model and the dataset of the latest one, since only their scores
    are comparable; `select_best_checkpoint` chooses as it does between checkpoints of one run.
    """
    usable = [item for item in list_finetunes(layout, voice) if item.speaks] if voice else []
    if not usable:
        return None
    latest = usable[0].metadata
    comparable = [
        item
        for item in usable
        if (item.metadata.dataset, item.metadata.base_weights_id)
        == (latest.dataset, latest.base_weights_id)
    ]
    best = select_best_checkpoint(*_collect_scores(comparable)).step
    return comparable[best or 0]


def resolve_model_name(layout: ProjectPaths, bundle: str, voice: str) -> str:
    """Return the name of the model to use; `auto` is the best finetuned one of the voice.

    voice: as in a request; blends and random voices have no finetuned model.
    """
    if bundle != AUTO:
        return bundle
    best = select_best_finetune(layout, _get_single_voice(voice))
    if best is not None:
        return best.bundle
    usable = [
        item.name
        for item in list_models(layout)
        if item.speaks and FINETUNES_PREFIX not in item.name
    ]
    return STARTER_MODEL if STARTER_MODEL in usable or not usable else usable[0]


def has_lora_adapter(layout: ProjectPaths, bundle: str, voice: str) -> bool:
    """Return whether the strength of the model's LoRA adapter can be chosen.

    bundle, voice: as in a request.  False for a model that is missing.
    """
    try:
        return has_adapter(layout.model(resolve_model_name(layout, bundle, voice)))
    except AppError:  # not a name of a model
        return False


def fit_lora_strength(
    layout: ProjectPaths, bundle: str, options: Mapping[str, Any], *, is_stated: bool
) -> Mapping[str, Any]:
    """Return engine options without a strength that the model has no adapter for.

    is_stated: whether the strength is asked for with this model, and not a value of the settings.
    Raises AppError where it is, and the model has no adapter.
    """
    strength = options.get(LORA_STRENGTH, MERGED_STRENGTH)
    if strength == MERGED_STRENGTH:
        return options
    folder = layout.model(bundle)
    if has_adapter(folder) or not folder.is_dir():
        return options
    if is_stated:
        raise AppError(
            f"{LORA_STRENGTH} is {strength:g}, but the model {bundle} has no LoRA adapter. Leave "
            "it at 1, or choose a model that was finetuned with LoRA; export it again if that was "
            "done by an earlier version.",
            code="bundle_incompatible",
        )
    return {**options, LORA_STRENGTH: MERGED_STRENGTH}


def find_finetune_latents(bundle: Path, voice: Voice) -> Path | None:
    """Return the latents in a finetuned model if they are of this voice and its clips; or None.

    They were computed from the training clips, which were selected for quality.
    """
    path = bundle / VOICE_LATENTS_FILE
    if not path.is_file():
        return None
    try:
        metadata = read_finetune_metadata(bundle)
    except (ValueError, OSError):
        return None
    is_own = get_finetune_voice(metadata) == voice.name and _has_training_clips(voice, metadata)
    return path if is_own else None


def get_finetune_voice(metadata: FinetuneMetadata) -> str:
    """Return the voice of a finetuned model; see studio.datasets.voice_from_dataset."""
    return metadata.voice or metadata.dataset


def _has_training_clips(voice: Voice, metadata: FinetuneMetadata) -> bool:
    """Return whether the clips of a voice are unchanged since its dataset was prepared."""
    try:
        states = {path.name: path.stat() for path in voice.clips}
    except OSError:
        return False
    if metadata.voice and metadata.sources:
        now = {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
        return now == {Path(name).name: tuple(state) for name, state in metadata.sources.items()}
    return all(max(s.st_mtime, s.st_ctime) <= metadata.created for s in states.values())


def _read_finetuned_model(bundle: ModelSummary) -> FinetunedModel | None:
    if not (bundle.path / FINETUNE_FILE).is_file():
        return None
    try:
        metadata = read_finetune_metadata(bundle.path)
    except (ValueError, OSError):
        return None
    return FinetunedModel(
        bundle=bundle.name, path=bundle.path, speaks=bundle.speaks, metadata=metadata
    )


def _collect_scores(
    models: Sequence[FinetunedModel],
) -> tuple[list[ValidationResult], list[SampleScores]]:
    """Return the scores with the index of each model as its step; the latest wins ties."""
    metadata = [item.metadata for item in models]
    validations = [
        ValidationResult(step=number, loss=item.loss)
        for number, item in enumerate(metadata)
        if item.loss is not None
    ]
    scores = [
        SampleScores(
            step=number, wer=item.scores.get("wer"), similarity=item.scores.get("similarity")
        )
        for number, item in enumerate(metadata)
        if item.scores
    ]
    return validations, scores


def _get_single_voice(spoken_by: str) -> str:
    """Return the voice unless it is a blend or random; else ""."""
    try:
        parts = parse_blend(spoken_by)
    except AppError:
        return ""
    return parts[0].voice if len(parts) == 1 and not parts[0].is_random else ""
