"""Languages as a person names them ("German", "de-AT") and as a transcriber does ("de")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
        **{
            "vietnamese": "vi",
            "indonesian": "id",
            "thai": "th",
            "catalan": "ca",
            "bulgarian": "bg",
        },
    }
)


def resolve_language_code(wish: str, known: Sequence[str]) -> str:
    """Return the code of a language, "" for an open wish.

    known: the codes that the transcriber has.  Raises TranscribeError suggesting the nearest.
    """
    wanted = wish.strip().lower()
    code = LANGUAGE_CODES.get(wanted, wanted)
    code = code if code in known else code.replace("_", "-").split("-")[0]
    if code and code not in known:
        hint = (
            suggest_similar(wanted, (*LANGUAGE_CODES, *known))
            or " A code such as en, de or ja is wanted."
        )
        raise TranscribeError(f"{wish!r} is no language that can be heard.{hint}")
    return code
