"""Export utterances to the layouts that trainers read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from audio.clip import Clip
from audio.io import write_clip
from core.errors import InvalidValueError
from core.files import write_text
from training.gold.utterances import Utterance

Cut = Callable[[Utterance], Clip]
"""Returns the audio of an utterance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where a layout keeps the audio and its texts. paths are relative to the exported folder."""

    audio: Callable[[Utterance], str]
    text: Callable[[Utterance], str] | None = None  # a text file beside the audio
    index: str = ""
    write_index: Callable[[Sequence[tuple[str, Utterance]]], str] | None = None


def export_utterances(
    folder: Path, layout: str, utterances: Sequence[Utterance], cut: Cut
) -> list[Path]:
    """Write utterances in a layout; returns the audio files.

    Raises InvalidValueError for an unknown layout and for a folder that is not empty.
    """
    if layout not in LAYOUTS:
        raise InvalidValueError(f"There is no layout {layout!r}; there are {', '.join(LAYOUTS)}.")
    if folder.exists() and any(folder.iterdir()):
        raise InvalidValueError(f"{folder} is not empty. Choose a new folder.")
    chosen = LAYOUTS[layout]
    rows, files = [], []
    for utterance in utterances:
        name = chosen.audio(utterance)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, cut(utterance))
        if chosen.text is not None:
            text = folder / chosen.text(utterance)
            text.parent.mkdir(parents=True, exist_ok=True)
            write_text(text, f"{utterance.text}\n")
        rows.append((name, utterance))
        files.append(path)
    if chosen.write_index is not None:
        write_text(folder / chosen.index, chosen.write_index(rows))
    return files


def speaker_folder(name: str) -> str:
    """Return a speaker's name as the name of a folder."""
    return re.sub(r"[^\w-]+", "_", name).strip("_") or "speaker"


def _flat(utterance: Utterance) -> str:
    return f"wavs/{utterance.id}.wav"


def _by_speaker(utterance: Utterance) -> str:
    return f"{speaker_folder(utterance.speaker)}/{utterance.id}.wav"


def _libritts(utterance: Utterance, suffix: str = ".wav") -> str:
    speaker = speaker_folder(utterance.speaker)
    return f"train/{speaker}/{utterance.turn}/{speaker}_{utterance.turn}_{utterance.id}{suffix}"


def _vctk(utterance: Utterance, kind: str = "wav48_silence_trimmed", suffix: str = ".flac") -> str:
    speaker = speaker_folder(utterance.speaker)
    mic = "_mic1" if suffix == ".flac" else ""
    return f"{kind}/{speaker}/{speaker}_{utterance.id}{mic}{suffix}"


def _write_ljspeech(rows: Sequence[tuple[str, Utterance]]) -> str:
    lines = [f"{one.id}|{one.text}|{one.text}" for _, one in rows]
    return "".join(f"{line}\n" for line in lines)


def _write_tortoise(rows: Sequence[tuple[str, Utterance]]) -> str:
    return "".join(f"{name}|{one.text}\n" for name, one in rows)


def _write_csv(rows: Sequence[tuple[str, Utterance]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file_name", "text", "speaker", "start", "stop", "score"])
    for name, one in rows:
        writer.writerow(
            [name, one.text, one.speaker, f"{one.start:.3f}", f"{one.stop:.3f}", f"{one.score:.3f}"]
        )
    return buffer.getvalue()


LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        "ljspeech": _Layout(audio=_flat, index="metadata.csv", write_index=_write_ljspeech),
        "tortoise": _Layout(audio=_flat, index="train.txt", write_index=_write_tortoise),
        "libritts": _Layout(audio=_libritts, text=lambda one: _libritts(one, ".normalized.txt")),
        "vctk": _Layout(audio=_vctk, text=lambda one: _vctk(one, "txt", ".txt")),
        "folders": _Layout(audio=_by_speaker, text=lambda one: f"{_by_speaker(one)[:-4]}.txt"),
        "huggingface": _Layout(audio=_by_speaker, index="metadata.csv", write_index=_write_csv),
    }
)
"""Layout name -> its files. huggingface is read by `datasets.load_dataset("audiofolder", …)`."""
