"""A store of parallel speech for training: the mels of utterances, each by one or more speakers.

A shard is a folder of arrays, mapped into memory when read:

    gpt.npy, vocoder.npy   float16 log-mels of all versions, (frames, 80) and (frames, 100)
    speakers.npy           float16 vectors of windows of each version, (windows, 256)
    phones.npy             int8 phone classes of each utterance per GPT mel frame; -1 unknown
    index.json             utterances, their versions, and where each begins in the arrays
    drafts.npy             int16 codes of the GPT of each utterance, (2, codes), from `drafts`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audio.clip import Clip
from audio.mel import GPT_MEL, VOCODER_MEL, log_mel
from core.files import write_json
from core.serialization import from_dict, to_dict
from recipes.data.phones import PhoneSpan, label_frames
from tortoise.modules.speaker_codec import FRAMES_PER_CODE

INDEX_FILE = "index.json"
LEVEL_DB = -20.0  # RMS of the loud parts of a clip, relative to full scale
LOUD_FRAME = 480  # samples at 24 kHz
ARRAYS = ("gpt", "vocoder", "speakers", "phones")
DRAFTS_FILE = "drafts.npy"
NO_DRAFT = -1  # in place of a code


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """What several speakers say in the same time: speaker -> clip; `phones` may be unknown."""

    name: str
    clips: dict[str, Clip]
    phones: Sequence[PhoneSpan] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One speaker's version of an utterance and its places in the arrays of the shard."""

    speaker: str
    gpt_start: int
    vocoder_start: int
    window_start: int
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUtterance:
    """An utterance of a shard. high_hz: the highest frequency that its recordings have."""

    name: str
    gpt_frames: int
    vocoder_frames: int
    phone_start: int
    high_hz: float
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndex:
    """The content of index.json."""

    utterances: tuple[StoredUtterance, ...]


def write_shard(
    folder: Path, utterances: Iterable[Utterance], embed_windows: Callable[[Clip], Tensor]
) -> None:
    """Write a shard, its index last.  embed_windows: from a clip to vectors (windows, 256)."""
    writer = _ShardWriter()
    index = ShardIndex(utterances=tuple(writer.add(one, embed_windows) for one in utterances))
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in writer.arrays.items():
        np.save(folder / f"{name}.npy", np.concatenate(rows))
    write_json(folder / INDEX_FILE, to_dict(index), indent=None)


class _ShardWriter:
    def __init__(self) -> None:
        self.arrays: dict[str, list[NDArray[np.generic]]] = {name: [] for name in ARRAYS}
        self._sizes = dict.fromkeys(ARRAYS, 0)

    def add(self, utterance: Utterance, embed_windows: Callable[[Clip], Tensor]) -> StoredUtterance:
        versions, gpt_frames, vocoder_frames = [], 0, 0
        for speaker, clip in utterance.clips.items():
            high = normalize_level(clip.resample(VOCODER_MEL.sample_rate))
            gpt = log_mel(high.resample(GPT_MEL.sample_rate).wave, GPT_MEL)[0].T
            vocoder = log_mel(high.wave.clamp(-1, 1), VOCODER_MEL)[0].T
            windows = embed_windows(high)
            gpt_frames, vocoder_frames = len(gpt), len(vocoder)
            version = Version(
                speaker=speaker,
                gpt_start=self._append("gpt", gpt.half().numpy()),
                vocoder_start=self._append("vocoder", vocoder.half().numpy()),
                window_start=self._append("speakers", windows.half().numpy()),
                windows=len(windows),
            )
            versions.append(version)
        labels = label_frames(utterance.phones, gpt_frames)
        return StoredUtterance(
            name=utterance.name,
            gpt_frames=gpt_frames,
            vocoder_frames=vocoder_frames,
            phone_start=self._append("phones", labels),
            high_hz=min(clip.sample_rate for clip in utterance.clips.values()) / 2,
            versions=tuple(versions),
        )

    def _append(self, name: str, rows: NDArray[np.generic]) -> int:
        start = self._sizes[name]
        self.arrays[name].append(rows)
        self._sizes[name] += len(rows)
        return start


def normalize_level(clip: Clip) -> Clip:
    """Return the clip with its loud parts at the level of the store."""
    power = clip.wave.square().unfold(0, LOUD_FRAME, LOUD_FRAME).mean(1)
    loud = power[power >= power.mean()].mean().clamp(min=1e-10)
    gain = (10 ** (LEVEL_DB / 10) / loud) ** 0.5
    return Clip(wave=clip.wave * gain, sample_rate=clip.sample_rate, name=clip.name)


def list_shards(store: Path) -> list[Path]:
    """Return the complete shards of a store, sorted by name."""
    return sorted(path.parent for path in store.glob(f"*/{INDEX_FILE}"))


class SpeechStore:
    """Shards, read by memory maps."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.utterances: list[tuple[_Shard, StoredUtterance]] = []
        for folder in folders:
            shard = _Shard(folder)
            self.utterances += [(shard, utterance) for utterance in shard.index.utterances]

    def __len__(self) -> int:
        return len(self.utterances)

    def read_gpt_mel(self, index: int, version: int, start: int, frames: int) -> Tensor:
        """Read frames of the GPT's log-mel of one version: (80, frames or fewer)."""
        shard, utterance = self.utterances[index]
        frames = min(frames, utterance.gpt_frames - start)
        return _read(shard.gpt, utterance.versions[version].gpt_start + start, frames).T

    def read_vocoder_mel(self, index: int, version: int, start: int, frames: int) -> Tensor:
        """Read frames of the vocoder's log-mel of one version: (100, frames or fewer)."""
        shard, utterance = self.utterances[index]
        frames = min(frames, utterance.vocoder_frames - start)
        return _read(shard.vocoder, utterance.versions[version].vocoder_start + start, frames).T

    def read_speaker_windows(self, index: int, version: int) -> Tensor:
        """Read the speaker vectors of the windows of one version: (windows, 256)."""
        shard, utterance = self.utterances[index]
        entry = utterance.versions[version]
        return _read(shard.speakers, entry.window_start, entry.windows)

    def read_phones(self, index: int, start: int, frames: int) -> Tensor:
        """Read phone classes of frames of the GPT's mel: (frames or fewer,) int64."""
        shard, utterance = self.utterances[index]
        frames = min(frames, utterance.gpt_frames - start)
        return _read(shard.phones, utterance.phone_start + start, frames).long()

    def read_drafts(self, index: int, start: int, codes: int) -> Tensor | None:
        """Read the forced and the free draft of an utterance: (2, codes) int64; None without."""
        shard, utterance = self.utterances[index]
        if shard.drafts is None:
            return None
        first = shard.code_starts[utterance.name] + start
        return torch.from_numpy(shard.drafts[:, first : first + codes].astype(np.int64))


class _Shard:
    def __init__(self, folder: Path) -> None:
        content = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        self.index = from_dict(ShardIndex, content)
        self.gpt, self.vocoder, self.speakers, self.phones = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS
        )
        drafts = folder / DRAFTS_FILE
        self.drafts = np.load(drafts) if drafts.exists() else None
        names = [utterance.name for utterance in self.index.utterances]
        counts = [-(-one.gpt_frames // FRAMES_PER_CODE) for one in self.index.utterances]
        self.code_starts = dict(zip(names, accumulate(counts, initial=0), strict=False))


def _read(array: NDArray[np.generic], start: int, rows: int) -> Tensor:
    return torch.from_numpy(np.array(array[start : start + rows], dtype=np.float32))
