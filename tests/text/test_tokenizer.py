"""Both tokenizers: the published vocabulary exactly, the starter's phonemes by their properties."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden_cases import GOLDEN, ROOT, Case, golden
from text.normalization.pipeline import normalize_text
from text.normalization.tortoise_cleaners import (
    basic_clean,
    clean_for_tortoise,
    clean_for_training,
    english_cleaners,
)
from text.tokenizer import (
    TEXT_CLEANINGS,
    BpeTokenizer,
    PhonemeTokenizer,
    TokenizerError,
    load_tokenizer,
    with_text_cleaning,
)

STARTER = ROOT / "models" / "starter"
FILES = ("tokenizer.json", "lexicon.txt.gz", "lts.json.gz")


@pytest.fixture(scope="module")
def starter() -> PhonemeTokenizer:
    tokenizer = load_tokenizer(STARTER)
    assert isinstance(tokenizer, PhonemeTokenizer)
    return tokenizer


@golden("text_tokenizer")
def test_published_ids_equal_the_reference(case: Case) -> None:
    published = tokenizers.Tokenizer.from_file(str(GOLDEN.parent / "tokenizer.json"))
    ways = {
        "ids": BpeTokenizer(vocabulary=published, clean=english_cleaners),
        "train_ids": BpeTokenizer(vocabulary=published, clean=clean_for_training),
        "basic_ids": BpeTokenizer(vocabulary=published, clean=basic_clean),
    }
    for example in case.json["cases"]:
        for name, tokenizer in ways.items():
            assert tokenizer.encode(example["text"]) == example[name]
        assert ways["ids"].decode(example["ids"]) == example["decoded"]


@golden("text_tokenizer")
def test_a_published_bundle_loads_the_vocabulary(case: Case) -> None:
    tokenizer = load_tokenizer(GOLDEN.parent)
    assert tokenizer.size == 255
    assert len(tokenizer.tokenize("Hello, world!")) == len(tokenizer.encode("Hello, world!"))
    assert "[SPACE]" in tokenizer.tokenize("It costs £5.")


@golden("text_tokenizer")
def test_published_weights_get_a_text_as_it_is_read_or_as_the_original_cleans_it(
    case: Case,
) -> None:
    tokenizer = load_tokenizer(GOLDEN.parent)
    full, published = (with_text_cleaning(tokenizer, name) for name in TEXT_CLEANINGS)
    text = "Dr. Venn ran 5 km in 2 lbs. of 10⁸ &amp; -5%"
    assert published.clean(text) == tokenizer.clean(text) == clean_for_tortoise(text)
    assert full.clean(text) == clean_for_tortoise(normalize_text(text))
    assert "five kilometers" in full.clean(text) and "minus five percent" in full.clean(text)
    for example in case.json["cases"]:
        if not set(example["text"]) & set("$£€¥"):
            assert published.encode(example["text"]) == example["ids"]
    with pytest.raises(TokenizerError, match="must be one of full, published"):
        with_text_cleaning(tokenizer, "none")


def test_a_phoneme_tokenizer_has_one_cleaning(starter: PhonemeTokenizer) -> None:
    assert with_text_cleaning(starter, "published") is starter


def test_the_starter_speaks_phonemes(starter: PhonemeTokenizer) -> None:
    assert " ".join(starter.tokenize("Good evening, and welcome.")) == (
        "G UH1 D [SPACE] IY1 V N IH0 NG , [SPACE] AH0 N D [SPACE] W EH1 L K AH0 M ."
    )


def test_the_starters_ids_never_move(starter: PhonemeTokenizer) -> None:
    """Weights are trained on these numbers."""
    assert starter.size == 80
    assert starter.symbols[:5] == ("[STOP]", "[UNK]", "[SPACE]", ",", ".")
    assert starter.encode("Good evening.") == [61, 51, 58, 2, 42, 75, 67, 38, 68, 4]


def test_numbers_are_spoken_by_the_starter(starter: PhonemeTokenizer) -> None:
    assert starter.clean("7:30 pm") == "seven thirty P.M."
    assert starter.tokenize("5 km") == starter.tokenize("five kilometers")


def test_the_starter_takes_whatever_is_typed(starter: PhonemeTokenizer) -> None:
    @given(st.text(max_size=40))
    @settings(deadline=None, max_examples=80)
    def check(text: str) -> None:
        assert all(1 < number < starter.size for number in starter.encode(text))

    check()


def test_nothing_to_say_gives_no_ids(starter: PhonemeTokenizer) -> None:
    assert starter.encode("") == starter.encode(" ... ") == starter.encode("😀") == []


def test_phonemes_in_a_text_become_their_symbols(starter: PhonemeTokenizer) -> None:
    said = ["T", "EH0", "S", "T", "UW1", "D", "OW0", "!"]
    assert starter.tokenize("{T EH0 S T UW1 D OW0}!") == said
    assert starter.clean("On May 5th, {T_EH0_S}!") == "On May fifth, {T EH0 S}!"
    assert "[UNK]" not in starter.tokenize("{A} and {BQ}")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_bytes((STARTER / name).read_bytes())
    return tmp_path


def test_a_missing_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is missing"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "is not a valid vocabulary"),
        ('{"type": "phonemes"}', "lacks symbols"),
    ],
)
def test_a_corrupt_tokenizer_is_refused(broken: Path, text: str, reason: str) -> None:
    (broken / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(TokenizerError, match=reason):
        load_tokenizer(broken)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_cut_lexicon_is_refused_when_it_is_needed(broken: Path, name: str) -> None:
    whole = (broken / name).read_bytes()
    (broken / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TokenizerError, match=f"{name} cannot be read"):
        load_tokenizer(broken).encode("Hello")


def test_the_starters_files_stay_small() -> None:
    assert (STARTER / "lexicon.txt.gz").stat().st_size <= 1_200_000
    assert (STARTER / "lts.json.gz").stat().st_size <= 400_000
    assert "Carnegie Mellon" in (STARTER / "lexicon.LICENSE").read_text(encoding="utf-8")
    assert json.loads((STARTER / "tokenizer.json").read_text("utf-8"))["type"] == "phonemes"


@pytest.mark.parametrize("text", ["good night", "good night,", "good night -", "good night."])
def test_phonemes_always_end_on_a_mark_that_ends_a_sentence(text: str) -> None:
    assert load_tokenizer(STARTER).tokenize(text)[-2:] == ["T", "."]
