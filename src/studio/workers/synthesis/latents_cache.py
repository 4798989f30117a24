"""Speaker latents of voices: computed from their clips once, then read from a cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio.clip import ClipError
from audio.io import read_clip
from core.errors import AppError, reraise_as_app_error
from core.files import sha256_file
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.protocols import (
    SupportsConditioningOptions,
    SupportsForeignLatents,
    SupportsRandomSpeakers,
)
from engines.speaker_latents import SpeakerLatents, interpolate_latents
from studio.model_store.finetunes import find_finetune_latents
from studio.voices.catalog import (
    FOREIGN_LATENTS_SUFFIX,
    BlendComponent,
    Voice,
    find_voice,
    parse_blend,
)
from studio.workers.synthesis.engine_cache import translate_engine_errors

if TYPE_CHECKING:
    from engines.protocols import Engine

CACHE_VERSION = 2  # raised when the same clips and options come to mean other latents
# 1: its files may have latents of other weights than in their name; they are deleted
MAX_CACHED_FILES = 8  # latents of one voice and engine; older ones make room


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditioningContext:
    """The engine that computes latents, its options and the reporter.

    bundle: folder of its weights; a finetuned model stores the latents of its voice there.
    """

    engine: Engine
    options: Any  # the engine's own
    report: ProgressReporter
    bundle: Path


def get_speaker_latents(
    spoken_by: str, layout: ProjectPaths, context: ConditioningContext
) -> SpeakerLatents:
    """Return the speaker for a voice, the random voice, or a blend.

    Raises AppError where a voice is missing or its clips cannot be used.
    """
    latents = [
        (_get_component_latents(part, layout, context), part.weight)
        for part in parse_blend(spoken_by)
    ]
    if len(latents) == 1:
        return latents[0][0]
    with reraise_as_app_error(ValueError):
        return interpolate_latents(latents)


def _get_component_latents(
    part: BlendComponent, layout: ProjectPaths, context: ConditioningContext
) -> SpeakerLatents:
    if part.is_random:
        return generate_random_speaker_latents(context.engine, part.seed or 0, context.report)
    voice = find_voice(layout, part.voice)
    if not voice.clips:
        return _load_saved_latents(voice, context)
    return _get_latents_of_clips(voice, layout, context)


def generate_random_speaker_latents(
    engine: Engine, seed: int, report: ProgressReporter
) -> SpeakerLatents:
    """Return the latents of a random voice, from a seed."""
    if not isinstance(engine, SupportsRandomSpeakers):
        raise AppError(f"{engine.name} has no random voices. Choose a voice instead.")
    with translate_engine_errors():
        return engine.sample_random_speaker(seed, report)


def _load_saved_latents(voice: Voice, context: ConditioningContext) -> SpeakerLatents:
    assert voice.latents_path is not None  # find_voice raises for a folder without clips
    if voice.latents_path.suffix.lower() == FOREIGN_LATENTS_SUFFIX:
        return _read_foreign_latents(voice, voice.latents_path, context.engine)
    with reraise_as_app_error(ValueError, OSError):
        latents = SpeakerLatents.load(voice.latents_path)
    if (latents.engine, latents.weights_id) != (context.engine.name, context.engine.weights_id):
        raise AppError(
            f"The voice {voice.name!r} has no clips, only latents of {latents.engine} with weights "
            f"{latents.weights_id}; these weights are {context.engine.weights_id}. Use that model, "
            "or add clips to the voice.",
            code="bundle_incompatible",
        )
    return latents


def _read_foreign_latents(voice: Voice, kept: Path, engine: Engine) -> SpeakerLatents:
    if not isinstance(engine, SupportsForeignLatents):
        raise AppError(
            f"The voice {voice.name!r} has only {kept.name}, which {engine.name} cannot read. Add "
            "clips to the voice."
        )
    with reraise_as_app_error(ValueError, about=f"The voice {voice.name!r} cannot be used"):
        return engine.read_latents(kept)


def _get_latents_of_clips(
    voice: Voice, layout: ProjectPaths, context: ConditioningContext
) -> SpeakerLatents:
    own = find_finetune_latents(context.bundle, voice)
    if own is not None and (learned := _read_cached(own, context)) is not None:
        return learned
    name = f"{_cache_prefix(context.engine.name)}{_cache_key(voice, context)}.safetensors"
    folders = layout.latents_cache_dirs(voice.folder)
    for folder in folders:
        found = _read_cached(folder / name, context)
        if found is not None:
            return found
    latents = _compute_latents(voice, context)
    _write_cached(latents, name, folders, context.report)
    return latents


def _compute_latents(voice: Voice, context: ConditioningContext) -> SpeakerLatents:
    report, engine = context.report, context.engine
    with reraise_as_app_error(ClipError, about=f"The voice {voice.name!r} cannot be used"):
        clips = [read_clip(path) for path in report.track(voice.clips, "reading clips")]
    with translate_engine_errors(f"The voice {voice.name!r}"):
        if isinstance(engine, SupportsConditioningOptions):
            return engine.condition_with_options(clips, context.options, report)
        return engine.condition(clips, report)


def _cache_key(voice: Voice, context: ConditioningContext) -> str:
    digest = hashlib.sha256()
    facts = {
        "format": CACHE_VERSION,
        "weights": context.engine.weights_id,
        "knobs": _get_conditioning_options(context),
    }
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for path in context.report.track(voice.clips, "checking clips"):
        try:
            digest.update(sha256_file(path).encode())
        except OSError as cause:
            raise AppError(f"Cannot read {path}: {cause.strerror or cause}.") from cause
    return digest.hexdigest()[:20]


def _get_conditioning_options(
    context: ConditioningContext,
) -> Mapping[str, Any]:  # Any: option values
    names = getattr(context.engine, "conditioning_options", ())
    return {name: getattr(context.options, name) for name in names}


def _read_cached(path: Path, context: ConditioningContext) -> SpeakerLatents | None:
    """Return the cached latents; a damaged file counts as none and is made again."""
    if not path.is_file():
        return None
    try:
        found = SpeakerLatents.load(path)
    except (ValueError, OSError):
        message = f"{path} is damaged; the latents are recomputed from the clips."
        context.report.note(message, stage="listening")
        return None
    return found if found.weights_id == context.engine.weights_id else None


def _write_cached(
    latents: SpeakerLatents, name: str, folders: tuple[Path, ...], report: ProgressReporter
) -> None:
    """Save the latents in the first writable folder, if any."""
    for folder in folders:
        if _is_read_only(folder.parent):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            latents.save(folder / name)
            _prune_cache(folder, latents.engine)
            return
        except OSError:
            continue
    report.note("The speaker latents could not be cached: no cache folder is writable.")


def _is_read_only(folder: Path) -> bool:
    """Return whether a folder is marked read-only, which an administrator could ignore."""
    return folder.is_dir() and not folder.stat().st_mode & 0o222


def _cache_prefix(engine: str) -> str:
    return f"{engine}-v{CACHE_VERSION}-"


def _prune_cache(folder: Path, engine: str) -> None:
    """Delete the oldest files beyond MAX_CACHED_FILES, and all of earlier cache versions."""
    files = sorted(
        folder.glob(f"{engine}-*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    current = [path for path in files if path.name.startswith(_cache_prefix(engine))]
    kept = current[:MAX_CACHED_FILES]
    for path in files:
        if path not in kept:
            path.unlink(missing_ok=True)
