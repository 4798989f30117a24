"""Long work says how far it is and stops between two steps when asked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from core.progress import Cancelled, ProgressEvent, ProgressReporter


def told(events: list[ProgressEvent]) -> list[tuple[str, int, int | None]]:
    return [(event.stage, event.done, event.total) for event in events]


def test_a_silent_reporter_yields_the_items_and_never_stops_them() -> None:
    report = ProgressReporter()
    report.check_cancelled()
    report.note("nobody listens")
    assert list(report.track("abc", "letters")) == ["a", "b", "c"]


def test_progress_runs_from_nothing_to_everything() -> None:
    events: list[ProgressEvent] = []
    for _ in ProgressReporter(events.append).track(["x", "y"], "steps"):
        pass
    assert told(events) == [("steps", 0, 2), ("steps", 1, 2), ("steps", 2, 2)]
    assert {event.kind for event in events} == {"progress"}


def test_an_item_counts_as_done_only_after_its_work() -> None:
    events: list[ProgressEvent] = []
    for item in ProgressReporter(events.append).track([1, 2, 3], "steps"):
        assert events[-1].done == item - 1


def test_the_total_is_unknown_for_a_stream_unless_it_is_given() -> None:
    events: list[ProgressEvent] = []
    report = ProgressReporter(events.append)
    list(report.track(iter("ab"), "stream"))
    list(report.track(iter("ab"), "stream", total=2))
    assert [event.total for event in events] == [None] * 3 + [2] * 3


def test_work_stops_before_the_next_item() -> None:
    worked: list[int] = []
    report = ProgressReporter(stopped=lambda: len(worked) >= 2)
    with pytest.raises(Cancelled):
        for item in report.track(range(10), "steps"):
            worked.append(item)
    assert worked == [0, 1]


def test_a_stop_requested_before_the_work_takes_no_item() -> None:
    def items() -> Iterator[int]:
        raise AssertionError("taken")
        yield 1

    with pytest.raises(Cancelled):
        list(ProgressReporter(stopped=lambda: True).track(items(), "steps"))


def test_an_error_in_the_work_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        for item in ProgressReporter().track([0], "steps"):
            1 // item


def test_time_is_kept_per_stage_and_adds_up() -> None:
    report = ProgressReporter()
    for _ in range(2):
        for _ in report.track(range(2), "slow"):
            time.sleep(0.005)
    with report.stage("quick"):
        pass
    with pytest.raises(KeyError), report.stage("failed"):
        raise KeyError
    assert report.timings["slow"] >= 0.02 > report.timings["quick"] >= 0.0
    assert set(report.timings) == {"slow", "quick", "failed"}


def test_leaving_a_track_early_still_keeps_its_time() -> None:
    report = ProgressReporter()
    for _ in report.track(range(9), "early"):
        break
    assert "early" in report.timings


def test_notes_and_warnings_carry_values() -> None:
    events: list[ProgressEvent] = []
    report = ProgressReporter(events.append)
    report.note("kept", stage="draft", count=3)
    report.warn("too long")
    assert [(event.kind, event.stage, event.message) for event in events] == [
        ("note", "draft", "kept"),
        ("warning", "", "too long"),
    ]
    assert events[0].data == {"count": 3}
