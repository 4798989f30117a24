"""Normalize punctuation and verbalize symbols."""

from __future__ import annotations

import re
import unicodedata

from text.normalization.transliteration import to_ascii

_PUNCTUATION_MAP = str.maketrans(
    {
        "“": '"', "‹": "'", "›": "'", "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'",
        "’": "'", "‚": ",",
        "ʼ": "'", "ʻ": "",
        "`": "'", "´": "'", "′": "'", "″": '"', "‐": "-", "‑": "-", "‒": "-", "―": "—", "✓": "",
        "✔": "", "✗": "", "✘": "", "☑": "",
        "…": "...", "？": "?", "！": "!", "，": ",", "。": ". ", "：": ":", "；": ";", "、": ", ",
        "⁄": "/", "º": "°", "˚": "°", "＄": "$", "％": "%", "＆": "&", "＋": "+", "＝": "=",
        "＠": "@", "＃": "#",
        "¿": "", "¡": "", "·": " ", "•": " ", "№": "No. ",
        "\u00ad": "", "\u200b": " ", "\u200c": "", "\u200d": "", "\ufeff": "",
    }
)  # fmt: skip
_SYMBOL_NAMES = {
    "&": "and", "@": "at", "%": "percent", "‰": "per mille", "+": "plus", "=": "equals",
    "#": "number", "°": "degrees", "×": "times", "÷": "divided by", "±": "plus or minus",
    "≈": "about", "≠": "does not equal", "~": "about", "−": "minus", "Ω": "ohms", "⋅": "times",
    "≤": "at most", "≥": "at least", "<": "less than",
    ">": "greater than", "§": "section", "©": "copyright", "®": "registered", "™": "trademark",
    "€": "euros", "£": "pounds", "¥": "yen", "$": "dollars", "₹": "rupees", "¢": "cents",
    "√": "square root of", "→": "to", "∞": "infinity", "µ": "micro", "μ": "micro", "π": "pi",
}  # fmt: skip
_KEPT_SYMBOLS = frozenset(_SYMBOL_NAMES) | frozenset("–—−½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒£₩₽₺₪₫₱฿₦₴₡₲₵₸₭₮₼₾₨Ω⋅")
_BLANKS = re.compile(r"[^\S\n]+")
_PARAGRAPH = re.compile(r"(?<=[\w\"')\]]) ?\n ?\n")
_NAMED_SYMBOL = re.compile("|".join(map(re.escape, _SYMBOL_NAMES)))
_HASHTAG = re.compile(r"#(?=[A-Za-z])")
_SLASH = re.compile(r"(?<=\w)/(?=\w)")
_DASH = re.compile(r" ?(?:[—–]|--)[—–-]* ?| - ")
_UNNAMED_SYMBOLS = re.compile(r"[*_^|\\{}\[\]/]+")


def normalize_punctuation(text: str) -> str:
    """Return ASCII letters, plain quotes and dots, and symbols that have a name."""
    text = _BLANKS.sub(" ", text.replace("\r\n", "\n"))
    text = _PARAGRAPH.sub(". ", text)
    text = unicodedata.normalize("NFC", text).translate(_PUNCTUATION_MAP)
    text = "".join(map(_unify_character, text))
    text = "".join(letter if letter in _KEPT_SYMBOLS else to_ascii(letter) for letter in text)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def _unify_character(character: str) -> str:
    """The plain form of a wide, circled or joined character: "㎏" -> "kg"."""
    if character.isascii() or character in _KEPT_SYMBOLS:
        return character
    return unicodedata.normalize("NFKC", character)


def verbalize_symbols(text: str) -> str:
    """Write the names of symbols out; those without a name are removed."""
    text = _HASHTAG.sub("hashtag ", text)
    text = _SLASH.sub(" slash ", text)
    text = _NAMED_SYMBOL.sub(lambda found: f" {_SYMBOL_NAMES[found[0]]} ", text)
    return to_ascii(_UNNAMED_SYMBOLS.sub(" ", _DASH.sub(" - ", text)))
