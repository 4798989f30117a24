"""Codes read digit by digit: telephone numbers, cards, rooms, flights, versions, addresses."""

from __future__ import annotations

import regex

from text.normalization.kinds.money import CURRENCY_CODES
from text.normalization.numbers import cardinal_to_words, digits_to_words
from text.normalization.rules import Kind, Match, substitute

_COUNTED = (
    r"\s(?:people|persons|students|workers|employees|soldiers|passengers|children|men|women|"
    r"copies)\b"
)
_SHORT_TAGS = {r"ext\.": "extension", r"acct\.?(?= )": "account", r"no\.": "number",
               r"ref\.": "reference", r"tel\.": "telephone", r"#": "number ", r"rm\.": "room",
               r"hwy\.?(?= )": "Highway", r"rte\.?(?= )": "Route", r"ste\.": "Suite",
               r"apt\.?(?= )": "apartment"}  # fmt: skip
_DIGIT_GROUP = regex.compile(r"\d+")
_CODE_PART = regex.compile(r"[A-Za-z]+|\d+")
_SECRET = (
    r"zip|zip codes?|postcode|post code|postal code|PIN|PINs|pin (?:code|number)|(?<!\b[Oo]f )"
    r"codes?|passcode|"
    r"password|passphrase|cards?|account|acct\.?|SSN|social security number|ISBN|ISSN|UPC|EAN|VIN|"
    r"IMEI|IBAN|serial|serial number|tracking number|confirmation(?: number| code)?|reference|"
    r"ref\.?|ticket|case|invoice|policy|badge|licen[cs]e|routing number|area code|extension|ext\.?|"
    r"dialing code|combination|combo|OTP|token|hotline|helpline|fax|tel\.?|phone|phone number|"
    r"number is|numbers are|booking|order number|digits|order|ID|id|username|plate|plates"
)
_PLACE = (
    r"room|rm\.?|suite|ste\.?|apt\.?|apartment|unit|flat|bus|train|tram|flight|highway|"
    r"hwy\.?|route|rte\.?|interstate|freeway|gate|locker|P\.?\s?O\.? box|box|platform|agent|exit|"
    r"channel|ward|bay|port|error|HTTP|desk|seat|stall|lab|classroom|area"
)
_LINK = (
    r"(?:\s(?:number|no\.|code))?(?:'s)?"
    r"(?:\s(?:is|was|are|reads|ending|ends|ended|starting|starts|begins)(?:\s(?:in|with))?)?"
    r"(?:\s?[:#=]\s?|\s)#?"
)


def _read_digits(code: str) -> str:
    """Digits one by one; a code that begins with two zeros has them as "zero"."""
    return digits_to_words(code, zero="zero" if code.startswith("00") else "oh")


def _read_groups(found: Match) -> str:
    groups = (digits_to_words(group, zero="oh") for group in _DIGIT_GROUP.findall(found[0]))
    plus = "plus " if found[0].lstrip("(").startswith("+") else ""
    return plus + ", ".join(groups)


def _read_phone(found: Match) -> str:
    groups = _DIGIT_GROUP.findall(found[0])
    spoken = [
        f"{cardinal_to_words(group[0])} hundred"
        if group == "800" and groups[0] == "1"
        else digits_to_words(group, zero="oh")
        for group in groups
    ]
    plus = "plus " if found[0].lstrip("(").startswith("+") else ""
    return plus + ", ".join(spoken)


def _read_tagged(found: Match) -> str:
    return f"{_name_tag(found['tag'])}{_read_groups_of(found['code'])}"


def _name_tag(tag: str) -> str:
    for short, name in _SHORT_TAGS.items():
        tag = regex.sub(rf"(?<!\w){short}", name, tag, flags=regex.IGNORECASE)
    return tag


def _read_groups_of(code: str) -> str:
    return ", ".join(_read_digits(group) for group in _DIGIT_GROUP.findall(code))


def _read_place(found: Match) -> str:
    digits, letter = found["code"], f" {found['letter']}" if found["letter"] else ""
    if len(digits) == 3 and digits.endswith("00"):
        return f"{_name_tag(found['tag'])}{cardinal_to_words(digits)}{letter}"
    return f"{_name_tag(found['tag'])}{_read_digits(digits)}{letter}"


def _read_alphanumeric(found: Match) -> str:
    """Letters by name and long numbers digit by digit: BA2490 -> "B.A. two four nine oh"."""
    parts = []
    for part in _CODE_PART.findall(found[0]):
        if part.isalpha():
            upper = part.isupper() or len(part) == 1
            parts.append("".join(f"{c}." for c in part) if upper and len(part) == 2 else part)
        elif len(part) > 2 or part.startswith("0"):
            parts.append(_read_digits(part))
        else:
            parts.append(cardinal_to_words(part))
    return " ".join(parts)


