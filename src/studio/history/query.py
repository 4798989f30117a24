"""Questions to the index: words, filters, an order, and one page of the answer."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from core.options import OptionInfo, validate_options
from studio.history.file_groups import RANKS_PER_LINE
from studio.history.index import iter_batches

PAGE_SIZE = 50  # clips shown at once
MAX_SEARCH_CHARS = 500  # characters
EXCERPT_CHARS = 300  # characters of a text in a list
SORT_ORDERS = MappingProxyType(
    {
        "newest": "created desc",
        "oldest": "created",
        "voice": "voice collate nocase, created desc",
        "name": "name collate nocase, created desc",
        "longest": "seconds desc nulls last, created desc",
        "shortest": "seconds nulls last, created desc",
        "score": "score desc nulls last, created desc",
    }
)
# Scripts that write no spaces: their words cannot be looked up, only found as they stand.
_UNSPACED_SCRIPTS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
)
_SEARCH_TERM = re.compile(r'"([^"]*)"|(\S+)')
_SELECT = f"""
select files.family as ref, path, name, voice, speaker, substr(text, 1, {EXCERPT_CHARS}) as text,
    engine, bundle, seed, score, seconds, created, size, rank, foreign_,
    exists(select 1 from stars where stars.family = files.family) as starred
from files
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What of the history is wanted; what is empty does not matter.

    words: all of them, in the text or the name;  voice: a folder of results;  model: a bundle;
    since, until: seconds since 1970.
    """

    words: str = ""
    voice: str = ""
    engine: str = ""
    model: str = ""
    starred: bool = False
    since: float | None = None
    until: float | None = None
    order: Annotated[str, OptionInfo(choices=tuple(SORT_ORDERS), help="What comes first")] = (
        "newest"
    )

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSummary:
    """One clip in a list: the combined one, or what stands for it.

    ref: its name in all that is asked of the history;  path: the file that is played, below the
    results;  speaker: the voice as the clip names it;  whole: the combined clip is there;
    foreign: it carries no settings that can be read;  candidates, lines: further files of it.
    """

    ref: str
    path: str
    name: str
    voice: str
    speaker: str
    text: str
    engine: str
    model: str
    seed: str
    score: float | None
    seconds: float | None
    created: float
    size: int
    starred: bool
    whole: bool
    foreign: bool
    candidates: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """One page of clips, and how many there are in all."""

    rows: tuple[ClipSummary, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFile:
    """One file of a clip's family: a candidate of the whole (line 0) or of a line."""

    path: str
    line: int
    candidate: int
    text: str
    score: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChoices:
    """What can be filtered by."""

    voices: tuple[str, ...]
    engines: tuple[str, ...]
    models: tuple[str, ...]


def find_clips(db: sqlite3.Connection, search: Search, start: int, count: int) -> HistoryPage:
    """Return the clips that fit, from the `start`-th (from 0) on."""
    where, values = _build_conditions(search)
    total = db.execute(f"select count(*) from files where {where}", values).fetchone()[0]
    page = db.execute(
        f"{_SELECT} where {where} order by {SORT_ORDERS[search.order]}, path limit ? offset ?",
        [*values, count, start],
    ).fetchall()
    return HistoryPage(rows=tuple(_make_summaries(db, page)), total=total)


def find_clip_summary(db: sqlite3.Connection, ref: str) -> ClipSummary | None:
    """Return one clip, if the index knows it."""
    page = db.execute(f"{_SELECT} where family = ? and head", [ref]).fetchall()
    return next(iter(_make_summaries(db, page)), None)


def filter_known_refs(db: sqlite3.Connection, refs: Sequence[str]) -> set[str]:
    """Return those of the names that the index knows."""
    known: set[str] = set()
    for some in iter_batches(refs):
        marks = ", ".join("?" * len(some))
        found = db.execute(f"select family from files where head and family in ({marks})", some)
        known.update(row["family"] for row in found)
    return known


def list_refs(db: sqlite3.Connection, search: Search, most: int) -> list[str]:
    """Name all clips that fit, in order."""
    where, values = _build_conditions(search)
    order = f"order by {SORT_ORDERS[search.order]}, path limit ?"
    found = db.execute(f"select family from files where {where} {order}", [*values, most])
    return [row["family"] for row in found]


