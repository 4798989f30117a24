"""Worker task that speaks sentences in a voice and measures words, likeness and speed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from audio.io import read_clip
from core.progress import ProgressReporter
from studio.schemas.scorecard import (
    SCORECARD_LINES,
    MeasureVoiceRequest,
    Scorecard,
    estimate_mean,
    estimate_rate,
)
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath
from studio.workers.context import WorkerContext
from studio.workers.encoders.likeness import measure_clips
from training.asr.base import POCKETSPHINX


def measure_voice_task(
    context: WorkerContext, request: MeasureVoiceRequest, report: ProgressReporter
) -> Scorecard:
    """Speak and measure; the clip stays in the results. Counts the first take of each line."""
    speech = replace(
        request.speech,
        text="\n".join(SCORECARD_LINES[: request.lines]),
        delivery=replace(request.speech.delivery, delimiter="\\n", take_check="strict", retakes=1),
        voice_effects={},  # they are not of the voice that is measured
    )
    spoken = context.synthesizer.speak(speech, report)
    output = OutputPath(clip_path=Path(spoken.path))
    file = read_line_takes(output)
    takes = [line.takes[0] for line in file.lines] if file else []
    checks = [take.check for take in takes if take.check is not None]
    recognizer = checks[0].recognizer if checks else ""
    hears = len(checks) > 1 and not recognizer.startswith(POCKETSPHINX)
    clips = [read_clip(output.lines_folder / take.file) for take in takes]
    found = measure_clips(context.layout, clips, speech.voice, context.settings.device)
    likeness = [value for value in found if value is not None]
    computed = sum(seconds for stage, seconds in spoken.stages.items() if stage != "checking")
    return Scorecard(
        clip=spoken.path,
        voice=speech.voice,
        model=speech.bundle,
        lines=len(takes),
        seconds=spoken.seconds,
        seconds_per_second=computed / spoken.seconds,
        recognizer=recognizer,
        word_errors=estimate_rate(
            [check.word_errors for check in checks], [check.words for check in checks]
        )
        if hears
        else None,
        likeness=estimate_mean(likeness) if len(likeness) > 1 else None,
    )
