"""Compute the feature files of a speaker dataset; an interrupted call continues where it was.

<dataset>/dataset.json          speakers and their files (speakers.dataset)
<dataset>/features/<speaker>/   one .npy per recording and augmented copy
<dataset>/left_out.csv          every file that is left out, and why
<dataset>/progress.jsonl        one line per recording that has been read
"""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio.clip import ClipError
from audio.io import read_clip
from core.errors import AppError
from core.files import atomic_path, write_text
from core.paths import quote_for_message
from core.progress import ProgressReporter
from core.serialization import to_dict
from speakers.data.augmentation import augment
from speakers.data.discovery import scan_dataset, suggest_other_folder
from speakers.data.options import AugmentationOptions, PreprocessOptions
from speakers.data.scan import LeftOut, Recording, Scan, make_file_name, merge_scans
from speakers.dataset import (
    DATASET_FILE,
    FEATURES_DIR,
    MIN_SPEAKERS,
    FeatureFile,
    Speaker,
    SpeakerDataset,
    read_speaker_dataset,
    suggest_batch_shape,
    write_speaker_dataset,
)
from speakers.embedding import prepare_wave
from speakers.modules.feature_config import FeatureConfig, FeatureStatistics
from speakers.modules.features import RunningStatistics, extract_features

LEFT_OUT_FILE, PROGRESS_FILE, SETTINGS_FILE = "left_out.csv", "progress.jsonl", "preprocess.json"
STAGE = "features"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessResult:
    """What the preprocessing made.

    left_out: every file that no features were computed from;  remarks: on files that were used;
    speakers_per_batch, utterances_per_batch: a batch shape that suits the dataset.
    """

    folder: str
    layout: str
    speakers: int
    recordings: int
    feature_files: int
    hours: float
    reused: int
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    speakers_per_batch: int = 0
    utterances_per_batch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of one recording: its feature files (path, frames), or a reason without any."""

    key: str
    files: tuple[tuple[str, int], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    folder: Path
    features: FeatureConfig
    options: PreprocessOptions
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)


def preprocess(
    sources: Sequence[Path],
    folder: Path,
    features: FeatureConfig,
    options: PreprocessOptions,
    augmentation: AugmentationOptions,
    report: ProgressReporter,
) -> PreprocessResult:
    """Compute features of the recordings of datasets into one folder.

    sources: folders of datasets or CSV files. Raises AppError where there is nothing to train on,
    or the folder holds features of another kind.
    """
    settings = _Settings(
        folder=folder, features=features, options=options, augmentation=augmentation
    )
    with report.stage("find recordings"):
        scan = _scan_sources(sources, options.layout)
    for path in sources:
        if folder.absolute().is_relative_to(path.absolute()):
            raise AppError(f"{folder} lies inside {path}. Choose another folder for the features.")
    folder.mkdir(parents=True, exist_ok=True)
    _check_same_settings(settings)
    done = _read_progress(folder / PROGRESS_FILE)
    waiting = [item for item in scan.recordings if _make_key(item) not in done]
    if scan.recordings and len(waiting) < len(scan.recordings):
        reused = len(scan.recordings) - len(waiting)
        report.note(f"{reused} recordings were preprocessed before.")
    with (folder / PROGRESS_FILE).open("a", encoding="utf-8") as progress:
        progress.write("\n")  # ends a line that was cut off
        for outcome in report.track(_process_all(waiting, settings), STAGE, len(waiting)):
            done[outcome.key] = outcome
            progress.write(json.dumps(to_dict(outcome)) + "\n")
            progress.flush()
    with report.stage("statistics"):
        return _finish(scan, done, settings, reused=len(scan.recordings) - len(waiting))


def _scan_sources(sources: Sequence[Path], layout: str) -> Scan:
    scans = [scan_dataset(path, layout) for path in sources]
    if not scans:
        raise AppError("Give at least one folder of recordings, or a CSV file.")
    return scans[0] if len(scans) == 1 else merge_scans(scans, scans[0].root)


def _process_all(recordings: Sequence[Recording], settings: _Settings) -> Iterator[_Outcome]:
    process = partial(_process, settings=settings)
    if settings.options.processes == 1 or len(recordings) < 2:
        yield from map(process, recordings)
        return
    with _create_pool(settings.options.processes) as pool:
        yield from pool.map(process, recordings, chunksize=4)


@contextmanager
def _create_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _process(recording: Recording, settings: _Settings) -> _Outcome:
    """Write the feature files of one recording."""
    key = _make_key(recording)
    try:
        clip = read_clip(recording.path).resample(settings.features.sample_rate)
        wave = clip.wave.numpy()
        files = [_write_file(recording, recording.name, wave, settings)]
        for number in range(1, settings.augmentation.augmented_copies + 1):
            copy_key = f"{recording.path} {number}"
            made = augment(wave, clip.sample_rate, settings.augmentation, copy_key)
            name = f"{recording.name}.augmented-{number}"
            with suppress(ClipError):  # noise can hide a short word
                files.append(_write_file(recording, name, made, settings))
        return _Outcome(key=key, files=tuple(files))
    except (ClipError, OSError) as error:
        return _Outcome(key=key, reason=str(error))


def _write_file(
    recording: Recording, name: str, wave: npt.NDArray[np.float32], settings: _Settings
) -> tuple[str, int]:
    """Write the features of a wave; return the path and the frames.  Raises ClipError."""
    features = extract_features(prepare_wave(wave, settings.features), settings.features)
    shortest = settings.options.min_frames
    if len(features) < shortest:
        rate = settings.features.sample_rate
        frame_s = settings.features.hop / rate
        raise ClipError(
            f"too short: {len(features) * frame_s:.2f} s of speech in {len(wave) / rate:.2f} s; "
            f"{shortest * frame_s:.2f} s are needed"
        )
    path = f"{make_file_name(recording.speaker)}/{name}.npy"
    _write_features(settings.folder / FEATURES_DIR / path, features)
    return path, len(features)


def _write_features(path: Path, features: npt.NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part, part.open("wb") as file:
        np.save(file, features.astype(np.float32), allow_pickle=False)


def _finish(
    scan: Scan, done: Mapping[str, _Outcome], settings: _Settings, reused: int
) -> PreprocessResult:
    """Write dataset.json and left_out.csv, and sum up."""
    left_out = list(scan.left_out)
    files: dict[str, list[FeatureFile]] = defaultdict(list)
    recordings: dict[str, list[Recording]] = defaultdict(list)
    for recording in scan.recordings:
        outcome = done[_make_key(recording)]
        if outcome.reason:
            left_out.append(LeftOut(path=recording.path, reason=outcome.reason))
            continue
        recordings[recording.speaker].append(recording)
        files[recording.speaker] += [
            FeatureFile(path=path, frames=frames, source=str(recording.path))
            for path, frames in outcome.files
        ]
    for name, reason in _find_small_speakers(files, settings.options):
        left_out += [LeftOut(path=item.path, reason=reason) for item in recordings[name]]
        del files[name], recordings[name]
    _write_left_out(settings.folder / LEFT_OUT_FILE, left_out)
    if len(files) < MIN_SPEAKERS:
        raise AppError(_explain_few_speakers(scan, files, left_out, settings.folder))
    speakers = tuple(_make_speaker(scan, name, found) for name, found in sorted(files.items()))
    dataset = SpeakerDataset(
        features=settings.features,
        speakers=speakers,
        statistics=_compute_statistics(settings.folder, speakers),
    )
    write_speaker_dataset(settings.folder, dataset)
    counts = [len(speaker.files) for speaker in speakers]
    batch = suggest_batch_shape(counts)
    frames = sum(file.frames for speaker in speakers for file in speaker.files)
    return PreprocessResult(
        folder=str(settings.folder),
        layout=scan.layout,
        speakers=len(speakers),
        recordings=sum(map(len, recordings.values())),
        feature_files=sum(counts),
        hours=frames * settings.features.hop / settings.features.sample_rate / 3600,
        reused=reused,
        left_out=tuple(left_out),
        remarks=scan.remarks,
        warnings=tuple(_warn_of_few_utterances(speakers, batch[1])),
        speakers_per_batch=batch[0],
        utterances_per_batch=batch[1],
    )


def _find_small_speakers(
    files: Mapping[str, Sequence[FeatureFile]], options: PreprocessOptions
) -> list[tuple[str, str]]:
    """Return the speakers of whom all crops would be nearly the same, and the reason."""
    found = []
    for name, utterances in files.items():
        crops = sum(file.frames // options.min_frames for file in utterances)
        if crops < options.min_crops:
            count = len(utterances)
            found.append(
                (
                    name,
                    f"speaker {name} has only {count} utterance{'s' * (count != 1)} with {crops} "
                    f"crops of {options.min_frames} frames; {options.min_crops} are needed",
                )
            )
    return found


def _warn_of_few_utterances(speakers: Sequence[Speaker], utterances: int) -> Iterator[str]:
    few = [speaker for speaker in speakers if len(speaker.files) < utterances]
    if few:
        names = ", ".join(f"{speaker.id} ({len(speaker.files)})" for speaker in few[:5])
        yield (
            f"{len(few)} of {len(speakers)} speakers have fewer than the {utterances} utterances "
            f"that a batch takes of each, so some are taken twice: {names}"
            f"{' …' if len(few) > 5 else ''}."
        )


def _make_speaker(scan: Scan, name: str, files: Sequence[FeatureFile]) -> Speaker:
    facts = scan.facts.get(name)
    return Speaker(
        id=make_file_name(name),
        name=facts.name if facts else "",
        gender=facts.gender if facts else None,
        files=tuple(files),
    )


def _compute_statistics(folder: Path, speakers: Iterable[Speaker]) -> FeatureStatistics:
    statistics = RunningStatistics()
    for speaker in speakers:
        for file in speaker.files:
            statistics.add(np.load(folder / FEATURES_DIR / file.path, allow_pickle=False))
    return FeatureStatistics(
        mean=tuple(map(float, statistics.mean)), std=tuple(map(float, statistics.std))
    )


def _explain_few_speakers(
    scan: Scan, files: Mapping[str, object], left_out: Sequence[LeftOut], folder: Path
) -> str:
    reasons = "; ".join(f"{item.path.name}: {item.reason}" for item in left_out[:3])
    found = f"only {next(iter(files))}" if files else "none"
    return (
        f"Training needs at least {MIN_SPEAKERS} speakers; {found} can be used of {scan.root}. "
        f"{len(left_out)} files are left out"
        f"{f' ({reasons}, …); see {folder / LEFT_OUT_FILE}' if left_out else ''}."
        f"{suggest_other_folder(scan.root)}"
    )


def _write_left_out(path: Path, left_out: Iterable[LeftOut]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows((str(item.path), item.reason) for item in left_out)
    write_text(path, text.getvalue())


def _check_same_settings(settings: _Settings) -> None:
    """Refuse to mix features of two kinds in one folder."""
    wanted = to_dict(
        {
            "features": settings.features,
            "min_frames": settings.options.min_frames,
            "augmentation": settings.augmentation,
        }
    )
    path = settings.folder / SETTINGS_FILE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (settings.folder / DATASET_FILE).exists():
            read_speaker_dataset(settings.folder)
        write_text(path, json.dumps(wanted, indent=2) + "\n")
        return
    except ValueError:
        known = None
    if known != wanted:
        raise AppError(
            f"{quote_for_message(settings.folder.name)} holds features that were computed with "
            "other options. Choose another name, or delete the folder.",
            code="name_taken",
        )


def _make_key(recording: Recording) -> str:
    """Return what identifies a recording and its content between two calls."""
    try:
        facts = recording.path.stat()
        stamp = f"{facts.st_size} {facts.st_mtime_ns}"
    except OSError:
        stamp = "missing"
    return f"{recording.speaker} {recording.name} {stamp} {recording.path}"


def _read_progress(path: Path) -> dict[str, _Outcome]:
    """Return what earlier calls finished; a line that was cut off is ignored."""
    found: dict[str, _Outcome] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            known = json.loads(line)
            files = tuple((str(name), int(frames)) for name, frames in known["files"])
            outcome = _Outcome(key=known["key"], files=files, reason=known["reason"])
        except (ValueError, KeyError, TypeError):
            continue
        folder = path.parent / FEATURES_DIR
        if all((folder / name).is_file() for name, _ in outcome.files):
            found[outcome.key] = outcome
    return found
