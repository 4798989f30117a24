"""Find clips of a dataset in which another person speaks than in most of it.

Shapes: n clips, e embedding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio.clip import ClipError
from audio.io import read_clip
from core.progress import ProgressReporter
from speakers.embedding import Encoder, embed_clip, load_encoder, mean_embedding
from speakers.likeness import CALIBRATIONS
from speakers.modules.checkpoints import EncoderFileError
from training.dataset_prep.manifest import ClipRow

OTHER_SPEAKER = "other_speaker"
MESSAGE_START = "Another person seems to speak"
MIN_CLIPS = 3  # with fewer, nobody is in the majority
MIN_OTHER_S = 2.0  # of a recording; less is not reported
MARGIN = 0.05  # below the threshold of the encoder, as few clips are worth a false warning


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSpeaker:
    """Another speaker in a recording. share: of its kept seconds;  cosine: mean similarity of
    these clips to the voice of the dataset;  limit: from which on it is the same voice."""

    source: str
    clips: tuple[str, ...]
    share: float
    cosine: float
    limit: float
    encoder: str

    @property
    def message(self) -> str:
        """The warning, without the name of the recording."""
        count = "1 clip" if len(self.clips) == 1 else f"{len(self.clips)} clips"
        return (
            f"{MESSAGE_START} in {self.share:.0%} of it ({count}): similarity {self.cosine:.2f} to "
            f"the voice of the dataset; clips of one voice have {self.limit:.2f} or more (encoder: "
            f"{self.encoder}). Play the marked clips in the review, and drop them if so."
        )


def find_other_speakers(
    clips: Sequence[ClipRow], folder: Path, report: ProgressReporter
) -> list[OtherSpeaker]:
    """Compare every kept clip with the voice of most clips; [] where no encoder can be loaded.

    folder: of the dataset.
    """
    kept = [clip for clip in clips if clip.kept]
    if len(kept) < MIN_CLIPS:
        return []
    try:
        encoder = load_encoder()
    except (EncoderFileError, OSError) as error:
        report.warn(f"Speakers were not compared: {error}")
        return []
    found = _embed(kept, folder, encoder, report)
    rows = [clip for clip in kept if clip.id in found]
    if len(rows) < MIN_CLIPS:
        return []
    limit = CALIBRATIONS[encoder.name].threshold - MARGIN
    cosines = compare_with_majority(np.stack([found[row.id] for row in rows]), limit)
    others = {row.id: cosine for row, cosine in zip(rows, cosines, strict=True) if cosine < limit}
    return _summarize(kept, others, limit, encoder.name)


def mark_other_speakers(clips: Sequence[ClipRow], others: Sequence[OtherSpeaker]) -> list[ClipRow]:
    """Mark the clips of other speakers to be checked, and unmark those marked before."""
    ids = {id for other in others for id in other.clips}
    marked = []
    for clip in clips:
        if clip.reason == OTHER_SPEAKER and clip.kept and clip.id not in ids:
            clip = replace(clip, reason="")
        elif clip.id in ids and clip.kept and not clip.reason and not clip.edited:
            clip = replace(clip, reason=OTHER_SPEAKER)
        marked.append(clip)
    return marked


def compare_with_majority(embeddings: np.ndarray, limit: float) -> np.ndarray:
    """Return the cosine of each clip to the mean of most clips: (n, e) -> (n,).

    Most clips are those like the one that is like the most others.
    """
    similar = embeddings @ embeddings.T  # (n, n)
    center = int(np.median(similar, axis=1).argmax())
    return np.asarray(embeddings @ mean_embedding(embeddings[similar[center] >= limit]))


def _embed(
    kept: Sequence[ClipRow], folder: Path, encoder: Encoder, report: ProgressReporter
) -> dict[str, np.ndarray]:
    found = {}
    for clip in report.track(kept, "compare speakers"):
        try:
            found[clip.id] = embed_clip(encoder, read_clip(folder / clip.file))
        except (ClipError, OSError):
            continue
    return found


def _summarize(
    kept: Sequence[ClipRow], others: Mapping[str, float], limit: float, encoder: str
) -> list[OtherSpeaker]:
    by_source: dict[str, list[ClipRow]] = defaultdict(list)
    for clip in kept:
        by_source[clip.source].append(clip)
    found = []
    for source, rows in by_source.items():
        strange = [row for row in rows if row.id in others]
        seconds = sum(row.seconds for row in strange)
        if seconds < MIN_OTHER_S:
            continue
        found.append(
            OtherSpeaker(
                source=source,
                clips=tuple(row.id for row in strange),
                share=seconds / sum(row.seconds for row in rows),
                cosine=float(np.mean([others[row.id] for row in strange])),
                limit=limit,
                encoder=encoder,
            )
        )
    return found
