"""Thousands of generations in one process: memory, files and threads stay the same."""

from __future__ import annotations

import ctypes
import gc
import tempfile
import threading
import weakref
from pathlib import Path
from statistics import linear_regression
from typing import Any

import psutil

from campaigns.figures import Figures
from campaigns.processes import call
from campaigns.served import open_app, write_served_studio
from studio.app.studio import Studio
from studio.synthesis.request_builder import SpeechRequestInput, build_request

MAX_BYTES_PER_JOB = 1_024
MAX_OBJECTS = 20  # that may stay, whatever the number of jobs; a job that is kept has five
SAMPLES = 10  # of the memory: single ones differ by the megabyte that Python takes at once


def speak_long(folder: Path, jobs: int) -> Figures:
    """Speak so many clips; the memory is that of a line through samples after a third of them."""
    return Figures(**call(_speak_long, folder, jobs))


def _speak_long(folder: Path, jobs: int) -> dict[str, Any]:
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    tempfile.tempdir = str(temporary)
    root = write_served_studio(folder / "root")
    process = psutil.Process()
    with open_app(root) as (_, studio):
        lost = _speak(studio, jobs // 3)
        handles, threads = process.num_fds(), threading.active_count()
        step = max(1, (jobs - jobs // 3) // SAMPLES)
        spoken = range(jobs // 3, jobs, step)
        memory, objects = [], []
        for done in spoken:
            memory.append(_memory())
            objects.append(_count_objects())
            lost += _speak(studio, min(step, jobs - done))
        growth = linear_regression(spoken, memory).slope
        grown = objects[-1] - objects[1]
        assert grown < MAX_OBJECTS + (spoken[-1] - spoken[1]) // 2, "Python objects stay"
        assert process.num_fds() <= handles, "files stay open"
        assert threading.active_count() <= threads, "threads stay"
    left = [path for path in temporary.rglob("*") if path.is_file()]
    return {
        "requests": jobs,
        "lost": lost,
        "half_written": len(left),
        "bytes_per_job": max(0, round(growth)),
    }


def _speak(studio: Studio, jobs: int) -> int:
    lost = 0
    for number in range(jobs):
        wanted = SpeechRequestInput(text=f"Job {number}.", voice="alice", options={"seed": number})
        job = studio.submit(build_request(studio.settings, wanted, studio.layout))
        done = studio.wait(job.id, 60)
        lost += done.state != "done"
        if done.result is not None:  # a folder of thousands of clips is another test
            Path(str(done.result["path"])).unlink()
    return lost


def _count_objects() -> int:
    """Count what lives, without weak references, which keep nothing alive."""
    gc.collect()
    return sum(not issubclass(type(one), weakref.ref) for one in gc.get_objects())


def _memory() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_full_info().uss)
