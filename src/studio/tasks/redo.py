"""A line of a clip spoken anew beside its older takes, and clips joined again from chosen takes.

The combined clip keeps its name: the new one is written beside it and takes its place whole. Its
older form can always be had again, since every take is kept and can be chosen.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from jobs.report import Reporter
from studio.errors import StudioError, writing_to
from studio.layout import Layout
from studio.line_takes import ClipLines, KeptLine, KeptTake, read_lines, write_lines
from studio.pieces import Piece, room_of, split_pieces
from studio.plan import plan_lines
from studio.redo import RedoRequest, RejoinRequest, piece_again
from studio.requests import Wish, request_like
from studio.results import LINES, Destination, existing_clip
from studio.settings import Settings
from studio.speaking import SpeakRequest, Spoken, Take
from studio.tags import read_record
from studio.takes import Redone, TakeRecord
from studio.tasks.keep import check_can_write, keep_take
from studio.tasks.line_store import keep_takes, read_takes, tell_take
from studio.tasks.restore import restoring
from studio.tasks.session import Session, Version
from studio.tasks.speak import joined
from studio.tasks.workshop import Workshop

HIGHEST_SEED = 2**31  # of seeds that are drawn


def redo(workshop: Workshop, request: RedoRequest, report: Reporter) -> Spoken:
    """Speak one line anew, keep its takes beside the older ones, and join the clip with the best.

    Raises StudioError, before anything is written, for whatever cannot be done.
    """
    layout = workshop.layout
    destination = _combined(layout, request.clip)
    spoken = _request_of(destination, workshop.settings)
    with workshop.speaker.session(spoken, report) as session:
        lines = _lines_of(destination, session)
        piece = _piece_anew(lines, request, session)
        session.listen(piece.planned.voice, piece.options)
        versions = session.speak_piece(piece)
        if read_lines(destination) is None:
            _copy_first_takes(destination, lines.lines[0])
        takes = keep_takes(session, destination, piece, versions, lines)
        lines = lines.with_takes(request.line, takes)
        write_lines(destination, lines)
        kept = [Take(path=str(destination.folder / take.file), score=take.score) for take in takes]
        tell_take(session.minutes, piece, takes[0].seconds, kept, 1)
        return _join(destination, lines, session.minutes)


def rejoin(workshop: Workshop, request: RejoinRequest, report: Reporter) -> Spoken:
    """Join a clip again from chosen takes; no engine is needed."""
    destination = _combined(workshop.layout, request.clip)
    lines = read_lines(destination)
    if lines is None:
        raise StudioError(
            f"{destination.final.name} has no takes to choose from: it was spoken in one piece, or "
            "the folder of its lines is gone. Speak its line anew first."
        )
    for index, file in request.by_line().items():
        lines = lines.with_chosen(index, file)
    spoken = _join(destination, lines, report)
    write_lines(destination, lines)
    return spoken


def _combined(layout: Layout, name: str) -> Destination:
    clip = existing_clip(layout, name)
    if clip.parent.name.endswith(LINES):
        raise StudioError(
            f"{clip.name} is the take of a line. Choose the clip that it is a part of."
        )
    check_can_write(clip)
    return Destination(final=clip)


def _request_of(destination: Destination, settings: Settings) -> SpeakRequest:
    """Return the request that a clip came from."""
    lines = read_lines(destination)
    if lines is not None:
        if lines.record is None:
            raise StudioError(
                f"{destination.final.name} is not finished yet. Let its job go on, then speak "
                "lines of it anew."
            )
        return lines.request
    record = read_record(destination.final)
    return replace(request_like(settings, record, Wish()), like=None)


def _lines_of(destination: Destination, session: Session) -> ClipLines:
    """Return the lines of a clip; one spoken in one piece has itself as the take of its line."""
    lines = read_lines(destination)
    if lines is not None:
        return lines
    request, record = session.request, read_record(destination.final)
    plan = plan_lines(request, session.layout)
    pieces = split_pieces(plan, room_of(session.engine), request)
    if len(pieces) > 1:
        raise StudioError(
            f"The folder with the lines of {destination.final.name} is gone, or of an older "
            "version. Copy its settings and generate it again; then its lines can be redone."
        )
    takes = _whole_takes(destination, pieces[0], record)
    return ClipLines(
        suffix=destination.final.suffix,
        request=request,
        lines=(KeptLine(heard=pieces[0].line.spoken, takes=takes, chosen=takes[0].file),),
        finished=True,
        record=record.without_latents(),
    )


def _whole_takes(
    destination: Destination, piece: Piece, record: TakeRecord
) -> tuple[KeptTake, ...]:
    """Return the clip and its candidates as takes of its only line; they are not copied yet."""
    take = KeptTake(
        file=f"001{destination.final.suffix}",
        text=piece.line.text,
        heard=piece.line.spoken,
        voice=piece.planned.voice,
        options=record.options,
        score=record.score,
        seconds=record.duration_s,
        warnings=record.warnings,
        whole=True,
    )
    takes = [take]
    while (candidate := destination.candidate(len(takes) + 1)).is_file():
        number = len(takes) + 1
        name = f"001.candidate-{number}{candidate.suffix}"
        score = None
        with suppress(StudioError):  # without its settings it is a take all the same
            score = read_record(candidate).score
        takes.append(replace(take, file=name, candidate=number, score=score))
    return tuple(takes)


def _copy_first_takes(destination: Destination, line: KeptLine) -> None:
    """Copy a clip of one piece into the folder before another take stands beside it."""
    for number, take in enumerate(line.takes, start=1):
        _copy(destination.candidate(number), destination.folder / take.file)


def _piece_anew(lines: ClipLines, request: RedoRequest, session: Session) -> Piece:
    """Return the line as it shall be spoken now."""
    line = lines.line(request.line)
    last = line.take(line.chosen) if line.chosen else line.takes[0]
    seed = secrets.randbelow(HIGHEST_SEED) if request.seed is None else request.seed
    redone = Redone(
        index=request.line,
        text=last.text if request.text is None else request.text,
        voice=request.voice or last.voice,
        options={**last.options, **request.options, "seed": seed},
    )
    room = room_of(session.engine)
    return piece_again(redone, session.request, room, session.layout)


def _join(destination: Destination, lines: ClipLines, report: Reporter) -> Spoken:
    """Put the chosen takes together and let the clip take the place of the older one."""
    report.check()
    chosen, request = lines.chosen_takes(), lines.request
    if lines.record is None:
        raise StudioError(f"{destination.final.name} is not finished yet. Let its job go on.")
    whole = _whole(destination, chosen, request)
    record = replace(
        lines.record,
        score=whole.score,
        candidate=1,
        redone=lines.redone(),
        warnings=tuple(dict.fromkeys(told for take in chosen for told in take.warnings)),
        latents=_latents_in(destination.final, request),
    )
    if chosen[0].whole:
        _copy(destination.folder / chosen[0].file, destination.final)
        kept = Take(path=str(destination.final), score=whole.score)
    else:
        finished = restoring(request, report)(whole.clip)
        kept = keep_take(finished, destination.final, record, request)
    return Spoken(
        path=kept.path,
        voice=request.voice,
        text=request.text,
        heard=" ".join(take.heard for take in chosen),
        seed=chosen[0].seed if len(chosen) == 1 else request.seed,
        seconds=round(whole.clip.duration_s, 3),
        stages={name: round(spent, 3) for name, spent in report.timings.items()},
        candidates=(kept,),
        lines=tuple(
            Take(path=str(destination.folder / take.file), score=take.score) for take in chosen
        ),
        warnings=record.warnings,
    )


def _whole(destination: Destination, chosen: list[KeptTake], request: SpeakRequest) -> Version:
    versions: list[Version] = []
    for number, take in enumerate(chosen, start=1):
        read = read_takes(destination, [take])
        if read is None:
            raise StudioError(
                f"The take {take.file} of line {number} is gone or damaged. Choose another take of "
                "the line, or speak it anew."
            )
        versions += read
    return joined(versions, request)


def _latents_in(clip: Path, request: SpeakRequest) -> str | None:
    if request.embed_latents:
        with suppress(StudioError):  # a clip without them is joined without them
            return read_record(clip).latents
    return None


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
