"""Scripts: what is heard, what only steers, what differs line by line, and clear refusals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.script import (
    ScriptError,
    ScriptLine,
    ScriptNotice,
    parse_lines,
    parse_script,
    split_line,
)

KNOWN = ("temperature", "seed", "preset")
TYPED = st.text(st.one_of(st.characters(), st.sampled_from('[]{}:",\n|voice ')), max_size=60)


def only(text: str, **options: str) -> ScriptLine:
    (line,) = parse_script(text, known=KNOWN, **options)
    return line


def test_a_plain_text_is_one_line() -> None:
    line = only("Good evening.\nAnd welcome.")
    assert line.spoken_text == "Good evening. And welcome." and line.number == 1


@pytest.mark.parametrize("delimiter", ["\n", "\\n"])
def test_a_delimiter_makes_lines_and_blank_ones_are_skipped(delimiter: str) -> None:
    lines = parse_script("one\n\n ... \r\ntwo", delimiter)
    assert [(line.number, line.text) for line in lines] == [(1, "one"), (4, "two")]


def test_bracketed_words_are_given_to_the_model_but_not_spoken() -> None:
    line = only("Hello [softly] world [now]")
    assert line.text == "Hello [softly] world [now]"
    assert line.spoken_text == "Hello world"
    assert [line.text[start:end] for start, end in line.spans] == ["[softly]", "[now]"]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("See [the guide](url) now.", "See the guide now."),
        ("See [the guide](https://example.com/a_(b)?c=1#d).", "See the guide."),
        ('See [the guide](<my file.md> "Title").', "See the guide."),
        ("See [the\nguide](url) now.", "See the guide now."),
        ("![A cat](cat.png) sits.", "A cat sits."),
        ("[![Logo](logo.svg)](url) Hello.", "Logo Hello."),
        ("See [the guide][1] now.", "See the guide now."),
        ("[the guide](url)", "the guide"),
    ],
)
def test_a_markdown_link_is_read_as_its_text(written: str, spoken: str) -> None:
    line = only(written)
    assert line.spoken_text == spoken and line.text == spoken and line.spans == ()


@pytest.mark.parametrize(
    "written", ["[softly] (he sighed) Go.", "[softly](he sighed) Go.", "[softly]() Go."]
)
def test_brackets_before_other_words_are_no_link(written: str) -> None:
    assert "softly" not in only(written).spoken_text


def test_adjacent_prompts_and_footnotes_are_no_link() -> None:
    assert only("[sad][softly] Go.").spoken_text == "Go."
    assert only("It fell.[1][2] Go.").spoken_text == "It fell. Go."


def test_steering_words_stand_before_every_line_in_brackets() -> None:
    lines = parse_script("one|two", "|", steering="I am really sad,")
    assert [line.text for line in lines] == ["[I am really sad,] one", "[I am really sad,] two"]
    assert [line.spoken_text for line in lines] == ["one", "two"]


def test_an_override_is_read_before_the_steering_words() -> None:
    line = only('{"voice": "bob", "temperature": 0.3} Hi.', steering="I am really happy,")
    assert line.override == {"voice": "bob", "temperature": 0.3}
    assert line.text == "[I am really happy,] Hi."


def test_an_override_makes_its_row_a_line_even_without_a_delimiter() -> None:
    lines = parse_script('One\nmore.\n{"voice": "bob"} Two.\nThree.')
    assert [(line.spoken_text, dict(line.override)) for line in lines] == [
        ("One more.", {}),
        ("Two.", {"voice": "bob"}),
        ("Three.", {}),
    ]


def test_a_blend_of_voices_is_a_voice() -> None:
    assert only('{"voice": "alice:0.7+bob:0.3"} Hi').override["voice"] == "alice:0.7+bob:0.3"


def test_curly_words_are_not_an_override() -> None:
    assert only("{sighs} Hello").spoken_text == "{sighs} Hello"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[only this]", "all of it is in brackets"),
        ('{"voice": "bob"}', "no text after the override"),
        ('{"voice": "bob" Hello', "Line 1, character 17: the override is not JSON"),
        ("{voice: bob} Hello", "not JSON"),
        ('{"temprature": 1} Hello', "no option 'temprature'; did you mean 'temperature'"),
        ('{"xyzzy": 1} Hello', "known are duration, preset, seed, temperature, voice"),
        ('{"seed": [1]} Hello', "option 'seed' is"),
        ('{"temperature": NaN} Hello', "NaN is not a number"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        parse_script(text, known=KNOWN)


@pytest.mark.parametrize("voice", ["../bob", "a/b", "C:\\bob", ".hidden", "", " ", "bob+", 5, None])
def test_a_voice_is_a_plain_name_never_a_path(voice: object) -> None:
    with pytest.raises(ScriptError, match="name of a voice, not a path"):
        parse_script(f"{json.dumps({'voice': voice})} Hello")


def test_steering_words_with_brackets_are_refused() -> None:
    with pytest.raises(ScriptError, match="without brackets"):
        parse_script("Hello", steering="[sad]")


@given(TYPED, TYPED, TYPED)
@settings(max_examples=150, deadline=None)
def test_whatever_is_typed_is_read_or_refused(text: str, delimiter: str, steering: str) -> None:
    try:
        lines = parse_script(text, delimiter, known=KNOWN, steering=steering)
    except ScriptError:
        return
    for line in lines:
        assert line.spoken_text and "[" not in line.spoken_text and "]" not in line.spoken_text


@given(st.text("ab [],.", max_size=80), st.integers(16, 40))
@settings(max_examples=60, deadline=None)
def test_split_lines_fit_and_speak_the_same_words(text: str, limit: int) -> None:
    try:
        lines = parse_script(text, steering="sad,")
    except ScriptError:
        return
    for line in lines:
        pieces = split_line(line, limit, len)
        assert all(len(piece.text) <= limit for piece in pieces)
        assert all(piece.text.startswith("[sad,] ") for piece in pieces)
        heard = "".join(piece.spoken_text for piece in pieces)
        assert letters(heard) == letters(line.spoken_text)


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


def test_steering_words_that_fill_the_limit_are_refused() -> None:
    line = only("Hello.", steering="very very sad,")
    with pytest.raises(ScriptError, match="leaves no room"):
        split_line(line, 10, len)


@pytest.mark.parametrize(
    ("text", "spoken", "notice"),
    [
        ("one] two", "one two", "Line 1: ] in 'one] two' is never opened"),
        ("one [two", "one two", "Line 1: [ in 'one [two' is never closed"),
        ("Hi :]", "Hi :", "is never opened; it is read as plain text"),
        ("one [two [three]] four", "one four", ""),
        ("{note: x} Hi.", "{note: x} Hi.", "{note: x} sets no option"),
        ("{mood} Hi.", "{mood} Hi.", ""),
        ('{"Hello" she said', '{"Hello" she said', "is read as plain text"),
        ("One.\n\n[laughs]\n\nTwo.", "One.|Two.", "Line 3: all of it is in brackets"),
        ("One.\n\n...\n\nTwo.", "One.|Two.", "Line 3: '...' has no letter or digit"),
        ("One.\n\n<emphasis>Two.</emphasis>", "One.|Two.", "Line 3: the SSML tag <emphasis>"),
        ("One. [pause:x] Two.", "One. Two.", "Line 1: [pause:x] has no duration"),
    ],
)
def test_odd_parts_are_plain_text_or_left_out_with_a_notice(
    text: str, spoken: str, notice: str
) -> None:
    items = parse_lines(text, known=KNOWN)
    lines = [item for item in items if isinstance(item, ScriptLine)]
    assert "|".join(line.spoken_text for line in lines) == spoken
    notices = [item.message for item in items if isinstance(item, ScriptNotice)]
    assert (notice in notices[0] and len(notices) == 1) if notice else not notices


def test_lines_have_their_pauses_and_numbers() -> None:
    text = "[pause:1s] One.\nmore\n\nTwo. [pause:0.5s] Three.\n\n\nFour."
    lines = parse_script(text)
    assert [(line.number, line.pause.kind, line.pause.seconds) for line in lines] == [
        (1, "paragraph", None),
        (4, "sentence", 0.5),
        (4, "section", None),
        (7, "none", 0.0),
    ]
    assert [line.lead_s for line in lines] == [1.0, 0.0, 0.0, 0.0]
    rows = parse_script("One.\n\nTwo.\nThree.", "\n")
    assert [line.pause.kind for line in rows] == ["paragraph", "sentence", "none"]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("see [the page](https://example.com/a_(b)) now", "see the page now"),
        ('see [the page](page.html "A title") now', "see the page now"),
        ("![A cat](cat.png) sits", "A cat sits"),
    ],
)
def test_the_text_of_a_link_is_spoken(text: str, spoken: str) -> None:
    assert only(text).spoken_text == spoken


@pytest.mark.parametrize("markup", ["<!-- a note -->", "<script>run(1)</script>", "&nbsp;"])
def test_a_paragraph_of_markup_without_words_is_left_out(markup: str) -> None:
    items = parse_lines(f"Hello.\n\n{markup}")
    assert [type(item) for item in items] == [ScriptLine, ScriptNotice]
