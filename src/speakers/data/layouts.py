"""The folder layouts of speaker datasets: LibriSpeech, LibriTTS, VCTK, VoxCeleb 1 and 2, LJSpeech.

Patterns match the end of a path, so that the folder of a dataset, one of its subsets or one of its
parents may be given. They follow the documentation that each dataset comes with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from speakers.data.metadata import (
    read_librispeech_speakers,
    read_libritts_speakers,
    read_vctk_speakers,
    read_voxceleb_speakers,
)
from speakers.data.scan import SpeakerFacts

METADATA_LEVELS = 4  # how far above a given folder the metadata of its dataset may lie
MetadataReader = Callable[[Path], dict[str, SpeakerFacts]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a dataset keeps its recordings, and who speaks in them.

    by_folder, by_name: find the speaker (group 1) in a path; where both are given, both have to
    match and agree, except that files named after their speaker may lie in any folder;  shape: the
    layout in words;  text: matches transcripts;  metadata: file name -> its reader;  excluded:
    matches recordings that are left out on purpose -> the reason.
    """

    name: str
    shape: str
    by_folder: re.Pattern[str] | None = None
    by_name: re.Pattern[str] | None = None
    text: re.Pattern[str] | None = None
    metadata: Mapping[str, MetadataReader] = field(default_factory=dict)
    excluded: Mapping[re.Pattern[str], str] = field(default_factory=dict)

    def find_speaker(self, path: Path) -> str | None:
        """Return the speaker of a recording, None where the layout has no such path."""
        pattern = self.by_name or self.by_folder
        found = pattern.search(path.as_posix()) if pattern else None
        return found[1] if found else None

    def explain(self, path: Path) -> str:
        """Return why a recording cannot be used, "" where it can."""
        text = path.as_posix()
        for pattern, reason in self.excluded.items():
            if pattern.search(text):
                return reason
        speaker = self.find_speaker(path)
        if speaker is None:
            return f"not where {self.name} keeps recordings ({self.shape})"
        folder = self.by_folder.search(text) if self.by_folder else None
        if folder and folder[1] != speaker:
            return (
                f"its name says speaker {speaker}, its folder says speaker {folder[1]}; move or "
                "rename it"
            )
        return ""

    def iter_metadata(self, root: Path) -> Iterator[tuple[Path, MetadataReader]]:
        """Yield the metadata files of a dataset: in a folder below, at, or above the given one."""
        above = [root, *root.absolute().parents][:METADATA_LEVELS]
        below = [folder for folder in sorted(root.iterdir()) if folder.is_dir()]
        for name, read in self.metadata.items():
            found = (folder / name for folder in (*above, *below) if (folder / name).is_file())
            yield from ((path, read) for path in list(found)[:1])


LAYOUTS = (
    Layout(
        name="LibriSpeech",
        shape="SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-0000.flac",
        by_folder=re.compile(r"/(\d+)/(?:\d+/)?[^/]+$"),
        by_name=re.compile(r"/(\d+)-\d+-\d{4,}\.\w+$"),
        text=re.compile(r"/\d+-\d+(-\d+)?\.(?:trans|alignment)\.txt$"),
        metadata={"SPEAKERS.TXT": read_librispeech_speakers},
    ),
    Layout(
        name="LibriTTS",
        shape="SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_000000_000000.wav",
        by_folder=re.compile(r"/(\d+)/(?:\d+/)?[^/]+$"),
        by_name=re.compile(r"/(\d+)_\d+_\d+_\d+\.\w+$"),
        text=re.compile(r"/\d+_\d+[\d_]*\.(?:(?:normalized|original)\.txt|(?:trans|book)\.tsv)$"),
        metadata={
            "speakers.tsv": read_libritts_speakers,
            "SPEAKERS.txt": read_librispeech_speakers,
        },
    ),
    Layout(
        name="VCTK",
        shape="wav48_silence_trimmed/SPEAKER/SPEAKER_001_mic1.flac",
        by_folder=re.compile(r"/([ps]\d+)/[^/]+$"),
        by_name=re.compile(r"/([ps]\d+)_\d{3}(?:_mic1)?\.\w+$"),
        text=re.compile(r"/([ps]\d+)_\d{3}\.txt$"),
        metadata={"speaker-info.txt": read_vctk_speakers},
        excluded={re.compile(r"_mic2\.\w+$"): "second microphone of a sentence that is used"},
    ),
    Layout(
        name="VoxCeleb1",
        shape="wav/id10001/VIDEO/00001.wav",
        by_folder=re.compile(r"/(id1\d{4})/[^/]+/[^/]+$"),
        metadata={"vox1_meta.csv": read_voxceleb_speakers},
    ),
    Layout(
        name="VoxCeleb2",
        shape="dev/aac/id00012/VIDEO/00001.m4a",
        by_folder=re.compile(r"/(id0\d{4})/[^/]+/[^/]+$"),
        metadata={"vox2_meta.csv": read_voxceleb_speakers},
    ),
    Layout(
        name="LJSpeech",
        shape="LJSpeech-1.1/wavs/LJ001-0001.wav and metadata.csv",
        by_folder=re.compile(r"/([^/]+)/wavs/[^/]+$"),
        text=re.compile(r"/metadata\.csv$"),
    ),
)
"""Tried in this order; a dataset has the layout that most of its recordings fit."""


def get_layout(name: str) -> Layout | None:
    """Return a layout by its name, None for another."""
    return next((layout for layout in LAYOUTS if layout.name.lower() == name.lower()), None)