def list_clip_files(db: sqlite3.Connection, ref: str) -> list[ClipFile]:
    """Return every file of a clip: the combined one, its candidates, then line by line."""
    found = db.execute("select * from files where family = ? order by rank, path", [ref])
    return [
        ClipFile(
            path=row["path"],
            line=row["rank"] // RANKS_PER_LINE,
            candidate=row["rank"] % RANKS_PER_LINE + 1,
            text=row["text"],
            score=row["score"],
            seconds=row["seconds"],
        )
        for row in found
    ]


def is_indexed(db: sqlite3.Connection, path: str) -> bool:
    """Say whether the index holds this file."""
    return db.execute("select 1 from files where path = ?", [path]).fetchone() is not None


def get_filter_choices(db: sqlite3.Connection) -> FilterChoices:
    """Return what the clips at hand can be told apart by."""
    return FilterChoices(voices=_list_distinct(db, "voice"), engines=_list_distinct(db, "engine"),
                   models=_list_distinct(db, "bundle"))  # fmt: skip


def _list_distinct(db: sqlite3.Connection, column: str) -> tuple[str, ...]:
    found = db.execute(f"select distinct {column} as it from files where head and {column} != ''")
    return tuple(sorted((row["it"] for row in found), key=str.casefold))


def _make_summaries(db: sqlite3.Connection, page: Sequence[sqlite3.Row]) -> list[ClipSummary]:
    counts = _count_family_files(db, [row["ref"] for row in page])
    rows = []
    for row in page:
        plain = dict(row)
        rank, foreign, model = plain.pop("rank"), plain.pop("foreign_"), plain.pop("bundle")
        candidates, lines = counts.get(plain["ref"], (0, 0))
        more = {"starred": bool(plain.pop("starred")), "whole": rank == 0, "foreign": bool(foreign)}
        rows.append(ClipSummary(**plain, **more, model=model, candidates=candidates, lines=lines))
    return rows


def _count_family_files(db: sqlite3.Connection, refs: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Count the candidates of the whole and the lines of each clip."""
    sizes: dict[str, tuple[int, int]] = {}
    for some in iter_batches(refs):
        found = db.execute(
            f"select family, sum(rank < {RANKS_PER_LINE}) as candidates, count(distinct "
            f"case when rank >= {RANKS_PER_LINE} then rank / {RANKS_PER_LINE} end) as lines "
            f"from files where family in ({', '.join('?' * len(some))}) group by family",
            some,
        )
        sizes |= {row["family"]: (row["candidates"], row["lines"]) for row in found}
    return sizes


def _build_conditions(search: Search) -> tuple[str, list[str | float]]:
    conditions, values = ["head"], list[str | float]()
    exact = {"voice": search.voice, "engine": search.engine, "bundle": search.model}
    for column, value in exact.items():
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    for bound, moment in (("created >= ?", search.since), ("created < ?", search.until)):
        if moment is not None:
            conditions.append(bound)
            values.append(moment)
    if search.starred:
        conditions.append("family in (select family from stars)")
    words, pieces = _split_search_terms(search.words[:MAX_SEARCH_CHARS])
    if words:
        conditions.append("id in (select rowid from words where words match ?)")
        values.append(" ".join(words))
    for piece in pieces:
        conditions.append("(instr(lower(text), ?) or instr(lower(name), ?))")
        values += [piece.lower(), piece.lower()]
    return " and ".join(conditions), values


def _split_search_terms(typed: str) -> tuple[list[str], list[str]]:
    """Return what is looked up as words (each may go on), and what is found as it stands."""
    words, pieces = [], []
    clean = typed.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    for phrase, word in _SEARCH_TERM.findall(clean):
        wanted = (phrase or word).replace('"', " ").strip()
        if not wanted:
            continue
        if _UNSPACED_SCRIPTS.search(wanted) or not re.search(r"[^\W_]", wanted):
            pieces.append(wanted)
        else:
            words.append(f'"{wanted}"' if phrase else f'"{wanted}"*')
    return words, pieces
