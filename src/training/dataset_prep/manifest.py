"""The files of a dataset: clips, kept or dropped with a reason, and lists for training.

    training/<name>/
        audio/<id>.wav    22,050 Hz mono, 16 bit
        train.txt         audio/<id>.wav|text, one line for each clip to train with
        validation.txt    the same for the clips held out for evaluation
        whisper.json      transcripts of the recordings, before they were cut
        dataset.json      all of it: sources, clips, reasons

Light: the page and the command line read it, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from core.files import write_json, write_text
from core.serialization import ValidationError, from_dict, to_dict
from training.asr.base import Word, to_single_line

TRAIN_FILE, VALIDATION_FILE = "train.txt", "validation.txt"
DATASET_FILE = "dataset.json"
AUDIO_DIR = "audio"
FORMAT_VERSION = 1  # of dataset.json
CLIP_SAMPLE_RATE = 22_050  # Hz

SplitName = Literal["train", "validation", ""]

CLIP_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "too_short": "too short, and no adjacent segment to join",
        "too_long": "too long, and no pause to cut at",
        "too_much_text": "text too long for the model",
        "silent": "no speech",
        "clipped": "clipped peaks",
        "noisy": "too much background noise",
        "duplicate": "same audio or text as another clip",
        "no_words": "no transcript",
        "doubtful_text": "transcript probably wrong",
        "other_language": "wrong language",
        "odd_pace": "implausible number of words for its length",
        "other_speaker": "perhaps another person speaks",
        "unreadable": "audio file cannot be read",
        "by_hand": "dropped by you",
        "merged": "merged with the clip before it",
        "split": "split into smaller clips",
    }
)
REPLACED_REASONS = ("merged", "split")
"""Reasons of clips whose audio is part of other clips."""
_CLIP_ID = re.compile(r"[^\W_][\w.-]{0,119}")


_FIELD_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("id", "source", "text", "reason", "part", "sound"), (str,)),
        **dict.fromkeys(("start_s", "stop_s"), (float, int)),
        **dict.fromkeys(("kept", "edited"), (bool,)),
        **dict.fromkeys(
            ("confidence", "level_db", "snr_db", "clipped_share"), (float, int, type(None))
        ),
    }
)


class ManifestError(ValueError):
    """A file of a dataset cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRow:
    """One clip, kept or dropped.

    id: of its file audio/<id>.wav. source: `path` of the SourceRow. start_s, stop_s: in the
    recording. reason: a key of `CLIP_REASONS`, also of a kept clip that is doubtful. confidence: of
    the transcriber, 0 to 1. edited: by the user, so preparing again leaves it alone. sound: a hash;
    equal for identical audio.
    """

    id: str
    source: str
    start_s: float
    stop_s: float
    text: str
    kept: bool = True
    reason: str = ""
    part: SplitName = ""
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    edited: bool = False
    level_db: float | None = None
    snr_db: float | None = None
    clipped_share: float | None = None
    sound: str = ""

    def __post_init__(self) -> None:
        if not _CLIP_ID.fullmatch(self.id):
            raise ManifestError(
                f"{self.id!r} is not a valid clip name; use letters, digits, - and _."
            )
        if self.text != to_single_line(self.text):
            raise ManifestError(f"The text of {self.id} must be one line without '|'.")
        if self.reason and self.reason not in CLIP_REASONS:
            raise ManifestError(
                f"{self.reason!r} of {self.id} is not a reason; known are "
                f"{', '.join(CLIP_REASONS)}."
            )
        if self.part not in ("train", "validation", ""):
            raise ManifestError(f"{self.id} is in an unknown split {self.part!r}.")
        if not 0 <= self.start_s <= self.stop_s:
            raise ManifestError(f"{self.id} starts at {self.start_s} s and stops at {self.stop_s}.")

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.stop_s - self.start_s

    @property
    def words_per_s(self) -> float:
        """Speaking rate."""
        return len(self.text.split()) / self.seconds if self.seconds > 0 else 0.0

    @property
    def file(self) -> str:
        """Path of the audio in the dataset."""
        return f"{AUDIO_DIR}/{self.id}.wav"


