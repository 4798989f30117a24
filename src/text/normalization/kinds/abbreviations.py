"""Short forms written out: titles, streets, companies, Latin, units of text, acronyms."""

from __future__ import annotations

import re

import regex

from text.normalization.rules import CAPITALIZED, Kind, Match, Rule, substitute

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Drs": "Doctors",
    "Prof": "Professor", "Rev": "Reverend", "Hon": "Honorable", "Gen": "General",
    "Col": "Colonel", "Lt": "Lieutenant", "Sgt": "Sergeant", "Capt": "Captain", "Maj": "Major",
    "Cpl": "Corporal", "Pvt": "Private", "Gov": "Governor", "Sen": "Senator",
    "Rep": "Representative", "Pres": "President", "Supt": "Superintendent", "Adm": "Admiral",
    "Cmdr": "Commander", "Cdr": "Commander", "Brig": "Brigadier", "Msgr": "Monsignor",
    "Amb": "Ambassador", "Sec": "Secretary", "Atty": "Attorney", "Insp": "Inspector",
    "Det": "Detective", "Fr": "Father", "Mt": "Mount", "Ft": "Fort", "Messrs": "Messers",
    "Mme": "Madame", "Mlle": "Mademoiselle", "Br": "Brother", "Pt": "Point", "Pte": "Private",
    "Sgts": "Sergeants", "Profs": "Professors", "Sens": "Senators", "Reps": "Representatives",
    "Gens": "Generals", "Asst": "Assistant", "Pfc": "Private First Class", "Ens": "Ensign",
}  # fmt: skip
_STREETS = {
    "St": "Street", "Dr": "Drive", "Rd": "Road", "Ave": "Avenue", "Av": "Avenue",
    "Blvd": "Boulevard", "Ln": "Lane", "Ct": "Court", "Pl": "Place", "Sq": "Square",
    "Pkwy": "Parkway", "Hwy": "Highway", "Ter": "Terrace", "Terr": "Terrace", "Cir": "Circle",
    "Cres": "Crescent", "Trl": "Trail", "Aly": "Alley", "Expy": "Expressway", "Tpke": "Turnpike",
    "Xing": "Crossing", "Fwy": "Freeway", "Gdns": "Gardens", "Brg": "Bridge",
}  # fmt: skip
_COMPASS = {"N": "North", "S": "South", "E": "East", "W": "West", "NE": "Northeast",
            "NW": "Northwest", "SE": "Southeast", "SW": "Southwest"}  # fmt: skip
