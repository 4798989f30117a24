"""Worker task that finds when the words of a clip are spoken, for engines that do not know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audio.clip import Clip, ClipError
from audio.io import read_clip
from core.errors import AppError
from core.progress import ProgressReporter
from studio.subtitles.word_times import (
    LocateWordsRequest,
    LocateWordsResult,
    list_clip_words,
    write_saved_words,
)
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes, write_line_takes
from studio.synthesis.output_paths import OutputPath, find_clip_path
from studio.workers.context import TaskContext
from studio.workers.synthesis.take_store import NO_CLIP_LIMITS, measure_audible_span
from text.normalization.words import split_words
from text.pronunciations import list_phonemes, replace_groups
from training.asr.base import SAMPLE_RATE, TranscribeError, Word
from training.asr.forced_alignment import find_aligner

MAX_SOUND_S = 30.0  # of the lines of one job; the next job waits for the others in the queue
LANGUAGE = "en"
STAGE = "aligning"


def locate_words_task(
    context: TaskContext, request: LocateWordsRequest, report: ProgressReporter
) -> LocateWordsResult:
    """Align the words of lines that have no times yet, and keep them beside the clip."""
    clip = find_clip_path(context.layout, request.clip)
    destination = OutputPath(clip_path=clip)
    lines = read_line_takes(destination)
    if lines is not None and lines.finished:
        return _locate_lines(context, request, destination, lines, report)
    (line,) = list_clip_words(context.layout, request.clip, read_metadata(clip))
    if line.words:
        return LocateWordsResult(clip=request.clip, located=0)
    with report.stage(STAGE):
        times = align_text(_read(clip), line.text, context.layout.whisper)
    if times:
        write_saved_words(clip, line.text, times)
    failed = () if times else (0,)
    return LocateWordsResult(clip=request.clip, located=int(bool(times)), failed=failed)


def _locate_lines(
    context: TaskContext,
    request: LocateWordsRequest,
    destination: OutputPath,
    lines: LineTakesFile,
    report: ProgressReporter,
) -> LocateWordsResult:
    sound_s, located, failed, next_line = 0.0, 0, list[int](), -1
    for index in range(max(0, request.line), len(lines.lines)):
        take = lines.take_in_use(index)
        if take.word_times:
            continue
        if sound_s > MAX_SOUND_S:
            next_line = index
            break
        report.check_cancelled()
        with report.stage(STAGE):
            clip = _read(destination.lines_folder / take.file)
            times = align_text(clip, take.heard, context.layout.whisper)
        sound_s += clip.duration_s
        changed = replace(take, audible=measure_audible_span(clip), word_times=times)
        lines = lines.with_changed_take(index, changed)
        located += bool(times)
        failed += [] if times else [index]
    if located or failed:
        write_line_takes(destination, lines)
    return LocateWordsResult(
        clip=request.clip, located=located, next_line=next_line, failed=tuple(failed)
    )


def align_text(clip: Clip, text: str, models: Path) -> tuple[float, ...]:
    """Return where each word of an English text begins and ends in a clip; () if not found.

    models: the folder of speech recognition models. Raises AppError without an aligner.
    """
    words = split_words(text)
    spoken = [_spell(word) for word in words]
    aligner = find_aligner(" ".join(spoken), LANGUAGE, models)
    if aligner is None:
        raise AppError(
            "Nothing here can align words. Install the package pocketsphinx.",
            code="missing_package",
        )
    try:
        found = aligner(clip.resample(SAMPLE_RATE).wave, " ".join(spoken)) if words else None
    except TranscribeError as cause:
        raise AppError(str(cause)) from cause
    spans = [] if found is None else _list_spans(found.words)
    if len(spans) != len(words):
        return ()
    return tuple(round(time, 3) for span in spans for time in span)


def _list_spans(found: Sequence[Word]) -> list[tuple[float, float]]:
    """Return the times of each written word; one without sound has those of a moment."""
    spans = []
    for word in found:
        silent = len(word.text.split()) - 1  # marks joined to the word before them
        spans += [(word.start_s, word.stop_s), *[(word.stop_s, word.stop_s)] * silent]
    return spans


def _spell(word: str) -> str:
    """Return a word that an aligner can read in place of phonemes, in one piece."""
    if "{" not in word:
        return word
    spelled = replace_groups(word, lambda group: "".join(list_phonemes(group)))
    return "".join(char for char in spelled if not char.isdigit() and char not in "{} ")


def _read(path: Path) -> Clip:
    try:
        return read_clip(path, NO_CLIP_LIMITS)
    except ClipError as cause:
        raise AppError(str(cause)) from cause
