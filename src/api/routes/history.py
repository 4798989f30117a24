"""HTTP routes of generated clips: search, metadata, rename, star, delete, restore."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from api.errors import missing_as_404
from api.schemas import ApiContext, ContextDep, JobView, get_studio
from core.errors import AppError
from core.serialization import to_dict
from studio.history.query import PAGE_SIZE, ClipFile, ClipSummary, Search
from studio.history.service import History
from studio.history.trash import Deletion
from studio.subtitles.cues import format_subtitles
from studio.subtitles.word_times import LineWords, LocateWordsRequest

router = APIRouter(prefix="/api/results", tags=["Results"])
MAX_PAGE_SIZE = 500
MAX_PEAK_FILES = 100
MAX_LISTED_JOBS = 50  # among which one for the same words is looked for
LOCATE_WORDS = "locate_words"
MAX_START = 1_000_000_000  # SQLite takes 64 bits
_HISTORY_LOCK = Lock()


def get_history(request: Request) -> History:
    """Return the history of the studio, with the newest files in it."""
    with _HISTORY_LOCK:
        history: History | None = getattr(request.app.state, "history", None)
        if history is None:
            history = History.open(get_studio(request).layout)
            request.app.state.history = history
    history.update()
    return history


HistoryDep = Annotated[History, Depends(get_history)]


class ResultView(BaseModel):
    """A clip in a list. ref: its id."""

    ref: str
    name: str
    voice: str
    text: str = Field(description="first characters")
    engine: str
    model: str
    seed: str
    score: float | None
    seconds: float | None
    created: float
    bytes: int
    starred: bool
    candidates: int
    lines: int
    url: str


class ResultFileView(BaseModel):
    """A file of a clip. line: from 1, 0 for the joined clip."""

    line: int
    candidate: int
    text: str
    score: float | None
    seconds: float | None
    url: str


class ResultDetail(ResultView):
    """A clip with its files and its metadata, if any."""

    parts: list[ResultFileView]
    record: dict[str, Any] | None  # Any: option values


class ResultList(BaseModel):
    """A page of clips. total: on all pages."""

    results: list[ResultView]
    total: int
    indexing: bool = Field(
        default=False, description="whether more clips are being read; the list is not whole yet"
    )
    indexed: int = Field(default=0, description="files read so far")
    to_index: int = Field(default=0, description="files to read")


class ResultUpdate(BaseModel):
    """Changes to a clip."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    starred: bool | None = None


class DeletionView(BaseModel):
    """Clips that were deleted together."""

    id: str
    when: float
    refs: list[str]


class ResultTrash(BaseModel):
    """The deletions in the trash, the latest first."""

    deletions: list[DeletionView]


class PeaksView(BaseModel):
    """bars: by file, the loudest sample of each of 64 parts as a hexadecimal digit."""

    bars: dict[str, str]


class LineWordsView(BaseModel):
    """A line of a clip. line: from 0; start, end: seconds in the clip."""

    line: int
    text: str
    start: float
    end: float
    words: list[tuple[str, float, float]] = Field(
        description="each word as written, and when it begins and ends; empty while unknown"
    )

    @classmethod
    def of(cls, line: LineWords) -> LineWordsView:
        """Return the view of a line."""
        words = [(word.text, word.start, word.end) for word in line.words]
        return cls(line=line.line, text=line.text, start=line.start, end=line.end, words=words)


class ClipWordsView(BaseModel):
    """When the words of a clip are spoken."""

    lines: list[LineWordsView]


class RestoreResult(BaseModel):
    """The refs of restored clips."""

    refs: list[str]


SortOrder = Literal["newest", "oldest", "voice", "name", "longest", "shortest", "score"]


class ResultQuery(BaseModel):
    """A search; missing fields match everything."""

    model_config = ConfigDict(extra="forbid")

    search: str = Field(default="", max_length=500, description="words in the text or the name")
    voice: str = ""
    engine: str = ""
    model: str = ""
    starred: bool = False
    since: float | None = None
    until: float | None = None
    min_s: float | None = Field(default=None, description="shortest length in seconds")
    max_s: float | None = Field(default=None, description="longest length in seconds")
    min_score: float | None = None
    order: SortOrder = "newest"
    start: int = Field(default=0, ge=0, le=MAX_START)
    count: int = Field(default=PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE)

    def as_search(self) -> Search:
        """Return the search."""
        own = self.model_dump(exclude={"search", "start", "count"})
        return Search(words=self.search, **own)


@router.get("")
def read_results(
    wanted: Annotated[ResultQuery, Query()], history: HistoryDep, context: ContextDep
) -> ResultList:
    """List clips: search, filter, sort."""
    listing = history.find(wanted.as_search(), wanted.start, wanted.count)
    status = history.scan_status
    return ResultList(
        results=[_build_result_view(row, context) for row in listing.rows],
        total=listing.total,
        indexing=status.running,
        indexed=status.done,
        to_index=status.total,
    )


