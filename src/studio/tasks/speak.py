"""Speaking a request: its lines one after another, each take kept, then all as one clip."""

from __future__ import annotations

from statistics import fmean

from jobs.report import Event, Reporter
from speech.clip import Clip
from studio.layout import Layout
from studio.pieces import Piece, room_of, split_pieces
from studio.plan import plan_lines
from studio.results import Destination, chosen_destination, next_destination
from studio.speaking import SpeakRequest, Spoken, Take
from studio.tasks.join import join_clips
from studio.tasks.keep import check_can_write, keep_take
from studio.tasks.minutes import Minutes
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

        Raises StudioError, before anything is written, for whatever cannot be done.
        """
        plan = plan_lines(request, self._layout)
        check_bundle(self._layout, request.bundle)
        destination = _destination(request, self._layout)
        check_can_write(destination.final)
        minutes = Minutes(report)
        try:
            engine = self._warm.ready_for(request, minutes)
            session = Session(
                request=request,
                layout=self._layout,
                engine=engine,
                machine=self._warm.machine(),
                destination=destination,
                minutes=minutes,
            )
            pieces = split_pieces(plan, room_of(engine), request)
            for voice in dict.fromkeys(piece.planned.voice for piece in pieces):
                session.listen(voice, pieces[0].options)
            if request.like is not None:
                session.compare(request.like)
            return _finish(session, pieces, _speak_all(session, pieces))
        finally:
            minutes.close()

    def weights_id(self, request: SpeakRequest, report: Reporter) -> str:
        """Name the weights that would speak the request."""
        return self._warm.ready_for(request, report).weights_id


Takes = tuple[list[list[Version]], tuple[Take, ...]]  # versions of each piece; kept line takes


def _speak_all(session: Session, pieces: list[Piece]) -> Takes:
    """Speak piece after piece and keep each take the moment it exists."""
    spoken, lines = [], []
    for piece in pieces:
        session.minutes.check()
        versions = session.speak_piece(piece)
        spoken.append(versions)
        if len(pieces) > 1:
            for number, version in enumerate(versions, start=1):
                path = session.destination.line(piece.index, number)
                record = session.record_of_piece(piece, version, number)
                take = keep_take(version.clip, path, record, session.request)
                lines += [take] if number == 1 else []
        session.minutes.emit(
            Event(kind="take", stage="speaking", done=piece.index + 1, total=len(pieces))
        )
    return spoken, tuple(lines)


def _finish(session: Session, pieces: list[Piece], takes: Takes) -> Spoken:
    """Join the pieces, best with best, and keep the whole clips."""
    spoken, lines = takes
    request, minutes = session.request, session.minutes
    kept: list[Take] = []
    seconds: list[float] = []
    for place, number in enumerate(_wanted(request, spoken), start=1):
        whole = _joined([versions[number - 1] for versions in spoken], request)
        path = session.destination.candidate(place)
        kept.append(keep_take(whole.clip, path, session.record(whole, number), request))
        seconds.append(whole.clip.duration_s)
    return Spoken(
        path=kept[0].path,
        voice=request.voice,
        text=request.text,
        heard=" ".join(piece.line.spoken for piece in pieces),
        seed=request.seed,
        seconds=round(seconds[0], 3),
        stages={name: round(spent, 3) for name, spent in minutes.timings.items()},
        candidates=tuple(kept),
        lines=lines,
        warnings=tuple(minutes.warnings),
    )


def _wanted(request: SpeakRequest, spoken: list[list[Version]]) -> list[int]:
    """Number the candidates to keep: all, or the one that shall be said again."""
    numbers = list(range(1, min(len(versions) for versions in spoken) + 1))
    again = request.like.candidate if request.like is not None else 1
    return [again] if again > 1 and again in numbers else numbers


def _joined(versions: list[Version], request: SpeakRequest) -> Version:
    clip: Clip = join_clips([version.clip for version in versions], request.delivery)
    scores = [version.score for version in versions if version.score is not None]
    return Version(clip=clip, score=fmean(scores) if len(scores) == len(versions) else None)


def _destination(request: SpeakRequest, layout: Layout) -> Destination:
    if request.out is not None:
        return chosen_destination(request.out)
    folder = folder_name(request.voice)
    return next_destination(layout, folder, request.text, request.delivery.format)
