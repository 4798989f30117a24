"""From a folder of recordings to a dataset: heard, cut, judged, parted; stopped and taken up anew.

The recordings are only read. Each becomes a working copy, clip after clip is written beside the
books, and the books are written after each recording, so that a crash costs one recording at most.
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

from jobs.report import Event, Reporter
from speech.clip import ClipError
from speech.files import write_clip
from speech.recordings import copy_recording, rough_seconds
from training.dataset_lock import preparing
from training.dataset_report import report_on
from training.duplicates import find_duplicates
from training.manifest import (
    AUDIO,
    CLIP_RATE,
    ClipRow,
    Dataset,
    ManifestError,
    SourceRow,
)
from training.measures import mark_pace
from training.prepare_clips import Made, make_clips
from training.prepare_hearing import Ears
from training.prepare_ledger import Ledger, open_ledger
from training.prepare_options import PrepareOptions
from training.prepare_sources import find_recordings, refuse_foreign, seen_now
from training.splitting import split_clips
from training.transcribe.base import TranscriberWish
from training.transcribe.choose import listener
from training.transcribe.given import find_given
from training.voice_activity import find_speech

SECONDS = "seconds"  # the stage that counts the whole, in seconds of recordings
WORKING = ".working-"
HEARD_SHARE = 0.9  # of the time, where somebody has to listen
ROOM = 3.0  # the longest recording is held as a working copy, perhaps as a stereo wav before that
SPARE_BYTES = 50_000_000
CUTS_NOTHING = ("seed", "validation_share")
LONGEST_STEM = 80  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareJob:
    """What shall be made of what.

    recordings: the folder they are in;  target: of the dataset;  models: of Whisper;  anew: also
    what is done already.
    """

    name: str
    voice: str
    recordings: Path
    target: Path
    models: Path
    wish: TranscriberWish = field(default_factory=TranscriberWish)
    options: PrepareOptions = field(default_factory=PrepareOptions)
    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was made.  failed: recordings that could not be read;  split: how it was parted."""

    name: str
    kept: int
    dropped: int
    kept_s: float
    dropped_s: float
    failed: int
    split: str


