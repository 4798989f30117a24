"""A user's words and groups of phonemes are read wherever they stand, and mistakes are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from text.normalization.pipeline import normalize_text
from text.pronunciations import (
    PronunciationError,
    apply_pronunciations,
    check_phonemes,
    format_pronunciations,
    has_phonemes,
    join_phonemes,
    parse_pronunciations,
    protect_phonemes,
    restore_phonemes,
    select_pronunciations,
    show_phonemes,
)
from text.script import ScriptError, parse_script

WORDS = {"quinoa": "keen wah", "gif": "{JH IH1 F}", "new york": "noo york"}


def test_a_list_is_read_and_written() -> None:
    text = "Quinoa = keen wah # a grain\n\ngif -> {JH IH1 F}\nNew  York\tnoo york\n"
    assert parse_pronunciations(text) == WORDS
    assert parse_pronunciations(format_pronunciations(WORDS)) == WORDS


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gif", "write word = respelling"),
        ("= keen", "write word = respelling"),
        ("gif =", "write word = respelling"),
        ("!! = bang", "write word = respelling"),
        ("gif = {JH IH F}", r"IH in \{JH IH F\} is no ARPAbet phoneme; did you mean IH1"),
        ("gif = {JH IH1 F", "no group of ARPAbet"),
        ("gif = a {JH} b", "no group of ARPAbet"),
        ("gif = {}", "no group of ARPAbet"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, told: str) -> None:
    with pytest.raises(PronunciationError, match=told) as refused:
        parse_pronunciations(f"# mine\n{line}\n")
    assert "Line 2" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Quinoa, in New York.", "keen wah, in noo york."),
        ("QUINOA's", "keen wah's"),
        ("quinoas and a gift", "quinoas and a gift"),
        ("a gif {G IH1 F} gif", "a {JH IH1 F} {G IH1 F} {JH IH1 F}"),
        ("nothing", "nothing"),
    ],
)
def test_words_are_replaced_whole_and_in_any_case(text: str, read: str) -> None:
    assert apply_pronunciations(text, WORDS, phonemes=True) == read


def test_phonemes_of_the_list_are_left_out_where_the_model_reads_letters() -> None:
    assert apply_pronunciations("gif quinoa", WORDS, phonemes=False) == "gif keen wah"


def test_only_the_words_of_a_text_are_selected() -> None:
    assert select_pronunciations(WORDS, "A GIF of new\nyork, gifted.") == {
        "gif": "{JH IH1 F}",
        "new york": "noo york",
    }
    assert select_pronunciations(WORDS, "") == {}


def test_a_group_stays_whole_through_normalization_and_a_script() -> None:
    text = "On May 5th {HH AH0 L OW1}, $3."
    assert normalize_text(text) == "On May fifth {HH AH0 L OW1}, three dollars."
    (line,) = parse_script(text)
    assert "{HH_AH0_L_OW1}" in line.text and line.spoken_text == text
    assert len(join_phonemes(text)) == len(text) and show_phonemes(join_phonemes(text)) == text


def test_braces_that_are_no_phonemes_stay_text() -> None:
    for text in ("{A}", "{name}", "{ }", "a {b c} d"):
        assert not has_phonemes(text) and join_phonemes(text) == text
        check_phonemes(text, "Line 1")


def test_a_wrong_phoneme_in_a_text_names_its_line() -> None:
    with pytest.raises(ScriptError, match=r"Line 2: XX in \{HH XX\} is no ARPAbet phoneme"):
        parse_script("One.\nTwo {HH XX}.", "\n")


@given(st.text(max_size=40))
def test_protected_groups_come_back(text: str) -> None:
    mixed = f"{text}{{HH AH0}}{text}{{B}}"
    protected, groups = protect_phonemes(mixed)
    assert not has_phonemes(protected) or has_phonemes(text)
    assert restore_phonemes(protected, groups).count("{HH AH0}") >= 1
    apply_pronunciations(mixed, WORDS, phonemes=True)
    select_pronunciations(WORDS, mixed)
