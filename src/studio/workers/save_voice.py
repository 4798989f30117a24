"""Recordings, made-up voices and blends become voices under names of their own."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from audio.clip import Clip, ClipError
from audio.io import WRITABLE_SUFFIXES, read_clip, write_clip
from audio.wav_repair import describe_wav_damage
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import commit_folder
from core.paths import ProjectPaths, quote_for_message
from core.progress import ProgressReporter
from studio.schemas.voices import (
    SaveBlendRequest,
    SaveRandomVoiceRequest,
    SaveRecordingRequest,
)
from studio.settings.presets import save_voice_speed
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.catalog import RANDOM_VOICE, check_voices, combine_consents, find_voice
from studio.voices.consent import make_consent, write_consent
from studio.voices.trash import delete_voice, get_new_voice_folder
from studio.voices.uploads import ImportVoiceResult
from studio.workers.context import WorkerContext
from studio.workers.create_voice import save_latents, save_random_voice


def save_random_voice_task(
    context: WorkerContext, request: SaveRandomVoiceRequest, report: ProgressReporter
) -> ImportVoiceResult:
    """Save the voice random#SEED under a name, with the loaded engine."""
    get_new_voice_folder(context.layout, request.name)
    stated = {"bundle": request.bundle, "device": request.device}
    request_input = SpeechRequestInput(
        text=f"voice {request.name}",
        voice=RANDOM_VOICE,
        options={"seed": request.seed},
        request_fields={name: value for name, value in stated.items() if value},
    )
    spoken = build_request(context.settings, request_input, context.layout)
    engine = context.synthesizer.open_session(spoken, report).engine
    voice = save_random_voice(request.name, spoken.seed, engine, context.layout, report)
    if request.speed != 1.0:
        save_voice_speed(context.layout, voice.name, spoken.engine, request.speed)
    return ImportVoiceResult(voice=voice.name, clips=len(voice.clips))


def save_blend_task(
    context: WorkerContext, request: SaveBlendRequest, report: ProgressReporter
) -> ImportVoiceResult:
    """Save the speaker latents of a blend under a name, with the loaded engine.

    Raises AppError for what is no blend, a missing voice, and a name that is taken.
    """
    layout = context.layout
    get_new_voice_folder(layout, request.name)
    parts = check_voices(layout, request.voice)
    if len(parts) < 2:
        raise AppError(
            f"{quote_for_message(request.voice)} is one voice; a blend is written like "
            "alice:0.7+bob:0.3."
        )
    stated = {"bundle": request.bundle, "device": request.device}
    request_input = SpeechRequestInput(
        text=f"voice {request.name}",
        voice=request.voice,
        request_fields={name: value for name, value in stated.items() if value},
    )
    spoken = build_request(context.settings, request_input, layout)
    line = plan_lines(spoken, layout)[0]
    session = context.synthesizer.open_session(spoken, report)
    speaker = session.get_speaker_latents(line.voice, line.options)
    note = combine_consents(layout, line.voice)
    voice = save_latents(request.name, speaker, note, layout)
    return ImportVoiceResult(voice=voice.name, clips=0)


def save_recording_task(
    context: WorkerContext, request: SaveRecordingRequest, report: ProgressReporter
) -> ImportVoiceResult:
    """Save an uploaded recording as a clip of a voice.

    Formats that voices cannot have are converted to wav. Raises AppError, without changing
    anything, for a recording that is unreadable, silent or too short.
    """
    layout = context.layout
    folder = Path(request.folder)
    uploads = (layout.state / "uploads").resolve()
    if folder.resolve().parent != uploads or not folder.is_dir():
        raise AppError("The recording no longer exists. Record it again.")
    try:
        (source,) = [path for path in folder.iterdir() if path.is_file()]
        with reraise_as_app_error(ClipError), report.stage("reading clips"):
            clip = read_clip(source)
            if damage := describe_wav_damage(source):
                report.warn(damage)
        _write_recording(source, clip, request, layout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    voice = find_voice(layout, request.name)
    return ImportVoiceResult(voice=voice.name, clips=len(voice.clips))


def _write_recording(
    source: Path, clip: Clip, request: SaveRecordingRequest, layout: ProjectPaths
) -> None:
    """Fill a folder beside the voice, then rename it."""
    target = layout.voice(request.name) if request.replace else None
    target = target or get_new_voice_folder(layout, request.name)
    fresh = target.with_name(f".{target.name}.part")
    stem = f"recording-{datetime.now():%Y%m%d-%H%M%S}"
    with translate_write_errors(target):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            if source.suffix in WRITABLE_SUFFIXES:
                shutil.copyfile(source, fresh / f"{stem}{source.suffix}")
            else:
                write_clip(fresh / f"{stem}.wav", clip)
            if target.is_dir():
                delete_voice(layout, target.name)
            if request.consent:
                write_consent(fresh, make_consent(request.consent))
            commit_folder(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
