"""Letter-to-sound model: the longest known context of a letter decides its phonemes.

A word is read from its end, since English stress counts from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WORD_BOUNDARY = "_"  # stands for the letters before the first and after the last
NEXT_PHONEME = "sound"  # clue: the phoneme that follows
LATER_STRESS = "stress"  # clue: whether main stress follows, and the stress of the next vowel
CONTEXT_SEPARATOR = "."  # between the clues of a context

ContextFeature = int | str  # the letter so far away, or one of the two above


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterToSound:
    """A table from letters in context to phonemes, learned from a lexicon.

    order: the features of a context after the letter itself, the most important first. sounds:
    context (letter and features, joined) -> phonemes, separated by spaces.
    """

    order: tuple[ContextFeature, ...]
    sounds: Mapping[str, str]

    def pronounce(self, word: str) -> tuple[str, ...]:
        """Return the phonemes of a lower-case word; unknown letters are silent."""
        phonemes: list[str] = []
        for index in reversed(range(len(word))):
            context = build_context(word, index, phonemes, self.order)
            phonemes = self.look_up(context).split() + phonemes
        return keep_one_primary_stress(phonemes)

    def look_up(self, context: Sequence[str]) -> str:
        """The sound under the longest known beginning of the context."""
        for length in range(len(context), 0, -1):
            sound = self.sounds.get(CONTEXT_SEPARATOR.join(context[:length]))
            if sound is not None:
                return sound
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Rules grouped by their sound: small when packed."""
        rules: dict[str, list[str]] = {}
        for context, sound in sorted(self.sounds.items()):
            rules.setdefault(sound, []).append(context)
        packed = {sound: " ".join(contexts) for sound, contexts in sorted(rules.items())}
        return {"order": list(self.order), "rules": packed}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LetterToSound:
        """The table that to_plain described."""
        sounds = {
            context: sound
            for sound, contexts in plain["rules"].items()
            for context in contexts.split(" ")
        }
        return cls(order=tuple(plain["order"]), sounds=sounds)


def build_context(
    word: str, index: int, later: Sequence[str], order: Sequence[ContextFeature]
) -> tuple[str, ...]:
    """Return the letter and its context features. later: phonemes of the letters after."""
    return (word[index], *(_get_feature_value(clue, word, index, later) for clue in order))


def _get_feature_value(clue: ContextFeature, word: str, index: int, later: Sequence[str]) -> str:
    if isinstance(clue, int):
        place = index + clue
        return word[place] if 0 <= place < len(word) else WORD_BOUNDARY
    if clue == NEXT_PHONEME:
        return later[0] if later else WORD_BOUNDARY
    stresses = [phoneme[-1] for phoneme in later if phoneme[-1].isdigit()]
    return "".join((str(int("1" in stresses)), stresses[0] if stresses else WORD_BOUNDARY))


def keep_one_primary_stress(phonemes: Sequence[str]) -> tuple[str, ...]:
    """Return the phonemes with exactly one primary stress.

    Letters are predicted one by one, so a result may have none or several.
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
