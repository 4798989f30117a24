"""Queries of the index: search terms, filters, sort orders, pages."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from core.options import OptionInfo, validate_options
from studio.history.index import iter_batches
from studio.synthesis.output_paths import RANKS_PER_LINE

PAGE_SIZE = 50
MAX_SEARCH_CHARS = 500
EXCERPT_CHARS = 300  # of a text in a list
SORT_ORDERS = MappingProxyType(
    {
        "newest": "created desc",
        "oldest": "created",
        "voice": "voice collate nocase, created desc",
        "name": "name collate nocase, created desc",
        "longest": "seconds desc nulls last, created desc",
        "shortest": "seconds nulls last, created desc",
        "score": "score desc nulls last, created desc",
        "likeness": "likeness desc nulls last, created desc",
    }
)
# Scripts without spaces between words: searched by substring instead of the full-text index.
_UNSPACED_SCRIPTS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
)
_SEARCH_TERM = re.compile(r'"([^"]*)"|(\S+)')
_SELECT = f"""
select page.family as ref, path, name, voice, speaker, substr(text, 1, {EXCERPT_CHARS}) as text,
    engine, bundle as model, seed, score, seconds, likeness, created, size,
    exists(select 1 from stars where stars.family = page.family) as starred,
    rank = 0 as whole, foreign_ as "foreign",
    (select count(*) from files as f where f.family = page.family and f.rank < {RANKS_PER_LINE})
        as candidates,
    (select count(distinct f.rank / {RANKS_PER_LINE}) from files as f
        where f.family = page.family and f.rank >= {RANKS_PER_LINE}) as lines
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search; an empty field matches everything.

    words: all must be in the text or the name;  voice: a folder below the results;  since, until:
    seconds since 1970;  min_s, max_s: length in seconds;  min_score: of the ranking of candidates;
    with_lines: clips of at least two lines.
    """

    words: str = ""
    voice: str = ""
    engine: str = ""
    model: str = ""
    starred: bool = False
    since: float | None = None
    until: float | None = None
    min_s: float | None = None
    max_s: float | None = None
    min_score: float | None = None
    with_lines: bool = False
    order: Annotated[str, OptionInfo(choices=tuple(SORT_ORDERS), help="Sort order")] = "newest"

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSummary:
    """A clip in a list.

    ref: its id, the path of the joined clip below the results;  path: the file to play;  speaker:
    the voice in the metadata;  whole: the joined clip exists;  foreign: without readable metadata;
    candidates, lines: how many there are;  likeness: similarity to the voice, None not measured.
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
    likeness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A page of clips. total: on all pages."""

    rows: tuple[ClipSummary, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFile:
    """A file of a clip. line: from 1, 0 for the joined clip;  candidate: from 1."""

    path: str
    line: int
    candidate: int
    text: str
    score: float | None
    seconds: float | None
    likeness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChoices:
    """The values that a search can filter by."""

    voices: tuple[str, ...]
    engines: tuple[str, ...]
    models: tuple[str, ...]


def find_clips(db: sqlite3.Connection, search: Search, start: int, count: int) -> HistoryPage:
    """Return the matching clips from the `start`-th (from 0) on."""
    where, values = _build_conditions(search)
    total = db.execute(f"select count(*) from files where {where}", values).fetchone()[0]
    order = f"{SORT_ORDERS[search.order]}, path"
    page = f"select * from files where {where} order by {order} limit ? offset ?"
    found = db.execute(f"{_SELECT} from ({page}) as page order by {order}", [*values, count, start])
    return HistoryPage(rows=tuple(map(_make_summary, found)), total=total)


def find_clip_summary(db: sqlite3.Connection, ref: str) -> ClipSummary | None:
    """Return one clip, or None."""
    found = db.execute(f"{_SELECT} from files as page where family = ? and head", [ref]).fetchone()
    return _make_summary(found) if found else None


def filter_known_refs(db: sqlite3.Connection, refs: Sequence[str]) -> set[str]:
    """Return those of the refs that are in the index."""
    known: set[str] = set()
    for some in iter_batches(refs):
        marks = ", ".join("?" * len(some))
        found = db.execute(f"select family from files where head and family in ({marks})", some)
        known.update(row["family"] for row in found)
    return known


def list_refs(db: sqlite3.Connection, search: Search, most: int) -> list[str]:
    """Return the refs of at most `most` matching clips, in order."""
    where, values = _build_conditions(search)
    order = f"order by {SORT_ORDERS[search.order]}, path limit ?"
    found = db.execute(f"select family from files where {where} {order}", [*values, most])
    return [row["family"] for row in found]


def list_clip_files(db: sqlite3.Connection, ref: str) -> list[ClipFile]:
    """Return every file of a clip: itself, its candidates, then line by line."""
    found = db.execute("select * from files where family = ? order by rank, path", [ref])
    return [
        ClipFile(
            path=row["path"],
            line=row["rank"] // RANKS_PER_LINE,
            candidate=row["rank"] % RANKS_PER_LINE + 1,
            text=row["text"],
            score=row["score"],
            seconds=row["seconds"],
            likeness=row["likeness"],
        )
        for row in found
    ]


def is_indexed(db: sqlite3.Connection, path: str) -> bool:
    """Return whether a file is in the index."""
    return db.execute("select 1 from files where path = ?", [path]).fetchone() is not None


def get_filter_choices(db: sqlite3.Connection) -> FilterChoices:
    """Return the voices, engines and models that there are clips of."""
    return FilterChoices(
        voices=_list_distinct(db, "voice"),
        engines=_list_distinct(db, "engine"),
        models=_list_distinct(db, "bundle"),
    )


def _list_distinct(db: sqlite3.Connection, column: str) -> tuple[str, ...]:
    found = db.execute(f"select distinct {column} as it from files where head and {column} != ''")
    return tuple(sorted((row["it"] for row in found), key=str.casefold))


def _make_summary(row: sqlite3.Row) -> ClipSummary:
    flags = {name: bool(row[name]) for name in ("starred", "whole", "foreign")}
    return ClipSummary(**{**dict(row), **flags})


def _build_conditions(search: Search) -> tuple[str, list[str | float]]:
    conditions, values = ["head"], list[str | float]()
    exact = {"voice": search.voice, "engine": search.engine, "bundle": search.model}
    for column, value in exact.items():
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    bounds = {
        "created >= ?": search.since,
        "created < ?": search.until,
        "seconds >= ?": search.min_s,
        "seconds <= ?": search.max_s,
        "score >= ?": search.min_score,
    }
    for bound, number in bounds.items():
        if number is not None:
            conditions.append(bound)
            values.append(number)
    if search.starred:
        conditions.append("family in (select family from stars)")
    if search.with_lines:
        conditions.append(
            f"family in (select family from files where rank >= {2 * RANKS_PER_LINE})"
        )
    words, pieces = _split_search_terms(search.words[:MAX_SEARCH_CHARS])
    if words:
        conditions.append("id in (select rowid from words where words match ?)")
        values.append(" ".join(words))
    for piece in pieces:
        conditions.append("(instr(lower(text), ?) or instr(lower(name), ?))")
        values += [piece.lower(), piece.lower()]
    return " and ".join(conditions), values


def _split_search_terms(typed: str) -> tuple[list[str], list[str]]:
    """Return the terms for the full-text index (prefixes) and those to find as substrings."""
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
