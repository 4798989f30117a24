"""Voices as an engine hears them: computed from their clips once, then read from a cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.abilities import Invents, ListensByOptions, ReadsLatents
from engines.conditioning import Conditioning, blend
from jobs.report import Reporter
from speech.clip import ClipError
from speech.files import read_clip
from studio.errors import StudioError, refusing
from studio.finetunes import own_latents
from studio.layout import Layout
from studio.tasks.warm import working
from studio.voices import FOREIGN_LATENTS, Part, Voice, find_voice, parse_blend

if TYPE_CHECKING:
    from engines.base import Engine

CACHE_FORMAT = 1  # raised when the same clips and options come to mean other latents
_BLOCK_BYTES = 1 << 20
KEPT_FILES = 8  # latents of one voice and engine; older ones make room


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """An engine about to listen: its options, and who hears how far it is.

    bundle: where its weights lie; a finetune keeps the voice that it learned there.
    """

    engine: Engine
    weights_id: str
    options: Any  # the engine's own
    report: Reporter
    bundle: Path


def listen_to(spoken_by: str, layout: Layout, listening: Listening) -> Conditioning:
    """Return the speaker for a voice, the random voice, or a blend.

    Raises StudioError where a voice is missing or its clips cannot be used.
    """
    heard = [(_hear_part(part, layout, listening), part.weight) for part in parse_blend(spoken_by)]
    if len(heard) == 1:
        return heard[0][0]
    with refusing(ValueError):
        return blend(heard)


def _hear_part(part: Part, layout: Layout, listening: Listening) -> Conditioning:
    if part.is_random:
        return make_up(listening.engine, part.seed or 0, listening.report)
    voice = find_voice(layout, part.voice)
    if not voice.clips:
        return _kept(voice, listening)
    return _hear_clips(voice, layout, listening)


def make_up(engine: Engine, seed: int, report: Reporter) -> Conditioning:
    """Return a voice that nobody has; its seed decides which."""
    if not isinstance(engine, Invents):
        raise StudioError(f"{engine.name} cannot make up voices. Name a voice instead.")
    with working():
        return engine.invent(seed, report)


def _kept(voice: Voice, listening: Listening) -> Conditioning:
    assert voice.kept is not None  # find_voice refuses a folder without anything to hear
    if voice.kept.suffix.lower() == FOREIGN_LATENTS:
        return _read_foreign(voice, voice.kept, listening.engine)
    with refusing(ValueError, OSError):
        heard = Conditioning.load(voice.kept)
    if (heard.engine, heard.weights_id) != (listening.engine.name, listening.weights_id):
        raise StudioError(
            f"The voice {voice.name!r} has no clips, only latents of {heard.engine} with weights "
            f"{heard.weights_id}; these weights are {listening.weights_id}. Use that model, or "
            "add clips to the voice."
        )
    return heard


def _read_foreign(voice: Voice, kept: Path, engine: Engine) -> Conditioning:
    if not isinstance(engine, ReadsLatents):
        raise StudioError(
            f"The voice {voice.name!r} has only {kept.name}, which {engine.name} cannot read. Add "
            "clips to the voice."
        )
    with refusing(ValueError, about=f"The voice {voice.name!r} cannot be used"):
        return engine.read_latents(kept)


def _hear_clips(voice: Voice, layout: Layout, listening: Listening) -> Conditioning:
    own = own_latents(listening.bundle, voice)
    if own is not None and (learned := _read_cached(own, listening)) is not None:
        return learned
    name = f"{listening.engine.name}-{_cache_key(voice, listening)}.safetensors"
    folders = layout.caches_of(voice.folder)
    for folder in folders:
        found = _read_cached(folder / name, listening)
        if found is not None:
            return found
    heard = _listen(voice, listening)
    _write_cached(heard, name, folders, listening.report)
    return heard


def _listen(voice: Voice, listening: Listening) -> Conditioning:
    report, engine = listening.report, listening.engine
    with refusing(ClipError, about=f"The voice {voice.name!r} cannot be used"):
        clips = [read_clip(path) for path in report.track(voice.clips, "reading clips")]
    with working(f"The voice {voice.name!r}"):
        if isinstance(engine, ListensByOptions):
            return engine.condition_with(clips, listening.options, report)
        return engine.condition(clips, report)


def _cache_key(voice: Voice, listening: Listening) -> str:
    """Name what the latents follow from: clips, parameters, weights, and how they are computed."""
    digest = hashlib.sha256()
    facts = {
        "format": CACHE_FORMAT,
        "weights": listening.weights_id,
        "knobs": _listening_knobs(listening),
    }
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for path in listening.report.track(voice.clips, "checking clips"):
        digest.update(_content_of(path).encode())
    return digest.hexdigest()[:20]


def _listening_knobs(listening: Listening) -> Mapping[str, Any]:  # Any: knob values
    names = getattr(listening.engine, "conditioning_knobs", ())
    return {name: getattr(listening.options, name) for name in names}


def _content_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()
    except OSError as cause:
        raise StudioError(f"Cannot read {path}: {cause.strerror or cause}.") from cause


def _read_cached(path: Path, listening: Listening) -> Conditioning | None:
    """Return the cached latents; a damaged file counts as none and is made again."""
    if not path.is_file():
        return None
    try:
        found = Conditioning.load(path)
    except (ValueError, OSError):
        told = f"{path} is damaged; the voice is heard from its clips again."
        listening.report.note(told, stage="listening")
        return None
    return found if found.weights_id == listening.weights_id else None


def _write_cached(
    heard: Conditioning, name: str, folders: tuple[Path, ...], report: Reporter
) -> None:
    """Keep the latents in the first folder that can be written; do without where none can."""
    for folder in folders:
        if _is_read_only(folder.parent):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            heard.save(folder / name)
            _forget_oldest(folder, heard.engine)
            return
        except OSError:
            continue
    report.note("The voice could not be cached: no folder for it can be written.")


def _is_read_only(folder: Path) -> bool:
    """Whether a folder is marked so; an administrator could write to it, but is not meant to."""
    return folder.is_dir() and not folder.stat().st_mode & 0o222


def _forget_oldest(folder: Path, engine: str) -> None:
    files = sorted(
        folder.glob(f"{engine}-*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for old in files[KEPT_FILES:]:
        old.unlink(missing_ok=True)
