"""Transcripts in every format become turns of named speakers."""

from __future__ import annotations

import json
from pathlib import Path

import docx
import pytest

from core.errors import InvalidValueError
from training.gold.transcripts import (
    TranscriptTurn,
    read_transcript,
    read_turns,
    write_transcript,
)

PAIR = [("Ann", "one two three"), ("Bob Ray", "four £5")]


def pairs(turns: list[TranscriptTurn]) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in turns]


def test_text_paragraphs_continue_a_turn(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("A title\n\nAnn: one two\nthree\n\n[00:12] Bob Ray: four £5\n", "utf-8")
    assert pairs(read_transcript(path)) == PAIR


def test_times_of_day_do_not_name_a_speaker(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Ann: we met at\n10:30 today: yes\n", "utf-8")
    assert pairs(read_transcript(path)) == [("Ann", "we met at 10:30 today: yes")]


def test_html_reads_what_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<html><head><title>x: y</title><script>var a: 1;</script></head><body>"
        "<p><b>Ann</b>: one <i>two</i></p><p>three</p><p>Bob Ray: four &pound;5</p></body></html>",
        "utf-8",
    )
    assert pairs(read_transcript(path)) == PAIR


def test_subtitles_have_times(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nAnn: one two\n\n"
        "00:00:02.000 --> 00:00:03.000\nthree\n\n00:00:04.000 --> 00:00:05.500\nBob Ray: four £5\n",
        "utf-8",
    )
    turns = read_transcript(path)
    assert pairs(turns) == PAIR
    assert (turns[0].start, turns[0].stop, turns[1].stop) == (1.0, 3.0, 5.5)


def test_voice_tags_of_subtitles_name_the_speaker(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Ann>one <i>two</i></v>\n\n"
        "00:00:02.000 --> 00:00:03.000\nthree\n\n"
        "00:00:04.000 --> 00:00:05.500\n<v.loud Dr. B &amp; C von D>yes: four\n<v Ann>five\n",
        "utf-8",
    )
    turns = read_transcript(path)
    assert pairs(turns) == [
        ("Ann", "one two three"),
        ("Dr. B & C von D", "yes: four"),
        ("Ann", "five"),
    ]
    assert (turns[1].start, turns[2].stop) == (4.0, 5.5)


def test_written_turns_are_read_as_they_are(tmp_path: Path) -> None:
    turns = [
        TranscriptTurn(speaker="Dr. Mary Ann Smith Jones", text="12:30 is noon: nearly"),
        TranscriptTurn(speaker="speaker 1", text="[laughs] yes | no"),
        TranscriptTurn(speaker="2", text="one"),
    ]
    write_transcript(tmp_path / "1-transcript.txt", turns)
    assert read_turns(tmp_path / "1-transcript.txt") == turns


def test_a_line_without_a_speaker_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1-transcript.txt"
    path.write_text("Ann| one\n\ntwo three\n", "utf-8")
    with pytest.raises(InvalidValueError, match="line 3: 'two three' names no speaker"):
        read_turns(path)


def test_docx_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    document = docx.Document()
    for text in ("Ann: one two", "three", "Bob Ray: four £5"):
        document.add_paragraph(text)
    document.save(str(path))
    assert pairs(read_transcript(path)) == PAIR


def test_json_of_whisper_with_speakers(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [
        {"speaker": "Ann", "text": " one two three", "start": 0, "end": 1.5},
        {"speaker": "Bob Ray", "text": "four £5", "start": 2, "stop": 3},
        {"text": "nobody"},
    ]
    path.write_text(json.dumps({"segments": rows}), "utf-8")
    turns = read_transcript(path)
    assert pairs(turns) == PAIR
    assert turns[1].stop == 3.0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"%PDF", "is not a transcript that can be read"),
        ("a.txt", b"no names here", "names no speaker"),
        ("a.docx", b"not a zip", "damaged or not a .docx"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match=message):
        read_transcript(path)
