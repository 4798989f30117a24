"""Reading aloud: numbers, signs and short forms become words, whatever is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden_cases import Case, golden
from text.normalization.numbers import (
    cardinal_to_words,
    decade_to_words,
    digits_to_words,
    ordinal_to_words,
    year_to_words,
)
from text.normalization.pipeline import normalize_text
from text.normalization.tortoise_cleaners import (
    basic_clean,
    clean_for_tortoise,
    clean_for_training,
    english_cleaners,
)

TYPED = st.text(
    st.one_of(
        st.characters(), st.sampled_from("0123456789.,:;/-$£€%°½²'\" aApPmMkgIVX@#+=()[]\n–—")
    ),
    max_size=40,
)


@golden("text_tokenizer")
def test_cleaning_equals_the_reference(case: Case) -> None:
    for example in case.json["cases"]:
        text = example["text"]
        assert english_cleaners(text) == example["cleaned"]
        assert clean_for_training(text) == example["train_cleaned"]
        assert basic_clean(text) == example["basic_cleaned"]


@golden("text_tokenizer")
def test_mended_cleaning_differs_from_the_reference_only_in_money(case: Case) -> None:
    for example in case.json["cases"]:
        if not set(example["text"]) & set("$£€¥"):
            assert clean_for_tortoise(example["text"]) == example["cleaned"]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs £40.", "it costs forty pounds."),
        ("About €20", "about twenty euros"),
        ("$2,500", "two thousand, five hundred dollars"),
        ("$1.50", "one dollar and fifty cents"),
        ("In 1999", "in nineteen ninety-nine"),
    ],
)
def test_published_weights_hear_sums_of_money_as_people_say_them(written: str, spoken: str) -> None:
    assert clean_for_tortoise(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("12", "twelve"),
        ("1,234,567", "one million, two hundred thirty-four thousand, five hundred sixty-seven"),
        ("room 007", "room zero zero seven"),
        ("3.75 hours", "three point seven five hours"),
        ("-5", "minus five"),
        ("3 + 4 = 7", "three plus four equals seven"),
        ("the 21st", "the twenty-first"),
        ("pages 10-20", "pages ten to twenty"),
        ("1914–1918", "nineteen fourteen to nineteen eighteen"),
        ("v2.0.1", "v two point zero point one"),
        ("COVID-19", "COVID nineteen"),
        ("50%", "fifty percent"),
        ("10-12%", "ten to twelve percent"),
        ("#1", "number one"),
    ],
)
def test_numbers_are_read(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$5", "five dollars"),
        ("$1,299.95", "one thousand, two hundred ninety-nine dollars and ninety-five cents"),
        ("£0.01", "one penny"),
        ("20 €", "twenty euros"),
        ("$5.5 million", "five point five million dollars"),
        ("$5-$10", "five dollars to ten dollars"),
        ("¥300", "three hundred yen"),
    ],
)
def test_money_is_read(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("7:30 pm", "seven thirty P.M."),
        ("7:05am", "seven oh five A.M."),
        ("19:45", "nineteen forty-five"),
        ("7:00", "seven o'clock"),
        ("2024-03-05", "March fifth, twenty twenty-four"),
        ("3/5/2024", "March fifth, twenty twenty-four"),
        ("25/12/1999", "December twenty-fifth, nineteen ninety-nine"),
        ("March 5, 2024", "March fifth, twenty twenty-four"),
        ("5 March", "the fifth of March"),
        ("the 1980s", "the nineteen eighties"),
        ("in 1905", "in nineteen oh five"),
    ],
)
def test_dates_and_times_are_read(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("5 km/h", "five kilometers per hour"),
        ("1 kg", "one kilogram"),
        ("10 m²", "ten square meters"),
        ("-5°C", "minus five degrees Celsius"),
        ("6'2\"", "six foot two"),
        ("1/2", "one half"),
        ("2½ cups", "two and a half cups"),
        ("3/4", "three quarters"),
    ],
)
def test_measures_and_fractions_are_read(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Dr. Smith, Main St., St. John", "Doctor Smith, Main Street, Saint John"),
        (
            "fruit, e.g. pears, i.e. these etc.",
            "fruit, for example pears, that is these et cetera.",
        ),
        ("No. 5", "number five"),
        ("He said no.", "He said no."),
        ("the US and the FBI", "the U.S. and the FBI"),
        ("WE ALL LOVE THE US", "WE ALL LOVE THE US"),
        ("Chapter IV, Henry VIII, I think", "Chapter four, Henry the eighth, I think"),
        ("me@example.com", "me at example dot com"),
        ("see https://example.co.uk/a.", "see example dot co dot u k slash a."),
        ("Call 555-0199.", "Call five five five, oh one nine nine."),
        ("rock & roll @ home", "rock and roll at home"),
    ],
)
def test_short_forms_and_addresses_are_read(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


def test_pictures_are_dropped_and_other_scripts_are_spelled_by_sound() -> None:
    assert normalize_text("good 😀👍🏽 day") == "good day"
    assert normalize_text("你好 Привет naïve") == "Ni Hao Privet naive"


def test_a_paragraph_ends_a_sentence_and_a_wrapped_line_does_not() -> None:
    assert normalize_text("A title\n\nThe text\ngoes on.") == "A title. The text goes on."


@given(TYPED)
@settings(max_examples=150, deadline=None)
def test_whatever_is_typed_becomes_plain_words_without_digits(text: str) -> None:
    spoken = normalize_text(text)
    assert spoken.isascii() and not any(character.isdigit() for character in spoken)
    assert spoken == " ".join(spoken.split())


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("Αθήνα", "athena"),
        ("Москва", "moskva"),
        ("漢字", "han zi "),
        ("Привет, мир", "privet, mir"),
        ("5™", "five(tm)"),
    ],
)
def test_published_cleaning_transliterates_as_the_original_does(written: str, cleaned: str) -> None:
    assert english_cleaners(written) == cleaned


@given(TYPED)
@settings(max_examples=80, deadline=None)
def test_published_cleaning_takes_whatever_is_typed(text: str) -> None:
    for clean in (english_cleaners, clean_for_tortoise, clean_for_training):
        assert clean(text).isascii()


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1), max_size=10))
@settings(max_examples=50, deadline=None)
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    text = ", ".join(["so", *words])
    assert normalize_text(text) == text


@given(st.integers(0, 10**40))
@settings(max_examples=50)
def test_a_number_says_its_size(number: int) -> None:
    spoken = cardinal_to_words(str(number))
    assert "and" not in spoken.replace("thousand", "").split()
    assert (" million" in spoken) == (number % 10**9 >= 10**6) or number >= 10**9
    assert not ordinal_to_words(str(number)).endswith(spoken.split()[-1].split("-")[-1])


def test_numbers_are_worded_as_the_starter_was_trained() -> None:
    golden = json.loads(Path(__file__).with_name("golden_numbers.json").read_text("utf-8"))
    assert {d: cardinal_to_words(d) for d in golden["cardinals"]} == golden["cardinals"]
    assert {d: cardinal_to_words(d, "and") for d in golden["with_and"]} == golden["with_and"]
    assert {d: ordinal_to_words(d) for d in golden["ordinals"]} == golden["ordinals"]
    assert {year: year_to_words(int(year)) for year in golden["years"]} == golden["years"]
    assert {year: decade_to_words(int(year)) for year in golden["decades"]} == golden["decades"]


@given(st.integers(1000, 2999))
@settings(max_examples=50)
def test_a_year_is_shorter_than_its_count(number: int) -> None:
    assert len(year_to_words(number)) <= len(cardinal_to_words(str(number)))


def test_digits_are_read_one_by_one_where_no_count_could_be_said() -> None:
    assert cardinal_to_words("9" * 40) == " ".join(["nine"] * 40) == digits_to_words("9" * 40)