_FIELD_DEFAULTS = MappingProxyType(
    {field.name: field.default for field in fields(ClipRow) if field.default is not MISSING}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One recording of a dataset.

    path: below the folder of recordings. size, modified_ns: of the file when it was read. recipe: a
    hash of the options. message: why it failed, or a remark.
    """

    path: str
    seconds: float = 0.0
    size: int = 0
    modified_ns: int = 0
    state: Literal["waiting", "done", "failed"] = "waiting"
    message: str = ""
    recipe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Everything in dataset.json.

    voice: of which it was made, "" for a folder. folder: of its recordings. created: seconds since
    1970.
    """

    name: str
    voice: str = ""
    folder: str = ""
    language: str = "en"
    transcriber: str = ""
    created: float = 0.0
    seed: int = 0
    validation_share: float = 0.1
    sources: tuple[SourceRow, ...] = ()
    clips: tuple[ClipRow, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for clip in self.clips:
            if clip.id.casefold() in seen:
                raise ManifestError(f"Two clips of {self.name} are named {clip.id}.")
            seen.add(clip.id.casefold())

    def kept(self, part: SplitName | None = None) -> tuple[ClipRow, ...]:
        """Return the kept clips, of one split or of all."""
        return tuple(clip for clip in self.clips if clip.kept and part in (None, clip.part))


def read_dataset(folder: Path) -> Dataset:
    """Read dataset.json.  Raises ManifestError where it is missing or damaged."""
    path = folder / DATASET_FILE
    plain = read_json(path)
    if not isinstance(plain, dict) or plain.get("format") != FORMAT_VERSION:
        raise ManifestError(
            f"{path} is not a dataset of this version (format {FORMAT_VERSION}). Prepare it again."
        )
    facts = {key: plain[key] for key in plain if key not in ("format", "clips")}
    try:
        clips = tuple(_clip_from_dict(row) for row in plain.get("clips", ()))
        return replace(from_dict(Dataset, facts), clips=clips)
    except (ValidationError, ManifestError, TypeError, ValueError) as error:
        raise ManifestError(f"{path} is damaged: {error} Prepare the dataset again.") from error


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write train.txt, validation.txt and dataset.json, each atomically."""
    for name, part in ((TRAIN_FILE, "train"), (VALIDATION_FILE, "validation")):
        lines = [f"{clip.file}|{clip.text}\n" for clip in dataset.clips if _is_in_split(clip, part)]
        write_text(folder / name, "".join(lines))
    facts = to_dict(replace(dataset, clips=()))
    clips = [_clip_to_dict(clip) for clip in dataset.clips]
    content = {"format": FORMAT_VERSION, **facts, "clips": clips}
    write_json(folder / DATASET_FILE, content, indent=None)


def read_clip_list(path: Path) -> list[tuple[str, str]]:
    """Return (audio, text) of each line of a list as LJSpeech has them.

    A line is `audio|text` or `audio|text|normalized`; the last column is used. Raises ManifestError
    naming the malformed line.
    """
    lines = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("|")]
        if len(columns) not in (2, 3) or not columns[0]:
            raise ManifestError(
                f"Line {number} of {path} is {_quote_line(line)}. A line must be audio|text, or "
                "audio|text|normalized text."
            )
        lines.append((columns[0], to_single_line(columns[-1] or columns[1])))
    return lines


def read_json(path: Path) -> object:
    """Read a JSON file of a dataset.  Raises ManifestError where it is missing or damaged."""
    try:
        plain: object = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ManifestError(f"{path} is not JSON ({error}). Prepare the dataset again.") from error
    return plain


def _clip_to_dict(clip: ClipRow) -> dict[str, object]:
    """Convert a row without default values; `to_dict` is slow for ten thousand rows."""
    plain = {name: getattr(clip, name) for name in _FIELD_TYPES}
    kept = {name: value for name, value in plain.items() if value != _FIELD_DEFAULTS.get(name, ...)}
    if clip.words:
        kept["words"] = [[word.text, word.start_s, word.stop_s] for word in clip.words]
    return kept


def _clip_from_dict(plain: object) -> ClipRow:
    if not isinstance(plain, dict):
        raise ManifestError(f"A clip is {_quote_line(str(plain))}.")
    told = dict(plain)
    words = tuple(
        Word(text=str(text), start_s=float(start), stop_s=float(stop))
        for text, start, stop in told.pop("words", ())
    )
    for name, value in told.items():
        if not isinstance(value, _FIELD_TYPES.get(name, ())):
            raise ManifestError(f"{_quote_line(str(value))} is not a valid {name} of a clip.")
    return ClipRow(**told, words=words)


def _is_in_split(clip: ClipRow, part: str) -> bool:
    return clip.kept and clip.part == part


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(f"There is no {path}. Prepare the dataset first.") from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror or error}.") from error
    if b"\0" in raw:
        raise ManifestError(f"{path} is not a text file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path} is not UTF-8 text (byte {error.start + 1:,}). Save it as UTF-8."
        ) from error


def _quote_line(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:59] + "…")
