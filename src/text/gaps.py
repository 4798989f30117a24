"""Decide between which words a text may be cut without changing how it is read. Light."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from text.short_forms import AFTER_NAMES, TITLES, UNITS, word_set

WINDOW = 4  # words on either side of a gap that can change how the other side is read

_PLAIN_WORD = re.compile(r"[\"'“‘(\[]*[A-Za-z][a-z]*(?:['’-][A-Za-z]?[a-z]+)*[,;:!?\"'”’)\]]*")
_WORD = re.compile(r"[^\W_]+")
_ROMAN = re.compile(r"[IVXLCDM]+[,;:.]?")
_YEAR = re.compile(r"\d{4}\b")
_DAY_BEFORE = re.compile(r"(?:^|\s)\d{1,2}(?:st|nd|rd|th)?,?\s*$")
_UNIT_WORDS = word_set("a.m. p.m. am pm a.m p.m bc ad bce ce o'clock o’clock percent")
_BEFORE_UNITS = word_set("square cubic hundred thousand million billion trillion")
_LABELS = word_set(
    "page pages chapter chapters room line lines section number numbers figure figures table part "
    "volume item step level grade version flight gate bus platform route act scene verse question "
    "article exhibit apartment suite floor unit day week year years phase stage lesson january "
    "february march april may june july august september october november december"
)
_FREE_AFTER_NUMBER = word_set(
    "and or but nor that which who when where while because although if than as until of in on at "
    "to for from with without by into over after before through is are was were had has have will "
    "would could can may might must i he she it we they you then there so not"
)

Spell = Callable[[str], str]


def list_unbroken_groups(words: Sequence[str], spell: Spell | None) -> list[str]:
    """Join words that must not be cut apart: a number and its unit, a short form and its word.

    spell: writes a text out in words; where both sides of a gap together are read otherwise than
    alone, there is no cut.
    """
    groups: list[str] = []
    for index, word in enumerate(words):
        if index and not _is_open(words, index, spell):
            groups[-1] += f" {word}"
        else:
            groups.append(word)
    return groups


def is_number_split(before: str, after: str, spell: Spell | None) -> bool:
    """Return whether a cut after a comma, colon or dash would divide a number or a date."""
    left, right = before.rstrip(",;:-–— ")[-40:], after.lstrip(" -–—")
    is_digits = left[-1:].isdigit() and right[:1].isdigit()
    if is_digits and before[-1] in "-–—":
        return True
    if is_digits and _YEAR.match(right) and _DAY_BEFORE.search(left):
        return True
    following = right.split(maxsplit=1)[:1]
    suffix = following[0].rstrip(".,;").lower() if following else ""
    if suffix in {"jr", "sr", "inc", "ltd", "llc", "esq", "phd", "ph.d", "md", "m.d"}:
        return True
    if left.endswith("."):
        return True  # e.g., and i.e.,
    return _changes_reading(before.split()[-WINDOW:], after.split()[:WINDOW], spell)


def _is_open(words: Sequence[str], index: int, spell: Spell | None) -> bool:
    left, right = words[index - 1], words[index]
    if _PLAIN_WORD.fullmatch(left) and _PLAIN_WORD.fullmatch(right):
        if _is_title(left) and right[0].isupper():
            return False
        if right.isupper() and _ROMAN.fullmatch(right) and right != "I" and left[0].isupper():
            return False
        is_counted = index > 1 and words[index - 2][-1].isdigit()
        if is_counted and (left in _BEFORE_UNITS or right.rstrip(",;:.").lower() in UNITS):
            return False
        near = words[max(0, index - 2) : index + 2]
        if all(_PLAIN_WORD.fullmatch(word) for word in near):
            return True
    elif _is_glued(words, index):
        return False
    return not _changes_reading(
        words[max(0, index - WINDOW) : index], words[index : index + WINDOW], spell
    )


def _is_title(word: str) -> bool:
    return word[0].isupper() and word.lower() in TITLES


def _is_glued(words: Sequence[str], index: int) -> bool:
    """Return whether two words, one of which is not plain, belong together."""
    left, right = words[index - 1], words[index]
    if not _WORD.search(right):
        return True  # a sign stays with the word before it
    if not _WORD.search(left):
        before = words[index - 2] if index > 1 else ""
        is_dash = not left.strip("-–—")
        return not is_dash or (before[-1:].isdigit() and right[0].isdigit())
    if left.endswith(".") and not left.endswith(".."):
        return True
    if right.lower().rstrip(",;:!?") in _UNIT_WORDS or (left[0].isupper() and _is_suffix(right)):
        return True
    if left[-1].isdigit() or left[-1] in "%$€£¥":
        return right[:1].isdigit() or right.lower().strip(",;:!?)") not in _FREE_AFTER_NUMBER
    if _YEAR.match(right) and left.endswith(",") and left[:-1].isdigit():
        return True
    if right.lstrip("(\"'“#$€£¥+-−~")[:1].isdigit():
        before_number = left.strip("(\"'“")
        is_sign = right[0] in '("“'
        is_label = before_number[:1].isupper() or before_number.lower() in _LABELS
        return is_label and not is_sign and left[-1].isalnum()
    return False


def _is_suffix(word: str) -> bool:
    form = word.rstrip(".,;:")
    return word[:1].isupper() and word.rstrip(",;:").endswith(".") and form.lower() in AFTER_NAMES


def _changes_reading(before: Sequence[str], after: Sequence[str], spell: Spell | None) -> bool:
    if spell is None or all(_PLAIN_WORD.fullmatch(word) for word in (*before, *after)):
        return False
    whole = spell(" ".join([*before, *after]))
    return _list_words(whole) != [
        *_list_words(spell(" ".join(before))),
        *_list_words(spell(" ".join(after))),
    ]


def _list_words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
