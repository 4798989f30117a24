"""When each word of a known English text is said: PocketSphinx follows the text through the sound.

It tells wrong texts too: what is not said cannot be followed to its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from text.normalization.pipeline import normalize_text
from training.asr.base import Word

SAMPLE_RATE = 16_000  # Hz
FRAME_S = 0.01
FRAME_SAMPLES = round(FRAME_S * SAMPLE_RATE)
UNALIGNED_POWER_RATIO = 0.01  # of the power: 20 dB below
MAX_ALIGNMENT_S = 120.0  # followed in one go
LANGUAGE = "en"
FILLER_WORDS = ("<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]", "(NULL)")
# roughly how letters sound in a word that the dictionary lacks, the longest first
_LETTERS_TO_PHONES = {
    "tch": "CH",
    "sch": "SH",
    "igh": "AY",
    "ch": "CH",
    "sh": "SH",
    "th": "TH",
    "ph": "F",
    "wh": "W",
    "ck": "K",
    "ng": "NG",
    "qu": "K W",
    "oo": "UW",
    "ee": "IY",
    "ea": "IY",
    "ou": "AW",
    "ow": "OW",
    "ai": "EY",
    "ay": "EY",
    "oi": "OY",
    "oy": "OY",
    "au": "AO",
    "aw": "AO",
    "er": "ER",
    "ar": "AA R",
    "or": "AO R",
    "a": "AE",
    "b": "B",
    "c": "K",
    "d": "D",
    "e": "EH",
    "f": "F",
    "g": "G",
    "h": "HH",
    "i": "IH",
    "j": "JH",
    "k": "K",
    "l": "L",
    "m": "M",
    "n": "N",
    "o": "AA",
    "p": "P",
    "q": "K",
    "r": "R",
    "s": "S",
    "t": "T",
    "u": "AH",
    "v": "V",
    "w": "W",
    "x": "K S",
    "y": "IY",
    "z": "Z",
}
_LETTER_GROUP = re.compile("|".join(_LETTERS_TO_PHONES))


class AlignmentDecoder(Protocol):
    """What is used of pocketsphinx.Decoder, which comes without types."""

    def lookup_word(self, word: str) -> str | None: ...
    def add_word(self, word: str, phones: str, update: bool = True) -> int: ...
    def set_align_text(self, text: str) -> None: ...
    def start_utt(self) -> None: ...
    def process_raw(self, data: bytes, no_search: bool, full_utt: bool) -> int: ...
    def end_utt(self) -> None: ...
    def seg(self) -> Any: ...  # Any: an iterator of pocketsphinx.Segment, or None


@dataclass(frozen=True, slots=True, kw_only=True)
class WordAlignment:
    """A text that was found in the sound.

    words: as they are written, in seconds of the sound;  unexplained_s: how long it sounds between
    the words as if something else were said there.
    """

    words: tuple[Word, ...]
    unaligned_speech_s: float


def can_align(language: str) -> bool:
    """Whether texts of this language can be followed here."""
    return language == LANGUAGE and find_spec("pocketsphinx") is not None


def align_words(wave: Tensor, text: str) -> WordAlignment | None:
    """Return when each word is said; None where the text cannot be followed to its end.

    wave: (n,) at RATE, up to LONGEST_S.
    """
    written = text.split()
    spoken = [_split_spoken_words(word) for word in written]
    said = [word for words in spoken for word in words]
    if not said or wave.shape[0] > MAX_ALIGNMENT_S * SAMPLE_RATE:
        return None
    found = _run_alignment(wave, said)
    heard = [entry for entry in found if entry[0] not in FILLER_WORDS]
    if len(heard) != len(said):
        return None
    words, at = [], 0
    for name, parts in zip(written, spoken, strict=True):
        if parts:  # a dash alone is not said
            start, stop = heard[at][1], heard[at + len(parts) - 1][2]
            words.append(Word(text=name, start_s=start, stop_s=stop))
            at += len(parts)
        elif words:
            before = words.pop()
            words.append(
                Word(text=f"{before.text} {name}", start_s=before.start_s, stop_s=before.stop_s)
            )
    silences = [(start, stop) for word, start, stop in found if word in FILLER_WORDS]
    return WordAlignment(
        words=tuple(words), unaligned_speech_s=_measure_unaligned_speech(wave, words, silences)
    )


def _measure_unaligned_speech(
    wave: Tensor, words: Sequence[Word], silences: Sequence[tuple[float, float]]
) -> float:
    """Say how many seconds of what should be silence are nearly as loud as the words."""

    def power(start_s: float, stop_s: float) -> Tensor:
        part = wave[round(start_s * SAMPLE_RATE) : round(stop_s * SAMPLE_RATE)]
        frames = part.shape[0] // FRAME_SAMPLES
        return part[: frames * FRAME_SAMPLES].view(frames, FRAME_SAMPLES).square().mean(-1)

    spoken = torch.cat([power(word.start_s, word.stop_s) for word in words])
    between = torch.cat([torch.zeros(0), *(power(*silence) for silence in silences)])
    loud = between > spoken.mean() * UNALIGNED_POWER_RATIO
    return float(loud.sum() * FRAME_S)


def _split_spoken_words(written: str) -> list[str]:
    """Return what is said for one written word: "1984," is two words, "-" is none."""
    return re.findall(r"[a-z]+(?:'[a-z]+)*", normalize_text(written).lower().replace("’", "'"))


def _run_alignment(wave: Tensor, said: Sequence[str]) -> list[tuple[str, float, float]]:
    """Return (word, first second, last second) in order; nothing where the text does not fit."""
    decoder = _load_decoder()
    for word in set(said):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, _guess_phones(word), True)
    steps = (wave.clamp(-1, 1) * 32_767).round().numpy().astype(np.int16)
    decoder.set_align_text(" ".join(said))
    decoder.start_utt()
    decoder.process_raw(steps.tobytes(), False, True)
    decoder.end_utt()
    found = [
        (re.sub(r"\(\d+\)$", "", entry.word), entry.start_frame, entry.end_frame + 1)
        for entry in decoder.seg() or ()
    ]
    return [(word, start * FRAME_S, stop * FRAME_S) for word, start, stop in found]


def _guess_phones(word: str) -> str:
    return " ".join(_LETTERS_TO_PHONES[part] for part in _LETTER_GROUP.findall(word)) or "AH"


@lru_cache(maxsize=1)
def _load_decoder() -> AlignmentDecoder:
    from pocketsphinx import Decoder as Sphinx

    return cast(AlignmentDecoder, Sphinx(lm=None, loglevel="FATAL"))
