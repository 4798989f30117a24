"""How an unknown word probably sounds: the longest letter context that was learned decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EDGE = "_"  # stands for the letters before the first and after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterToSound:
    """A table from letters in context to phonemes, learned from a lexicon.

    order: offsets of the neighbours that a context takes in, the most telling first.
    sounds: context (the letter, then its neighbours in that order) -> phonemes, blank-separated.
    """

    order: tuple[int, ...]
    sounds: Mapping[str, str]

    def pronounce(self, word: str) -> tuple[str, ...]:
        """Phonemes of a lower-case word; letters the table never saw stay silent."""
        phonemes: list[str] = []
        for index in range(len(word)):
            phonemes += self.sound_of(letter_context(word, index, self.order)).split()
        return with_one_main_stress(phonemes)

    def sound_of(self, context: str) -> str:
        """The sound under the longest known beginning of the context."""
        for length in range(len(context), 0, -1):
            sound = self.sounds.get(context[:length])
            if sound is not None:
                return sound
        return ""

    def to_plain(self) -> dict[str, Any]:
        """Rules grouped by their sound: small when packed."""
        rules: dict[str, list[str]] = {}
        for context, sound in sorted(self.sounds.items()):
            rules.setdefault(sound, []).append(context)
        packed = {sound: " ".join(contexts) for sound, contexts in sorted(rules.items())}
        return {"order": list(self.order), "rules": packed}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LetterToSound:
        """The table that to_plain described."""
        sounds = {
            context: sound
            for sound, contexts in plain["rules"].items()
            for context in contexts.split(" ")
        }
        return cls(order=tuple(plain["order"]), sounds=sounds)


def letter_context(word: str, index: int, order: Sequence[int]) -> str:
    """The letter at index followed by its neighbours, in the order given."""
    places = (index + offset for offset in order)
    return word[index] + "".join(word[p] if 0 <= p < len(word) else EDGE for p in places)


def with_one_main_stress(phonemes: Sequence[str]) -> tuple[str, ...]:
    """The same sounds with exactly one vowel under main stress.

    Letters are read one by one, so a guess may carry none or several.
    """
    vowels = [place for place, phoneme in enumerate(phonemes) if phoneme[-1].isdigit()]
    if not vowels:
        return tuple(phonemes)
    main = [place for place in vowels if phonemes[place].endswith("1")]
    second = [place for place in vowels if phonemes[place].endswith("2")]
    full = [place for place in vowels if phonemes[place] not in ("AH0", "ER0", "IH0")]
    kept = (main or second or full or vowels)[0]
    stressed = list(phonemes)
    for place in main:
        stressed[place] = stressed[place][:-1] + "2"
    stressed[kept] = stressed[kept][:-1] + "1"
    return tuple(stressed)
