"""The takes of one request's lines: kept the moment they are spoken, read back when it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audio.clip import Clip, ClipError
from audio.io import ClipLimits, read_clip
from core.progress import ProgressEvent, ProgressReporter
from core.serialization import to_dict
from studio.schemas.speech import SpeechRequest, Take
from studio.schemas.take_metadata import LineOverride, TakeMetadata
from studio.synthesis.chunking import TextChunk
from studio.synthesis.line_takes import (
    LineTakes,
    LineTakesFile,
    SavedTake,
    read_line_takes,
    write_line_takes,
)
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.retake import make_line_output_options
from studio.workers.synthesis.session import ClipCandidate, SynthesisSession
from studio.workers.synthesis.write_take import write_take

NO_CLIP_LIMITS = ClipLimits(shortest_s=0.0, min_peak=0.0)  # what was spoken is taken as it is
NON_AUDIO_FIELDS = ("out", "device", "threads", "embed", "sidecar", "embed_latents", "like")


class TakeStore:
    """The folder of one clip's lines while the clip is spoken.

    A clip of one piece needs no folder: its take is the clip.
    """

    def __init__(
        self, session: SynthesisSession, destination: OutputPath, pieces: Sequence[TextChunk]
    ) -> None:
        self.destination = destination
        self._session = session
        self._chunks = pieces
        found = _find_resumable_lines(session, destination) if len(pieces) > 1 else None
        older = found.lines if found and len(found.lines) == len(pieces) else ()
        self._lines = LineTakesFile(
            suffix=destination.clip_path.suffix,
            request=replace(session.request, like=None),
            lines=tuple(
                LineTakes(
                    heard=piece.line.spoken_text,
                    takes=older[piece.index].takes if older else (),
                )
                for piece in pieces
            ),
        )

    def load_candidates(self, piece: TextChunk) -> list[ClipCandidate] | None:
        """Return the versions of a piece that were kept earlier; None where it must be spoken."""
        if not self._lines.lines[piece.index].takes:
            return None
        takes = self._lines.lines[piece.index].takes_for_key(self._session.compute_take_key(piece))
        versions = read_takes(self.destination, takes)
        if not takes or versions is None:
            return None
        self._session.progress.restore_warnings(takes[-1].warnings)
        self._lines = self._lines.with_chosen(piece.index, _get_preferred_take(piece, takes).file)
        self._report_take(piece, takes)
        return _put_preferred_first(piece, versions)

    def save_candidates(
        self, piece: TextChunk, versions: Sequence[ClipCandidate]
    ) -> list[ClipCandidate]:
        """Keep the versions of a piece, and return them as their files hold them.

        What is joined is what was kept, so that reading it back later gives the same clip.
        """
        takes = write_takes(self._session, self.destination, piece, versions, self._lines)
        read = read_takes(self.destination, takes)
        chosen = _get_preferred_take(piece, takes).file
        self._lines = self._lines.with_takes(piece.index, takes, chosen)
        write_line_takes(self.destination, self._lines)
        self._report_take(piece, takes)
        return _put_preferred_first(piece, read or versions)

    def get_line_overrides(self) -> tuple[LineOverride, ...]:
        """Say which lines are not what the request alone gives."""
        return tuple(
            piece.line_override for piece in self._chunks if piece.line_override is not None
        )

    def takes_in_use(self) -> tuple[Take, ...]:
        """Return the take in use of every line; none for a clip of one piece."""
        if len(self._chunks) == 1:
            return ()
        return tuple(
            Take(path=str(self.destination.lines_folder / take.file), score=take.score)
            for take in self._lines.chosen_takes()
        )

    def finish(self, record: TakeMetadata) -> None:
        """Write down that the combined clip is there, and how it was recorded."""
        if len(self._chunks) > 1:
            record = replace(record, redone=self.get_line_overrides()).without_latents()
            self._lines = replace(self._lines, finished=True, record=record)
            write_line_takes(self.destination, self._lines)

    def close(self) -> None:
        """Leave no folder behind in which nothing was kept."""
        self.destination.release()

    def _report_take(self, piece: TextChunk, takes: Sequence[SavedTake]) -> None:
        first = _get_preferred_take(piece, takes)
        others = [take for take in takes if take is not first]
        kept = [
            Take(path=str(self.destination.lines_folder / take.file), score=take.score)
            for take in (first, *others)
        ]
        report_take(self._session.progress, piece, first.seconds, kept, len(self._chunks))


def write_takes(
    session: SynthesisSession,
    destination: OutputPath,
    piece: TextChunk,
    versions: Sequence[ClipCandidate],
    lines: LineTakesFile,
) -> list[SavedTake]:
    """Write the versions of a piece beside the takes that its line has already."""
    first = len(lines.lines[piece.index].takes) + 1
    kept = []
    for candidate, version in enumerate(versions, start=1):
        path = destination.take_path(piece.index, first + candidate - 1)
        delivery = make_line_output_options(session.request.delivery, path.suffix)
        record = session.build_chunk_metadata(piece, version, candidate, delivery)
        write_take(version.clip, path, record, replace(session.request, delivery=delivery))
        kept.append(
            SavedTake(
                file=path.name,
                key=session.compute_take_key(piece),
                text=piece.line.text,
                heard=piece.line.spoken_text,
                voice=piece.line_plan.voice,
                options=to_dict(piece.options),
                candidate=candidate,
                score=version.score,
                seconds=round(version.clip.duration_s, 3),
                warnings=tuple(session.progress.warnings),
                anew=piece.line_override is not None,
            )
        )
    return kept


def read_takes(destination: OutputPath, takes: Sequence[SavedTake]) -> list[ClipCandidate] | None:
    """Read kept takes as they were spoken; None where a file is gone or damaged."""
    try:
        clips: list[Clip] = [
            read_clip(destination.lines_folder / take.file, NO_CLIP_LIMITS) for take in takes
        ]
    except ClipError:
        return None
    return [
        ClipCandidate(clip=clip, score=take.score) for clip, take in zip(clips, takes, strict=True)
    ]


def report_take(
    report: ProgressReporter, piece: TextChunk, seconds: float, takes: Sequence[Take], total: int
) -> None:
    """Say that a take can be heard, unless it was said in an earlier run of the same job."""
    data = {
        "index": piece.index,
        "text": piece.line.spoken_text,
        "path": takes[0].path,
        "score": takes[0].score,
        "voice": piece.line_plan.voice,
        "seed": piece.options.seed,
        "seconds": round(seconds, 3),
        "candidates": [{"path": take.path, "score": take.score} for take in takes],
    }
    if not any((told.get("index"), told.get("path")) == (piece.index, takes[0].path)
               for told in report.previous_takes):  # fmt: skip
        done = min(piece.index + 1, total)
        report.emit(ProgressEvent(kind="take", stage="speaking", done=done, total=total, data=data))


def _find_resumable_lines(
    session: SynthesisSession, destination: OutputPath
) -> LineTakesFile | None:
    """Return what an earlier run of the same request has kept, if it was cut off."""
    found = read_line_takes(destination)
    if found is None or not _is_same_request(found.request, session.request):
        return None
    return found if not found.finished or session.progress.previous_takes else None


def _is_same_request(before: SpeechRequest, now: SpeechRequest) -> bool:
    """Whether two requests ask for the same sound, wherever it is computed and written."""
    plain = (to_dict(before), to_dict(now))
    return all(
        plain[0][name] == plain[1][name] for name in plain[0] if name not in NON_AUDIO_FIELDS
    )


def _get_preferred_take(piece: TextChunk, takes: Sequence[SavedTake]) -> SavedTake:
    wanted = piece.line_override.candidate if piece.line_override is not None else 1
    return takes[wanted - 1] if 1 <= wanted <= len(takes) else takes[0]


def _put_preferred_first(
    piece: TextChunk, versions: Sequence[ClipCandidate]
) -> list[ClipCandidate]:
    wanted = piece.line_override.candidate if piece.line_override is not None else 1
    if not 1 < wanted <= len(versions):
        return list(versions)
    return [versions[wanted - 1], *versions[: wanted - 1], *versions[wanted:]]