_GENERAL = {
    "Jr": "Junior", "Sr": "Senior", "Esq": "Esquire", "Ltd": "Limited", "Inc": "Incorporated",
    "Corp": "Corporation", "Bros": "Brothers", "Dept": "Department", "Ave": "Avenue",
    "Blvd": "Boulevard", "Rd": "Road", "Hwy": "Highway", "Apt": "Apartment", "Univ": "University",
    "Assn": "Association", "Assoc": "Associates", "Intl": "International", "Natl": "National",
    "Mfg": "Manufacturing", "Bldg": "Building", "Pkwy": "Parkway", "Ste": "Suite", "Rm": "Room",
    "Ln": "Lane", "Dist": "District", "Govt": "Government", "Mgr": "Manager", "Mgmt": "Management",
    "vs": "versus", "approx": "approximately", "est": "established", "misc": "miscellaneous",
    "min": "minimum", "max": "maximum", "tel": "telephone", "dept": "department",
    "govt": "government", "cf": "compare", "viz": "namely", "ca": "circa", "ibid": "ibidem",
    "incl": "including", "excl": "excluding", "esp": "especially", "temp": "temperature",
    "avg": "average", "qty": "quantity", "yrs": "years", "yr": "year", "hrs": "hours",
    "hr": "hour", "mins": "minutes", "secs": "seconds", "lbs": "pounds", "wks": "weeks",
    "mos": "months", "tbsp": "tablespoons", "tsp": "teaspoons", "sq": "square", "cu": "cubic",
    "feat": "featuring", "orig": "original", "pop": "population", "resp": "respectively",
    "Tel": "telephone", "attn": "attention", "Attn": "Attention", "Approx": "approximately",
    "Est": "established", "Max": "maximum",
    "Min": "minimum", "Incl": "including", "Avg": "average", "Temp": "temperature",
    "assoc": "associate", "Mts": "Mountains",
}  # fmt: skip
_BEFORE_NUMBER = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Fig": "figure",
    "fig": "figure", "Figs": "figures", "figs": "figures", "p": "page", "pp": "pages",
    "pg": "page", "pgs": "pages", "Vol": "volume", "vol": "volume", "Vols": "volumes",
    "Ch": "chapter", "ch": "chapter", "Chap": "chapter", "chap": "chapter", "chs": "chapters",
    "Sec": "section", "sec": "section", "Eq": "equation", "eq": "equation", "Art": "article",
    "Ex": "example", "ex": "example", "Ep": "episode", "ep": "episode", "Pt": "part",
    "pt": "part", "Bk": "book", "bk": "book", "l": "line", "ll": "lines", "v": "verse",
    "vv": "verses", "Ext": "extension", "ext": "extension", "Rm": "room", "rm": "room",
    "Apt": "apartment", "apt": "apartment", "Ste": "suite", "Bldg": "building", "c": "circa",
    "b": "born", "d": "died", "fl": "flourished", "r": "reigned", "op": "opus", "Op": "opus",
    "Tab": "table", "App": "appendix", "Hwy": "Highway", "Rte": "Route", "rte": "route",
    "Ver": "version", "ver": "version", "Lv": "level", "lvl": "level", "par": "paragraph",
    "n": "note",
    "para": "paragraph",
}  # fmt: skip
_PLURAL_BEFORE_RANGE = ("figure", "page", "volume", "chapter", "section", "number", "verse", "line")
_LATIN = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "et al.": "et al",
    "Ph.D.": "P.H.D.", "w/o": "without", "w/": "with", "and/or": "and or", "b/c": "because",
    "a.k.a.": "also known as", "c/o": "care of", "n/a": "not applicable", "e.g": "for example",
    "i.e": "that is", "p.p.s.": "P.P.S.", "viz.": "namely",
    "aka": "also known as", "etc": "et cetera",
}  # fmt: skip
_SENTENCE_ENDERS = ("etc.", "et al.", "ph.d.", "etc")
_LATIN_LOWER = {form.lower(): spoken for form, spoken in _LATIN.items()}
_ACRONYMS = (
    r"\b(?:US|UK|EU|UN|UAE|AI|PC|TV|ID|IQ|PR|HR|LA|DC|DJ|CD|OS|VR|VP|PE|IP|UI|UX|QA|NBA|SOS)\b"
    r"|(?<=\bthe )WHO\b|\bIT(?= (?:department|support|team|staff|systems?|manager|sector|expert))"
    r"|\b(?:AD|BC|BCE|CE)(?=[\s.,;!?]*$| ?\d)|(?<=\d )(?:AD|BC|BCE|CE)\b|\bAD\b(?= [a-z]+ hundred)"
    r"|(?<=hundred(?: [a-z-]+)? |[a-z]teen |ty(?:-[a-z]+)? )(?:AD|BC|BCE|CE)\b"
)


def _ends_sentence(found: Match) -> bool:
    """Whether a full stop at the end of a match ends the sentence, too."""
    rest = found.string[found.end() : found.end() + 40]
    return not rest.strip() or bool(re.match(r"[\"')\]]*\s+(?:[\"'(]?[A-Z][a-z]|\"|I\s)", rest))


def _read_latin(found: Match) -> str:
    form = found[0].lower()
    spoken = _LATIN_LOWER[form]
    return (
        f"{spoken}."
        if form in _SENTENCE_ENDERS and form[-1] == "." and _ends_sentence(found)
        else spoken
    )


def _read_before_number(found: Match) -> str:
    name = _BEFORE_NUMBER[found[1]]
    several = re.match(r"\d+ to \d", found.string[found.end() :])
    return f"{name}s " if several and name in _PLURAL_BEFORE_RANGE else f"{name} "


def _read_general(found: Match) -> str:
    spoken = _GENERAL[found[1]]
    return f"{spoken}." if _ends_sentence(found) and found.start() else spoken


def _read_street(found: Match) -> str:
    dot = "." if found[0].endswith(".") and _ends_sentence(found) else ""
    return f"{found['name']}{_STREETS[found['street']]}{dot}"


def _mark_acronyms(text: str) -> str:
    """Put dots into acronyms that look like words; not in all capitals."""
    if not any(character.islower() for character in text):
        return text
    return str(_ACRONYM.sub(lambda found: ".".join(found[0]) + ".", text))