@router.get("/bin")
def read_trash(history: HistoryDep) -> ResultTrash:
    """List the deletions in the trash."""
    return ResultTrash(deletions=[_build_deletion_view(item) for item in history.list_trash()])


@router.post("/bin/{id}/restore")
def restore(id: str, history: HistoryDep) -> RestoreResult:
    """Restore clips that were deleted together."""
    with missing_as_404():
        return RestoreResult(refs=history.restore(id))


@router.get("/peaks")
def read_peaks(
    path: Annotated[list[str], Query(max_length=MAX_PEAK_FILES)], history: HistoryDep
) -> PeaksView:
    """Return small waveforms of files below the results; unknown files are left out."""
    return PeaksView(bars=history.get_bars(path))


@router.get("/subtitles/{ref:path}", response_class=PlainTextResponse)
def read_subtitles(
    ref: str,
    history: HistoryDep,
    format: Literal["srt", "vtt"] = "srt",
    words: Annotated[bool, Query(description="vtt with a time stamp before each word")] = False,
) -> PlainTextResponse:
    """Return the subtitles of a clip, from the times of its lines."""
    row = _get_row_or_404(history, ref)
    text = format_subtitles(history.list_cues(ref, words=words and format == "vtt"), format)
    name = quote(f"{row.name}.{format}")
    media_type = "text/vtt" if format == "vtt" else "application/x-subrip"
    headers = {"content-disposition": f"attachment; filename*=utf-8''{name}"}
    return PlainTextResponse(text, media_type=media_type, headers=headers)


@router.get("/words/{ref:path}")
def read_words(ref: str, history: HistoryDep) -> ClipWordsView:
    """Return when the words of a clip are spoken; those of some lines may be unknown yet."""
    _get_row_or_404(history, ref)
    lines = [LineWordsView.of(line) for line in history.list_words(ref)]
    return ClipWordsView(lines=lines)


@router.post("/words/{ref:path}", status_code=202)
def find_words(
    ref: str,
    history: HistoryDep,
    context: ContextDep,
    line: Annotated[int, Query(ge=0, le=MAX_START, description="the first one, from 0")] = 0,
) -> JobView:
    """Find when the words of a clip are spoken, about half a minute of sound in one job.

    Returns the job that does it already, if there is one.
    """
    _get_row_or_404(history, ref)
    wanted = to_dict(LocateWordsRequest(clip=ref, line=line))
    for job in context.studio.jobs(limit=MAX_LISTED_JOBS):
        if job.task == LOCATE_WORDS and not job.is_over and dict(job.request) == wanted:
            return context.job_view(job)
    return context.submit(LocateWordsRequest(clip=ref, line=line), title=f"Words of {ref}")


@router.get("/{ref:path}")
def read_result(ref: str, history: HistoryDep, context: ContextDep) -> ResultDetail:
    """Return a clip with its files and metadata."""
    row = _get_row_or_404(history, ref)
    try:
        record = to_dict(history.read_metadata(row.path))
    except AppError:  # a file without metadata
        record = None
    return ResultDetail(
        **_build_result_view(row, context).model_dump(),
        parts=[_build_file_view(part, context) for part in history.list_files(ref)],
        record=record,
    )


@router.patch("/{ref:path}")
def update_result(
    ref: str, change: ResultUpdate, history: HistoryDep, context: ContextDep
) -> ResultView:
    """Rename a clip, or star it."""
    _get_row_or_404(history, ref)
    if change.starred is not None:
        history.set_starred([ref], change.starred)
    if change.name is not None:
        ref = history.rename(ref, change.name)
    return _build_result_view(history.get_clip(ref), context)


@router.delete("/{ref:path}")
def delete(ref: str, history: HistoryDep) -> DeletionView:
    """Move a clip with its candidates and lines to the trash."""
    _get_row_or_404(history, ref)
    return _build_deletion_view(history.delete([ref]))


def _get_row_or_404(history: History, ref: str) -> ClipSummary:
    with missing_as_404():
        return history.get_clip(ref)


def _build_result_view(row: ClipSummary, context: ApiContext) -> ResultView:
    plain = to_dict(row)
    url = context.file_url("results", row.path)
    return ResultView.model_validate({**plain, "bytes": row.size, "url": url})


def _build_file_view(part: ClipFile, context: ApiContext) -> ResultFileView:
    url = context.file_url("results", part.path)
    return ResultFileView.model_validate({**to_dict(part), "url": url})


def _build_deletion_view(deletion: Deletion) -> DeletionView:
    refs = [clip.ref for clip in deletion.clips]
    return DeletionView(id=deletion.id, when=deletion.when, refs=refs)
