"""Worker tasks that regenerate one line of a clip, and rejoin clips from selected takes.

The combined clip keeps its name: the new one is written beside it and then renamed over it. Older
versions can be restored, since every take is kept and can be selected.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import atomic_path
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import to_dict
from engines.protocols import SpeechCandidate
from studio.schemas.speech import MAX_CHUNK_CHARS, SpeechRequest, SpeechResult, Take
from studio.schemas.take_metadata import LineOverride, TakeMetadata
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.chunking import TextChunk, get_token_budget, split_into_chunks
from studio.synthesis.line_edits import EditedLine, EditLinesRequest
from studio.synthesis.line_takes import (
    LineTakes,
    LineTakesFile,
    SavedTake,
    read_line_takes,
    write_line_takes,
)
from studio.synthesis.output_paths import LINES_DIR_SUFFIX, OutputPath, find_clip_path
from studio.synthesis.planning import plan_lines
from studio.synthesis.retake import RegenerateLineRequest, RejoinClipRequest, make_override_chunk
from studio.workers.context import WorkerContext
from studio.workers.encoders.likeness import measure_clips
from studio.workers.synthesis.checked_takes import (
    Attempt,
    make_retake,
    synthesize_grid,
    synthesize_takes,
    vary_settings,
)
from studio.workers.synthesis.retake_request import (
    add_effects_of_new_voices,
    read_original_request,
    use_current_pronunciations,
    with_request,
)
from studio.workers.synthesis.session import SynthesisSession
from studio.workers.synthesis.synthesizer import concatenate_candidates
from studio.workers.synthesis.take_store import (
    check_can_write,
    read_takes,
    report_take,
    write_attempts,
    write_take,
)
from studio.workers.synthesis.voice_effects import apply_voice_effects
from studio.workers.synthesis.voicefixer import describe_skipped_voicefixer, restore_clip

RANDOM_SEED_LIMIT = 2**31  # of seeds that are drawn
EDITED_DELIMITER = "\\n"  # of the text of a clip whose lines were edited


def regenerate_line_task(
    context: WorkerContext, request: RegenerateLineRequest, report: ProgressReporter
) -> SpeechResult:
    """Regenerate one line, keep its older takes, and join the clip with the best new one.

    Raises AppError, before anything is written, for an invalid request.
    """
    layout = context.layout
    destination = _find_combined_clip(layout, request.clip)
    spoken = read_original_request(destination, context.settings)
    spoken = use_current_pronunciations(layout, spoken, [request.text or spoken.text])
    spoken = add_effects_of_new_voices(layout, spoken, request)
    session = context.synthesizer.open_session(spoken, report)
    lines = with_request(_read_clip_lines(destination, session), spoken)
    chunk = _make_retake_chunk(lines, request, session)
    if request.takes > 1 or request.grid:
        session.take_checker = context.synthesizer.take_checker
        attempts = synthesize_grid(session, _list_grid_chunks(chunk, request))
        attempts = _measure_likenesses(context, attempts, report)
    else:
        attempts = list(synthesize_takes(session, chunk))
    attempts = [apply_voice_effects(session, attempt) for attempt in attempts]
    if read_line_takes(destination) is None:  # copy a clip of one chunk beside its new take
        for number, take in enumerate(lines.lines[0].takes, start=1):
            _copy_file(destination.candidate_path(number), destination.lines_folder / take.file)
    lines, written = write_attempts(session, destination, attempts, lines)
    write_line_takes(destination, lines)
    chosen = lines.line(request.line).chosen
    takes = next(takes for takes in written if any(take.file == chosen for take in takes))
    takes.sort(key=lambda take: take.file != chosen)  # the best one first
    saved = [
        Take(path=str(destination.lines_folder / take.file), score=take.score) for take in takes
    ]
    report_take(report, chunk, takes[0].seconds, saved, 1)
    return _write_rejoined_clip(destination, lines, report, not context.settings.offline)


def rejoin_clip_task(
    context: WorkerContext, request: RejoinClipRequest, report: ProgressReporter
) -> SpeechResult:
    """Join a clip again from chosen takes; no engine is needed."""
    destination = _find_combined_clip(context.layout, request.clip)
    lines = read_line_takes(destination)
    if lines is None:
        raise AppError(
            f"{destination.clip_path.name} has no takes to choose from: it was generated in one "
            "chunk, or the folder of its lines is missing. Regenerate its line first."
        )
    for index, file in request.takes_by_line().items():
        lines = lines.with_chosen(index, file)
    spoken = _write_rejoined_clip(destination, lines, report, not context.settings.offline)
    write_line_takes(destination, lines)
    return spoken


def edit_lines_task(
    context: WorkerContext, request: EditLinesRequest, report: ProgressReporter
) -> SpeechResult:
    """Give a clip other lines: keep the takes of earlier ones, speak the new, and join it again.

    Files of removed lines stay in the folder of the clip.
    """
    destination = _find_combined_clip(context.layout, request.clip)
    lines = read_line_takes(destination)
    if lines is None or any(take.whole for take in lines.lines[0].takes):
        raise AppError(
            f"{destination.clip_path.name} has one line. Write a longer text to edit its lines."
        )
    spoken = read_original_request(destination, context.settings)
    texts = [line.text for line in request.lines if line.text is not None]
    spoken = use_current_pronunciations(context.layout, spoken, texts)
    edited = replace(lines, lines=_arrange_lines(lines, request.lines))
    edited = with_request(edited, spoken)
    new = [at for at, line in enumerate(request.lines) if line.text is not None]
    session = context.synthesizer.open_session(spoken, report) if new else None
    for index in new:
        assert session is not None
        row = request.lines[index]
        wanted = RegenerateLineRequest(clip=request.clip, line=row.source, text=row.text)
        chunk = replace(_make_retake_chunk(lines, wanted, session), index=index)
        attempts = [apply_voice_effects(session, one) for one in synthesize_takes(session, chunk)]
        edited, _ = write_attempts(session, destination, attempts, edited)
    edited = _describe_edited_lines(edited)
    result = _write_rejoined_clip(destination, edited, report, not context.settings.offline)
    write_line_takes(destination, edited)
    return result


def _measure_likenesses(
    context: WorkerContext, attempts: Sequence[Attempt], report: ProgressReporter
) -> list[Attempt]:
    """Compare the takes with their voice; unchanged where it has no clips to compare with."""
    with report.stage("comparing voices"):
        voice = attempts[0].chunk.line_plan.voice
        clips = [one.clip for attempt in attempts for one in attempt.result.candidates]
        found = iter(measure_clips(context.layout, clips, voice, context.settings.device))
    return [
        replace(attempt, likenesses=tuple(next(found) for _ in attempt.result.candidates))
        for attempt in attempts
    ]


def _arrange_lines(lines: LineTakesFile, rows: Sequence[EditedLine]) -> tuple[LineTakes, ...]:
    """Return the lines in their new order; those to speak have no takes yet."""
    usual, last = lines.request.delivery.pause_s, len(lines.lines) - 1
    arranged = []
    for at, row in enumerate(rows):
        line = lines.line(row.source)
        pause_s = usual if row.source == last else line.pause_s
        line = replace(line, pause_s=pause_s if at + 1 < len(rows) else 0.0)
        if row.text is not None:
            line = replace(line, heard=row.text, takes=(), chosen="")
        arranged.append(line)
    return tuple(arranged)


def _describe_edited_lines(lines: LineTakesFile) -> LineTakesFile:
    """Return the same with a text of one row per line; every line is recorded as it was spoken."""
    chosen = lines.chosen_takes()
    rows = tuple(
        replace(
            line,
            heard=take.heard,
            takes=tuple(replace(other, anew=True) for other in line.takes),
        )
        for line, take in zip(lines.lines, chosen, strict=True)
    )
    text = "\n".join(" ".join(take.text.split()) for take in chosen)
    delivery = replace(
        lines.request.delivery, delimiter=EDITED_DELIMITER, piece_chars=MAX_CHUNK_CHARS
    )
    record = lines.record
    if record is not None:
        record = replace(record, text=text, delivery=to_dict(delivery))
    request = replace(lines.request, text=text, delivery=delivery)
    return replace(lines, lines=rows, request=request, record=record)


def _find_combined_clip(layout: ProjectPaths, name: str) -> OutputPath:
    clip = find_clip_path(layout, name)
    if clip.parent.name.endswith(LINES_DIR_SUFFIX):
        raise AppError(f"{clip.name} is a take of a line. Choose the clip that contains it.")
    check_can_write(clip)
    return OutputPath(clip_path=clip)


def _read_clip_lines(destination: OutputPath, session: SynthesisSession) -> LineTakesFile:
    """Return the lines of a clip; a clip of one chunk is itself the take of its line."""
    lines = read_line_takes(destination)
    if lines is not None:
        return lines
    request, record = session.request, read_metadata(destination.clip_path)
    plan = plan_lines(request, session.layout)
    pieces = split_into_chunks(plan, get_token_budget(session.engine), request)
    if len(pieces) > 1:
        raise AppError(
            f"The folder with the lines of {destination.clip_path.name} is missing, or of an "
            "older version. Copy its settings and generate it again; then its lines can be "
            "regenerated."
        )
    takes = _make_takes_of_whole_clip(destination, pieces[0], record)
    return LineTakesFile(
        suffix=destination.clip_path.suffix,
        request=request,
        lines=(
            LineTakes(
                heard=pieces[0].line.spoken_text,
                pause_s=pieces[0].pause_s,
                lead_s=pieces[0].lead_s,
                takes=takes,
                chosen=takes[0].file,
            ),
        ),
        finished=True,
        record=record.without_latents(),
    )


def _make_takes_of_whole_clip(
    destination: OutputPath, piece: TextChunk, record: TakeMetadata
) -> tuple[SavedTake, ...]:
    """Return the clip and its candidates as takes of its only line; they are not copied yet."""
    take = SavedTake(
        file=f"001{destination.clip_path.suffix}",
        text=piece.line.text,
        heard=piece.line.spoken_text,
        voice=piece.line_plan.voice,
        options=record.redone[0].options if record.redone else record.options,
        score=record.score,
        seconds=record.duration_s,
        warnings=record.warnings,
        whole=True,
        word_times=record.word_times,
    )
    takes = [take]
    while (candidate := destination.candidate_path(len(takes) + 1)).is_file():
        number = len(takes) + 1
        name = f"001.candidate-{number}{candidate.suffix}"
        score = None
        with suppress(AppError):  # without its settings it is a take all the same
            score = read_metadata(candidate).score
        other = replace(take, file=name, candidate=number, score=score, word_times=())
        takes.append(other)
    return tuple(takes)


def _make_retake_chunk(
    lines: LineTakesFile, request: RegenerateLineRequest, session: SynthesisSession
) -> TextChunk:
    line = lines.line(request.line)
    last = line.take(line.chosen) if line.chosen else line.takes[0]
    seed = request.seed
    if seed is None:
        seed = last.seed if request.grid else secrets.randbelow(RANDOM_SEED_LIMIT)
    redone = LineOverride(
        index=request.line,
        text=last.text if request.text is None else request.text,
        voice=request.voice or last.voice,
        options={**last.options, **request.options, "seed": seed},
        duration_s=last.duration_s,
    )
    room = get_token_budget(session.engine)
    chunk = make_override_chunk(redone, session.request, room, session.layout)
    return replace(chunk, reproduced=request.seed is not None)


def _list_grid_chunks(chunk: TextChunk, request: RegenerateLineRequest) -> list[TextChunk]:
    if request.grid:
        with reraise_as_app_error(ValueError):
            return vary_settings(chunk, request.grid)
    return [chunk, *(make_retake(chunk, number) for number in range(2, request.takes + 1))]


def _write_rejoined_clip(
    destination: OutputPath, lines: LineTakesFile, report: ProgressReporter, can_download: bool
) -> SpeechResult:
    report.check_cancelled()
    chosen, request = lines.chosen_takes(), lines.request
    if lines.record is None:
        raise AppError(f"{destination.clip_path.name} is not finished yet. Resume its job.")
    whole = _concatenate_takes(destination, chosen, lines)
    record = replace(
        lines.record,
        score=whole.score,
        candidate=1,
        redone=lines.to_line_overrides(),
        checks=lines.list_checks(),
        warnings=tuple(dict.fromkeys(warning for take in chosen for warning in take.warnings)),
        latents=_read_embedded_latents(destination.clip_path, request),
        **lines.describe_words(),
    )
    if chosen[0].whole:
        _copy_file(destination.lines_folder / chosen[0].file, destination.clip_path)
        kept = Take(path=str(destination.clip_path), score=whole.score)
    else:
        if skipped := describe_skipped_voicefixer(request, can_download=can_download):
            report.warn(skipped)
        finished = restore_clip(whole.clip, request, report, can_download=can_download)
        kept = write_take(finished, destination.clip_path, record, request)
    return SpeechResult(
        path=kept.path,
        voice=request.voice,
        text=request.text,
        heard=" ".join(take.heard for take in chosen),
        seed=chosen[0].seed if len(chosen) == 1 else request.seed,
        seconds=round(whole.clip.duration_s, 3),
        stages={name: round(spent, 3) for name, spent in report.timings.items()},
        candidates=(kept,),
        lines=tuple(
            Take(path=str(destination.lines_folder / take.file), score=take.score)
            for take in chosen
        ),
        warnings=record.warnings,
        checks=record.checks,
    )


def _concatenate_takes(
    destination: OutputPath, chosen: list[SavedTake], lines: LineTakesFile
) -> SpeechCandidate:
    versions: list[SpeechCandidate] = []
    for number, take in enumerate(chosen, start=1):
        read = read_takes(destination, [take])
        if read is None:
            raise AppError(
                f"The take {take.file} of line {number} is missing or damaged. Choose another "
                "take of the line, or regenerate it."
            )
        versions += read
    if chosen[0].whole:  # it has its silence already
        return concatenate_candidates(versions, lines.request, None, 0.0)
    lead_s = lines.lines[0].lead_s
    exact = [take.duration_s > 0 for take in chosen]
    return concatenate_candidates(versions, lines.request, lines.list_pauses(), lead_s, exact)


def _read_embedded_latents(clip: Path, request: SpeechRequest) -> str | None:
    if request.embed_latents:
        with suppress(AppError):  # a clip without them is joined without them
            return read_metadata(clip).latents
    return None


def _copy_file(source: Path, target: Path) -> None:
    with translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as part:
            shutil.copyfile(source, part)
