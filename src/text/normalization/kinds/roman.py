"""Roman numerals after a word that makes them unambiguous."""

from __future__ import annotations

from text.normalization.numbers import cardinal_to_words, ordinal_to_words
from text.normalization.rules import Kind, Match, substitute

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_NUMERAL = r"(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_CLEAR = r"(?:(?:XC|XL|L?X{0,3})(?:IX|IV|VI{1,3}|I{2,3})|(?:XL|LX{1,3}|X{2,3})V?|XV)"
_COUNTED = (
    "Chapter|Part|Book|Act|Scene|Volume|Vol\\.|Section|Phase|War|Type|Appendix|Figure|Table|"
    "Article|Title|Level|Stage|Class|Bowl|Mark|Apollo|Fantasy|Division|Grade|Episode|Season|"
    "Lesson|Unit|Canto|Psalm|Exhibit|Amendment|Round|Group|Tier|Zone|Category|Factor|Olympiad|"
    "Schedule|Module|Step|Plate|Sonata|Symphony|Opus|Vatican|Item|Page|Issue|Song|Verse|Mk|"
    "Leg|Heat|Rocky|Rambo|WrestleMania|Star Trek|Alien|Jaws|Godfather|Halo|Street Fighter"
)
_RULERS = (
    "Henry|Louis|George|Edward|Charles|Elizabeth|William|James|Richard|Philip|Francis|John|Paul|"
    "Pius|Benedict|Leo|Gregory|Alexander|Nicholas|Peter|Catherine|Frederick|Napoleon|Ferdinand|"
    "Henri|Wilhelm|Mary|Innocent|Clement|Urban|Ivan|Otto|Ramses|Ptolemy|Margaret|Christian|Carl|"
    "Gustav|Felipe|Juan Carlos|Albert|Leopold|Constantine|Justinian|Sixtus|Boniface|Rama|"
    "Margrethe|Harald|Haakon|Olav|Karl|Knut|Erik|Robert|David|Kenneth|Ludwig|Maximilian|"
    "Joseph|Franz|Friedrich|Rudolf|Sigismund|Casimir|Sancho|Alfonso|Isabella|Joan|Pedro|Afonso|"
    "Manuel|Umberto|Victor Emmanuel|Vittorio Emanuele|Amadeus|Baudouin|Akbar|Suleiman|Mehmed|Murad|"
    "Selim|Darius|Xerxes|Cyrus|Artaxerxes|Seti|Thutmose|Amenhotep|Ramesses|Antiochus|Seleucus|"
    "Mithridates|Theodosius|Valentinian|Basil|Michael|Andronicus|Adrian|Hadrian|Celestine|Eugene|"
    "Stephen|Sylvester|Julius|Callixtus|Martin|Honorius|Nero|Willem|Hassan|Mohammed|"
    "Abdullah|Hussein"
)
_TITLES = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Prince|Princess|Duke|Duchess|Saint|"
    "Pharaoh|Archduke|Shah|Caliph|Patriarch|Count|Earl|Lord|Elector|Grand Duke"
)


def roman_to_int(numeral: str) -> int:
    """Return the value of a Roman numeral in capitals."""
    values = [_VALUES[digit] for digit in numeral]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-value if value < after else value for value, after in pairs)


def _read_counted(found: Match) -> str:
    if not found[2] or found[2] != found[2].upper():
        return str(found[0])
    numerals = [number for number in (found[2], found[3]) if number]
    spoken = " to ".join(cardinal_to_words(str(roman_to_int(number))) for number in numerals)
    return f"{'Volume' if found[1] == 'Vol.' else found[1]} {spoken}"


def _read_ruler(found: Match) -> str:
    if not found[2]:
        return str(found[0])
    return f"{found[1]} the {ordinal_to_words(str(roman_to_int(found[2])))}"


def _read_war(found: Match) -> str:
    return f"World War {'Two' if found[1] in ('II', '2') else 'One'}"


RULES = (
    substitute(
        r"\bWW\s?(II|I|1|2)\b",
        _read_war,
        ("both fought in WWII", "both fought in World War Two"),
        ("before WW1", "before World War One"),
    ),
    substitute(
        rf"\b({_COUNTED})s?\s({_NUMERAL})(?:\s?[-–—]\s?({_NUMERAL}))?\b(?!\.?[A-Z])(?!'(?!s))",
        _read_counted,
        ("Chapter IV", "Chapter four"),
        ("Super Bowl XL was close", "Super Bowl forty was close"),
        ("World War I began", "World War one began"),
        ignore_case=True,
    ),
    substitute(
        rf"\b((?:{_TITLES})(?:\s[A-Z][a-z]+){{1,2}})\s({_NUMERAL})\b",
        _read_ruler,
        ("Queen Margrethe II smiled", "Queen Margrethe the second smiled"),
    ),
    substitute(
        rf"\b({_RULERS})\s(?!I\b)({_NUMERAL})\b",
        _read_ruler,
        ("Louis XIV danced", "Louis the fourteenth danced"),
        ("Henry VIII's wives", "Henry the eighth's wives"),
    ),
    substitute(
        rf"\b({_RULERS}) (I)(?='s|\s(?:of|reigned|ruled|was|died|became|founded|built|crowned|"
        rf"signed|ordered|fought)\b)",
        _read_ruler,
        ("Elizabeth I reigned", "Elizabeth the first reigned"),
    ),
    substitute(
        r"\b([A-Z][a-z]+ (?:[A-Z]\. )?[A-Z][a-z]+),?\s(III|IV)\b(?=[,.;]|\s(?:[a-z]|$)|$)",
        _read_ruler,
        ("Thurston Howell III spoke", "Thurston Howell the third spoke"),
    ),
    substitute(
        rf"\b([A-Z][a-z]+)\s({_CLEAR})(?=[\s.,;:!?)'\"]|$)(?!\.[A-Z])",
        lambda found: f"{found[1]} {cardinal_to_words(str(roman_to_int(found[2])))}",
        ("Civilization VI is out", "Civilization six is out"),
    ),
    substitute(
        r"\b([Tt]he\s)([XVI]{2,6})(th|st|nd|rd)?(?=\scentury\b|-century\b)|\b([XVI]{2,5})(th)\b",
        lambda found: (
            f"{found[1] or ''}{ordinal_to_words(str(roman_to_int(found[2] or found[4])))}"
        ),
        ("the XIX century", "the nineteenth century"),
    ),
)
KIND = Kind(name="Roman numerals", rules=RULES)
