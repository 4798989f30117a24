"""Read the datasets of the studio for a report: prepared, of a synthesizer, of speakers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from audio.clip import Clip
from audio.io import read_clip
from speakers.dataset import read_speaker_dataset
from sv2tts.data.train_list import load_audio, load_embedding, read_train_list
from sv2tts.mel import SYNTHESIZER_MEL
from training.dataset_prep.manifest import CLIP_REASONS, REPLACED_REASONS, read_dataset
from training.dataset_report.content import ReportContent, ReportRow, ReportWord

MAX_MAPPED = 400  # utterances on the map of the voices


def read_prepared_dataset(folder: Path) -> ReportContent:
    """Read a dataset of clips for finetuning. Raises ManifestError where it is damaged."""
    dataset = read_dataset(folder)
    rows = [
        ReportRow(
            id=clip.id,
            duration=clip.seconds,
            speaker=dataset.voice,
            text=clip.text,
            score=clip.confidence,
            problems=() if clip.kept else (CLIP_REASONS.get(clip.reason, "dropped by you"),),
            words=tuple(
                ReportWord(text=word.text, start=word.start_s, stop=word.stop_s)
                for word in clip.words
            ),
            load=partial(read_clip, folder / clip.file),
        )
        for clip in dataset.clips
        if clip.reason not in REPLACED_REASONS
    ]
    return ReportContent(title=dataset.name, rows=rows)


def read_synthesizer_dataset(folder: Path) -> ReportContent:
    """Read a dataset of a synthesizer. Raises InvalidValueError where it is damaged."""
    items, rate = read_train_list(folder), SYNTHESIZER_MEL.sample_rate

    def load(name: str) -> Clip:
        item = next(item for item in items if item.audio == name)
        return Clip(wave=load_audio(folder, item), sample_rate=rate)

    rows = [
        ReportRow(
            id=item.audio,
            duration=item.samples / rate,
            text=item.text,
            load=partial(load, item.audio),
        )
        for item in items
    ]
    step = -(-len(items) // MAX_MAPPED)
    embeddings = {
        item.audio: load_embedding(folder, item).numpy()
        for item in items[:: max(step, 1)]
        if (folder / "embeds" / item.embed).is_file()
    }
    return ReportContent(title=folder.name, rows=rows, embeddings=embeddings)


def read_speakers(folder: Path) -> ReportContent:
    """Read a speaker dataset; it has neither texts nor sound. Raises SpeakerDatasetError."""
    dataset = read_speaker_dataset(folder)
    hop_s = dataset.features.hop / dataset.features.sample_rate
    rows = [
        ReportRow(
            id=file.path,
            duration=file.frames * hop_s,
            speaker=speaker.name or speaker.id,
        )
        for speaker in dataset.speakers
        for file in speaker.files
    ]
    return ReportContent(title=folder.name, rows=rows)
