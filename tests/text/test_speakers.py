"""Speakers of a script: which names begin its rows, whose voice speaks what, and the pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from text.script import ScriptLine, parse_lines, parse_script
from text.speakers import find_speakers

VOICES = {"Anna": "clara", "Old Ben": "felix"}
SCRIPT = """It was late.

Anna: Good evening,
how are you?
OLD BEN (tired): Fine. Note: not well.

Then they went home."""


def read(text: str, delimiter: str = "", **speakers: str) -> list[tuple[str, str]]:
    lines = parse_script(text, delimiter, known=("seed",), speakers=speakers or VOICES)
    return [(str(line.override.get("voice", "")), line.spoken_text) for line in lines]


def test_each_speaker_has_a_voice_and_the_names_are_not_spoken() -> None:
    assert read(SCRIPT) == [
        ("", "It was late."),
        ("clara", "Good evening, how are you?"),
        ("felix", "Fine. Note: not well."),
        ("", "Then they went home."),
    ]


def test_between_speakers_there_is_the_pause_of_paragraphs() -> None:
    lines = parse_script("Anna: One.\nOld Ben: Two.\nAnna: Three.", speakers=VOICES)
    assert [line.pause.kind for line in lines] == ["paragraph", "paragraph", "none"]
    assert [line.number for line in lines] == [1, 2, 3]


def test_a_name_without_a_voice_is_text() -> None:
    assert read("Anna: One.\nCarl: Two.") == [("clara", "One. Carl: Two.")]
    assert read("Anna: One.\n\nCarl: Two.") == [("clara", "One."), ("", "Carl: Two.")]
    assert [text for _, text in read("Anna: One.", Anna="")] == ["Anna: One."]


def test_with_a_delimiter_each_line_names_its_speaker() -> None:
    assert read("Anna: One.\nTwo.\nold  ben: Three.", "\\n") == [
        ("clara", "One."),
        ("", "Two."),
        ("felix", "Three."),
    ]


def test_options_behind_the_name_belong_to_the_line() -> None:
    (line,) = parse_script('**Anna:** {"seed": 5} Hi.', known=("seed",), speakers=VOICES)
    assert dict(line.override) == {"voice": "clara", "seed": 5}
    (line,) = parse_script("Anna: [duration:2s] Hi.", speakers=VOICES)
    assert dict(line.override) == {"voice": "clara", "duration": 2.0}
    (line,) = parse_script('Anna: {"voice": "bob"} Hi.', speakers=VOICES)
    assert dict(line.override) == {"voice": "bob"}


def test_names_are_found_in_scripts_only() -> None:
    assert find_speakers(SCRIPT) == ["Anna", "OLD BEN"]
    assert find_speakers("Anna: One.\nANNA: Two.\nCarl: Three.") == ["Anna", "Carl"]
    assert find_speakers("Note: this is a text with one colon.") == []
    assert find_speakers("Zoë: Oui.\n李雷: 你好。") == ["Zoë", "李雷"]


@pytest.mark.parametrize(
    "row",
    [
        "http://example.com: x",
        "at 10:30 we left",
        "lower: case",
        "This is a much longer sentence: not a name",
        '{"voice": "a"} Hi.',
        "[pause:1s] Hi.",
        "Anna:",
        "Anna:no space",
    ],
)
def test_what_is_no_name_is_no_speaker(row: str) -> None:
    assert find_speakers(f"{row}\n{row}") == []


@given(st.text(st.one_of(st.characters(), st.sampled_from("Anna: Ben\n*()[]")), max_size=80))
def test_any_text_is_read_and_keeps_its_words_without_voices(text: str) -> None:
    assert parse_lines(text) == parse_lines(text, speakers={"Anna": ""})
    for item in parse_lines(text, speakers={"Anna": "clara"}):
        if isinstance(item, ScriptLine):
            assert set(item.override.get("voice", "clara")) == set("clara")
    find_speakers(text)
