"""Work beside whoever asked for it: its progress, its result, its end."""

from __future__ import annotations

from contextvars import ContextVar
from threading import Event as Flag

import pytest

from core.background import BackgroundTask, run_in_background
from core.progress import Cancelled, ProgressReporter


def test_an_errand_tells_how_far_it_is_and_what_came_of_it() -> None:
    half, go_on = Flag(), Flag()

    def work(report: ProgressReporter) -> str:
        for item in report.track("abcd", "letters"):
            if item == "c":
                half.set()
                assert go_on.wait(20)
        return "done"

    errand = BackgroundTask(work, "Reading letters")
    assert half.wait(20) and errand.progress == (2, 4) and not errand.wait(0)
    go_on.set()
    assert errand.wait(20) and errand.is_over and errand.result() == "done"


def test_an_errand_is_stopped_and_what_goes_wrong_in_it_comes_out() -> None:
    def work(report: ProgressReporter) -> None:
        for _ in report.track(iter(int, 1), "for ever"):
            pass

    errand = BackgroundTask(work, "For ever")
    errand.stop()
    assert errand.wait(20) and isinstance(errand.problem, Cancelled)
    with pytest.raises(ZeroDivisionError):
        run_in_background(lambda: 1 // 0, "wrong").result(20)


def test_whoever_gives_up_waiting_does_not_disturb_the_work() -> None:
    go_on = Flag()
    coming = run_in_background(lambda: go_on.wait(20), "slow")
    assert not coming.cancel()
    go_on.set()
    assert coming.result(20)


def test_the_thread_has_the_context_variables_of_its_caller() -> None:
    spoken = ContextVar("spoken", default="en")
    token = spoken.set("de")
    assert run_in_background(spoken.get, "Reading a variable").result(20) == "de"
    spoken.reset(token)
