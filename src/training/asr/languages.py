"""Languages by name ("German"), tag ("de-AT") and code ("de")."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from core.paths import quote_for_message
from core.serialization import suggest_similar
from training.asr.base import TranscribeError

LANGUAGE_CODES: Mapping[str, str] = MappingProxyType(
    {
        **{"english": "en", "german": "de", "deutsch": "de", "spanish": "es", "español": "es"},
        **{"french": "fr", "français": "fr", "italian": "it", "portuguese": "pt", "dutch": "nl"},
        **{"polish": "pl", "russian": "ru", "ukrainian": "uk", "chinese": "zh", "mandarin": "zh"},
        **{"cantonese": "yue", "japanese": "ja", "korean": "ko", "arabic": "ar", "hindi": "hi"},
        **{"turkish": "tr", "swedish": "sv", "norwegian": "no", "danish": "da", "finnish": "fi"},
        **{"czech": "cs", "greek": "el", "hungarian": "hu", "romanian": "ro", "hebrew": "he"},
        **{"vietnamese": "vi", "indonesian": "id", "thai": "th", "catalan": "ca"},
        **{"bulgarian": "bg"},
    }
)


def parse_language_code(language: str, known: Sequence[str] = ()) -> str:
    """Return the code of a language given by name, tag or code; "" stays "" (any language).

    known: the codes that a transcriber supports, () for any. Raises TranscribeError, with the
    nearest name or code as a suggestion.
    """
    wanted = language.strip().lower()
    code = LANGUAGE_CODES.get(wanted, wanted.replace("_", "-"))
    code = code if code in known else code.split("-")[0]
    if not code or (code in known if known else re.fullmatch(r"[a-z]{2,3}", code)):
        return code
    hint = suggest_similar(wanted, (*LANGUAGE_CODES, *known)) or " Use a code such as en, de or ja."
    raise TranscribeError(
        f"{quote_for_message(language)} is not a supported language.{hint} Leave it empty to "
        "detect the language."
    )
