"""Check a take: its words by speech recognition, its length, clipping and silences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from audio.clip import Clip
from audio.energy_vad import find_speech_spans
from audio.quality_metrics import count_clipped_runs
from core.background import BackgroundTask
from core.progress import Cancelled, ProgressReporter
from studio.schemas.take_metadata import TakeCheck
from studio.synthesis.preview import estimate_speech_s
from text.g2p import Pronouncer
from text.pronunciations import list_phonemes, protect_phonemes
from text.tokenizer import PhonemeTokenizer, TokenizerError, load_tokenizer
from training.asr.base import POCKETSPHINX, SAMPLE_RATE, Transcriber, TranscriberConfig
from training.asr.selection import load_transcriber
from training.asr.wer import normalize_to_words

POLL_S = 0.1  # seconds between two looks at the stop request while the recognizer works
LANGUAGE = "en"
FULL_SCALE = 0.98  # peaks below are not clipped
MAX_DOUBTFUL_SHARE = 0.75  # of the words that PocketSphinx gets wrong; see training.asr.wer
SLACK_S = 0.4  # of the length of any text

Pronounce = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLimits:
    """What a take may differ by.

    similarity: of the sounds of a word to those that were heard, 0 to 1, from which it counts as
    right;  pace: least and greatest length as a ratio of the estimated one;  silence_s: longest
    pause within a line;  clipped_runs: places where the wave stays at full scale.
    """

    similarity: float
    pace: tuple[float, float]
    silence_s: float
    clipped_runs: int


LIMITS: Mapping[str, CheckLimits] = MappingProxyType(
    {
        "fast": CheckLimits(similarity=0.6, pace=(0.5, 2.0), silence_s=1.5, clipped_runs=10),
        "strict": CheckLimits(similarity=0.9, pace=(0.6, 1.7), silence_s=1.0, clipped_runs=3),
    }
)


class TakeChecker:
    """Checks takes with the best recognizer that is installed, which stays loaded."""

    def __init__(self, models: Path) -> None:
        """models: the folder of speech recognition models."""
        self._models = models
        self._recognizer: Transcriber | None = None
        self._running: BackgroundTask[str] | None = None

    @property
    def recognizer_name(self) -> str:
        """The recognizer, "" before the first check."""
        return self._recognizer.name if self._recognizer else ""

    @property
    def hears_words(self) -> bool:
        """Return whether single words are told apart; PocketSphinx only notices a wrong text."""
        return not self.recognizer_name.startswith(POCKETSPHINX)

    def check(
        self,
        clip: Clip,
        text: str,
        limits: CheckLimits,
        report: ProgressReporter,
        *,
        pronounce: Pronounce = tuple,
        speed: float = 1.0,
    ) -> TakeCheck:
        """Check one take of an English text.

        pronounce: the sounds of a word; without it spellings are compared;  speed: of the speech.
        Raises Cancelled within a fraction of a second, and TranscribeError.
        """
        text, groups = protect_phonemes(text)
        words = normalize_to_words(text)
        heard_text = self._recognize(clip, report) if words else ""
        heard = normalize_to_words(heard_text)
        sounds = {word: _drop_stress(list_phonemes(group)) for word, group in groups.items()}
        gaps = list(
            compare_words(
                words, heard, lambda word: sounds.get(word) or pronounce(word), limits.similarity
            )
        )
        errors = sum(gap.errors for gap in gaps)
        faults = [fault for gap in gaps for fault in gap.describe()]
        if words and not heard:
            faults = ["no words were heard"]
        elif not self.hears_words:
            wrong = errors > MAX_DOUBTFUL_SHARE * len(words)
            faults, errors = (["another text was heard"], errors) if wrong else ([], 0)
        return TakeCheck(
            recognizer=self.recognizer_name,
            heard=" ".join(heard),
            words=len(words),
            word_errors=errors,
            faults=(*faults, *find_sound_faults(clip, text, limits, speed)),
        )

    def _recognize(self, clip: Clip, report: ProgressReporter) -> str:
        """Recognize in a thread, so that a stop request need not wait for the network."""
        wave = clip.resample(SAMPLE_RATE).wave
        while self._running is not None and not self._running.wait(POLL_S):
            report.check_cancelled()  # the last one was stopped, and is about to end

        def listen(inner: ProgressReporter) -> str:
            if self._recognizer is None:
                config = TranscriberConfig(language=LANGUAGE, repeatable=True)
                self._recognizer = load_transcriber(config, self._models, inner)
            return self._recognizer.transcribe(wave, inner).text

        self._running = task = BackgroundTask(listen, "take check")
        try:
            while not task.wait(POLL_S):
                report.check_cancelled()
        except Cancelled:
            task.stop()
            raise
        return task.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class WordGap:
    """Words of a text, and what was heard in their place; one of them may be empty."""

    written: tuple[str, ...]
    heard: tuple[str, ...]

    @property
    def errors(self) -> int:
        """The number of wrong, missing and added words."""
        return max(len(self.written), len(self.heard))

    def describe(self) -> list[str]:
        """Return the errors in words."""
        if self.written and self.heard:
            return [f"{' '.join(self.written)!r} was heard as {' '.join(self.heard)!r}"]
        missing = [f"{word!r} was missing" for word in self.written]
        return missing or [f"{word!r} was added" for word in self.heard]


def compare_words(
    written: Sequence[str], heard: Sequence[str], pronounce: Pronounce, similarity: float
) -> Iterator[WordGap]:
    """Yield the places where other words were heard than written.

    Words that sound alike are the same, and so are two that sound like one: harbour and harbor,
    everyone and every one.
    """
    sounds = [[tuple(pronounce(word)) for word in words] for words in (written, heard)]
    matcher = SequenceMatcher(a=sounds[0], b=sounds[1], autojunk=False)
    for kind, a_start, a_stop, b_start, b_stop in matcher.get_opcodes():
        if kind == "equal":
            continue
        left = [sound for word in sounds[0][a_start:a_stop] for sound in word]
        right = [sound for word in sounds[1][b_start:b_stop] for sound in word]
        if SequenceMatcher(a=left, b=right, autojunk=False).ratio() < similarity:
            yield WordGap(
                written=tuple(written[a_start:a_stop]), heard=tuple(heard[b_start:b_stop])
            )


def find_sound_faults(
    clip: Clip, text: str, limits: CheckLimits, speed: float = 1.0
) -> Iterator[str]:
    """Yield what is wrong with the length, the pauses and the peaks of a take."""
    spans = find_speech_spans(clip)
    if not spans:
        yield "there was no speech"
        return
    rate = clip.sample_rate
    spoken_s = sum(span.stop - span.start for span in spans) / rate
    expected_s = estimate_speech_s(text) / speed
    shortest, longest = (ratio * expected_s for ratio in limits.pace)
    if not shortest - SLACK_S <= spoken_s <= longest + SLACK_S:
        yield f"{spoken_s:.1f} s of speech instead of about {expected_s:.1f} s"
    edges = [0, *(edge for span in spans for edge in (span.start, span.stop))]
    silence_s = max(b - a for a, b in zip(edges[::2], edges[1::2], strict=False)) / rate
    if silence_s > limits.silence_s:
        yield f"a silence of {silence_s:.1f} s"
    is_loud = float(clip.wave.abs().max()) >= FULL_SCALE
    if is_loud and count_clipped_runs(clip.wave) >= limits.clipped_runs:
        yield "clipped peaks"


@lru_cache(maxsize=2)
def load_pronounce(folders: tuple[Path, ...]) -> Pronounce:
    """Return the pronunciation of words by the first model with a lexicon; else their letters.

    folders: of models. Sounds have no stress, since recognizers write words only.
    """
    for folder in folders:
        try:
            tokenizer = load_tokenizer(folder)
        except TokenizerError:
            continue
        if isinstance(tokenizer, PhonemeTokenizer):
            return _without_stress(tokenizer.pronouncer)
    return tuple


def _without_stress(pronouncer: Pronouncer) -> Pronounce:
    return lambda word: _drop_stress(pronouncer.pronounce(word))


def _drop_stress(phonemes: Sequence[str]) -> list[str]:
    return [phoneme.rstrip("012") for phoneme in phonemes]
