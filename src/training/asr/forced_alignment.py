"""Word times of a known text: by a wav2vec2 model if one is installed, else by PocketSphinx.

The alignment also detects wrong texts, since words that are not spoken cannot be aligned.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from text.normalization.pipeline import normalize_text
from training.asr.availability import list_hugging_face_models
from training.asr.base import SAMPLE_RATE, Word

if TYPE_CHECKING:
    from training.asr.ctc_alignment import CtcAligner

FRAME_S = 0.01
FRAME_SAMPLES = round(FRAME_S * SAMPLE_RATE)
UNALIGNED_POWER_RATIO = 0.01  # of the power of the words: 20 dB below
MAX_ALIGNMENT_S = 120.0
CTC_MARGIN_S = 0.2  # between words; CTC tokens are shorter than their sound
LANGUAGE = "en"
FILLER_WORDS = ("<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]", "(NULL)")
# approximate pronunciation of a word that the dictionary lacks, the longest groups first
_LETTERS_TO_PHONES = {
    "tch": "CH", "sch": "SH", "igh": "AY", "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "wh": "W",
    "ck": "K", "ng": "NG", "qu": "K W", "oo": "UW", "ee": "IY", "ea": "IY", "ou": "AW", "ow": "OW",
    "ai": "EY", "ay": "EY", "oi": "OY", "oy": "OY", "au": "AO", "aw": "AO", "er": "ER",
    "ar": "AA R", "or": "AO R", "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F",
    "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "AA",
    "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S",
    "y": "IY", "z": "Z",
}  # fmt: skip
_LETTER_GROUP = re.compile("|".join(_LETTERS_TO_PHONES))


@dataclass(frozen=True, slots=True, kw_only=True)
class WordAlignment:
    """A text aligned to audio.

    words: as written, with times. unaligned_speech_s: seconds between the words that are as loud as
    speech.
    """

    words: tuple[Word, ...]
    unaligned_speech_s: float


Align: TypeAlias = Callable[[Tensor, str], WordAlignment | None]  # (n,) at SAMPLE_RATE, text


def can_align(language: str) -> bool:
    """Return whether PocketSphinx aligns texts of this language."""
    return language == LANGUAGE and find_spec("pocketsphinx") is not None


def find_aligner(text: str, language: str, models: Path | None = None) -> Align | None:
    """Return what aligns a text of a language, None where nothing here does.

    models: the folder of speech recognition models, searched for wav2vec2 models whose vocabulary
    has the letters of the text.
    """
    if models is not None and (aligner := find_ctc_aligner(text, language, models)):
        return partial(_align_with_ctc, aligner, language)
    return align_words if can_align(language) else None


def find_ctc_aligner(text: str, language: str, models: Path) -> CtcAligner | None:
    """Return the first installed wav2vec2 model whose vocabulary has the letters of a text."""
    for name in list_hugging_face_models(models, "wav2vec2"):
        from training.asr.ctc_alignment import load_ctc_aligner

        aligner = load_ctc_aligner(models / name)
        if aligner.supports(text, language):
            return aligner
    return None


def _align_with_ctc(
    aligner: CtcAligner, language: str, wave: Tensor, text: str
) -> WordAlignment | None:
    words = aligner.align(wave, text, language)
    if words is None:
        return None
    starts = [word.start_s for word in words]
    stops = [word.stop_s for word in words]
    gaps = zip([0.0, *stops], [*starts, wave.shape[0] / SAMPLE_RATE], strict=True)
    silences = [(start + CTC_MARGIN_S, stop - CTC_MARGIN_S) for start, stop in gaps]
    silences = [(start, stop) for start, stop in silences if stop > start]
    return WordAlignment(
        words=words, unaligned_speech_s=_measure_unaligned_speech(wave, words, silences)
    )


def align_words(wave: Tensor, text: str) -> WordAlignment | None:
    """Align an English text with PocketSphinx; None where the text cannot be aligned to its end.

    wave: (n,) at `SAMPLE_RATE`, up to `MAX_ALIGNMENT_S`.
    """
    written = text.split()
    spoken = [_split_spoken_words(word) for word in written]
    words_to_align = [word for words in spoken for word in words]
    if not words_to_align or wave.shape[0] > MAX_ALIGNMENT_S * SAMPLE_RATE:
        return None
    found = _run_alignment(wave, words_to_align)
    aligned = [entry for entry in found if entry[0] not in FILLER_WORDS]
    if len(aligned) != len(words_to_align):
        return None
    words, at = [], 0
    for name, parts in zip(written, spoken, strict=True):
        if parts:  # a dash alone is not spoken
            start, stop = aligned[at][1], aligned[at + len(parts) - 1][2]
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

    def power(start_s: float, stop_s: float) -> Tensor:
        part = wave[round(start_s * SAMPLE_RATE) : round(stop_s * SAMPLE_RATE)]
        frames = part.shape[0] // FRAME_SAMPLES
        return part[: frames * FRAME_SAMPLES].view(frames, FRAME_SAMPLES).square().mean(-1)

    spoken = torch.cat([power(word.start_s, word.stop_s) for word in words])
    between = torch.cat([torch.zeros(0), *(power(*silence) for silence in silences)])
    loud = between > spoken.mean() * UNALIGNED_POWER_RATIO
    return float(loud.sum() * FRAME_S)


def _split_spoken_words(written: str) -> list[str]:
    """Return the spoken words of a written one: "1984," has two, "-" has none."""
    return re.findall(r"[a-z]+(?:'[a-z]+)*", normalize_text(written).lower().replace("’", "'"))


def _run_alignment(wave: Tensor, words: Sequence[str]) -> list[tuple[str, float, float]]:
    """Return (word, start, stop) in seconds; empty where the text does not fit the audio."""
    found = [
        (re.sub(r"\(\d+\)$", "", entry.word), entry.start_frame, entry.end_frame + 1)
        for entry in _decode_words(wave, words).seg() or ()
    ]
    return [(word, start * FRAME_S, stop * FRAME_S) for word, start, stop in found]


def score_words(wave: Tensor, words: Sequence[str]) -> float | None:
    """Return the log-likelihood of English words by PocketSphinx; None where they do not fit.

    wave: (n,) at `SAMPLE_RATE`. Comparable for other words of the same wave only.
    """
    if not words or len(wave) > MAX_ALIGNMENT_S * SAMPLE_RATE:
        return None
    found = _decode_words(wave, [word.lower() for word in words]).hyp()
    return math.log(found.score) if found is not None and found.score > 0 else None


def _decode_words(wave: Tensor, words: Sequence[str]) -> Any:  # Any: the wheel has no types
    decoder = _load_decoder()
    for word in set(words):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, _guess_phones(word), True)
    steps = (wave.clamp(-1, 1) * 32_767).round().numpy().astype(np.int16)
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(steps.tobytes(), False, True)
    decoder.end_utt()
    return decoder


def pronounce_word(word: str) -> list[str]:
    """Return the phones of an English word by PocketSphinx's dictionary; guessed for others."""
    return (_load_decoder().lookup_word(word.lower()) or _guess_phones(word.lower())).split()


def _guess_phones(word: str) -> str:
    return " ".join(_LETTERS_TO_PHONES[part] for part in _LETTER_GROUP.findall(word)) or "AH"


@lru_cache(maxsize=1)
def _load_decoder() -> Any:  # Any: the wheel has no types
    from pocketsphinx import Decoder

    return Decoder(lm=None, loglevel="FATAL")
