"""Phonemes in a text, {HH AH0 L OW1}, and a user's list of how words are pronounced. Light."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from text.lexicon import ARPABET

MAX_ENTRIES = 10_000
JOINER = "_"  # between the phonemes of a group within a script, so that none is cut apart
_PHONEME = f"(?:{'|'.join(sorted(ARPABET, key=len, reverse=True))})"
GROUP_PATTERN = rf"\{{[ _]*{_PHONEME}(?:[ _]+{_PHONEME})*[ _]*\}}"
"""A group of phonemes: in braces, separated by blanks or the joiner."""
_GROUP = re.compile(GROUP_PATTERN)
_GROUP_LIKE = re.compile(r"\{[ _]*[A-Z]{1,2}[0-9]?(?:[ _]+[A-Z]{1,2}[0-9]?)*[ _]*\}")
_SEPARATOR = re.compile(r"\t|\s*=\s*|\s+->\s+")
_PLACEHOLDER = "qphonemes"  # a word that no rule of the normalization reads
_PHONEMES = frozenset(ARPABET)


class PronunciationError(ValueError):
    """A line of a pronunciation list, or a group of phonemes, that cannot be read."""


def parse_pronunciations(text: str) -> dict[str, str]:
    """Parse a list of `word = respelling` or `word = {PH ON EMES}`, one a line.

    A tab or -> may stand for the equals sign. Blank lines and # remarks are skipped. Returns lower
    case words; phonemes keep their braces. Raises PronunciationError naming the line.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        word, *rest = (part.strip() for part in _SEPARATOR.split(line, maxsplit=1))
        spoken = rest[0] if rest else ""
        if not word or not spoken or not any(sign.isalnum() for sign in word):
            raise PronunciationError(
                f"Line {number} of the pronunciations is {line!r}; write word = respelling, or "
                "word = {HH AH0 L OW1} with ARPAbet phonemes."
            )
        if "{" in spoken or "}" in spoken:
            check_phonemes(spoken, f"Line {number} of the pronunciations")
            if not _GROUP.fullmatch(spoken):
                raise PronunciationError(
                    f"Line {number} of the pronunciations: {spoken!r} is no group of ARPAbet "
                    "phonemes, as in {HH AH0 L OW1}."
                )
        entries[" ".join(word.lower().split())] = " ".join(spoken.split())
    if len(entries) > MAX_ENTRIES:
        raise PronunciationError(f"The list has {len(entries):,} words; {MAX_ENTRIES:,} are read.")
    return entries


def format_pronunciations(words: Mapping[str, str]) -> str:
    """Return the list as `parse_pronunciations` reads it."""
    return "".join(f"{word} = {spoken}\n" for word, spoken in sorted(words.items()))


def select_pronunciations(words: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the entries whose word is in a text."""
    folded = " ".join(text.lower().split())
    present = {word: spoken for word, spoken in words.items() if word in folded}
    found = _compile_words(present)
    return (
        {}
        if found is None
        else {word: present[word] for word in dict.fromkeys(m[0] for m in found.finditer(folded))}
    )


def apply_pronunciations(text: str, words: Mapping[str, str], *, phonemes: bool) -> str:
    """Replace the words of a list in a text by their spelling or phonemes; case does not matter.

    phonemes: the model reads groups of phonemes; otherwise entries of phonemes are not used.
    """
    usable = {
        word: spoken for word, spoken in words.items() if phonemes or not spoken.startswith("{")
    }
    pattern = _compile_words(usable)
    if pattern is None:
        return text
    parts, place = [], 0
    for group in _GROUP.finditer(text):
        parts += [_replace_words(text[place : group.start()], pattern, usable), group[0]]
        place = group.end()
    return "".join([*parts, _replace_words(text[place:], pattern, usable)])


def join_phonemes(text: str) -> str:
    """Write the phonemes of each group without blanks, in the same number of characters."""
    return _GROUP.sub(lambda group: group[0].replace(" ", JOINER), text)


def list_phonemes(group: str) -> tuple[str, ...]:
    """Return the phonemes of a group with its braces."""
    return tuple(group.strip("{} _").replace(JOINER, " ").split())


def has_phonemes(text: str) -> bool:
    """Return whether a text has a group of phonemes."""
    return _GROUP.search(text) is not None


def show_phonemes(text: str) -> str:
    """Write the phonemes of each group with blanks between them."""
    return _GROUP.sub(lambda group: f"{{{' '.join(list_phonemes(group[0]))}}}", text)


def replace_groups(text: str, spell: Callable[[str], str]) -> str:
    """Return a text with each group of phonemes replaced by what a function returns for it."""
    return _GROUP.sub(lambda group: spell(group[0]), text)


def remove_phonemes(text: str) -> str:
    """Return a text without its groups of phonemes."""
    return _GROUP.sub(" ", text)


def check_phonemes(text: str, about: str) -> None:
    """Raise PronunciationError for a group that mixes phonemes with what is none."""
    for group in _GROUP_LIKE.finditer(text):
        parts = list_phonemes(group[0])
        wrong = [part for part in parts if part not in _PHONEMES]
        if wrong and len(wrong) < len(parts):
            stressed = f"{wrong[0]}1"
            close = [stressed] if stressed in _PHONEMES else get_close_matches(wrong[0], ARPABET)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise PronunciationError(
                f"{about}: {wrong[0]} in {{{' '.join(parts)}}} is no ARPAbet phoneme"
                f"{hint or '; vowels have a stress, as in AH0 or OW1.'}"
            )


def protect_phonemes(text: str) -> tuple[str, dict[str, str]]:
    """Put a word in place of each group; returns the text, and the group of each word."""
    groups: dict[str, str] = {}

    def protect(group: re.Match[str]) -> str:
        number = len(groups)
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        groups[f"{_PLACEHOLDER}{letters}"] = f"{{{' '.join(list_phonemes(group[0]))}}}"
        return f" {_PLACEHOLDER}{letters} "

    return _GROUP.sub(protect, text), groups


def restore_phonemes(text: str, groups: Mapping[str, str]) -> str:
    """Put the groups of `protect_phonemes` back."""
    for word, group in groups.items():
        text = re.sub(rf"\b{word}\b", group, text, flags=re.IGNORECASE)
    return text


def _compile_words(words: Mapping[str, str]) -> re.Pattern[str] | None:
    if not words:
        return None
    longest_first = sorted(words, key=len, reverse=True)
    inner = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
    return re.compile(rf"(?<![\w']){'(?:' + inner + ')'}(?!\w)", re.IGNORECASE)


def _replace_words(text: str, pattern: re.Pattern[str], words: Mapping[str, str]) -> str:
    return pattern.sub(lambda found: words[" ".join(found[0].lower().split())], text)