def prepare(job: PrepareJob, report: Reporter) -> Prepared:
    """Make or renew a dataset.

    Raises ManifestError, TranscribeError or OSError, saying what to do, where it cannot; what was
    done until then stays, and the next run goes on there.
    """
    files = find_recordings(job.recordings)
    given = find_given(job.recordings, files)
    refuse_foreign(job.target)
    listening = listener(job.wish, files, given, job.models, report)
    job.target.mkdir(parents=True, exist_ok=True)
    with preparing(job.target):
        _clear_working(job.target)
        (job.target / AUDIO).mkdir(exist_ok=True)
        ears = Ears(listening, job.target, job.wish.language)
        ledger, damage = open_ledger(job.target, _described(job, ears.name))
        if damage:
            report.warn(damage)
        before = {clip.id for clip in ledger.dataset.clips}
        with TemporaryDirectory(dir=job.target, prefix=WORKING) as working:
            _do_all(_Run(job=job, ears=ears, ledger=ledger, work=Path(working)), files, report)
        told = _finish(ledger, job, report)
        _remove_sounds(job.target, before - {clip.id for clip in ledger.dataset.clips})
    return _prepared(ledger.dataset, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One call of `prepare`: what each recording needs.  work: a folder for working copies."""

    job: PrepareJob
    ears: Ears
    ledger: Ledger
    work: Path


class _Meter:
    """Tells how many seconds of recordings are done."""

    def __init__(self, total: float, report: Reporter) -> None:
        self._total, self._report = total, report
        self._before = self._length = 0.0

    def begin(self, length: float) -> None:
        """Go on to the next recording."""
        self._before += self._length
        self._length = length
        self.share(0.0)

    def share(self, share: float) -> None:
        """Say which share of the recording is done."""
        done = self._before + self._length * min(1.0, share)
        self._report.emit(
            Event(kind="progress", stage=SECONDS, done=int(done), total=int(self._total))
        )
        self._report.check()


def _described(job: PrepareJob, transcriber: str) -> Dataset:
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


def _do_all(run: _Run, files: Sequence[Path], report: Reporter) -> None:
    """Make clips of each recording that needs it."""
    rows = {path: seen_now(path, run.job.recordings) for path in files}
    rows = {path: replace(row, recipe=_recipe(run, path)) for path, row in rows.items()}
    waiting = [path for path in files if run.job.anew or not run.ledger.is_done(rows[path])]
    lengths = {path: rough_seconds(path) for path in waiting}
    _check_room(run.job.target, lengths)
    run.ledger.begin(list(rows.values()))
    run.ledger.save()
    meter = _Meter(sum(lengths.values()), report)
    try:
        for path in waiting:
            meter.begin(lengths[path])
            _do_one(run, path, rows[path], meter, report)
            run.ledger.save_now_and_then()
    finally:
        run.ears.keep()
        run.ledger.save()


def _recipe(run: _Run, path: Path) -> str:
    """Name all that decides how a recording becomes clips, besides itself."""
    options = {k: v for k, v in asdict(run.job.options).items() if k not in CUTS_NOTHING}
    facts = [options, run.job.wish.language, run.ears.by(path)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _do_one(run: _Run, path: Path, row: SourceRow, meter: _Meter, report: Reporter) -> None:
    """Make clips of one recording; one that cannot be used is told and passed over."""

    def progress(seconds: float) -> None:
        report.check()

    try:
        copy = copy_recording(path, run.work / "copy.raw", CLIP_RATE, progress)
    except ClipError as error:
        run.ledger.fail(row, str(error))
        report.warn(f"{row.path} was left out: {error}")
        return
    recording = replace(copy, name=row.path)
    activity = find_speech(recording, report)
    heard = HEARD_SHARE if run.ears.is_machine(path) else 0.0
    said = run.ears.said_in(
        recording, activity, path, row,
        lambda seconds: meter.share(heard * seconds / recording.seconds), report,
    )  # fmt: skip
    clips: list[ClipRow] = []
    for made in make_clips(recording, activity, said, run.job.options, report):
        clips.append(_kept(run, path, made, [clip.id for clip in clips]))
        meter.share(heard + (1 - heard) * made.row.stop_s / recording.seconds)
    if len(clips) == 1:
        clips = [_renamed(run, clips[0], run.ledger.free_id(_plain_stem(path)))]
    message = "" if clips else "Nobody speaks in it."
    run.ledger.put(
        replace(row, state="done", seconds=round(recording.seconds, 3), message=message), clips
    )


def _kept(run: _Run, path: Path, made: Made, taken: Sequence[str]) -> ClipRow:
    """Write the sound of a clip under a free name; return its row."""
    wanted = f"{_plain_stem(path)}-{int(made.row.id):04d}"
    row = replace(made.row, id=run.ledger.free_id(wanted, taken))
    write_clip(run.job.target / row.file, made.sound)
    return row


def _renamed(run: _Run, row: ClipRow, id: str) -> ClipRow:
    new = replace(row, id=id)
    (run.job.target / row.file).replace(run.job.target / new.file)
    return new


def _plain_stem(path: Path) -> str:
    """Return a name for clips that every file system takes, like that of their recording."""
    return re.sub(r"[^\w-]+", "-", path.stem).strip("-_")[:LONGEST_STEM] or "clip"


def _finish(ledger: Ledger, job: PrepareJob, report: Reporter) -> str:
    """Compare, mark and part the clips of all recordings; say how they were parted."""
    clips = [_revived(clip) for clip in ledger.dataset.clips]
    gone = find_duplicates(mark_pace(clips), job.target, report)
    told = [""]

    def change(clips: Sequence[ClipRow]) -> Sequence[ClipRow]:
        alone = [
            replace(clip, kept=False, reason="duplicate") if clip.id in gone else _revived(clip)
            for clip in clips
        ]
        split = split_clips(mark_pace(alone), job.options.validation_share, job.options.seed)
        told[0] = split.told
        return split.clips

    ledger.change_all(change)
    return told[0]


def _revived(clip: ClipRow) -> ClipRow:
    """Return a clip that was dropped for being like another, which may be gone by now, as kept."""
    if clip.reason == "duplicate" and not clip.edited:
        return replace(clip, kept=True, reason="")
    return clip


def _prepared(dataset: Dataset, split: str) -> Prepared:
    report = report_on(dataset)
    failed = sum(source.state == "failed" for source in dataset.sources)
    return Prepared(
        name=dataset.name,
        kept=report.kept.clips,
        dropped=report.dropped.clips,
        kept_s=report.kept.seconds,
        dropped_s=report.dropped.seconds,
        failed=failed,
        split=split,
    )


def _check_room(target: Path, lengths: Mapping[Path, float]) -> None:
    """Refuse before anything is done what the disk cannot hold."""
    seconds = sum(lengths.values()) + ROOM * max(lengths.values(), default=0.0)
    needed = int(seconds * CLIP_RATE * 2)
    free = shutil.disk_usage(target).free
    if lengths and free < needed + SPARE_BYTES:
        raise ManifestError(
            f"Some {needed / 1e6:,.0f} MB are needed for {sum(lengths.values()) / 60:,.0f} minutes "
            f"of recordings, and {free / 1e6:,.0f} MB are free on the disk of {target}. Free some "
            "space."
        )


def _clear_working(target: Path) -> None:
    """Remove the working copies of a run that was killed."""
    for left in target.glob(f"{WORKING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _remove_sounds(target: Path, ids: Collection[str]) -> None:
    for id in ids:
        (target / AUDIO / f"{id}.wav").unlink(missing_ok=True)
