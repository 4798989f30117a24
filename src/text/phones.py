"""Phone classes: ARPAbet without stress, from tokens of a text or the phonemes of hibari-tts."""

from __future__ import annotations

PHONES = tuple(
    """
    SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW
    V W Y Z ZH
    """.split()  # noqa: SIM905
)
"""Class 0 is silence."""

SILENCE, UNKNOWN_PHONE = 0, -1

MISAKI_PHONES = dict(
    pair.split(":")
    for pair in """
    A:EY I:AY O:OW W:AW Y:OY Q:OW ᵊ:AH b:B d:D f:F h:HH i:IY j:Y k:K l:L m:M n:N p:P s:S t:T u:UW
    v:V w:W z:Z ɑ:AA æ:AE ɔ:AO ə:AH ɚ:ER ɛ:EH ɜ:ER ɡ:G ɪ:IH ŋ:NG ɹ:R ɾ:T T:T ʃ:SH ʊ:UH ʌ:AH ʒ:ZH
    ʤ:JH ʧ:CH θ:TH ð:DH ᵻ:IH
    """.split()  # noqa: SIM905
)
"""The phonemes of hibari-tts; its pads and punctuation are silence, its word gaps and stress marks
belong to no class."""
SILENT_MARKS = '_;:,.!?—…"()“”'
SPACE_TOKEN = "[SPACE]"


def name_misaki_phone(mark: str) -> str:
    """Return the ARPAbet phone of a phoneme of hibari-tts, "" for a mark that is none."""
    return "SIL" if mark in SILENT_MARKS else MISAKI_PHONES.get(mark, "")


def classify_misaki(mark: str) -> int:
    """Return the class of a phoneme of hibari-tts."""
    return _find_class(name_misaki_phone(mark))


def classify_token(token: str) -> int:
    """Return the class of a token of the project's phoneme tokenizer.

    A phone may have a stress digit; what is neither a phone nor the space is a pause.
    """
    if token == SPACE_TOKEN:
        return UNKNOWN_PHONE
    phone = token.rstrip("012")
    return _find_class(phone) if phone.isalpha() else SILENCE


def _find_class(phone: str) -> int:
    return PHONES.index(phone) if phone in PHONES else UNKNOWN_PHONE
