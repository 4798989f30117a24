"""Transliterate text of any script to ASCII."""

from __future__ import annotations

import unicodedata

from anyascii import anyascii
from text_unidecode import unidecode

_PICTOGRAPH_CATEGORIES = ("So", "Sk", "Cs", "Co", "Cn", "Cc", "Cf")


def to_ascii(text: str) -> str:
    """Transliterate to ASCII without pictographs."""
    return "".join(_transliterate_character(character) for character in text)


def to_published_ascii(text: str) -> str:
    """Transliterate to ASCII as the published weights were trained: by the table of Unidecode."""
    return str(unidecode(text.replace("™", "(tm)")))  # text-unidecode's older table has "tm"


def _transliterate_character(character: str) -> str:
    if character.isascii():
        return character
    if character.isspace():
        return " "
    if "\U0001f1e6" <= character <= "\U0001f1ff":  # the letters of a flag
        return ""
    if is_ideograph(character):
        return f"{anyascii(character)} "  # a syllable each, apart
    spelled = anyascii(character)
    picture = unicodedata.category(character) in _PICTOGRAPH_CATEGORIES and spelled.startswith(":")
    return "" if picture else spelled


def is_ideograph(character: str) -> bool:
    """Return whether a character is a Chinese one, which is transliterated as a syllable."""
    return "\u3400" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff"
