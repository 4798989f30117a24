"""The takes of one request's lines: kept the moment they are spoken, read back when it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.plain import to_plain
from jobs.report import Event, Reporter
from speech.clip import Clip, ClipError
from speech.files import ClipLimits, read_clip
from studio.line_takes import ClipLines, KeptLine, KeptTake, read_lines, write_lines
from studio.pieces import Piece
from studio.redo import line_delivery
from studio.results import Destination
from studio.speaking import SpeakRequest, Take
from studio.takes import Redone, TakeRecord
from studio.tasks.keep import keep_take
from studio.tasks.session import Session, Version

KEPT = ClipLimits(shortest_s=0.0, quietest=0.0)  # what was spoken is taken as it is
BESIDE_THE_SOUND = ("out", "device", "threads", "embed", "sidecar", "embed_latents", "like")


class LineStore:
    """The folder of one clip's lines while the clip is spoken.

    A clip of one piece needs no folder: its take is the clip.
    """

    def __init__(self, session: Session, destination: Destination, pieces: Sequence[Piece]) -> None:
        self.destination = destination
        self._session = session
        self._pieces = pieces
        found = _to_go_on_from(session, destination) if len(pieces) > 1 else None
        older = found.lines if found and len(found.lines) == len(pieces) else ()
        self._lines = ClipLines(
            suffix=destination.final.suffix,
            request=replace(session.request, like=None),
            lines=tuple(
                KeptLine(
                    heard=piece.line.spoken,
                    takes=older[piece.index].takes if older else (),
                )
                for piece in pieces
            ),
        )

    def read_back(self, piece: Piece) -> list[Version] | None:
        """Return the versions of a piece that were kept earlier; None where it must be spoken."""
        if not self._lines.lines[piece.index].takes:
            return None
        takes = self._lines.lines[piece.index].matching(self._session.key_of(piece))
        versions = read_takes(self.destination, takes)
        if not takes or versions is None:
            return None
        self._session.minutes.recall(takes[-1].warnings)
        self._lines = self._lines.with_chosen(piece.index, _preferred(piece, takes).file)
        self._tell(piece, takes)
        return _preferred_first(piece, versions)

    def keep(self, piece: Piece, versions: Sequence[Version]) -> list[Version]:
        """Keep the versions of a piece, and return them as their files hold them.

        What is joined is what was kept, so that reading it back later gives the same clip.
        """
        takes = keep_takes(self._session, self.destination, piece, versions, self._lines)
        read = read_takes(self.destination, takes)
        chosen = _preferred(piece, takes).file
        self._lines = self._lines.with_takes(piece.index, takes, chosen)
        write_lines(self.destination, self._lines)
        self._tell(piece, takes)
        return _preferred_first(piece, read or versions)

    def redone(self) -> tuple[Redone, ...]:
        """Say which lines are not what the request alone gives."""
        return tuple(piece.redone for piece in self._pieces if piece.redone is not None)

    def takes_in_use(self) -> tuple[Take, ...]:
        """Return the take in use of every line; none for a clip of one piece."""
        if len(self._pieces) == 1:
            return ()
        return tuple(
            Take(path=str(self.destination.folder / take.file), score=take.score)
            for take in self._lines.chosen_takes()
        )

    def finish(self, record: TakeRecord) -> None:
        """Write down that the combined clip is there, and how it was recorded."""
        if len(self._pieces) > 1:
            record = replace(record, redone=self.redone()).without_latents()
            self._lines = replace(self._lines, finished=True, record=record)
            write_lines(self.destination, self._lines)

    def close(self) -> None:
        """Leave no folder behind in which nothing was kept."""
        self.destination.release()

    def _tell(self, piece: Piece, takes: Sequence[KeptTake]) -> None:
        first = _preferred(piece, takes)
        others = [take for take in takes if take is not first]
        kept = [
            Take(path=str(self.destination.folder / take.file), score=take.score)
            for take in (first, *others)
        ]
        tell_take(self._session.minutes, piece, first.seconds, kept, len(self._pieces))


def keep_takes(
    session: Session,
    destination: Destination,
    piece: Piece,
    versions: Sequence[Version],
    lines: ClipLines,
) -> list[KeptTake]:
    """Write the versions of a piece beside the takes that its line has already."""
    first = len(lines.lines[piece.index].takes) + 1
    kept = []
    for candidate, version in enumerate(versions, start=1):
        path = destination.line(piece.index, first + candidate - 1)
        delivery = line_delivery(session.request.delivery, path.suffix)
        record = session.record_of_piece(piece, version, candidate, delivery)
        keep_take(version.clip, path, record, replace(session.request, delivery=delivery))
        kept.append(
            KeptTake(
                file=path.name,
                key=session.key_of(piece),
                text=piece.line.text,
                heard=piece.line.spoken,
                voice=piece.planned.voice,
                options=to_plain(piece.options),
                candidate=candidate,
                score=version.score,
                seconds=round(version.clip.duration_s, 3),
                warnings=tuple(session.minutes.warnings),
                anew=piece.redone is not None,
            )
        )
    return kept


def read_takes(destination: Destination, takes: Sequence[KeptTake]) -> list[Version] | None:
    """Read kept takes as they were spoken; None where a file is gone or damaged."""
    try:
        clips: list[Clip] = [read_clip(destination.folder / take.file, KEPT) for take in takes]
    except ClipError:
        return None
    return [Version(clip=clip, score=take.score) for clip, take in zip(clips, takes, strict=True)]


def tell_take(
    report: Reporter, piece: Piece, seconds: float, takes: Sequence[Take], total: int
) -> None:
    """Say that a take can be heard, unless it was said in an earlier run of the same job."""
    data = {
        "index": piece.index,
        "text": piece.line.spoken,
        "path": takes[0].path,
        "score": takes[0].score,
        "voice": piece.planned.voice,
        "seed": piece.options.seed,
        "seconds": round(seconds, 3),
        "candidates": [{"path": take.path, "score": take.score} for take in takes],
    }
    if not any((told.get("index"), told.get("path")) == (piece.index, takes[0].path)
               for told in report.kept):  # fmt: skip
        done = min(piece.index + 1, total)
        report.emit(Event(kind="take", stage="speaking", done=done, total=total, data=data))


def _to_go_on_from(session: Session, destination: Destination) -> ClipLines | None:
    """Return what an earlier run of the same request has kept, if it was cut off."""
    found = read_lines(destination)
    if found is None or not _is_same(found.request, session.request):
        return None
    return found if not found.finished or session.minutes.kept else None


def _is_same(before: SpeakRequest, now: SpeakRequest) -> bool:
    """Whether two requests ask for the same sound, wherever it is computed and written."""
    plain = (to_plain(before), to_plain(now))
    return all(
        plain[0][name] == plain[1][name] for name in plain[0] if name not in BESIDE_THE_SOUND
    )


def _preferred(piece: Piece, takes: Sequence[KeptTake]) -> KeptTake:
    wanted = piece.redone.candidate if piece.redone is not None else 1
    return takes[wanted - 1] if 1 <= wanted <= len(takes) else takes[0]


def _preferred_first(piece: Piece, versions: Sequence[Version]) -> list[Version]:
    wanted = piece.redone.candidate if piece.redone is not None else 1
    if not 1 < wanted <= len(versions):
        return list(versions)
    return [versions[wanted - 1], *versions[: wanted - 1], *versions[wanted:]]
