"""Tags of voices: stored with the voice, found by, and part of its export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from core.errors import AppError
from core.paths import ProjectPaths
from studio.archives.voice_zip import export_voice, import_voice_zip
from studio.voices.catalog import find_voice, list_tags, list_voices, search_voices
from studio.voices.tags import MAX_TAG_CHARS, parse_tags, read_tags, write_tags
from studio.voices.trash import rename_voice
from studio.voices.voice_file import VOICE_FILE

Run = Callable[..., tuple[int, str, str]]


def found(layout: ProjectPaths, words: str) -> list[str]:
    return [voice.name for voice in search_voices(list_voices(layout), words)]


def test_tags_are_kept_with_the_voice_and_it_is_found_by_them(layout: ProjectPaths) -> None:
    assert write_tags(layout.voices / "alice", ["calm, British English", "Calm"]) == (
        "calm",
        "British English",
    )
    write_tags(layout.voices / "bob", ["deep", "CALM"])
    assert found(layout, "") == ["alice", "bob"] == found(layout, "calm")
    assert found(layout, "english calm") == ["alice"] == found(layout, "ALI")
    assert found(layout, "deep alice") == []
    assert list_tags(list_voices(layout)) == ["British English", "calm", "deep"]
    assert rename_voice(layout, "alice", "carol").tags == ("calm", "British English")


def test_a_voice_travels_with_its_tags(layout: ProjectPaths, tmp_path: Path) -> None:
    write_tags(layout.voices / "alice", ["calm"])
    file = export_voice(layout, "alice", tmp_path)
    assert import_voice_zip(layout, file, "twin").tags == ("calm",)


def test_without_tags_there_is_no_file_and_other_entries_of_it_stay(layout: ProjectPaths) -> None:
    file = layout.voices / "alice" / VOICE_FILE
    write_tags(file.parent, ["calm"])
    write_tags(file.parent, [" , "])
    assert not file.exists() and read_tags(file.parent) == ()
    file.write_text("later: 1\ntags: [old]\n")
    write_tags(file.parent, ["new"])
    assert yaml.safe_load(file.read_text()) == {"later": 1, "tags": ["new"]}
    write_tags(file.parent, [])
    assert yaml.safe_load(file.read_text()) == {"later": 1}


@pytest.mark.parametrize(
    "content", ["tags: 5", "tags: [1, {a: b}]", "[]", "\x00", "tags: ['" + "x" * 99 + "']"]
)
def test_a_damaged_file_is_as_good_as_none(layout: ProjectPaths, content: str) -> None:
    (layout.voices / "alice" / VOICE_FILE).write_text(content)
    assert find_voice(layout, "alice").tags == ()


@pytest.mark.parametrize("word", ["x" * (MAX_TAG_CHARS + 1), "a\x07b", "a\u202eb"])
def test_what_cannot_be_a_tag_is_refused(word: str) -> None:
    with pytest.raises(AppError, match="cannot be a tag"):
        parse_tags([word])
    with pytest.raises(AppError, match="21 tags are too many"):
        parse_tags([",".join(map(str, range(21)))])


def test_the_command_line_sets_shows_and_finds_tags(testudo: Run, layout: ProjectPaths) -> None:
    assert testudo("voices", "tag", "alice", "calm", "British English")[1].strip() == (
        "alice: calm, British English"
    )
    assert "calm" in testudo("voices", "tag", "alice")[1]
    told = testudo("voices", "--search", "calm")[1]
    assert "calm, British English" in told and "bob" not in told
    (only,) = json.loads(testudo("voices", "--search", "british", "--json")[1])
    assert (only["name"], only["tags"]) == ("alice", ["calm", "British English"])
    assert "No voice has nothing in its name" in testudo("voices", "--search", "nothing")[1]
    assert testudo("voices", "tag", "alice", "--clear")[1].strip() == "alice: no tags"
    assert "alice  2 clips" in testudo("voices")[1]
    assert testudo("voices", "tag", "nobody", "calm")[0] == 2
