"""Worker task: find random voices with some traits, and speak a sentence with the nearest ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError, translate_write_errors
from core.progress import ProgressReporter
from studio.schemas.speech import has_option
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.catalog import RANDOM_VOICE
from studio.voices.design import (
    DRAWS,
    SENTENCE,
    DesignVoiceRequest,
    DesignVoiceResult,
    MeasuredVoice,
    OfferedVoice,
    get_speed,
    read_measured_voices,
    select_nearest_voices,
    write_measured_voices,
)
from studio.workers.context import WorkerContext
from studio.workers.synthesis.engine_cache import translate_engine_errors
from studio.workers.synthesis.latents_cache import generate_random_speaker_latents
from studio.workers.synthesis.session import SynthesisSession
from studio.workers.voice_traits import (
    estimate_age,
    estimate_woman,
    measure_voiced_speech,
)

LETTERS = sum(map(str.isalpha, SENTENCE))
UNMEASURED = -1.0  # of a draw that has hardly any voiced frame; it is not offered


def design_voice_task(
    context: WorkerContext, request: DesignVoiceRequest, report: ProgressReporter
) -> DesignVoiceResult:
    """Measure the draws that are not measured yet, and offer the nearest three.

    Raises AppError for a model without random voices.
    """
    session, options = _open_session(context, request, report)
    layout, weights_id = context.layout, session.engine.weights_id
    draws = {draw.seed: draw for draw in read_measured_voices(layout, weights_id)}
    missing = [seed for seed in range(1, DRAWS + 1) if seed not in draws]
    for seed in report.track(missing, "measuring voices"):
        clip = _speak(session, options, seed)
        draws[seed] = _measure(seed, clip)
        write_measured_voices(layout, weights_id, list(draws.values()))
    usable = [draw for draw in draws.values() if draw.pitch != UNMEASURED]
    if not usable:
        raise AppError("No random voice of this model could be measured. Choose another model.")
    folder = layout.state / "uploads" / f"design-{weights_id}"
    has_speed = has_option(session.request.engine, "speed")
    speed = get_speed(request.pace) if has_speed else 1.0
    if has_speed:
        options, request = replace(options, speed=speed), replace(request, pace=0.5)
    nearest = select_nearest_voices(usable, request)
    offered = []
    for draw in report.track(nearest, "speaking"):
        path = folder / f"random-{draw.seed}-{speed:.2f}.wav"
        _write_clip(path, _speak(session, options, draw.seed))
        offered.append(OfferedVoice(voice=draw, path=str(path)))
    return DesignVoiceResult(
        bundle=session.request.bundle,
        measured=len(usable),
        voices=tuple(offered),
        speed=speed,
    )


def _open_session(
    context: WorkerContext, request: DesignVoiceRequest, report: ProgressReporter
) -> tuple[SynthesisSession, Any]:
    """Return a session with the engine, and its options. Any: each engine has its own class."""
    stated = {"bundle": request.bundle, "device": request.device}
    given = SpeechRequestInput(
        text=SENTENCE,
        voice=f"{RANDOM_VOICE}#1",
        options={"seed": 1},
        request_fields={name: value for name, value in stated.items() if value},
    )
    spoken = build_request(context.settings, given, context.layout)
    options = plan_lines(spoken, context.layout)[0].options
    few = {name: 1 for name in ("samples", "candidates") if has_option(spoken.engine, name)}
    return context.synthesizer.open_session(spoken, report), replace(options, **few)


def _speak(session: SynthesisSession, options: Any, seed: int) -> Clip:
    silent = ProgressReporter()
    speaker = generate_random_speaker_latents(session.engine, seed, silent)
    with translate_engine_errors(f"The random voice {seed}"):
        output = session.engine.synthesize(SENTENCE, speaker, options, silent)
    return output.candidates[0].clip


def _measure(seed: int, clip: Clip) -> MeasuredVoice:
    found = measure_voiced_speech(clip)
    return MeasuredVoice(
        seed=seed,
        pitch=round(found.pitch_hz, 1) if found else UNMEASURED,
        brightness=round(found.centroid_hz, 1) if found else UNMEASURED,
        pace=round(LETTERS / max(clip.duration_s, 0.1), 2),
        woman=round(estimate_woman(found), 2) if found else 0.0,
        age=round(estimate_age(found), 2) if found else 0.0,
    )


def _write_clip(path: Path, clip: Clip) -> None:
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, clip)
