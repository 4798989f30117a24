"""Find recordings with their texts: LibriSpeech, LibriTTS, VCTK, LJSpeech, a folder per speaker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from core.errors import InvalidValueError
from sv2tts.data.preprocessing import SourceUtterance, WordAlignment, read_alignments

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
TEXT_SUFFIXES = (".normalized.txt", ".txt", ".lab")


def find_sources(
    folder: Path, layout: str = "auto", subfolders: Sequence[str] = (), *, alignments: bool = True
) -> tuple[list[SourceUtterance], dict[str, str]]:
    """Return the recordings that have a text, and the others with the reason.

    Raises InvalidValueError for a folder without recordings.
    """
    roots = [folder / name for name in subfolders] or [folder]
    for root in roots:
        if not root.is_dir():
            raise InvalidValueError(f"There is no folder {root}.")
    audio = [
        path
        for root in roots
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()
    ]
    if not audio:
        raise InvalidValueError(
            f"{folder} has no recordings ({', '.join(AUDIO_SUFFIXES)}). Name the folder above the "
            "recordings."
        )
    texts = _read_texts(roots, layout)
    aligned = _read_all_alignments(roots) if alignments else {}
    found, left_out = [], {}
    for path in audio:
        text, alignment = _find_text(path, texts), aligned.get(path.stem)
        if not text and alignment is None:
            left_out[str(path)] = "it has no text beside it, and no list names it"
            continue
        name = _make_name(path, folder)
        found.append(SourceUtterance(path=path, name=name, text=text, alignment=alignment))
    return found, left_out


def _find_text(path: Path, texts: Mapping[str, str]) -> str:
    """Return the text of a recording, from a list or from a file beside it."""
    if path.stem in texts:
        return texts[path.stem]
    for suffix in TEXT_SUFFIXES:
        beside = path.with_name(f"{path.stem}{suffix}")
        if beside.is_file():
            return beside.read_text("utf-8-sig", errors="replace").strip()
    return ""


def _make_name(path: Path, folder: Path) -> str:
    """Return a name that is unique in the dataset: the file's own, with its folders if needed."""
    parts = path.relative_to(folder).with_suffix("").parts
    speaker = parts[-1].split("-")[0].split("_")[0]
    is_named = len(parts) < 2 or speaker in parts[:-1] or parts[-2] == "wavs"
    return parts[-1] if is_named else "_".join(parts)


def _read_texts(roots: Iterable[Path], layout: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    readers = _READERS.values() if layout == "auto" else [_READERS.get(layout, _read_nothing)]
    for root in roots:
        for reader in readers:
            texts |= reader(root)
    return texts


def _read_ljspeech(root: Path) -> dict[str, str]:
    """metadata.csv: name|text|normalized text."""
    texts = {}
    for path in root.rglob("metadata.csv"):
        for line in path.read_text("utf-8-sig", errors="replace").splitlines():
            columns = line.split("|")
            if len(columns) >= 2:
                texts[Path(columns[0]).stem] = columns[-1].strip()
    return texts


def _read_librispeech(root: Path) -> dict[str, str]:
    """SPEAKER-CHAPTER.trans.txt: name text."""
    texts = {}
    for path in root.rglob("*.trans.txt"):
        for line in path.read_text("utf-8", errors="replace").splitlines():
            name, _, text = line.partition(" ")
            texts[name] = text.strip()
    return texts


def _read_vctk(root: Path) -> dict[str, str]:
    """txt/SPEAKER/SPEAKER_001.txt, for the recordings SPEAKER_001_mic1.flac."""
    texts: dict[str, str] = {}
    for path in root.rglob("txt/*/*.txt"):
        text = path.read_text("utf-8", errors="replace").strip()
        texts |= {path.stem: text, f"{path.stem}_mic1": text}
    return texts


def _read_nothing(root: Path) -> dict[str, str]:
    """Texts lie beside the recordings: LibriTTS, a folder per speaker."""
    return {}


_READERS: Mapping[str, Callable[[Path], dict[str, str]]] = MappingProxyType(
    {"ljspeech": _read_ljspeech, "librispeech": _read_librispeech, "vctk": _read_vctk}
)


def _read_all_alignments(roots: Iterable[Path]) -> dict[str, WordAlignment]:
    found: dict[str, WordAlignment] = {}
    for root in roots:
        for path in sorted(root.rglob("*.alignment.txt")):
            found |= read_alignments(path)
    return found
