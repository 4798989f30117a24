"""Worker tasks: apply effects to a clip, as a new version beside it; preview those of a voice."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from audio.clip import ClipError
from audio.effects.chain import apply_effects
from audio.effects.options import EffectOptions
from audio.formats import BIT_DEPTHS, ENCODINGS, SYNTHETIC_COMMENT
from audio.io import read_clip, write_clip
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import atomic_path, unique_path
from core.paths import ProjectPaths, slugify
from core.progress import ProgressReporter
from studio.schemas.clip_tools import (
    PREVIEW_S,
    ApplyEffectsRequest,
    ApplyEffectsResult,
    PreviewVoiceEffectsRequest,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import (
    can_embed_metadata,
    is_marked_synthetic,
    read_metadata,
    write_metadata,
    write_sidecar,
)
from studio.synthesis.output_paths import LINES_DIR_SUFFIX, get_clip_name
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.catalog import find_voice
from studio.voices.design import SENTENCE
from studio.voices.effects import to_chain
from studio.voices.uploads import resolve_file_ref
from studio.workers.clip_tools import make_output_path
from studio.workers.context import TaskContext, WorkerContext

EFFECTS_DIR = "effects"  # the folder below the results, for clips that come from elsewhere


def apply_effects_task(
    context: TaskContext, request: ApplyEffectsRequest, report: ProgressReporter
) -> ApplyEffectsResult:
    """Apply effects to a clip of the studio, or a part of it as a preview."""
    source = resolve_file_ref(context.layout, request.clip)
    target = _choose_target(context.layout, source, request)
    return apply_effects_to_file(context.layout, source, target, request, report)


def preview_voice_effects_task(
    context: WorkerContext, request: PreviewVoiceEffectsRequest, report: ProgressReporter
) -> ApplyEffectsResult:
    """Apply effects to the first recording of a voice; without one, to a sentence of it."""
    voice = find_voice(context.layout, request.voice)
    folder = context.layout.state / "uploads" / secrets.token_hex(8)
    source = voice.clips[0] if voice.clips else folder / "spoken.wav"
    if not voice.clips:
        given = SpeechRequestInput(text=SENTENCE, voice=voice.name, out=str(source))
        spoken = build_request(context.settings, given, context.layout)
        context.synthesizer.speak(replace(spoken, voice_effects={}), report)
    wanted = ApplyEffectsRequest(clip="", options=request.options, preview=True)
    target = folder / f"{slugify(voice.name)}-effects.wav"
    return apply_effects_to_file(context.layout, source, target, wanted, report)


def apply_effects_to_file(
    layout: ProjectPaths,
    source: Path,
    target: Path,
    request: ApplyEffectsRequest,
    report: ProgressReporter,
) -> ApplyEffectsResult:
    """Apply effects to a file, into a new one that carries its settings and the chain.

    Raises AppError for a file that cannot be read, and one that cannot be written.
    """
    with reraise_as_app_error(ClipError):
        clip = read_clip(source)
    if request.preview:
        clip = replace(clip, wave=clip.wave[: round(PREVIEW_S * clip.sample_rate)])
    made = apply_effects(clip, request.options, report)
    record, is_synthetic = _read_settings(source)
    depth = str(record.delivery.get("bit_depth", "16")) if record else "16"
    depth = depth if depth in BIT_DEPTHS.get(target.suffix[1:].lower(), {"16": ""}) else "16"
    embed = record is not None and can_embed_metadata(target)
    if record is not None:
        record = _describe(record, layout, source, request.options, made.duration_s)
    with translate_write_errors(target), reraise_as_app_error(ClipError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as part:
            write_clip(part, made, SYNTHETIC_COMMENT if is_synthetic else "", depth)
            if record is not None and embed:
                write_metadata(part, record)
    if record is not None and not embed:
        write_sidecar(target, record)
    return ApplyEffectsResult(
        clip=_make_reference(layout, target),
        path=str(target),
        source=str(source),
        duration_s=round(made.duration_s, 3),
        preview=request.preview,
    )


def _read_settings(source: Path) -> tuple[TakeMetadata | None, bool]:
    """Return the settings of a clip, if it has any, and whether it is synthetic speech."""
    with suppress(AppError):
        return read_metadata(source), True
    return None, is_marked_synthetic(source)


def _describe(
    record: TakeMetadata,
    layout: ProjectPaths,
    source: Path,
    options: EffectOptions,
    duration_s: float,
) -> TakeMetadata:
    """Return the settings of the new version: those of its source, and one more chain."""
    return replace(
        record.without_latents(),
        effects=(*record.effects, to_chain(options)),
        source=get_clip_name(layout, source) or source.name,
        duration_s=round(duration_s, 3),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def _choose_target(layout: ProjectPaths, source: Path, request: ApplyEffectsRequest) -> Path:
    name = f"{source.stem}-{slugify(request.name)}"
    if request.preview:
        folder = layout.state / "uploads" / secrets.token_hex(8)
        return folder / f"{slugify(request.name)}.wav"
    in_results = bool(get_clip_name(layout, source))
    if in_results and not source.parent.name.endswith(LINES_DIR_SUFFIX):
        suffix = source.suffix if source.suffix[1:].lower() in ENCODINGS else ".wav"
        return unique_path(source.with_name(f"{name}{suffix}"))
    return make_output_path(layout, EFFECTS_DIR, name)


def _make_reference(layout: ProjectPaths, path: Path) -> str:
    uploads = layout.state / "uploads"
    if path.is_relative_to(uploads):
        return f"uploads/{path.relative_to(uploads).as_posix()}"
    inside = get_clip_name(layout, path)
    return f"results/{inside}" if inside else ""
