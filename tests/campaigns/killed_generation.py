"""A studio that is killed while it speaks loses no accepted job and speaks none twice."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import soundfile

import engines.registry
from campaigns.figures import Figures
from campaigns.processes import run_until_killed
from jobs.models import Job
from studio.app.studio import Studio
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.inline_worker import InlineStudio
from support.studio_fixtures import write_studio

JOBS, LINES = 6, 3  # of a round
KILLS_OF_A_ROUND = 8
RESUMED = {"interrupted", "worker_died"}


def kill_studios(folder: Path, kills: int) -> Figures:
    """Kill studios at random moments until there were so many kills; each round must end whole."""
    chance, done, rounds = random.Random("generation"), 0, 0
    figures = Figures()
    while done < kills:
        rounds += 1
        root = write_studio(folder / f"round-{rounds}")
        killed = 0
        while killed < KILLS_OF_A_ROUND and done + killed < kills:
            if run_until_killed(_speak_all, (root,), chance.uniform(0.05, 1.2)) is not None:
                break
            killed += 1
        run_until_killed(_speak_all, (root,), None)
        done += killed
        figures += Figures(kills=killed) + _count(root)
    return figures


def _speak_all(root: Path) -> None:
    """Open the studio, submit what was not accepted yet, and wait for all of it."""
    entry = ("support.fake_engine:FakeOptions", "support.fake_engine:FakeEngine")
    engines.registry.ENGINES = {"tortoise": entry}
    studio = InlineStudio.open(root)
    studio.start()
    known = {job.title for job in studio.jobs(limit=JOBS * 2)}
    for number in range(JOBS):
        if f"job {number}" not in known:
            job = studio.submit(_request(studio, number), title=f"job {number}")
            _note(root, job)
    for job in studio.jobs(limit=JOBS * 2):
        ended = studio.wait(job.id, 60)
        if ended.state == "failed" and ended.failure and ended.failure.cause in RESUMED:
            studio.resume(job.id)  # it was running in three deaths in a row
            ended = studio.wait(job.id, 60)
        assert ended.state == "done", ended
    studio.close()


def _request(studio: Studio, number: int) -> object:
    text = "|".join(f"This is line {line} of job {number}." for line in range(LINES))
    wanted = SpeechRequestInput(
        text=text, voice="alice", options={"seed": number}, delivery={"delimiter": "|"}
    )
    return build_request(studio.settings, wanted, studio.layout)


def _note(root: Path, job: Job) -> None:
    """Write down that a job was accepted, as a client would."""
    with (root / "accepted").open("a") as file:
        file.write(f"{job.id}\n")
        file.flush()
        os.fsync(file.fileno())


def _count(root: Path) -> Figures:
    """Compare what was accepted with what is there, after a start on a later day."""
    for path in (root / "results").rglob(".*"):
        os.utime(path, (0, 0))
    studio = InlineStudio.open(root)
    jobs = studio.jobs(limit=JOBS * 4)
    studio.close()
    accepted = set((root / "accepted").read_text().split())
    titles = Counter(job.title for job in jobs)
    clips = [Path(str((job.result or {}).get("path", ""))) for job in jobs]
    files = [path for path in (root / "results" / "alice").iterdir() if path.is_file()]
    broken = [path for path in files if path.suffix == ".wav" and not _is_whole(path)]
    parts = [path for path in (root / "results").rglob(".*") if path.is_file()]
    lost = accepted - {job.id for job in jobs if job.state == "done"}
    missing = [path for path in clips if not path.is_file()]
    extra = len([path for path in files if path.suffix == ".wav"]) - len(set(clips))
    again = sum(count - 1 for count in titles.values())
    return Figures(
        requests=len(jobs),
        lost=len(lost) + len(missing) + abs(JOBS - len(titles)),
        doubled=extra + again,
        half_written=len(broken) + len(parts),
    )


def _is_whole(path: Path) -> bool:
    try:
        return len(soundfile.read(path)[0]) > 0
    except soundfile.LibsndfileError:
        return False
