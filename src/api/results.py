"""What was spoken, over HTTP: find it, see how it was made, name it, star it, delete it, undo."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.errors import MISSING, Refused
from api.views import At, file_url, studio_of
from jobs.plain import to_plain
from jobs.report import Reporter
from studio.errors import StudioError
from studio.history import History
from studio.history_bin import Deletion
from studio.history_query import PAGE, Part, Row, Search

router = APIRouter(prefix="/api/results", tags=["Results"])
MOST = 500  # clips in one answer
_OPENING = Lock()


def history_of(request: Request) -> History:
    """Return the history of the studio, brought up to date with the disk."""
    with _OPENING:
        history: History | None = getattr(request.app.state, "history", None)
        if history is None:
            history = History.open(studio_of(request).layout)
            request.app.state.history = history
    history.catch_up(Reporter())
    return history


Known = Annotated[History, Depends(history_of)]


class ResultView(BaseModel):
    """A clip in a list. ref: its name in all that is asked about it."""

    ref: str
    name: str
    voice: str
    text: str = Field(description="its beginning")
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


class PartView(BaseModel):
    """A file of a clip: of the whole (line 0) or of a line."""

    line: int
    candidate: int
    text: str
    score: float | None
    seconds: float | None
    url: str


class ResultDetail(ResultView):
    """A clip with its files, and how it was spoken where it says so."""

    parts: list[PartView]
    record: dict[str, Any] | None  # Any: an engine's own knobs


class ResultList(BaseModel):
    """One page of clips, and how many there are in all."""

    results: list[ResultView]
    total: int


class Change(BaseModel):
    """What to change about a clip."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    starred: bool | None = None


class DeletionView(BaseModel):
    """What was deleted in one go, and can be had back."""

    id: str
    when: float
    refs: list[str]


class ResultBin(BaseModel):
    """What is in the bin, the latest first."""

    deletions: list[DeletionView]


class Restored(BaseModel):
    """Where clips are after they were brought back."""

    refs: list[str]


Order = Literal["newest", "oldest", "voice", "name", "longest", "shortest", "score"]


class Wanted(BaseModel):
    """What of the results is wanted; what is left out does not matter."""

    model_config = ConfigDict(extra="forbid")

    search: str = Field(default="", max_length=500, description="words in the text or the name")
    voice: str = ""
    engine: str = ""
    model: str = ""
    starred: bool = False
    since: float | None = None
    until: float | None = None
    order: Order = "newest"
    start: int = Field(default=0, ge=0)
    count: int = Field(default=PAGE, ge=1, le=MOST)

    def as_search(self) -> Search:
        """Return the question to the index."""
        own = self.model_dump(exclude={"search", "start", "count"})
        return Search(words=self.search, **own)


@router.get("")
def results(wanted: Annotated[Wanted, Query()], history: Known, path: At) -> ResultList:
    """List clips: search, filter, sort."""
    listing = history.find(wanted.as_search(), wanted.start, wanted.count)
    return ResultList(results=[_view(row, path) for row in listing.rows], total=listing.total)


@router.get("/bin")
def binned(history: Known) -> ResultBin:
    """List what was deleted."""
    return ResultBin(deletions=[_deletion(item) for item in history.binned()])


@router.post("/bin/{id}/restore")
def restore(id: str, history: Known) -> Restored:
    """Bring back what was deleted in one go."""
    try:
        return Restored(refs=history.undo(id))
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "not_found") from refusal


@router.get("/{ref:path}")
def result(ref: str, history: Known, path: At) -> ResultDetail:
    """Return a clip with its files and how it was spoken."""
    row = _row(history, ref)
    try:
        record = to_plain(history.record(row.path))
    except StudioError:  # somebody else's file: it can be heard, and that is all
        record = None
    return ResultDetail(
        **_view(row, path).model_dump(),
        parts=[_part(part, path) for part in history.parts(ref)],
        record=record,
    )


@router.patch("/{ref:path}")
def change(ref: str, change: Change, history: Known, path: At) -> ResultView:
    """Rename a clip, or give it a star."""
    _row(history, ref)
    if change.starred is not None:
        history.star([ref], change.starred)
    if change.name is not None:
        ref = history.rename(ref, change.name)
    return _view(history.row(ref), path)


@router.delete("/{ref:path}")
def delete(ref: str, history: Known) -> DeletionView:
    """Move a clip, with its candidates and lines, into the bin."""
    _row(history, ref)
    return _deletion(history.delete([ref]))


def _row(history: History, ref: str) -> Row:
    try:
        return history.row(ref)
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "not_found") from refusal


def _view(row: Row, path: str) -> ResultView:
    plain = to_plain(row)
    url = file_url(path, "results", row.path)
    return ResultView.model_validate({**plain, "bytes": row.size, "url": url})


def _part(part: Part, path: str) -> PartView:
    url = file_url(path, "results", part.path)
    return PartView.model_validate({**to_plain(part), "url": url})


def _deletion(deletion: Deletion) -> DeletionView:
    refs = [clip.ref for clip in deletion.clips]
    return DeletionView(id=deletion.id, when=deletion.when, refs=refs)
