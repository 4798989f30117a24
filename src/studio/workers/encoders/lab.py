"""Worker tasks of the speaker lab: compare clips and voices, find speakers, map embeddings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from audio.clip import ClipError
from audio.io import read_clip
from audio.long_audio import Recording, decode_recording
from core.errors import AppError, reraise_as_app_error
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from speakers.dataset import SpeakerDatasetError, read_speaker_dataset
from speakers.embedding import Encoder, embed_clip, mean_embedding
from speakers.evaluation.embedding import AUGMENTED_MARK, embed_dataset
from speakers.evaluation.table import EmbeddedUtterances
from speakers.likeness import CALIBRATIONS, estimate_same_cluster, estimate_same_person
from studio.encoders.lab import (
    ALL_VOICES,
    CompareSpeakersRequest,
    FindSpeakersRequest,
    FoundSpeaker,
    MapPoint,
    MapSpeakersRequest,
    NearestSpeaker,
    SpeakerComparison,
    SpeakerMap,
    SpeakersInRecording,
    SpeakerTurn,
)
from studio.voices.catalog import find_voice, list_voices
from studio.voices.uploads import resolve_file_ref
from studio.workers.context import TaskContext
from studio.workers.encoders.evaluation import find_encoder
from training.asr.voice_activity import detect_speech
from training.dataset_prep.manifest import ManifestError, read_dataset
from training.gold.diarization.clustering import Diarization, diarize_windows, embed_windows
from training.gold.project_files import DiarizationOptions

PEAKS = 600  # of the waveform
MAX_POINTS = 2_000
MIN_SPEAKER_S = 1.0  # of a speaker in a recording; less is taken for a change of expression
STAGE = "embed"


def compare_speakers_task(
    context: TaskContext, request: CompareSpeakersRequest, report: ProgressReporter
) -> SpeakerComparison:
    """Compare clips and voices. Raises AppError where fewer than two can be embedded."""
    encoder = _load(context, request.encoder, report)
    items = [
        *(
            (ref.rpartition("/")[2], [resolve_file_ref(context.layout, ref)])
            for ref in request.clips
        ),
        *((name, list(find_voice(context.layout, name).clips)) for name in request.voices),
    ]
    found: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for name, files in report.track(items, STAGE):
        try:
            # not of unit length, so that products are mean similarities of single clips
            found[_make_unique(name, found)] = _embed_files(encoder, files).mean(0)
        except (ClipError, OSError) as error:
            left_out[name] = str(error)
    if len(found) < 2:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise AppError(f"There is nothing to compare. {reasons}")
    means = np.stack(list(found.values()))
    matrix = means @ means.T
    np.fill_diagonal(matrix, 1.0)
    return SpeakerComparison(
        encoder=encoder.name,
        names=tuple(found),
        matrix=tuple(tuple(round(float(value), 3) for value in row) for row in matrix),
        nearest=tuple(_list_nearest(list(found), matrix, encoder.name)),
        left_out=left_out,
    )


def find_speakers_task(
    context: TaskContext, request: FindSpeakersRequest, report: ProgressReporter
) -> SpeakersInRecording:
    """Find who speaks when in a recording."""
    path = resolve_file_ref(context.layout, request.clip)
    encoder = _load(context, request.encoder, report)
    with _open_recording(path, report) as recording:
        speech = detect_speech(recording, report).spans
        rate = encoder.feature_config.sample_rate

        def wave(start: float, stop: float) -> np.ndarray:
            return recording.extract_clip(start, stop).resample(rate).wave.numpy()

        options = _choose_options(encoder)
        windows = embed_windows(wave, speech, encoder.embed_wave, options, report)
        try:
            found = diarize_windows(windows, speech, options)
        except ImportError as error:
            raise AppError(
                "Telling speakers apart needs scikit-learn. Install requirements-extra.txt.",
                code="missing_package",
            ) from error
        ranked = _rank_speakers(found)
        turns = _number_turns(found, ranked)
        return SpeakersInRecording(
            encoder=encoder.name,
            name=path.name,
            clip=request.clip,
            duration_s=round(recording.duration_s, 2),
            peaks=_measure_peaks(recording.samples),
            turns=turns,
            speakers=_summarize_speakers(found, ranked, turns, encoder.name),
        )


def map_speakers_task(
    context: TaskContext, request: MapSpeakersRequest, report: ProgressReporter
) -> SpeakerMap:
    """Project the embeddings of voices or of a dataset onto a plane."""
    try:
        from speakers.evaluation.projection import project
    except ImportError as error:
        raise AppError(
            "The map needs scikit-learn. Install requirements-extra.txt.", code="missing_package"
        ) from error
    encoder = _load(context, request.encoder, report)
    utterances, left_out = _embed_all(context.layout, request.data, encoder, report)
    total = len(utterances.speakers)
    chosen = np.unique(np.linspace(0, total - 1, min(total, MAX_POINTS)).round().astype(int))
    with report.stage("plot"):
        plane = project(utterances.embeddings[chosen], request.method, request.seed)
    low, size = plane.min(0), np.maximum(np.ptp(plane, axis=0), 1e-9)
    return SpeakerMap(
        encoder=encoder.name,
        method=request.method,
        data=Path(request.data).name,
        points=tuple(
            MapPoint(
                x=round(float(x), 4),
                y=round(float(y), 4),
                speaker=utterances.speakers[row],
                file=utterances.files[row],
            )
            for (x, y), row in zip((plane - low) / size, chosen.tolist(), strict=True)
        ),
        total=total,
        left_out=left_out,
    )


def embed_voice(encoder: Encoder, layout: ProjectPaths, name: str) -> np.ndarray:
    """Return the mean embedding of the clips of a voice: (e,). Raises ClipError without one."""
    return mean_embedding(_embed_files(encoder, find_voice(layout, name).clips))


def _load(context: TaskContext, name: str, report: ProgressReporter) -> Encoder:
    with report.stage("load"):
        return find_encoder(context.layout, name, context.settings.device)


def _embed_files(encoder: Encoder, files: Sequence[Path]) -> np.ndarray:
    """Return the embeddings of the usable files: (k, e). Raises ClipError where there is none."""
    found, reason = [], "it has no clips"
    for file in files:
        try:
            found.append(embed_clip(encoder, read_clip(file)))
        except (ClipError, OSError) as error:
            reason = str(error)
    if not found:
        raise ClipError(reason)
    return np.stack(found)


def _make_unique(name: str, taken: dict[str, np.ndarray]) -> str:
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name} ({number})"
    return unique


def _list_nearest(
    names: Sequence[str], matrix: np.ndarray, encoder: str
) -> Iterator[NearestSpeaker]:
    others = matrix - 3 * np.eye(len(names))
    for row, name in enumerate(names):
        best = int(others[row].argmax())
        cosine = float(matrix[row, best])
        yield NearestSpeaker(
            name=name,
            other=names[best],
            cosine=round(cosine, 3),
            sure=estimate_same_person(cosine, encoder),
        )


@contextmanager
def _open_recording(path: Path, report: ProgressReporter) -> Iterator[Recording]:
    with TemporaryDirectory() as work, reraise_as_app_error(ClipError):
        yield decode_recording(
            path, Path(work) / "recording", 16_000, lambda _: report.check_cancelled()
        )


def _choose_options(encoder: Encoder) -> DiarizationOptions:
    """Return the options with the threshold of the encoder, where it is known."""
    known = CALIBRATIONS.get(encoder.name)
    if known is None:
        return DiarizationOptions()
    return DiarizationOptions(same_speaker_cosine=known.same_cluster)


def _measure_peaks(samples: np.ndarray) -> tuple[float, ...]:
    """Return the peak of each of PEAKS equal parts, relative to the highest: (n,) 16 bit."""
    edges = np.linspace(0, len(samples), min(PEAKS, len(samples)) + 1).astype(int)
    peaks = np.array(
        [
            np.abs(samples[start:stop].astype(np.int32)).max(initial=0)
            for start, stop in pairwise(edges.tolist())
        ]
    )
    return tuple(round(float(peak), 3) for peak in peaks / max(1, peaks.max()))


def _rank_speakers(found: Diarization) -> list[str]:
    """Return the speakers by their seconds, the main one first, without very short ones."""
    seconds = _sum_seconds((turn.speaker, turn.duration) for turn in found.turns)
    order = sorted(seconds, key=lambda name: -seconds[name])
    return [name for name in order if seconds[name] >= MIN_SPEAKER_S] or order[:1]


def _number_turns(found: Diarization, ranked: Sequence[str]) -> tuple[SpeakerTurn, ...]:
    """Number the speakers; turns of very short ones are given to the main speaker."""
    turns: list[SpeakerTurn] = []
    for turn in found.turns:
        number = ranked.index(turn.speaker) + 1 if turn.speaker in ranked else 1
        start, stop = round(turn.start, 2), round(turn.stop, 2)
        if turns and turns[-1].speaker == number and turns[-1].stop_s >= start - 0.01:
            turns[-1] = replace(turns[-1], stop_s=stop)
        else:
            turns.append(SpeakerTurn(start_s=start, stop_s=stop, speaker=number))
    return tuple(turns)


def _summarize_speakers(
    found: Diarization, ranked: Sequence[str], turns: Sequence[SpeakerTurn], encoder: str
) -> tuple[FoundSpeaker, ...]:
    vectors = {f"speaker {at}": row for at, row in enumerate(found.centroids, 1)}
    seconds = _sum_seconds((str(turn.speaker), turn.stop_s - turn.start_s) for turn in turns)
    speakers = []
    for number, name in enumerate(ranked, 1):
        cosine = float(vectors[name] @ vectors[ranked[0]])
        speakers.append(
            FoundSpeaker(
                speaker=number,
                seconds=round(seconds[str(number)], 2),
                share=seconds[str(number)] / max(sum(seconds.values()), 1e-9),
                cosine=round(cosine, 3),
                sure=estimate_same_cluster(cosine, encoder),
            )
        )
    return tuple(speakers)


def _sum_seconds(stretches: Iterable[tuple[str, float]]) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for name, duration in stretches:
        seconds[name] += duration
    return seconds


def _embed_all(
    layout: ProjectPaths, data: str, encoder: Encoder, report: ProgressReporter
) -> tuple[EmbeddedUtterances, dict[str, str]]:
    """Embed the clips of all voices, or the recordings of a dataset or folder."""
    files = _list_recordings(layout, data)
    if files is None:
        return embed_dataset(encoder, Path(data).expanduser(), report)
    rows, left_out = [], {}
    for name, clip in report.track(files, STAGE):
        try:
            rows.append((name, str(clip), embed_clip(encoder, read_clip(clip))))
        except (ClipError, OSError) as error:
            left_out[str(clip)] = str(error)
    if not rows:
        raise AppError("There are no recordings to show.")
    names = tuple(name for name, _, _ in rows)
    blank = ("",) * len(rows)
    return EmbeddedUtterances(
        embeddings=np.stack([vector for _, _, vector in rows]),
        speakers=names,
        files=tuple(file for _, file, _ in rows),
        genders=blank,
        names=blank,
    ), left_out


def _list_recordings(layout: ProjectPaths, data: str) -> list[tuple[str, Path]] | None:
    """Return (speaker, file); of a finetuning dataset, the recording stands for the speaker.

    None for a folder that is neither a dataset of this studio nor its voices.
    """
    folder = Path(data)
    if data == ALL_VOICES:
        return [(voice.name, clip) for voice in list_voices(layout) for clip in voice.clips]
    if folder.parent == layout.training:
        with reraise_as_app_error(ManifestError):
            return [(clip.source, folder / clip.file) for clip in read_dataset(folder).kept()]
    if folder.parent == layout.encoders / "datasets":
        with reraise_as_app_error(SpeakerDatasetError):
            speakers = read_speaker_dataset(folder).speakers
        return [
            (speaker.name or speaker.id, Path(file.source))
            for speaker in speakers
            for file in speaker.files
            if AUGMENTED_MARK not in file.path
        ]
    return None
