"""Prepare a dataset from a folder of recordings; it can be stopped and resumed.

Recordings are only read. The state is saved after each one, so that a crash costs one at most.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from audio.clip import ClipError
from audio.io import write_clip
from audio.long_audio import decode_recording, estimate_duration_s
from audio.wav_repair import describe_wav_damage
from core.progress import ProgressEvent, ProgressReporter
from training.asr.base import AUTO, GIVEN, TranscriberConfig
from training.asr.selection import create_transcript_provider
from training.asr.transcripts.discovery import (
    FoundTranscripts,
    check_questions,
    search_transcripts,
)
from training.asr.voice_activity import detect_speech
from training.dataset_prep.clip_builder import BuiltClip, build_clips
from training.dataset_prep.clip_metrics import flag_odd_pace
from training.dataset_prep.deduplication import find_duplicates
from training.dataset_prep.lock import lock_for_preparation
from training.dataset_prep.manifest import (
    AUDIO_DIR,
    CLIP_SAMPLE_RATE,
    ClipRow,
    Dataset,
    ManifestError,
    SourceRow,
)
from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.other_speakers import (
    MESSAGE_START,
    OtherSpeaker,
    find_other_speakers,
    mark_other_speakers,
)
from training.dataset_prep.progress_store import PreparationState, load_preparation_state
from training.dataset_prep.report import build_dataset_report
from training.dataset_prep.sources import check_target_dir, find_recordings, make_source_row
from training.dataset_prep.splits import split_clips
from training.dataset_prep.transcription import TranscriptionService

PROGRESS_STAGE = "seconds"  # the stage that counts the whole, in seconds of recordings
WORK_DIR_PREFIX = ".working-"
TRANSCRIPTION_SHARE = 0.9  # share of the time that needs review
WORK_SPACE_FACTOR = (
    3.0  # the longest recording is held as a working copy, perhaps as a stereo wav before that
)
SPARE_BYTES = 50_000_000
NON_SEGMENTATION_OPTIONS = ("seed", "validation_share", "check_speakers")
MAX_STEM_CHARS = 80  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareJob:
    """What to prepare.

    recordings: their folder. target: of the dataset. models: of speech recognition. anew: also
    process finished recordings. columns: of lists of transcripts, by role.
    """

    name: str
    voice: str
    recordings: Path
    target: Path
    models: Path
    wish: TranscriberConfig = field(default_factory=TranscriberConfig)
    options: PrepareOptions = field(default_factory=PrepareOptions)
    anew: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareResult:
    """The outcome.  failed: recordings that could not be read. split: a summary of the split."""

    name: str
    kept: int
    dropped: int
    kept_s: float
    dropped_s: float
    failed: int
    split: str


def run_preparation(job: PrepareJob, report: ProgressReporter) -> PrepareResult:
    """Prepare a dataset, or update it.

    Raises ManifestError, TranscribeError or OSError; finished work is kept, and the next run
    resumes.
    """
    files = find_recordings(job.recordings)
    found = _search_transcripts(job, files)
    check_target_dir(job.target)
    for note in found.notes:
        report.warn(note)
    provider = create_transcript_provider(job.wish, files, found.by_file, job.models, report)
    job.target.mkdir(parents=True, exist_ok=True)
    with lock_for_preparation(job.target):
        _delete_work_dirs(job.target)
        (job.target / AUDIO_DIR).mkdir(exist_ok=True)
        transcripts = TranscriptionService(provider, job.target, job.wish.language)
        state, damage = load_preparation_state(job.target, _make_dataset(job, transcripts.name))
        if damage:
            report.warn(damage)
        before = {clip.id for clip in state.dataset.clips}
        with TemporaryDirectory(dir=job.target, prefix=WORK_DIR_PREFIX) as working:
            _process_recordings(
                _PrepareContext(job=job, transcripts=transcripts, state=state, work=Path(working)),
                files,
                report,
            )
        summary = _finalize_clips(state, job, report)
        _delete_audio_files(job.target, before - {clip.id for clip in state.dataset.clips})
    return _make_result(state.dataset, summary)


def _search_transcripts(job: PrepareJob, files: Sequence[Path]) -> FoundTranscripts:
    if job.wish.name not in (AUTO, GIVEN):
        return FoundTranscripts(by_file={})
    found = search_transcripts(job.recordings, files, job.columns)
    check_questions(found)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _PrepareContext:
    """State of one call of `run_preparation`.  work: a folder for working copies."""

    job: PrepareJob
    transcripts: TranscriptionService
    state: PreparationState
    work: Path


class _ProgressMeter:
    """Reports the seconds of recordings that are done."""

    def __init__(self, total: float, report: ProgressReporter) -> None:
        self._total, self._report = total, report
        self._before = self._length = 0.0

    def start_recording(self, length: float) -> None:
        """Start the next recording."""
        self._before += self._length
        self._length = length
        self.update(0.0)

    def update(self, share: float) -> None:
        """Report the share of the recording that is done."""
        done = self._before + self._length * min(1.0, share)
        self._report.emit(
            ProgressEvent(
                kind="progress", stage=PROGRESS_STAGE, done=int(done), total=int(self._total)
            )
        )
        self._report.check_cancelled()


def _make_dataset(job: PrepareJob, transcriber: str) -> Dataset:
    return Dataset(
        name=job.name,
        voice=job.voice,
        folder=str(job.recordings),
        language=job.wish.language,
        transcriber=transcriber,
        created=time.time(),
        seed=job.options.seed,
        validation_share=job.options.validation_share,
    )


def _process_recordings(
    run: _PrepareContext, files: Sequence[Path], report: ProgressReporter
) -> None:
    rows = {path: make_source_row(path, run.job.recordings) for path in files}
    rows = {
        path: replace(row, recipe=_compute_recipe_hash(run, path)) for path, row in rows.items()
    }
    waiting = [path for path in files if run.job.anew or not run.state.is_done(rows[path])]
    lengths = {path: estimate_duration_s(path) for path in waiting}
    _check_disk_space(run.job.target, lengths)
    run.state.set_sources(list(rows.values()))
    run.state.save()
    meter = _ProgressMeter(sum(lengths.values()), report)
    try:
        for path in waiting:
            meter.start_recording(lengths[path])
            _process_recording(run, path, rows[path], meter, report)
            run.state.save_if_due()
    finally:
        run.transcripts.save_cache()
        run.state.save()


def _compute_recipe_hash(run: _PrepareContext, path: Path) -> str:
    """Hash the options that decide how a recording becomes clips."""
    options = {
        k: v for k, v in asdict(run.job.options).items() if k not in NON_SEGMENTATION_OPTIONS
    }
    facts = [options, run.job.wish.language, run.transcripts.get_transcript_source(path)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _process_recording(
    run: _PrepareContext,
    path: Path,
    row: SourceRow,
    meter: _ProgressMeter,
    report: ProgressReporter,
) -> None:
    """Make the clips of one recording; one that cannot be used is reported and skipped."""

    def progress(seconds: float) -> None:
        report.check_cancelled()

    try:
        copy = decode_recording(path, run.work / "copy.raw", CLIP_SAMPLE_RATE, progress)
    except ClipError as error:
        run.state.mark_failed(row, str(error))
        report.warn(f"{row.path} was left out: {error}")
        return
    if damage := describe_wav_damage(path):
        report.warn(damage)
    recording = replace(copy, name=row.path)
    activity = detect_speech(recording, report)
    share = TRANSCRIPTION_SHARE if run.transcripts.needs_transcription(path) else 0.0
    entry = run.transcripts.get_transcript(
        recording,
        activity,
        path,
        row,
        lambda seconds: meter.update(share * seconds / recording.duration_s),
        report,
    )
    clips: list[ClipRow] = []
    for made in build_clips(recording, activity, entry, run.job.options, report, run.job.models):
        clips.append(_save_clip(run, path, made, [clip.id for clip in clips]))
        meter.update(share + (1 - share) * made.row.stop_s / recording.duration_s)
    if len(clips) == 1:
        clips = [_rename_clip(run, clips[0], run.state.find_free_clip_id(_sanitize_stem(path)))]
    message = "" if clips else "It contains no speech."
    run.state.replace_source_clips(
        replace(row, state="done", seconds=round(recording.duration_s, 3), message=message), clips
    )


def _save_clip(run: _PrepareContext, path: Path, made: BuiltClip, taken: Sequence[str]) -> ClipRow:
    """Write a clip under a free name; return its row."""
    wanted = f"{_sanitize_stem(path)}-{int(made.row.id):04d}"
    row = replace(made.row, id=run.state.find_free_clip_id(wanted, taken))
    write_clip(run.job.target / row.file, made.sound)
    return row


def _rename_clip(run: _PrepareContext, row: ClipRow, id: str) -> ClipRow:
    new = replace(row, id=id)
    (run.job.target / row.file).replace(run.job.target / new.file)
    return new


def _sanitize_stem(path: Path) -> str:
    """Return a file name for clips that every file system accepts."""
    return re.sub(r"[^\w-]+", "-", path.stem).strip("-_")[:MAX_STEM_CHARS] or "clip"


def _finalize_clips(state: PreparationState, job: PrepareJob, report: ProgressReporter) -> str:
    """Mark duplicates, odd pace and speakers, split the clips; return a summary of the split."""
    clips = [_restore_duplicate(clip) for clip in state.dataset.clips]
    gone = find_duplicates(flag_odd_pace(clips), job.target, report)
    others = _compare_speakers([clip for clip in clips if clip.id not in gone], state, job, report)
    summary = [""]

    def change(clips: Sequence[ClipRow]) -> Sequence[ClipRow]:
        alone = [
            replace(clip, kept=False, reason="duplicate")
            if clip.id in gone
            else _restore_duplicate(clip)
            for clip in clips
        ]
        marked = mark_other_speakers(flag_odd_pace(alone), others)
        split = split_clips(marked, job.options.validation_share, job.options.seed)
        summary[0] = split.summary
        return split.clips

    state.update_all_clips(change)
    return summary[0]


def _compare_speakers(
    clips: Sequence[ClipRow], state: PreparationState, job: PrepareJob, report: ProgressReporter
) -> list[OtherSpeaker]:
    """Find other speakers, and warn of them."""
    check = job.options.check_speakers
    others = find_other_speakers(clips, job.target, report) if check else []
    for other in others:
        report.warn(f"{other.source}: {other.message}")
    state.set_remarks({other.source: other.message for other in others}, MESSAGE_START)
    return others


def _restore_duplicate(clip: ClipRow) -> ClipRow:
    """Keep a clip again that was dropped as a duplicate: the other one may be gone."""
    if clip.reason == "duplicate" and not clip.edited:
        return replace(clip, kept=True, reason="")
    return clip


def _make_result(dataset: Dataset, split: str) -> PrepareResult:
    report = build_dataset_report(dataset)
    failed = sum(source.state == "failed" for source in dataset.sources)
    return PrepareResult(
        name=dataset.name,
        kept=report.kept.clips,
        dropped=report.dropped.clips,
        kept_s=report.kept.seconds,
        dropped_s=report.dropped.seconds,
        failed=failed,
        split=split,
    )


def _check_disk_space(target: Path, lengths: Mapping[Path, float]) -> None:
    seconds = sum(lengths.values()) + WORK_SPACE_FACTOR * max(lengths.values(), default=0.0)
    needed = int(seconds * CLIP_SAMPLE_RATE * 2)
    free = shutil.disk_usage(target).free
    if lengths and free < needed + SPARE_BYTES:
        raise ManifestError(
            f"Some {needed / 1e6:,.0f} MB are needed for {sum(lengths.values()) / 60:,.0f} minutes "
            f"of recordings, and {free / 1e6:,.0f} MB are free on the disk of {target}. Free some "
            "space."
        )


def _delete_work_dirs(target: Path) -> None:
    """Remove the working copies of a killed run."""
    for left in target.glob(f"{WORK_DIR_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _delete_audio_files(target: Path, ids: Collection[str]) -> None:
    for id in ids:
        (target / AUDIO_DIR / f"{id}.wav").unlink(missing_ok=True)
