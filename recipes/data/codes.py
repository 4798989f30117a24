"""Codes, token ids and speakers of a corpus."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.files import write_json
from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow
from recipes.data.durations import compute_token_durations
from recipes.data.features import MelDataset, find_missing_shards, save_array
from tortoise.modules.dvae import Dvae
from tortoise.modules.speaker_codec import SpeakerCodec


@torch.inference_mode()
def write_codes(
    corpus: Path,
    rows: Sequence[CorpusRow],
    dvae: Dvae | SpeakerCodec,
    norms: Tensor,
    report: ProgressReporter,
) -> None:
    """Write `features/codes/<shard>`: the int16 codes of its clips end to end, and their counts.

    norms: (80,) of the mel bands.
    """
    folder = corpus / "features" / "codes"
    for group in report.track(find_missing_shards(folder, ".npy", rows), "codes"):
        shard = group[0].shard
        mels = MelDataset(corpus, group, "gpt")
        codes = [_encode(dvae, mels[index], norms) for index in range(len(mels))]
        counts = np.array([len(code) for code in codes], dtype=np.int16)
        save_array(folder / shard.replace(".npy", ".counts.npy"), counts)
        save_array(folder / shard, np.concatenate(codes))


def _encode(dvae: Dvae | SpeakerCodec, mel: Tensor, norms: Tensor) -> np.ndarray:
    """mel: (f, 80) log-mel.  Returns (m,) int16."""
    padding = -len(mel) % dvae.config.frames_per_code
    padded = F.pad((mel / norms).T[None], (0, padding), mode="replicate")
    codes: np.ndarray = dvae.encode(padded)[0].numpy().astype(np.int16)
    return codes


def write_tokens(
    corpus: Path,
    rows: Sequence[CorpusRow],
    encode: Callable[[str], list[int]],
    report: ProgressReporter,
) -> None:
    """Write `features/tokens/<shard>.json`: the ids of every text of the shard."""
    folder = corpus / "features" / "tokens"
    for group in report.track(find_missing_shards(folder, ".json", rows), "tokens"):
        path = (folder / group[0].shard).with_suffix(".json")
        write_json(path, [encode(row.text) for row in group], indent=None)


def write_durations(
    corpus: Path,
    rows: Sequence[CorpusRow],
    tokenize: Callable[[str], list[str]],
    report: ProgressReporter,
) -> None:
    """Write `features/durations/<shard>.json`: codes of the lead and of every token of a text."""
    folder = corpus / "features" / "durations"
    for group in report.track(find_missing_shards(folder, ".json", rows), "durations"):
        found: dict[int, list[float]] = {}  # versions of a sentence have the same timing
        for row in group:
            if row.sentence not in found:
                durations = compute_token_durations(row, tokenize(row.text))
                found[row.sentence] = [round(value, 3) for value in durations]
        path = (folder / group[0].shard).with_suffix(".json")
        write_json(path, [found[row.sentence] for row in group], indent=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedClip:
    """Token ids, codes and speaker of one clip.

    durations: codes of the lead and of each token, where the corpus has them.
    """

    text: Tensor  # (t,)
    codes: Tensor  # (m,)
    speaker: int
    durations: Tensor | None = None  # (1 + t,)


class TokenizedCorpus:
    """Tokens and codes of many clips in memory, and their mels on disk."""

    def __init__(self, corpus: Path, rows: Sequence[CorpusRow]) -> None:
        self.mels = MelDataset(corpus, rows, "gpt")
        self.names = sorted({row.speaker for row in rows})
        names = {name: number for number, name in enumerate(self.names)}
        self.clips: list[TokenizedClip] = []
        self.by_speaker: dict[int, list[int]] = defaultdict(list)
        for shard, group in groupby(rows, key=lambda row: row.shard):
            name = shard.replace(".npy", ".json")
            texts = json.loads((corpus / "features" / "tokens" / name).read_text("utf-8"))
            timed = corpus / "features" / "durations" / name
            durations = (
                json.loads(timed.read_text("utf-8")) if timed.exists() else [None] * len(texts)
            )
            codes = torch.from_numpy(np.load(corpus / "features" / "codes" / shard))
            counts = np.load(corpus / "features" / "codes" / shard.replace(".npy", ".counts.npy"))
            pieces = codes.split(counts.tolist())
            for row, text, code, lengths in zip(group, texts, pieces, durations, strict=True):
                speaker = names[row.speaker]
                self.by_speaker[speaker].append(len(self.clips))
                self.clips.append(
                    TokenizedClip(
                        text=torch.tensor(text, dtype=torch.int16),
                        codes=code,
                        speaker=speaker,
                        durations=None if lengths is None else torch.tensor(lengths),
                    )
                )

    def __len__(self) -> int:
        return len(self.clips)

    def sample_speaker_mels(
        self,
        chosen: Sequence[int],
        frames: int,
        generator: torch.Generator,
        mels: MelDataset | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw a reference of each speaker in `chosen`.

        mels: the mels to cut it from, None for those of the GPT.
        Returns log-mels (s, c, frames), one per speaker, and for each chosen clip the number of
        its speaker's row (b,).
        """
        mels = mels or self.mels
        speakers = sorted({self.clips[index].speaker for index in chosen})
        crops = []
        for speaker in speakers:
            clips = self.by_speaker[speaker]
            clip = clips[int(torch.randint(len(clips), (1,), generator=generator))]
            crop = mels.crop(clip, frames, generator)
            again = -(-frames // len(crop))
            crops.append(crop.repeat(again, 1)[:frames])
        places = {speaker: place for place, speaker in enumerate(speakers)}
        which = torch.tensor([places[self.clips[index].speaker] for index in chosen])
        return torch.stack(crops).transpose(1, 2), which


def sample_length_bucketed_batch(
    lengths: Sequence[int], batch: int, step: int, seed: int, pool: int = 32
) -> list[int]:
    """Return the clip indices of one step, of similar length; they follow from seed and step alone.

    `pool` batches are drawn together and sorted by length.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step // pool) % 2**63)
    drawn = torch.randint(len(lengths), (pool * batch,), generator=generator).tolist()
    drawn.sort(key=lambda index: lengths[index])
    turn = torch.randperm(pool, generator=generator)[step % pool]
    return drawn[int(turn) * batch : (int(turn) + 1) * batch]