_ACRONYM = regex.compile(_ACRONYMS)
_STREET = "|".join(sorted(_STREETS, key=len, reverse=True))
_ORDINAL_NAME = r"\d+(?:st|nd|rd|th)"
_NAME = rf"(?:(?:{CAPITALIZED}|{_ORDINAL_NAME})\s)"
_COMPASS_FORM = "|".join(sorted(_COMPASS, key=len, reverse=True))
_FORMS = "|".join(sorted(map(re.escape, _GENERAL), key=len, reverse=True))
_LATIN_FORMS = "|".join(map(re.escape, sorted(_LATIN, key=len, reverse=True)))
RULES = (
    substitute(r"(?<=\b[A-Z][a-z]+ )v\.(?= [A-Z])", "versus", ("Hale v. Oban", "Hale versus Oban")),
    substitute(
        rf"(?<![\w.])({_COMPASS_FORM})\.?(?=\s{_NAME}{{1,2}}(?:{_STREET}|Street|Avenue|Road|"
        rf"Drive|Boulevard|Lane)\b)",
        lambda found: _COMPASS[found[1]],
        ("12 N. Oak St.", "twelve North Oak Street."),
    ),
    substitute(
        rf"(?P<name>\b\d+[A-Za-z]?\s{_NAME}{{1,3}})(?P<street>{_STREET})\b\.?(?!\w)",
        _read_street,
        ("44 Elm St. now", "forty-four Elm Street now"),
        ("12 Harrow Dr. today", "twelve Harrow Drive today"),
    ),
    substitute(
        rf"(?P<name>(?<!\.\s)\b{_NAME})(?P<street>St|Dr|Ave|Rd|Blvd|Ln|Ct|Pl|Sq|Pkwy|Hwy|Cres|"
        rf"Cir|Ter)"
        r"(?:\.(?=[\s,;)]*(?:$|[a-z]|[,;)]|and\b)|\s(?:She|He|It|They|The|A|An|We|I|You|This|"
        r"That|There|In|On|At|But|And|Then|His|Her|Its|Our|My|Nobody|No)\b)|(?=[,;)]|\s(?:and|in|"
        r"at|is|was|near|to|for|by|on|with)\b|\.?$))",
        lambda found: (
            _read_street(found)
            if found["street"] not in ("Ct", "Pl", "Sq", "Ter") or found[0][-1] == "."
            else found[0]
        ),
        ("5th Ave. and Pine Rd. today", "fifth Avenue and Pine Road today"),
        ("on Main St, Tolland", "on Main Street, Tolland"),
        ("Ask Dr. Venn", "Ask Doctor Venn"),
    ),
    substitute(r"\bSt\.?\s(?=[A-Z][a-z])", "Saint ", ("St. Brannoc", "Saint Brannoc")),
    substitute(
        rf"(?<![\w.])({'|'.join(_BEFORE_NUMBER)})\.\s?(?=#?\d|(?!I\b)[IVX]+\b)"
        rf"(?<!\b[a-z]\.[cbdrnlpv]\.\s?)",
        _read_before_number,
        ("No. 5 and pp. 2-3", "number five and pages two to three"),
        ("c. 1850", "circa eighteen fifty"),
    ),
    substitute(
        r"\b(Apt|apt|Ste|Rm|Bldg|Unit)\s?\.?\s(?=#?\d|[A-Z]\b)",
        lambda found: (
            {"apt": "apartment", "ste": "Suite", "rm": "Room", "bldg": "Building", "unit": "Unit"}[
                found[1].lower()
            ]
            + " "
            if found[1] != "Apt"
            else "Apartment "
        ),
        ("Apt. 3B", "apartment three B"),
    ),
    substitute(
        rf"\b({'|'.join(_TITLES)})(?:\.(?=\s*(?:[A-Z]|and\s))\s?|\s(?=[A-Z][a-z]))",
        lambda found: f"{_TITLES[found[1]]} ",
        ("Gen. Ashby saluted Lt. Moor", "General Ashby saluted Lieutenant Moor"),
    ),
    substitute(
        rf"(?<!\w)(?:{_LATIN_FORMS})(?![\w/]|\.\w)",
        _read_latin,
        ("tape, etc. for it", "tape, et cetera for it"),
        ignore_case=True,
    ),
    substitute(
        r"\b(vs|approx)\b(?!\.)(?=\s)", lambda found: _GENERAL[found[1]], ("A vs B", "A versus B")
    ),
    substitute(
        r"(?<=[A-Za-z&]\s)Co\.",
        lambda found: "Company." if _ends_sentence(found) else "Company",
        ("Tarn & Co. built it", "Tarn and Company built it"),
    ),
    substitute(
        r"(?<=\d(?:st|nd|rd|th)\s)ed\.",
        lambda found: "edition." if _ends_sentence(found) else "edition",
        ("2nd ed.", "second edition."),
    ),
    substitute(
        rf"\b({_FORMS})\.(?!\w)",
        _read_general,
        ("approx. 50 miles", "approximately fifty miles"),
        ("Orrin Inc. It grew", "Orrin Incorporated. It grew"),
        ("John Brown Jr. sang", "John Brown Junior sang"),
    ),
    Rule(read=_mark_acronyms, examples=(("the US and the FBI", "the U.S. and the FBI"),)),
)
KIND = Kind(name="short forms", rules=RULES)
