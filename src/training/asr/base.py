"""Types shared by all transcribers: segments, words, options, names. Light: loads no network.

Times are seconds from the start of the recording; in a clip, from the start of the clip.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from core.errors import CodedError

if TYPE_CHECKING:
    from torch import Tensor

    from core.progress import ProgressReporter

_QUOTE_REPLACEMENTS = str.maketrans(
    {**dict.fromkeys("“”„‟«»″", '"'), **dict.fromkeys("‘’‚‛ʼ`´′", "'")}
)

SAMPLE_RATE = 16_000  # Hz, of the audio that every transcriber takes
WHISPER_FILE = "whisper.json"  # transcripts in a dataset folder
WHISPER_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
AUTO, GIVEN = "auto", "given"
WHISPER, FASTER_WHISPER, TRANSFORMERS = "whisper", "faster-whisper", "transformers"
POCKETSPHINX = "pocketsphinx"

TRANSCRIBERS: Mapping[str, str] = MappingProxyType(
    {
        AUTO: "existing transcripts, else Whisper if a model is installed, else PocketSphinx",
        GIVEN: "existing transcripts only: .txt, metadata.csv, .srt, .vtt or .json files",
        WHISPER: "OpenAI's Whisper: accurate, about a hundred languages, needs a model (.pt)",
        FASTER_WHISPER: "Whisper run by CTranslate2: as accurate and faster; an optional package",
        TRANSFORMERS: "Whisper in Hugging Face format, such as a finetune from the hub",
        POCKETSPHINX: "built in, English only; about every fourth word is wrong",
    }
)
LANGUAGES_WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})


class TranscribeError(CodedError, ValueError):
    """Transcription is not possible; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A transcribed part of a recording.

    words: () where their times are unknown. confidence: 0 to 1, None where it is unknown.
    """

    start_s: float
    stop_s: float
    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The segments of one recording in order. language: a code, "" where it is unknown."""

    segments: tuple[Segment, ...]
    language: str = ""

    @property
    def text(self) -> str:
        """The text of all segments as one line."""
        return " ".join(segment.text for segment in self.segments)


class Transcriber(Protocol):
    """A speech recognizer. name: as datasets store it, such as "whisper base"."""

    @property
    def name(self) -> str: ...

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Transcribe a recording of any length.  wave: (n,) float at `SAMPLE_RATE`.

        Reports progress; raises Cancelled within two seconds of being stopped.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriberConfig:
    """Which transcriber to load.

    model: a name ("base", "small.en"), a path, or for transformers a repository of the hub; "" for
    the best installed one. language: a code or name, "" to detect it. fetch: a model that is not
    installed may be downloaded. mirror: address that is asked in place of the hub. repeatable: the
    same audio gives the same text: no word is sampled, also where the network is unsure.
    """

    name: str = AUTO
    model: str = ""
    language: str = ""
    device: str = "auto"
    fetch: bool = False
    mirror: str = ""
    repeatable: bool = False

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures of Whisper; the next one is tried while the text is unlikely."""
        return WHISPER_TEMPERATURES[:1] if self.repeatable else WHISPER_TEMPERATURES

    def __post_init__(self) -> None:
        if self.name not in TRANSCRIBERS:
            raise TranscribeError(
                f"There is no transcriber {self.name!r}; there are {', '.join(TRANSCRIBERS)}."
            )


def join_words(words: tuple[Word, ...] | list[Word], language: str) -> str:
    """Join words to text, with spaces where the language has them."""
    return ("" if language in LANGUAGES_WITHOUT_SPACES else " ").join(word.text for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One spoken word and when, in seconds from the start of its clip."""

    text: str
    start_s: float
    stop_s: float


def sort_segments(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the segments in the order of time."""
    return tuple(sorted(segments, key=lambda segment: (segment.start_s, segment.stop_s)))


def to_single_line(text: str) -> str:
    """Return the text on one line, without the separator of manifests (|)."""
    return " ".join(text.replace("|", " ").split())


def clean_text(text: str) -> str:
    """Normalize the characters of a transcript: one line, plain quotes, no control characters.

    Numbers and abbreviations stay as written; training expands them itself.
    """
    text = unicodedata.normalize("NFC", text).translate(_QUOTE_REPLACEMENTS)
    kept = (char if _is_visible(char) else " " for char in text if char != "\u00ad")
    return to_single_line("".join(kept))


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
