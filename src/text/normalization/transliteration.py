"""Any script to ASCII, and the spelling of symbols that published weights were trained on."""

from __future__ import annotations

import unicodedata

from anyascii import anyascii

# Where the table that upstream used differs from anyascii, by the golden cases and by its idea of
# a character's looks.
_TRAINED_SPELLINGS = {
    "£": "PS", "€": "EUR", "¥": "Y=", "¢": "C/", "§": "SS", "¬": "!",
    "—": "--", "―": "--", "™": "(tm)", "©": "(c)", "®": "(r)",
    "„": ",,", "×": "x", "‖": "||", "\u200b": " ", "й": "i", "Й": "I",
}  # fmt: skip
_PICTOGRAPH_CATEGORIES = ("So", "Sk", "Cs", "Co", "Cn", "Cc", "Cf")


def to_ascii(text: str) -> str:
    """The text in ASCII letters: accents dropped, other scripts by sound, pictures left out."""
    return "".join(_transliterate_character(character) for character in text)


def to_trained_ascii(text: str) -> str:
    """The text in ASCII as published weights met it (a pound sign is "PS", an emoji nothing)."""
    return "".join(
        _TRAINED_SPELLINGS.get(character) or _transliterate_character(character)
        for character in text
    )


def _transliterate_character(character: str) -> str:
    if character.isascii():
        return character
    if character.isspace():
        return " "
    if is_ideograph(character):
        return f"{anyascii(character)} "  # a syllable each, apart
    spelled = anyascii(character)
    picture = unicodedata.category(character) in _PICTOGRAPH_CATEGORIES and spelled.startswith(":")
    return "" if picture else spelled


def is_ideograph(character: str) -> bool:
    """Whether the character is a Chinese one, which stands for a syllable of its own."""
    return "\u3400" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff"
