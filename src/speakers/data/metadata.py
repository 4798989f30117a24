"""Text files of datasets: their encodings, and the tables that name speakers and their genders."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from core.errors import CodedError
from speakers.data.scan import SpeakerFacts

MAX_TEXT_BYTES = 64_000_000
GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextFileError(CodedError, ValueError):
    """A text file cannot be read; the message says why."""

    code = "bad_request"


def read_text(path: Path) -> tuple[str, str]:
    """Return a text and its encoding: UTF-8, by its byte order mark, or guessed.

    Raises TextFileError where the file cannot be read or is no text.
    """
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise TextFileError(f"has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are read as text")
        data = path.read_bytes()
    except OSError as cause:
        raise TextFileError(f"cannot be read: {cause.strerror}") from cause
    marked = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(marked), marked
    except UnicodeDecodeError as cause:
        best = from_bytes(data).best()
        if best is None or b"\0" in data:
            raise TextFileError(
                f"is not text in UTF-8 (byte {cause.start + 1}), and no other encoding fits"
            ) from cause
        return str(best), best.encoding


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table with a header, its names in lower case.

    The separator is ",", ";", a tab or "|", whichever the header has most of.
    """
    text, _ = read_text(path)
    lines = text.splitlines()
    header = lines[0] if lines else ""
    separator = max(",;\t|", key=header.count)
    if not header.count(separator):
        separator = ","
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restval="")
    return [
        {
            (key or "").strip().lower(): value.strip()
            for key, value in row.items()
            if isinstance(value, str)
        }
        for row in rows
    ]


def read_librispeech_speakers(path: Path) -> dict[str, SpeakerFacts]:
    """Read SPEAKERS.TXT: `ID | SEX | SUBSET | MINUTES | NAME` after comments with ";"."""
    lines = (line for line in read_text(path)[0].splitlines() if not line.startswith(";"))
    rows = (re.split(r"\s*\|\s*", line.strip(), maxsplit=4) for line in lines)
    return _collect((row[0], row[1], row[4]) for row in rows if len(row) == 5)


def read_libritts_speakers(path: Path) -> dict[str, SpeakerFacts]:
    """Read speakers.tsv: `READER GENDER SUBSET NAME`, between tabs."""
    rows = (line.split("\t") for line in read_text(path)[0].splitlines())
    return _collect((row[0], row[1], row[3]) for row in rows if len(row) >= 4)


def read_vctk_speakers(path: Path) -> dict[str, SpeakerFacts]:
    """Read speaker-info.txt: `ID AGE GENDER ACCENTS …` between spaces."""
    rows = (line.split() for line in read_text(path)[0].splitlines())
    found = ((row[0], row[2], "") for row in rows if len(row) >= 3 and row[0].upper() != "ID")
    return _collect(
        (key if key[:1].isalpha() else f"p{key}", gender, name) for key, gender, name in found
    )


def read_voxceleb_speakers(path: Path) -> dict[str, SpeakerFacts]:
    """Read vox1_meta.csv or vox2_meta.csv, whose first column is an id such as id10001."""
    facts = []
    for row in read_table(path):
        key = next((value for value in row.values() if re.fullmatch(r"id\d{5}", value)), "")
        name = row.get("vggface1 id") or row.get("vggface2 id") or ""
        facts.append((key, row.get("gender", ""), name.replace("_", " ")))
    return _collect(item for item in facts if item[0])


def parse_gender(text: str) -> str | None:
    """Return "female" or "male" for the usual words, else None."""
    return GENDERS.get(text.strip().lower())


def _collect(
    rows: Iterable[tuple[str, str, str]] | Iterator[tuple[str, str, str]],
) -> dict[str, SpeakerFacts]:
    return {
        key.strip(): SpeakerFacts(name=name.strip(), gender=parse_gender(gender))
        for key, gender, name in rows
    }
