"""Speaking a request: its lines one after another, each take kept, then all as one clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from jobs.report import Event, Reporter
from speech.clip import Clip
from studio.layout import Layout
from studio.pieces import Piece, room_of, split_pieces
from studio.plan import plan_lines
from studio.redo import as_before
from studio.results import (
    Destination,
    chosen_destination,
    next_destination,
    reserved_destination,
)
from studio.speaking import SpeakRequest, Spoken, Take
from studio.tasks.join import join_clips
from studio.tasks.keep import check_can_write, keep_take
from studio.tasks.line_store import LineStore, tell_take
from studio.tasks.minutes import Minutes
from studio.tasks.restore import restoring
from studio.tasks.session import Session, Version
from studio.tasks.warm import WarmEngine, check_bundle
from studio.voices import folder_name


class Speaker:
    """Speaks requests one after another and keeps the engine warm between them."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._warm = WarmEngine(layout)

    def speak(self, request: SpeakRequest, report: Reporter) -> Spoken:
        """Speak a request and write its clips.

        Lines that an earlier, cut-off run of the same request has kept are read back. Raises
        StudioError, before anything is written, for whatever cannot be done.
        """
        try:
            return self._speak(request, report)
        finally:
            if request.out is not None:  # the name may have been reserved when it was asked for
                Destination(final=Path(request.out).expanduser()).release()

    def _speak(self, request: SpeakRequest, report: Reporter) -> Spoken:
        plan = plan_lines(request, self._layout)
        check_bundle(self._layout, request.bundle)
        check_can_write(_expected(request, self._layout).final)
        with self.session(request, report) as session:
            room = room_of(session.engine)
            pieces = split_pieces(plan, room, request)
            pieces = as_before(pieces, request, room, self._layout)
            for voice in dict.fromkeys(piece.planned.voice for piece in pieces):
                session.listen(voice, pieces[0].options)
            if request.like is not None:
                session.compare(request.like)
            destination = _reserved(request, self._layout)
            store = LineStore(session, destination, pieces)
            try:
                return _finish(session, pieces, store, _speak_all(session, pieces, store))
            finally:
                store.close()

    @contextmanager
    def session(self, request: SpeakRequest, report: Reporter) -> Iterator[Session]:
        """Have the engine ready for a request, and write the minutes of what it says."""
        minutes = Minutes(report)
        try:
            engine = self._warm.ready_for(request, minutes)
            yield Session(
                request=request,
                layout=self._layout,
                engine=engine,
                machine=self._warm.machine(),
                minutes=minutes,
            )
        finally:
            minutes.close()

    def weights_id(self, request: SpeakRequest, report: Reporter) -> str:
        """Name the weights that would speak the request."""
        return self._warm.ready_for(request, report).weights_id


def _speak_all(session: Session, pieces: list[Piece], store: LineStore) -> list[list[Version]]:
    """Speak piece after piece, or read it back; each take is kept the moment it exists."""
    spoken = []
    if len(pieces) > 1:
        session.minutes.emit(Event(kind="progress", stage="speaking", done=0, total=len(pieces)))
    for piece in pieces:
        session.minutes.check()
        versions = store.read_back(piece)
        if versions is None:
            versions = session.speak_piece(piece)
            if len(pieces) > 1:
                versions = store.keep(piece, versions)
        spoken.append(versions)
    return spoken


def _finish(
    session: Session, pieces: list[Piece], store: LineStore, spoken: list[list[Version]]
) -> Spoken:
    """Join the pieces, best with best, and keep the whole clips."""
    request, minutes = session.request, session.minutes
    kept: list[Take] = []
    seconds: list[float] = []
    restored = restoring(request, minutes)
    for place, number in enumerate(_wanted(request, spoken), start=1):
        whole = joined([versions[number - 1] for versions in spoken], request)
        whole = replace(whole, clip=restored(whole.clip))
        path = store.destination.candidate(place)
        record = replace(session.record(whole, number), redone=store.redone())
        kept.append(keep_take(whole.clip, path, record, request))
        seconds.append(whole.clip.duration_s)
    store.finish(session.record(Version(clip=whole.clip, score=kept[0].score), 1))
    if len(pieces) == 1:
        tell_take(minutes, pieces[0], seconds[0], kept, total=1)
    return Spoken(
        path=kept[0].path,
        voice=request.voice,
        text=request.text,
        heard=" ".join(piece.line.spoken for piece in pieces),
        seed=request.seed,
        seconds=round(seconds[0], 3),
        stages={name: round(spent, 3) for name, spent in minutes.timings.items()},
        candidates=tuple(kept),
        lines=store.takes_in_use(),
        warnings=tuple(minutes.warnings),
    )


def _wanted(request: SpeakRequest, spoken: list[list[Version]]) -> list[int]:
    """Number the candidates to keep: all, or the one that shall be said again."""
    numbers = list(range(1, min(len(versions) for versions in spoken) + 1))
    again = request.like.candidate if request.like is not None else 1
    return [again] if again > 1 and again in numbers else numbers


def joined(versions: list[Version], request: SpeakRequest) -> Version:
    """Join one version of each piece; the score of the whole is the mean of theirs."""
    clip: Clip = join_clips([version.clip for version in versions], request.delivery)
    scores = [version.score for version in versions if version.score is not None]
    return Version(clip=clip, score=fmean(scores) if len(scores) == len(versions) else None)


def _expected(request: SpeakRequest, layout: Layout) -> Destination:
    if request.out is not None:
        return chosen_destination(request.out)
    folder = folder_name(request.voice)
    return next_destination(layout, folder, request.text, request.delivery.format)


def _reserved(request: SpeakRequest, layout: Layout) -> Destination:
    if request.out is not None:
        return chosen_destination(request.out)
    folder = folder_name(request.voice)
    return reserved_destination(layout, folder, request.text, request.delivery.format)
