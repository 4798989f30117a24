"""The pronunciation lexicon: words with their ARPAbet phonemes, one word a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH",
    "T", "TH", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
STRESSES = "012"  # none, main, second
ARPABET = (*(vowel + stress for vowel in VOWELS for stress in STRESSES), *CONSONANTS)


def parse_lexicon(text: str) -> dict[str, str]:
    """Words and their phonemes (blank-separated) from lines of `word PH ON EME`."""
    entries = (line.partition(" ") for line in text.splitlines())
    return {word: phonemes for word, _, phonemes in entries if phonemes}


def format_lexicon(lexicon: Mapping[str, str]) -> str:
    """The lines that parse_lexicon reads."""
    return "".join(f"{word} {phonemes}\n" for word, phonemes in sorted(lexicon.items()))


def parse_cmudict(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """First pronunciation of every word of CMUdict; variants and remarks are left out."""
    for line in lines:
        word, _, phonemes = line.partition("#")[0].strip().partition(" ")
        if phonemes and not word.endswith(")") and word.strip("'.-").replace("'", "").isalpha():
            yield word, phonemes
