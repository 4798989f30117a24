"""What a dataset holds: every clip kept or dropped and why, and the files that say so.

    training/<name>/
        audio/<id>.wav    22,050 Hz mono, 16 bit
        train.txt         audio/<id>.wav|text, one line for each clip to learn from
        validation.txt    the same for the clips that only judge
        whisper.json      what was heard in each recording, before it was cut
        dataset.json      all of it: sources, clips, reasons

Light: the page and the command line read it too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

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
        "too_short": "shorter than a clip may be, with nothing beside it to join it to",
        "too_long": "longer than a clip may be, with no known place to cut between words",
        "too_much_text": "more text than the model reads at a time",
        "silent": "nobody speaks",
        "clipped": "its loudest peaks are cut off",
        "noisy": "too much noise behind the voice",
        "duplicate": "the same sound or text as another clip",
        "no_words": "no words were heard or given",
        "doubtful_text": "the text is probably not what is said",
        "other_language": "spoken in another language",
        "odd_pace": "far too many or too few words for its length",
        "unreadable": "the file cannot be read as sound",
        "by_hand": "dropped by you",
        "merged": "joined with the clip before it",
        "split": "cut into smaller clips",
    }
)
REPLACED_REASONS = ("merged", "split")
"""Reasons of clips whose sound is in other clips now."""
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
    """A file of a dataset cannot be used: what came, what is allowed, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRow:
    """One clip, kept or dropped.

    id: it lies at audio/<id>.wav;  source: the recording, as its SourceRow names it;  start_s,
    stop_s: where it was cut from;  reason: a key of REASONS, also of a kept clip that is doubtful;
    confidence: 0 to 1, how sure the transcriber was;  edited: changed by a person, so a further
    run leaves it alone;  sound: two clips with the same one sound the same to the last bit.
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
            raise ManifestError(f"{self.id!r} cannot name a clip; letters, digits, - and _ can.")
        if self.text != to_single_line(self.text):
            raise ManifestError(f"The text of {self.id} must be one line without '|'.")
        if self.reason and self.reason not in CLIP_REASONS:
            raise ManifestError(
                f"{self.reason!r} of {self.id} is no reason; there are {', '.join(CLIP_REASONS)}."
            )
        if self.part not in ("train", "validation", ""):
            raise ManifestError(f"{self.id} is in no part {self.part!r}.")
        if not 0 <= self.start_s <= self.stop_s:
            raise ManifestError(f"{self.id} starts at {self.start_s} s and stops at {self.stop_s}.")

    @property
    def seconds(self) -> float:
        """How long the clip lasts."""
        return self.stop_s - self.start_s

    @property
    def words_per_s(self) -> float:
        """How fast it is spoken."""
        return len(self.text.split()) / self.seconds if self.seconds > 0 else 0.0

    @property
    def file(self) -> str:
        """Where its sound lies in the dataset."""
        return f"{AUDIO_DIR}/{self.id}.wav"


_FIELD_DEFAULTS = MappingProxyType(
    {field.name: field.default for field in fields(ClipRow) if field.default is not MISSING}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One recording that a dataset is made of.

    path: within the dataset's folder of recordings;  size, modified_ns: as it was when read;
    recipe: names the options it was cut with;  message: why it failed, or what is odd about it.
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
    """All that is known of a dataset.

    voice: the studio's voice it was made of, "" for any folder;  folder: where its recordings lie;
    transcriber: which one heard the text;  created: seconds since 1970.
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
        """Return the clips that are learned from, of one part or of all."""
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
    """Write train.txt, validation.txt and dataset.json; each is the old one or the new one."""
    for name, part in ((TRAIN_FILE, "train"), (VALIDATION_FILE, "validation")):
        lines = [f"{clip.file}|{clip.text}\n" for clip in dataset.clips if _is_in_split(clip, part)]
        write_text(folder / name, "".join(lines))
    facts = to_dict(replace(dataset, clips=()))
    clips = [_clip_to_dict(clip) for clip in dataset.clips]
    write_json(folder / DATASET_FILE, {"format": FORMAT_VERSION, **facts, "clips": clips})


def read_clip_list(path: Path) -> list[tuple[str, str]]:
    """Return (audio, text) of each line of a file as LJSpeech has them.

    A line is `audio|text` or `audio|text|text as it is read aloud`; the last is what counts.
    Raises ManifestError, naming the line, for anything else.
    """
    lines = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("|")]
        if len(columns) not in (2, 3) or not columns[0]:
            raise ManifestError(
                f"Line {number} of {path} is {_quote_line(line)}. A line must be audio|text, or "
                "audio|text|text as it is read aloud."
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


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    write_text(path, dumps(content) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text so that a reader sees the old file or the new one, never a part."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


# Rows have their own way to and from JSON: there are ten thousands of them, and from_plain is slow.


def _clip_to_dict(clip: ClipRow) -> dict[str, object]:
    """Return a row in its plain form, without what is as usual; a word is [text, start, stop]."""
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
            raise ManifestError(f"{_quote_line(str(value))} cannot be the {name} of a clip.")
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
        raise ManifestError(f"{path} is no text but some other kind of file. Look what it is.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path} is not UTF-8 text (byte {error.start + 1:,}). Save it as UTF-8."
        ) from error


def _quote_line(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:59] + "…")
