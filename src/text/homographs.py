"""Homographs, disambiguated by the word before them."""

from __future__ import annotations

from dataclasses import dataclass


def _to_word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BEFORE_VERB = _to_word_set(
    "to can could will would shall should may might must do does did don't doesn't didn't won't "
    "can't cannot let's i you we they who please"
)
_BEFORE_NOUN = _to_word_set(
    "a an the this that these those my your his her its our their no any some each every of in "
    "for with new old first last next one two"
)
_BEFORE_PAST = _to_word_set(
    "have has had having i've you've we've they've he's she's was were been be is are being "
    "never already"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Homograph:
    """The pronunciations that need a hint; without one the lexicon's is used."""

    noun: str = ""
    verb: str = ""
    past: str = ""

    def get_pronunciation_after(self, word: str) -> str | None:
        """Return the pronunciation after a word, if it decides."""
        if self.past and word in _BEFORE_PAST:
            return self.past
        if word in _BEFORE_VERB:
            return self.verb or None
        if word in _BEFORE_NOUN:
            return self.noun or None
        return None


HOMOGRAPHS = {
    "read": Homograph(verb="R IY1 D", past="R EH1 D"),
    "use": Homograph(noun="Y UW1 S", verb="Y UW1 Z"),
    "house": Homograph(noun="HH AW1 S", verb="HH AW1 Z"),
    "excuse": Homograph(noun="IH0 K S K Y UW1 S", verb="IH0 K S K Y UW1 Z"),
    "abuse": Homograph(noun="AH0 B Y UW1 S", verb="AH0 B Y UW1 Z"),
    "close": Homograph(verb="K L OW1 Z"),
    "live": Homograph(verb="L IH1 V"),
    "lives": Homograph(noun="L AY1 V Z"),
    "wind": Homograph(noun="W IH1 N D", verb="W AY1 N D"),
    "tear": Homograph(verb="T EH1 R"),
    "lead": Homograph(verb="L IY1 D"),
    "record": Homograph(noun="R EH1 K ER0 D", verb="R IH0 K AO1 R D"),
    "present": Homograph(noun="P R EH1 Z AH0 N T", verb="P R IY0 Z EH1 N T"),
    "object": Homograph(noun="AA1 B JH EH0 K T", verb="AH0 B JH EH1 K T"),
    "project": Homograph(noun="P R AA1 JH EH0 K T", verb="P R AH0 JH EH1 K T"),
    "produce": Homograph(noun="P R OW1 D UW0 S", verb="P R AH0 D UW1 S"),
    "permit": Homograph(noun="P ER1 M IH0 T", verb="P ER0 M IH1 T"),
    "conduct": Homograph(noun="K AA1 N D AH0 K T", verb="K AH0 N D AH1 K T"),
    "conflict": Homograph(noun="K AA1 N F L IH0 K T", verb="K AH0 N F L IH1 K T"),
    "contract": Homograph(noun="K AA1 N T R AE2 K T", verb="K AH0 N T R AE1 K T"),
    "contrast": Homograph(noun="K AA1 N T R AE2 S T", verb="K AH0 N T R AE1 S T"),
    "convert": Homograph(noun="K AA1 N V ER0 T", verb="K AH0 N V ER1 T"),
    "desert": Homograph(noun="D EH1 Z ER0 T", verb="D IH0 Z ER1 T"),
    "increase": Homograph(noun="IH1 N K R IY2 S", verb="IH0 N K R IY1 S"),
    "decrease": Homograph(noun="D IY1 K R IY2 S", verb="D IH0 K R IY1 S"),
    "import": Homograph(noun="IH1 M P AO2 R T", verb="IH0 M P AO1 R T"),
    "export": Homograph(noun="EH1 K S P AO2 R T", verb="IH0 K S P AO1 R T"),
    "insult": Homograph(noun="IH1 N S AH2 L T", verb="IH0 N S AH1 L T"),
    "progress": Homograph(noun="P R AA1 G R EH2 S", verb="P R AH0 G R EH1 S"),
    "protest": Homograph(noun="P R OW1 T EH2 S T", verb="P R AH0 T EH1 S T"),
    "rebel": Homograph(noun="R EH1 B AH0 L", verb="R IH0 B EH1 L"),
    "refuse": Homograph(noun="R EH1 F Y UW2 Z", verb="R AH0 F Y UW1 Z"),
    "separate": Homograph(noun="S EH1 P ER0 AH0 T", verb="S EH1 P ER0 EY2 T"),
    "subject": Homograph(noun="S AH1 B JH IH0 K T", verb="S AH0 B JH EH1 K T"),
    "suspect": Homograph(noun="S AH1 S P EH2 K T", verb="S AH0 S P EH1 K T"),
    "transport": Homograph(noun="T R AE1 N S P AO0 R T", verb="T R AE0 N S P AO1 R T"),
    "estimate": Homograph(noun="EH1 S T AH0 M AH0 T", verb="EH1 S T AH0 M EY2 T"),
}
