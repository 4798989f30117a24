r"""Build the starter's pronunciation files from CMUdict: lexicon, letter-to-sound table, symbols.

    python -m recipes.data.build_lexicon --cmudict cmudict.dict --license LICENSE \
        --out models/starter

Letters are aligned with phonemes by expectation-maximisation (0 to 2 phonemes per
letter); then contexts grow as long as that changes the prediction.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import math
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from text.g2p import SYMBOLS
from text.letter_to_sound import (
    CONTEXT_SEPARATOR,
    LATER_STRESS,
    NEXT_PHONEME,
    ContextFeature,
    LetterToSound,
    build_context,
)
from text.lexicon import format_lexicon, parse_cmudict
from training.asr.wer import edit_distance

Phonemes = tuple[str, ...]
LetterExample = tuple[tuple[str, ...], str]  # context, phonemes
LogProbabilities = dict[tuple[str, Phonemes], float]  # log P(phonemes | letter)

CONTEXT_ORDER: tuple[ContextFeature, ...] = (
    1,
    -1,
    NEXT_PHONEME,
    -2,
    2,
    LATER_STRESS,
    -3,
    3,
    -4,
    4,
    -5,
)
EM_ITERATIONS = 5  # of expectation-maximisation
EM_SAMPLE_SIZE = 15_000  # words evaluated in each round
UNSEEN_LOG_PROB = -14.0  # log-probability of a pair that no round has met
HELD_OUT_FRACTION = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PronunciationAccuracy:
    """Accuracy on held-out words and on their phonemes."""

    words: float
    words_without_stress: float
    phonemes: float
    phonemes_without_stress: float
    count: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Write tokenizer.json, lexicon.txt.gz, lexicon.LICENSE and lts.json.gz into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cmudict", type=Path, required=True, help="the file cmudict.dict")
    parser.add_argument("--license", type=Path, required=True, help="its licence notice")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model to write into")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lexicon = dict(parse_cmudict(options.cmudict.read_text("utf-8").splitlines()))
    accuracy = evaluate_held_out(lexicon)
    logger.info("held out: %s", accuracy)
    options.out.mkdir(parents=True, exist_ok=True)
    _write_gzip(options.out / "lexicon.txt.gz", format_lexicon(lexicon))
    table = train_letter_to_sound(lexicon).to_dict()
    _write_gzip(options.out / "lts.json.gz", json.dumps(table, separators=(",", ":")))
    shutil.copyfile(options.license, options.out / "lexicon.LICENSE")
    described = {
        "type": "phonemes",
        "version": 1,
        "symbols": list(SYMBOLS),
        "lexicon": "lexicon.txt.gz",
        "letter_to_sound": "lts.json.gz",
    }
    (options.out / "tokenizer.json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")


def evaluate_held_out(lexicon: Mapping[str, str], seed: int = 0) -> PronunciationAccuracy:
    """Train on most of the lexicon and evaluate on the held-out words."""
    words = sorted(word for word in lexicon if word.isalpha())
    random.Random(seed).shuffle(words)
    cut = int(len(words) * HELD_OUT_FRACTION)
    table = train_letter_to_sound({word: lexicon[word] for word in words[cut:]})
    return compute_accuracy(table, {word: lexicon[word] for word in words[:cut]})


def compute_accuracy(table: LetterToSound, lexicon: Mapping[str, str]) -> PronunciationAccuracy:
    """Compare the prediction for each word with the lexicon."""
    whole = whole_plain = wrong = wrong_plain = total = 0
    for word, spoken in lexicon.items():
        guess, truth = table.pronounce(word), tuple(spoken.split())
        plain_guess, plain_truth = strip_stress(guess), strip_stress(truth)
        whole += guess == truth
        whole_plain += plain_guess == plain_truth
        wrong += edit_distance(guess, truth)
        wrong_plain += edit_distance(plain_guess, plain_truth)
        total += len(truth)
    return PronunciationAccuracy(
        words=whole / len(lexicon),
        words_without_stress=whole_plain / len(lexicon),
        phonemes=1 - wrong / total,
        phonemes_without_stress=1 - wrong_plain / total,
        count=len(lexicon),
    )


def train_letter_to_sound(
    lexicon: Mapping[str, str], order: Sequence[ContextFeature] = CONTEXT_ORDER
) -> LetterToSound:
    """Train a letter-to-sound table on a lexicon."""
    words = {word: tuple(spoken.split()) for word, spoken in lexicon.items() if word.isalpha()}
    aligned = align_lexicon(words)
    examples: list[LetterExample] = []
    for word, groups in aligned.items():
        later: Phonemes = ()
        for index in reversed(range(len(word))):
            examples.append((build_context(word, index, later, order), " ".join(groups[index])))
            later = groups[index] + later
    return LetterToSound(order=tuple(order), sounds=grow_contexts(examples))


def grow_contexts(examples: Sequence[LetterExample]) -> dict[str, str]:
    """Return the most common sound of each context that a shorter context predicts wrongly."""
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    sounds: dict[str, str] = {}
    pending = examples
    for length in range(1, len(examples[0][0]) + 1):
        counts.clear()
        for context, sound in pending:
            counts[context[:length]][sound] += 1
        for context, seen in counts.items():
            fallback = _look_up_context(sounds, context[:-1])
            best, times = seen.most_common(1)[0]
            if fallback is None or times > seen[fallback]:
                sounds[CONTEXT_SEPARATOR.join(context)] = best
        mixed = {context for context, seen in counts.items() if len(seen) > 1}
        pending = [example for example in pending if example[0][:length] in mixed]
    return sounds


def _look_up_context(sounds: Mapping[str, str], context: Sequence[str]) -> str | None:
    for length in range(len(context), 0, -1):
        sound = sounds.get(CONTEXT_SEPARATOR.join(context[:length]))
        if sound is not None:
            return sound
    return None


def align_lexicon(words: Mapping[str, Phonemes]) -> dict[str, list[Phonemes]]:
    """Align the phonemes of every word with its letters."""
    plain = {word: strip_stress(phonemes) for word, phonemes in words.items()}
    names = sorted(word for word in plain if 0.3 < len(plain[word]) / len(word) < 2)
    sample = random.Random(0).sample(names, min(EM_SAMPLE_SIZE, len(names)))
    scores = init_log_probabilities((word, plain[word]) for word in sample)
    for _ in range(EM_ITERATIONS):
        scores = run_em_iteration(scores, [(word, plain[word]) for word in sample])
    aligned: dict[str, list[Phonemes]] = {}
    for word in names:
        groups = align_word(word, plain[word], scores)
        if groups is None:
            continue
        stressed = iter(words[word])
        aligned[word] = [tuple(next(stressed) for _ in group) for group in groups]
    return aligned


def init_log_probabilities(pairs: Iterable[tuple[str, Phonemes]]) -> LogProbabilities:
    """Initialise by the relative position of letters and phonemes in the word."""
    counts: Counter[tuple[str, Phonemes]] = Counter()
    for word, phonemes in pairs:
        for index, letter in enumerate(word):
            place = index * len(phonemes) / len(word)
            counts[letter, ()] += 1
            for near in range(max(0, int(place) - 1), min(len(phonemes), int(place) + 3)):
                counts[letter, phonemes[near : near + 1]] += 4
                counts[letter, phonemes[near : near + 2]] += 1
    return _to_log_probabilities(counts)


def run_em_iteration(
    scores: LogProbabilities, pairs: Iterable[tuple[str, Phonemes]]
) -> LogProbabilities:
    """Align with the current scores, then count the aligned pairs."""
    counts: Counter[tuple[str, Phonemes]] = Counter()
    for word, phonemes in pairs:
        groups = align_word(word, phonemes, scores)
        counts.update(zip(word, groups, strict=True) if groups else ())
    return _to_log_probabilities(counts)


def _to_log_probabilities(counts: Mapping[tuple[str, Phonemes], int]) -> LogProbabilities:
    totals: Counter[str] = Counter()
    for (letter, _), count in counts.items():
        totals[letter] += count
    return {key: math.log(count / totals[key[0]]) for key, count in counts.items()}


def align_word(word: str, phonemes: Phonemes, scores: LogProbabilities) -> list[Phonemes] | None:
    """Return the most likely phonemes of each letter; None where there is no alignment."""
    best = {0: 0.0}  # phonemes spoken so far -> log-probability
    steps: list[dict[int, int]] = []  # per letter: phonemes spoken after it -> before it
    for index, letter in enumerate(word):
        least = len(phonemes) - 2 * (len(word) - index - 1)  # the rest can speak no more
        best, before = _extend_alignment(letter, phonemes, best, scores, least)
        steps.append(before)
    end = len(phonemes)
    if end not in best:
        return None
    groups: list[Phonemes] = []
    for before in reversed(steps):
        start = before[end]
        groups.append(phonemes[start:end])
        end = start
    return groups[::-1]


def _extend_alignment(
    letter: str, phonemes: Phonemes, best: Mapping[int, float], scores: LogProbabilities, least: int
) -> tuple[dict[int, float], dict[int, int]]:
    """Return the best score and start for every end, with 0 to 2 phonemes for the letter."""
    reached: dict[int, float] = {}
    before: dict[int, int] = {}
    for start, score in best.items():
        for end in range(max(start, least), min(start + 2, len(phonemes)) + 1):
            total = score + scores.get((letter, phonemes[start:end]), UNSEEN_LOG_PROB)
            if total > reached.get(end, -math.inf):
                reached[end], before[end] = total, start
    return reached, before


def strip_stress(phonemes: Iterable[str]) -> Phonemes:
    """Remove the stress digits."""
    return tuple(phoneme.rstrip("012") for phoneme in phonemes)


def _write_gzip(path: Path, text: str) -> None:
    """Gzip without a time stamp, so that the same input gives the same file."""
    path.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
