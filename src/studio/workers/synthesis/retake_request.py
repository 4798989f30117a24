"""The request that a line of a clip is spoken again with: that of the clip, brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.errors import AppError
from core.paths import ProjectPaths
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.settings.pronunciations import read_pronunciations
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.request_builder import SpeechRequestInput, build_request_from_metadata
from studio.synthesis.retake import RegenerateLineRequest
from studio.voices.effects import get_known_effects, select_voice_effects
from text.pronunciations import select_pronunciations


def read_original_request(destination: OutputPath, settings: Settings) -> SpeechRequest:
    """Return the request of a clip, with the effects that its voices had.

    Raises AppError for a clip that is not finished.
    """
    lines = read_line_takes(destination)
    if lines is not None:
        if lines.record is None:
            raise AppError(
                f"{destination.clip_path.name} is not finished yet. Resume its job, then "
                "regenerate lines."
            )
        known = {**get_known_effects(lines.record), **lines.request.voice_effects}
        return replace(lines.request, voice_effects=known)
    record = read_metadata(destination.clip_path)
    spoken = build_request_from_metadata(settings, record, SpeechRequestInput())
    return replace(spoken, voice_effects=get_known_effects(record), like=None)


def use_current_pronunciations(
    layout: ProjectPaths, request: SpeechRequest, texts: Sequence[str]
) -> SpeechRequest:
    """Return the request with what the user's list says now about words of new texts."""
    current = select_pronunciations(read_pronunciations(layout), "\n".join(texts))
    return replace(request, pronunciations={**request.pronunciations, **current})


def add_effects_of_new_voices(
    layout: ProjectPaths, spoken: SpeechRequest, request: RegenerateLineRequest
) -> SpeechRequest:
    """Return the request with the effects of voices that the clip did not have before."""
    line = replace(spoken, text=request.text or spoken.text, voice=request.voice or spoken.voice)
    effects = select_voice_effects(layout, line, spoken.voice_effects)
    return replace(spoken, voice_effects=effects)


def with_request(lines: LineTakesFile, spoken: SpeechRequest) -> LineTakesFile:
    """Return the lines with the pronunciations and effects of a request."""
    words, effects = spoken.pronunciations, spoken.voice_effects
    heard = {voice: chain for voice, chain in effects.items() if chain}
    record = lines.record and replace(lines.record, pronunciations=words, voice_effects=heard)
    request = replace(lines.request, pronunciations=words, voice_effects=effects)
    return replace(lines, request=request, record=record)
