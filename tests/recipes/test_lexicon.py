"""The pronunciation files: letters meet their phonemes, and what was learned is read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.data.build_lexicon import align_lexicon, compute_accuracy, main, train_letter_to_sound
from text.lexicon import format_lexicon
from text.tokenizer import load_tokenizer
from training.asr.wer import edit_distance

ENDS = {"": "", "o": " OW0", "i": " IY0"}  # make a handful of words a small lexicon
WORDS = {
    "cat": "K AE1 T",
    "cats": "K AE1 T S",
    "at": "AE1 T",
    "tax": "T AE1 K S",
    "ax": "AE1 K S",
    "sat": "S AE1 T",
    "axe": "AE1 K S",
    "ate": "EY1 T",
    "tape": "T EY1 P",
    "tap": "T AE1 P",
    "cape": "K EY1 P",
    "cap": "K AE1 P",
    "case": "K EY1 S",
    "pat": "P AE1 T",
    "pet": "P EH1 T",
    "set": "S EH1 T",
}


def test_every_letter_speaks_none_one_or_two_phonemes() -> None:
    aligned = align_lexicon({word: tuple(spoken.split()) for word, spoken in WORDS.items()})
    assert set(aligned) == set(WORDS)
    assert aligned["cape"] == [("K",), ("EY1",), ("P",), ()]
    assert aligned["tax"] == [("T",), ("AE1",), ("K", "S")]


def test_what_was_learned_is_read_back_and_carried_to_new_words() -> None:
    table = train_letter_to_sound(WORDS)
    assert compute_accuracy(table, WORDS).words == 1
    assert table.pronounce("tet") == ("T", "EH1", "T")
    assert compute_accuracy(table, {"tet": "T EH1 K S"}).phonemes == pytest.approx(1 - 2 / 4)


def test_a_bundle_reads_the_files_that_were_built(tmp_path: Path) -> None:
    cmudict, notice, out = tmp_path / "cmudict.dict", tmp_path / "LICENSE", tmp_path / "out"
    many = {f"{word}{end}": f"{WORDS[word]}{add}" for word in WORDS for end, add in ENDS.items()}
    cmudict.write_text(format_lexicon(many), encoding="utf-8")
    notice.write_text("Freely usable.\n", encoding="utf-8")
    main(["--cmudict", str(cmudict), "--license", str(notice), "--out", str(out)])
    tokenizer = load_tokenizer(out)
    said = ["K", "AE1", "T", ",", "[SPACE]", "T", "EH1", "T", "."]
    assert tokenizer.tokenize("Cat, tet.") == said
    assert (out / "lexicon.LICENSE").read_text("utf-8") == "Freely usable.\n"


def test_distances_count_single_changes() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
