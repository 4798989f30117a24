"""Short forms written out, and acronyms marked so that they are read letter by letter."""

from __future__ import annotations

import re

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Drs": "Doctors",
    "Prof": "Professor", "Rev": "Reverend", "Hon": "Honorable", "Gen": "General",
    "Col": "Colonel", "Lt": "Lieutenant", "Sgt": "Sergeant", "Capt": "Captain", "Maj": "Major",
    "Cpl": "Corporal", "Pvt": "Private", "Gov": "Governor", "Sen": "Senator",
    "Rep": "Representative", "Pres": "President", "Supt": "Superintendent",
    "Fr": "Father", "Mt": "Mount", "Ft": "Fort", "Messrs": "Messers", "Mme": "Madame",
}  # fmt: skip
_GENERAL = {
    "Jr": "Junior", "Sr": "Senior", "Esq": "Esquire", "Ltd": "Limited", "Inc": "Incorporated",
    "Corp": "Corporation", "Bros": "Brothers", "Dept": "Department", "Ave": "Avenue",
    "Blvd": "Boulevard", "Rd": "Road", "Hwy": "Highway", "Apt": "Apartment", "Univ": "University",
    "vs": "versus", "approx": "approximately", "est": "established", "misc": "miscellaneous",
    "min": "minutes", "max": "maximum", "tel": "telephone", "dept": "department",
    "govt": "government", "cf": "compare", "viz": "namely", "ca": "circa", "ibid": "ibidem",
}  # fmt: skip
_BEFORE_NUMBER = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Fig": "figure",
    "fig": "figure", "Figs": "figures", "p": "page", "pp": "pages", "Vol": "volume",
    "vol": "volume", "Ch": "chapter", "ch": "chapter", "Sec": "section", "sec": "section",
    "Eq": "equation", "eq": "equation", "Art": "article",
}  # fmt: skip
_LATIN = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "et al.": "et al",
    "Ph.D.": "P.H.D.", "w/o": "without", "w/": "with", "and/or": "and or",
    "a.k.a.": "also known as",
}  # fmt: skip
_LATIN_FORM = re.compile(
    r"(?<!\w)(" + "|".join(map(re.escape, _LATIN)) + r")(?P<end>\s*$|(?=\s+[A-Z\"]))?",
    re.IGNORECASE,
)
_LATIN_LOWER = {form.lower(): spoken for form, spoken in _LATIN.items()}
_SENTENCE_ENDERS = ("etc.", "et al.", "ph.d.")
_TITLE_FORM = re.compile(rf"\b({'|'.join(_TITLES)})(?:\.(?=\s*[A-Z])\s?|\s(?=[A-Z]))")
_SAINT = re.compile(r"\bSt\.?\s(?=[A-Z][a-z])")
_STREET = re.compile(r"(?<=[a-z]\s)St\b\.?(?!\s[A-Z][a-z])")
_COMPANY = re.compile(r"(?<=[A-Za-z]\s)Co\.")
_ANY_FORM = re.compile(rf"\b({'|'.join(_GENERAL)})\.(?P<end>\s*$)?")
_NUMBERED_FORM = re.compile(rf"(?<![\w.])({'|'.join(_BEFORE_NUMBER)})\.\s?(?=\d|[IVX]+\b)")
_MONTH_FORM = re.compile(r"\b(Jan|Feb|Aug|Sept|Oct|Nov|Dec)\.")
_MONTHS = {
    "Jan": "January", "Feb": "February", "Aug": "August", "Sept": "September", "Oct": "October",
    "Nov": "November", "Dec": "December",
}  # fmt: skip
_ACRONYMS = re.compile(
    r"\b(?:US|UK|EU|UN|UAE|AI|PC|TV|ID|IQ|PR|HR|LA|DC|DJ|CD|OS|VR|VP|PE|IP|UI|UX|QA|NBA|SOS)\b"
    r"|(?<=\bthe )WHO\b|\bIT(?= (?:department|support|team|staff|systems?|manager|sector|expert))"
    r"|\b(?:AD|BC|BCE|CE)(?=[\s.,;!?]*$| ?\d)|(?<=\d )(?:AD|BC|BCE|CE)\b"
)


def expand_abbreviations(text: str) -> str:
    """Write short forms out: "Dr. Brown vs. No. 5" -> "Doctor Brown versus number 5"."""
    text = _LATIN_FORM.sub(_expand_latin, text)
    text = _NUMBERED_FORM.sub(lambda found: f"{_BEFORE_NUMBER[found[1]]} ", text)
    text = _STREET.sub("Street", _SAINT.sub("Saint ", text))
    text = _TITLE_FORM.sub(lambda found: f"{_TITLES[found[1]]} ", text)
    text = _COMPANY.sub("Company", text)
    text = _MONTH_FORM.sub(lambda found: _MONTHS[found[1]], text)
    return _ANY_FORM.sub(lambda found: _keep_sentence_end(_GENERAL[found[1]], found), text)


def _expand_latin(found: re.Match[str]) -> str:
    form = found[1].lower()
    spoken = _LATIN_LOWER[form]
    return (
        _keep_sentence_end(spoken, found)
        if form in _SENTENCE_ENDERS
        else spoken + (found["end"] or "")
    )


def _keep_sentence_end(spoken: str, found: re.Match[str]) -> str:
    """The full stop of a short form may end the sentence as well."""
    return f"{spoken}." if found["end"] is not None else spoken


def mark_acronyms(text: str) -> str:
    """Put dots into acronyms that look like words: "the US" -> "the U.S."; not in all capitals."""
    if not any(character.islower() for character in text):
        return text
    return _ACRONYMS.sub(lambda found: ".".join(found[0]) + ".", text)
