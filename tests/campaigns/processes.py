"""Processes that are killed at random moments, forked from one that has everything imported."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from multiprocessing.context import ForkServerContext
from typing import Any

PRELOADED = ("torch", "campaigns.preload")
START_S = 60.0


@lru_cache
def forkserver() -> ForkServerContext:
    """A server that forks processes within milliseconds; it is started by the first."""
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def run_until_killed(
    work: Callable[..., object], arguments: tuple[Any, ...], delay_s: float | None
) -> int | None:
    """Run work in a process and kill it after `delay_s`; None: wait for its end.

    The delay counts from when the process has begun. Returns its exit code, None where it was
    killed. Raises AssertionError where it ended with an error.
    """
    context = forkserver()
    begun = context.Event()
    process = context.Process(target=_work, args=(begun, work, arguments))
    process.start()
    assert begun.wait(START_S), "the process did not begin"
    process.join(delay_s)
    was_killed = process.is_alive()
    if was_killed:
        process.kill()
        process.join()
    code = process.exitcode
    process.close()
    assert was_killed or code == 0, f"the process ended with {code}"
    return None if was_killed else code


def call(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what work returns in a process of its own."""
    context = forkserver()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        result = AssertionError("the process died")
    process.join()
    if isinstance(result, BaseException):
        raise result
    return result


def measure_seconds(work: Callable[..., object], *arguments: Any) -> float:
    """Return how long work takes in such a process."""
    started = time.monotonic()
    run_until_killed(work, arguments, None)
    return time.monotonic() - started


def _work(begun: Any, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    begun.set()
    work(*arguments)


def _send(sender: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        sender.send(work(*arguments))
    except BaseException as error:
        sender.send(AssertionError(f"{type(error).__name__}: {error}"))
