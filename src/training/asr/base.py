"""What a transcriber is, which there are, and what a person may wish for.

Light: the page and the command line read it too. What listens is loaded by `choose`, in the worker.
Every time here is in seconds from the start of the SOURCE, the whole recording; only once a clip
is cut out of it do words count from the start of the clip.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from core.progress import ProgressReporter

_QUOTE_REPLACEMENTS = str.maketrans(
    {**dict.fromkeys("“”„‟«»″", '"'), **dict.fromkeys("‘’‚‛ʼ`´′", "'")}
)

SAMPLE_RATE = 16_000  # Hz, what every transcriber listens at
WHISPER_FILE = "whisper.json"  # what a dataset folder keeps of the transcripts
AUTO, GIVEN = "auto", "given"
WHISPER, FASTER_WHISPER, POCKETSPHINX = "whisper", "faster-whisper", "pocketsphinx"

TRANSCRIBERS: Mapping[str, str] = MappingProxyType(
    {
        AUTO: "given words where there are any, else Whisper where it is here, else PocketSphinx",
        GIVEN: "only what lies beside the recordings: .txt, metadata.csv, .srt, .vtt or .json",
        WHISPER: "OpenAI's Whisper: accurate, about a hundred languages, needs a model",
        FASTER_WHISPER: "Whisper run by CTranslate2: as accurate and faster, an extra",
        POCKETSPHINX: "built in, English only, works everywhere; every fourth word is wrong",
    }
)
LANGUAGES_WITHOUT_SPACES = frozenset(
    {"zh", "yue", "ja", "th", "lo", "my", "km", "bo"}
)  # written without blanks


class TranscribeError(ValueError):
    """Words cannot be had: what came, what is allowed, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech, in seconds of the source.

    words: with times in the source, () where they are not known;  confidence: 0 to 1, None where
    the transcriber does not say.
    """

    start_s: float
    stop_s: float
    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What is said in one recording, in order. language: "en", "de", …, "" where it is unknown."""

    segments: tuple[Segment, ...]
    language: str = ""

    @property
    def text(self) -> str:
        """All of it as one line."""
        return " ".join(segment.text for segment in self.segments)


class Transcriber(Protocol):
    """Something that writes down what it hears."""

    @property
    def name(self) -> str:
        """What the dataset calls it: "whisper base", "pocketsphinx en-us"."""

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Write down what is said.  wave: (n,) float at `SAMPLE_RATE`, mono, of any length.

        Tells how far it is and raises Cancelled within a second or two of being stopped.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriberConfig:
    """Which transcriber a person wants.

    model: for Whisper a name ("base", "small.en") or the path of a .pt file, for faster-whisper a
    folder; "" takes the best that is here.  language: a code ("en") or a name ("German"), "" for
    whatever is heard.  fetch: a Whisper model that is not here may be fetched.
    """

    name: str = AUTO
    model: str = ""
    language: str = ""
    device: str = "auto"
    fetch: bool = False

    def __post_init__(self) -> None:
        if self.name not in TRANSCRIBERS:
            raise TranscribeError(
                f"There is no transcriber {self.name!r}; there are {', '.join(TRANSCRIBERS)}."
            )


def join_words(words: tuple[Word, ...] | list[Word], language: str) -> str:
    """Return the words as running text; blanks between them only where the language has them."""
    return ("" if language in LANGUAGES_WITHOUT_SPACES else " ").join(word.text for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One spoken word and when, in seconds from the start of its clip."""

    text: str
    start_s: float
    stop_s: float


def to_single_line(text: str) -> str:
    """Return the text as one line that fits between the bars of a manifest."""
    return " ".join(text.replace("|", " ").split())


def clean_text(text: str) -> str:
    """Return the text as one line with plain quotes and no bar; its words stay as they are.

    Numbers and short forms stay written as they are, too: training reads them aloud itself.
    """
    text = unicodedata.normalize("NFC", text).translate(_QUOTE_REPLACEMENTS)
    kept = (letter if _is_visible(letter) else " " for letter in text if letter != "\u00ad")
    return to_single_line("".join(kept))


def _is_visible(letter: str) -> bool:
    """Say whether a letter can be seen: no control character, no mark of direction or width."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn")
