"""Read transcripts that name their speakers: html, txt, vtt, srt, docx, json."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.errors import InvalidValueError
from core.files import write_text
from core.tables.office_packages import DAMAGED_PACKAGE_ERRORS, check_package
from core.tables.text_files import read_bytes, read_text
from training.asr.transcripts.subtitles import read_subtitles
from training.asr.transcripts.whisper_json import load_json

MAX_NAME_WORDS = 3  # a paragraph starts a turn where a colon follows its first, 2nd or 3rd word
MAX_DOCX_BYTES = 50_000_000
_NAME = re.compile(rf"^\s*((?:[^\s:|]+\s+){{0,{MAX_NAME_WORDS - 1}}}[^\s:|]+)\s*[:|]\s*(.*)$", re.S)
_BRACKETED_CLOCK = re.compile(r"^[\[(]\d{1,2}(?::\d{2}){1,2}(?:[.,]\d+)?[\])]\s*")
_CLOCK = re.compile(r"^[\[(]?\d{1,2}(?::\d{2}){1,2}(?:[.,]\d+)?[\])]?\s*")
_VOICE_MARK = "\u2983{}\u2984"  # brackets that no caption has
_VOICE = re.compile(r"\u2983([^\u2984]*)\u2984")


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptTurn:
    """What one speaker says. start, stop: seconds, None where the transcript has no times."""

    speaker: str
    text: str
    start: float | None = None
    stop: float | None = None


def read_transcript(path: Path) -> list[TranscriptTurn]:
    """Read a transcript; consecutive turns of one speaker are joined.

    Raises InvalidValueError where the format is unknown or no speaker is named.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidValueError(
            f"{path.name} is not a transcript that can be read. Allowed are {', '.join(READERS)}."
        )
    turns = merge_transcript(reader(path))
    if not turns:
        raise InvalidValueError(
            f"{path.name} names no speaker. Write each turn as 'Name: words', one per paragraph."
        )
    return turns


def write_transcript(path: Path, turns: Iterable[TranscriptTurn]) -> None:
    """Write the turns as text, one per line: 'Speaker| words'."""
    write_text(path, "".join(f"{turn.speaker}| {turn.text}\n" for turn in turns))


def read_turns(path: Path) -> list[TranscriptTurn]:
    """Read what `write_transcript` wrote, perhaps edited.

    Raises InvalidValueError naming a line without a speaker.
    """
    turns = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        speaker, bar, text = line.partition("|")
        if not bar or not speaker.strip():
            raise InvalidValueError(
                f"{path}, line {number}: {line.strip()[:60]!r} names no speaker. A turn is written "
                "'Ann| words'."
            )
        turns.append(TranscriptTurn(speaker=speaker, text=text))
    return merge_transcript(turns)


def merge_transcript(turns: Iterable[TranscriptTurn]) -> list[TranscriptTurn]:
    """Join consecutive turns of one speaker, and drop empty ones."""
    merged: list[TranscriptTurn] = []
    for turn in turns:
        speaker = " ".join(turn.speaker.replace("|", " ").split())
        turn = replace(turn, text=" ".join(turn.text.split()), speaker=speaker)
        if not turn.text:
            continue
        if merged and merged[-1].speaker == turn.speaker:
            last = merged[-1]
            merged[-1] = replace(last, text=f"{last.text} {turn.text}", stop=turn.stop)
        else:
            merged.append(turn)
    return merged


def split_paragraphs(paragraphs: Iterable[str]) -> list[TranscriptTurn]:
    """Assign paragraphs to speakers: 'Name: words' starts a turn, others continue it.

    Paragraphs before the first name are left out: titles and credits.
    """
    turns: list[TranscriptTurn] = []
    for paragraph in paragraphs:
        found = _NAME.match(_CLOCK.sub("", paragraph.strip()))
        if found is not None and not (found[1][0].isdigit() or found[1][0].islower()):
            turns.append(TranscriptTurn(speaker=found[1].strip(), text=_CLOCK.sub("", found[2])))
        elif turns:
            text = _BRACKETED_CLOCK.sub("", paragraph.strip())
            turns.append(replace(turns[-1], text=text))
    return turns


def _read_txt(path: Path) -> list[TranscriptTurn]:
    return split_paragraphs(read_text(path).splitlines())


def _read_html(path: Path) -> list[TranscriptTurn]:
    from bs4 import BeautifulSoup  # an extra

    page = BeautifulSoup(read_text(path), "html.parser")
    for unseen in page(["script", "style", "head", "nav", "footer"]):
        unseen.decompose()
    blocks = page.find_all(["p", "li", "dd", "blockquote", "h1", "h2", "h3", "td"])
    if not blocks:
        return split_paragraphs(page.get_text("\n").splitlines())
    return split_paragraphs(block.get_text(" ", strip=True) for block in blocks)


def _read_docx(path: Path) -> list[TranscriptTurn]:
    from docx import Document  # an extra
    from docx.opc.exceptions import PackageNotFoundError

    try:
        check_package(read_bytes(path), MAX_DOCX_BYTES)
        paragraphs = [paragraph.text for paragraph in Document(str(path)).paragraphs]
    except (*DAMAGED_PACKAGE_ERRORS, PackageNotFoundError) as error:
        raise InvalidValueError(f"{path.name} is damaged or not a .docx file: {error}") from error
    return split_paragraphs(paragraphs)


def _read_cues(path: Path) -> list[TranscriptTurn]:
    """Read subtitles; the speaker is in a voice tag, or before a colon."""
    turns: list[TranscriptTurn] = []
    for segment in read_subtitles(path, _VOICE_MARK).transcript.segments:
        before, *voices = _VOICE.split(segment.text)
        named = _NAME.match(before)
        spoken = list(zip(voices[::2], voices[1::2], strict=True))
        if named is not None:
            spoken = [(named[1], named[2]), *spoken]
        elif turns:
            spoken = [(turns[-1].speaker, before), *spoken]
        turns += [
            TranscriptTurn(speaker=speaker, text=text, start=segment.start_s, stop=segment.stop_s)
            for speaker, text in spoken
        ]
    return turns


def _read_json(path: Path) -> list[TranscriptTurn]:
    """Read the segments of Whisper with speakers, or a list of turns as pyannote has it."""
    content = load_json(path)
    rows: Any = content  # Any: JSON
    if isinstance(content, dict):
        rows = content.get("segments") or content.get("turns") or content.get("diarization") or []
    turns = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict) or not row.get("speaker"):
            continue
        times = [row.get("start"), row.get("end", row.get("stop"))]
        start, stop = (float(time) if isinstance(time, int | float) else None for time in times)
        turns.append(
            TranscriptTurn(
                speaker=str(row["speaker"]), text=str(row.get("text", "")), start=start, stop=stop
            )
        )
    return turns


READERS: Mapping[str, Callable[[Path], list[TranscriptTurn]]] = MappingProxyType(
    {
        ".txt": _read_txt,
        ".html": _read_html,
        ".htm": _read_html,
        ".vtt": _read_cues,
        ".srt": _read_cues,
        ".docx": _read_docx,
        ".json": _read_json,
    }
)