def _read_version(found: Match) -> str:
    parts = found[0].split(".")
    grouped = all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3
    octets = len(parts) == 4 and all(int(part) <= 255 and str(int(part)) == part for part in parts)
    if grouped and not octets:
        return str(found[0])
    if octets:
        return " dot ".join(digits_to_words(part) for part in parts)
    return " point ".join(cardinal_to_words(part) for part in parts)


RULES = (
    substitute(
        r"(?<![\w-])1-(8[0-8])(\d)-(?=[A-Z]{3,}\b)",
        lambda found: (
            "one, "
            + (
                "eight hundred, "
                if found[1] + found[2] == "800"
                else f"{_read_digits(found[1] + found[2])}, "
            )
        ),
        ("Dial 1-800-FLOWERS", "Dial one, eight hundred, FLOWERS"),
    ),
    substitute(r"\b[Nn]°\s?(?=\d)", "number ", ("Nº 5", "number five")),
    substitute(
        r"(?<![\w.,/-])(?:\+?\d{1,3}[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-]|\.\d)"
        r"|(?<![\w.,/-])\d{3}-\d{4}(?![\w-]|\.\d)"
        r"|(?<![\w])\(?\+\d{1,3}\)?(?:[ .-]?\(?\d{1,4}\)?){2,6}(?<=(?:\d[ ().-]*){8,})(?![\w-])"
        r"|(?<![\w.,/$€£-]|\d )\(?0\d{1,4}\)?(?:[ -]\d{2,4}){1,4}(?<=(?:\d[ ()-]*){8,})(?![\w-])"
        r"|(?<![\w.,/$€£-])0\d{8,12}(?!\w)",
        _read_phone,
        ("Call 555-0142.", "Call five five five, oh one four two."),
        ("(212) 555-0187", "two one two, five five five, oh one eight seven"),
        ("1-800-555-0123", "one, eight hundred, five five five, oh one two three"),
        ("+44 20 7946 0958", "plus four four, two oh, seven nine four six, oh nine five eight"),
        ("0800 555 011", "oh eight oh oh, five five five, oh one one"),
    ),
    substitute(
        r"(?<![\w.,-])\d{4}(?:[ -]\d{4}){2,3}(?![\w-])|(?<![\w.,-])\d{3}-\d\d-\d{4}(?![\w-])"
        r"|(?<![\w.,/-])\d(?:-\d){2,15}(?![\w-])",
        _read_groups,
        ("4242 4242 4242 4242", "four two four two, " * 3 + "four two four two"),
        ("6-0-9-1", "six, oh, nine, one"),
    ),
    substitute(
        r"(?P<tag>\b(?:ISBN|ISSN|EAN|IMEI|UPC)(?:-1[03])?:?\s)(?P<code>\d[\d\s-]{6,20}\d)"
        r"(?:-?[Xx]\b)?",
        lambda found: f"{_spell(found['tag'])} {_read_groups_of(found['code'])}",
        (
            "ISBN 978-1-4028-9462-6",
            "I.S.B.N. nine seven eight, one, four oh two eight, nine four six two, six",
        ),
    ),
    substitute(
        rf"(?P<tag>\b(?:{_SECRET}){_LINK})(?P<code>\d{{2,}}(?:[ -]\d{{2,}})*)(?![\w%]|[.,:/]\d|"
        rf"\s?(?:%|percent|dollars|"
        rf"days|years|hours|minutes|times)|-[a-z]|{_COUNTED})",
        lambda found: found[0] if _is_amount(found) else _read_tagged(found),
        ("The code is 83062.", "The code is eight three oh six two."),
        ("ZIP 44107", "ZIP four four one oh seven"),
        ("card ending in 4242", "card ending in four two four two"),
        ignore_case=True,
    ),
    substitute(
        r"(?P<tag>\b(?:dial(?:ed|ing)?|enter|press|type|punch in|key in)\s)"
        r"(?P<code>\d{2,}(?:[ -]\d+)*)(?![\w%]|[.,:/]\d|\s[a-z]{3,}s\b)",
        lambda found: f"{found['tag']}{_read_groups_of(found['code'])}",
        ("dial 911", "dial nine one one"),
        ignore_case=True,
    ),
    substitute(
        r"(?P<tag>\b(?:call(?:ed|ing)?|text|ring|phone)\s)(?P<code>[2-9]11|999|112|988|119|000|"
        r"111|\d{3}[ .]\d{4}|\d{5,}(?:[ -]\d{2,})*)(?!\w|[.,:/]\d)",
        lambda found: f"{found['tag']}{_read_groups_of(found['code'])}",
        ("call 999", "call nine nine nine"),
        ignore_case=True,
    ),
    substitute(
        r"(?<![\w.,$€£:/-])9[-/]?1-?1(?=\s(?:call|operator|dispatch|emergency|caller|center|"
        r"system)|\b(?<=9-1-1))",
        "nine one one",
        ("a 911 operator", "a nine one one operator"),
    ),
    substitute(
        rf"(?P<tag>\b(?:{_PLACE})(?:\s(?:number|no\.))?\s#?)(?P<code>\d{{3,6}})"
        rf"(?P<letter>[A-Z]\b)?(?![\w%]|[.,:/]\d|"
        rf"-\d|{_COUNTED})",
        _read_place,
        ("room 101", "room one oh one"),
        ("Highway 101 north", "Highway one oh one north"),
        ("flight 1549", "flight one five four nine"),
        ignore_case=True,
    ),
    substitute(
        r"(?<=\b(?:Boeing|Porsche|Peugeot|Fiat|Volvo|Ferrari|Airbus|Tupolev)\s)(\d)([1-9]\d)\b",
        lambda found: f"{cardinal_to_words(found[1])} {cardinal_to_words(found[2])}",
        ("a Boeing 747", "a Boeing seven forty-seven"),
    ),
    substitute(
        r"(?<![\w-])(US|SR|CR|FM|I|A|M|B|E|CA|NY|TX)-(\d{1,3})(?![\w-])",
        lambda found: (
            f"{found[1] if len(found[1]) == 1 else '.'.join(found[1]) + '.'} "
            + (_read_digits(found[2]) if len(found[2]) > 2 else cardinal_to_words(found[2]))
        ),
        ("I-95 and US-101", "I ninety-five and U.S. one oh one"),
    ),
    substitute(
        r"(?<![\w.-])(?<!\$)v\.?\s?(\d{1,4}(?:\.\d{1,4})+)(?![\dA-Za-z]|\.\d)",
        lambda found: "v " + " point ".join(map(cardinal_to_words, found[1].split("."))),
        ("v1.12.0", "v one point twelve point zero"),
        ignore_case=True,
    ),
    substitute(
        r"(?<![\d.,])\d{1,4}(?:\.\d{1,4}){2,6}(?!\d|[.,]\d)",
        _read_version,
        ("version 3.10.2", "version three point ten point two"),
        ("192.168.0.1", "one nine two dot one six eight dot zero dot one"),
    ),
    substitute(
        rf"(?<![\w.@/'’-])(?!(?:{CURRENCY_CODES})\d|WW[12]\b|FY\d)(?=[A-Z\d]{{3,24}}(?!\w))"
        rf"(?!\d+(?:[KMB]|GB|MB|TB|KB|AM|PM|MHZ|GHZ|HZ|W|KW|V|AD|BC|CE|BCE|MM|CM|KM|KG|MPH|FPS)\b)"
        r"(?:[A-Z]{1,4}\d{1,12}|\d{1,4}[A-Z]{1,3}\d{1,12}|[A-Z]{1,3}\d{1,4}[A-Z]{1,3})"
        r"[A-Z\d]*(?!\w)(?<!\b[A-Z]\d\d?)",
        _read_alphanumeric,
        ("flight BA2490", "flight B.A. two four nine oh"),
        ("an MP3 file", "an M.P. three file"),
        ("plate 7ABC123", "plate seven ABC one two three"),
    ),
    substitute(
        r"(?<=\b(?:chapter|part|episode|step|track|season|lesson|level|day|week|volume|page|"
        r"scene|act|book|module|exercise|"
        r"section|figure|table|question|stage|round|set|item|line|no\.?|number|part no\.?)\s)"
        r"0+(?=[1-9]\d?\b(?![:.]\d))",
        "",
        ("Chapter 01 now", "Chapter one now"),
        ignore_case=True,
    ),
)


def _is_amount(found: Match) -> bool:
    """Return whether words such as "order" and "case" merely stand before a count."""
    weak = regex.match(r"(?:order|case|cards?|ticket|reference|phone|policy|code|booking|id)s?\s?$",
                       found["tag"], regex.IGNORECASE)  # fmt: skip
    counted = regex.match(r"\s+[a-z]{3,}s\b", found.string[found.end() :])
    return bool(weak and (counted or len(found["code"]) < 3))


def _spell(tag: str) -> str:
    letters = "".join(letter for letter in tag if letter.isalpha())
    return "".join(f"{letter}." for letter in letters)


KIND = Kind(name="codes", rules=RULES, needs_digit=True)
