"""Jobs run one after another, say how far they are, stop when asked, and outlive their worker."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from jobs.models import Job, JobError
from jobs.worker_process import WorkerProcess, describe_worker_exit
from support.job_helpers import Chore, Errand

Made = Callable[..., Any]


def pid_of(hand: Any) -> int:
    assert isinstance(hand, WorkerProcess)
    return hand._process.pid


def test_a_job_waits_runs_and_is_done_with_a_plain_result(made: Made) -> None:
    queue = made(start=False)
    job = queue.submit(Chore(name="sweep"))
    assert (job.state, job.place, job.title) == ("waiting", 1, "sweep")
    queue.runner.start()
    done = queue.runner.wait(job.id, 60)
    assert done.state == "done" and done.result == done.request and done.place == 0
    assert done.progress.fraction == 1.0 and done.failure is None
    assert done.created <= done.started <= done.ended


def test_jobs_run_in_the_order_in_which_they_came(made: Made) -> None:
    queue = made(start=False)
    jobs = [queue.submit(Chore(name=name)) for name in "abc"]
    assert [queue.runner.job(job.id).place for job in jobs] == [1, 2, 3]
    queue.runner.start()
    queue.runner.wait(jobs[-1].id, 60)
    assert queue.log == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]
    assert [job.title for job in queue.runner.jobs(2)] == ["c", "b"]


def test_an_unknown_job_is_refused(queue: Any) -> None:
    with pytest.raises(JobError, match="There is no job 'nobody'"):
        queue.runner.job("nobody")
    with pytest.raises(JobError, match="no job"):
        queue.runner.cancel("nobody")


def test_a_waiting_job_that_is_cancelled_never_begins(made: Made) -> None:
    queue = made(start=False)
    first, second = queue.submit(Chore(name="a")), queue.submit(Chore(name="b"))
    assert queue.runner.cancel(first.id).state == "stopped"
    assert queue.runner.job(second.id).place == 1
    queue.runner.start()
    queue.runner.wait(second.id, 60)
    assert "begin a" not in queue.log


def test_a_running_job_stops_at_its_next_report_and_keeps_its_takes_and_its_worker(
    queue: Any,
) -> None:
    job = queue.submit(Errand(do="take", wait=True))
    queue.until(job.id, lambda job: len(job.takes) == 1)
    queue.runner.cancel(job.id)
    stopped = queue.runner.wait(job.id, 10)
    assert stopped.state == "stopped" and [take["index"] for take in stopped.takes] == [0]
    assert queue.run(Chore()).state == "done" and len(queue.hands) == 1


def test_stopping_what_is_over_changes_nothing(queue: Any) -> None:
    job = queue.run(Chore())
    assert queue.runner.cancel(job.id) == queue.runner.job(job.id) == job


def test_a_stopped_job_goes_on_after_its_last_take_behind_those_that_wait(queue: Any) -> None:
    job = queue.submit(Errand(do="take", wait=True, name="long"))
    queue.until(job.id, lambda job: len(job.takes) == 1)
    queue.runner.cancel(job.id)
    queue.runner.wait(job.id, 10)
    queue.go()
    queue.runner.resume(job.id)
    done = queue.runner.wait(job.id, 60)
    assert done.state == "done" and [take["index"] for take in done.takes] == [0, 1, 2]
    assert [line for line in queue.log if line.startswith("take")] == ["take 0", "take 1", "take 2"]


def test_only_what_ended_early_and_can_go_on_is_resumed(queue: Any) -> None:
    with pytest.raises(JobError, match="is done; only a stopped or failed job"):
        queue.runner.resume(queue.run(Errand()).id)
    failed = queue.run(Chore(do="fail"))
    with pytest.raises(JobError, match="cannot be resumed"):
        queue.runner.resume(failed.id)


def test_a_warning_is_kept_once(queue: Any) -> None:
    job = queue.run(Errand(do="take", times=2))
    assert job.warnings == (
        "take 0 is a bit loud",
        "all takes are a bit loud",
        "take 1 is a bit loud",
    )


def test_what_a_task_raises_is_explained_and_the_next_job_runs(queue: Any) -> None:
    job = queue.run(Chore(do="fail"))
    assert job.state == "failed" and job.failure.cause == "crashed"
    assert "ValueError: the string broke" in job.failure.details
    assert queue.run(Chore()).state == "done"


def test_a_module_that_cannot_be_imported_is_a_readable_failure(queue: Any) -> None:
    job = queue.run(Chore(do="import"))
    assert job.failure.cause == "missing_package"
    assert "a_module_that_is_not_installed" in job.failure.details


def test_a_workshop_that_cannot_be_opened_fails_the_job_and_is_tried_again(made: Made) -> None:
    queue = made(start=False)
    (queue.folder / "locked").touch()
    queue.runner.start()
    assert queue.run(Chore()).failure.cause == "torch_broken"
    (queue.folder / "locked").unlink()
    assert queue.run(Chore()).state == "done"


def test_a_request_of_another_version_fails_by_itself(queue: Any) -> None:
    job = queue.runner.submit("chore", {"done_by": "somebody"}, "")
    assert queue.runner.wait(job.id, 60).failure.cause == "bad_request"
    job = queue.runner.submit("a task of tomorrow", {}, "")
    assert queue.runner.wait(job.id, 60).failure.cause == "crashed"
    assert queue.run(Chore()).state == "done"


def test_waiting_gives_up_when_the_time_is_up(queue: Any) -> None:
    job = queue.submit(Errand(do="take", wait=True))
    assert queue.runner.wait(job.id, 0.05).state in ("waiting", "running")


def test_what_was_learnt_is_reported_before_and_while_the_next_job_runs(queue: Any) -> None:
    assert queue.runner.estimate_stage_seconds("errand", {"times": 4}) is None
    queue.run(Errand(do="take", times=4))
    expected = queue.runner.estimate_stage_seconds("errand", {"times": 4})
    assert set(expected) == {"draft", "other"}
    assert queue.runner.estimate_stage_seconds("errand", {"times": 400})["draft"] == pytest.approx(
        100 * expected["draft"]
    )
    job = queue.submit(Errand(do="take", times=4, wait=True))
    held = queue.until(job.id, lambda job: len(job.takes) == 1)
    assert 0 < held.progress.fraction < 1 and held.progress.eta_s is not None
    queue.go()
    queue.runner.wait(job.id, 60)


def test_loading_is_expected_and_learnt_only_where_nothing_is_loaded_yet(queue: Any) -> None:
    for _ in range(3):
        queue.run(Errand(do="take"))
    assert len(queue.journal.get_timings("errand")["load"]) == 1
    assert "load" not in queue.runner.estimate_stage_seconds("errand", {"times": 3})
    assert queue.runner.stop_worker()
    assert "load" in queue.runner.estimate_stage_seconds("errand", {"times": 3})


def test_a_job_that_cannot_be_prepared_fails_and_the_next_one_runs(queue: Any) -> None:
    job = queue.runner.submit("errand", {"times": "three"}, "")
    failed = queue.runner.wait(job.id, 60)
    assert failed.state == "failed" and "ValueError" in failed.failure.details
    assert queue.run(Chore()).state == "done"


def test_a_job_of_a_newer_version_is_set_aside_and_the_next_one_runs(made: Made) -> None:
    queue = made(start=False)
    poison, behind = queue.submit(Chore(name="a")), queue.submit(Chore(name="b"))
    with sqlite3.connect(queue.folder / "journal.sqlite") as connection:
        connection.execute(
            "UPDATE jobs SET progress = ? WHERE id = ?", ('{"mood": "new"}', poison.id)
        )
    connection.close()
    queue.runner.start()
    assert queue.runner.wait(behind.id, 60).state == "done"
    assert queue.runner.job(poison.id).state == "failed"


def test_a_job_that_is_set_aside_is_reported_as_ended_once_with_its_request(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = made(start=False)
    ended: list[Job] = []
    monkeypatch.setattr(queue.runner, "_on_job_ended", ended.append)
    poison = queue.submit(Chore(name="a"))
    with sqlite3.connect(queue.folder / "journal.sqlite") as connection:
        connection.execute("UPDATE jobs SET progress = '{\"mood\": 1}'")
    connection.close()
    for _ in range(2):
        assert queue.runner.job(poison.id).state == "failed"
    (job,) = ended
    assert (job.id, job.state, job.request) == (poison.id, "failed", poison.request)


def test_what_fails_when_a_job_has_ended_does_not_end_the_queue(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = made()

    def refuse(job: Any) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(queue.runner, "_on_job_ended", refuse)
    assert queue.run(Chore()).state == "done" and queue.run(Chore()).state == "done"


class DyingWorker:
    """A worker that dies with its first task, and takes long to be gone."""

    def __init__(self) -> None:
        self.is_dying, self.may_be_gone = Flag(), Flag()

    def is_alive(self) -> bool:
        return True

    def run(self, command: Any) -> None:
        pass

    def messages(self, timeout_s: float) -> Iterator[None]:
        return iter(())

    def get_exit_info(self) -> tuple[int, str]:
        self.is_dying.set()
        assert self.may_be_gone.wait(60)
        return -9, ""

    def kill_and_wait(self) -> None:
        pass


def test_jobs_are_listed_while_a_dead_worker_is_waited_for(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, dying = made(start=False), DyingWorker()
    monkeypatch.setattr(queue.runner, "_start_worker", lambda: dying)
    job = queue.submit(Chore())
    queue.runner.start()
    assert dying.is_dying.wait(60)
    listed: list[Any] = []
    page = Thread(target=lambda: listed.extend(queue.runner.jobs(5)), daemon=True)
    page.start()
    page.join(5)
    dying.may_be_gone.set()
    assert [one.id for one in listed] == [job.id]
    assert queue.runner.wait(job.id, 60).failure.cause == "worker_died"


# from here on with a real process


def test_a_process_does_the_work_and_its_chatter_harms_nothing(real: Any) -> None:
    assert real.run(Chore()).state == "done"
    job = real.run(Chore(do="flood"))
    assert job.state == "done" and len(real.hands) == 1
    assert "chatter" in (real.folder / "w.log").read_text()


def test_a_loop_that_never_reports_is_ended_and_its_worker_replaced(real: Any) -> None:
    job, behind = real.submit(Chore(do="hang")), real.submit(Chore(name="behind"))
    real.until(job.id, lambda job: job.progress.stage == "hanging")
    real.runner.cancel(job.id)
    stopped = real.runner.wait(job.id, 60)
    assert stopped.state == "stopped" and len(stopped.takes) == 1
    assert real.runner.wait(behind.id, 60).state == "done" and len(real.hands) == 2


def test_work_that_goes_on_survives_the_death_of_its_worker(real: Any) -> None:
    job = real.run(Errand(do="take", times=4, dies_at=2))
    assert job.state == "done" and [take["index"] for take in job.takes] == [0, 1, 2, 3]
    assert [line for line in real.log if line.startswith("take")] == [f"take {i}" for i in range(4)]
    assert any("SIGKILL" in warning for warning in job.warnings)


@pytest.mark.parametrize("chore", [Errand(do="take"), Chore()])
def test_a_job_that_had_not_begun_is_not_blamed_for_the_end_of_the_program(
    made: Made, chore: Chore
) -> None:
    queue = made(start=False)
    job = queue.submit(chore)
    for _ in range(5):  # the program ended while the worker was starting
        queue.journal.mark_running(job.id)
        again = made(start=False)
        again.runner._thread.start = lambda: None
        again.runner.start()
        assert queue.journal.job(job.id).state == "waiting"
    queue.runner.start()
    assert queue.runner.wait(job.id, 60).state == "done"


def test_a_job_that_had_begun_is_given_up_after_three_ends_of_the_program(made: Made) -> None:
    queue = made(start=False)
    job = queue.submit(Errand(do="take"))
    states = []
    for _ in range(3):
        queue.journal.mark_running(job.id)
        queue.journal.mark_begun(job.id)
        again = made(start=False)
        again.runner._thread.start = lambda: None
        again.runner.start()
        states.append(queue.journal.job(job.id).state)
    assert states == ["waiting", "waiting", "failed"]
    assert "ended 3 times" in queue.journal.job(job.id).failure.message


def test_a_job_has_begun_when_the_worker_reports_something(queue: Any) -> None:
    job = queue.submit(Errand(do="take", wait=True))
    queue.until(job.id, lambda job: len(job.takes) == 1)
    assert queue.journal.has_begun(job.id)
    queue.go()


def test_work_that_keeps_killing_its_worker_fails_in_the_end(real: Any) -> None:
    job = real.run(Errand(do="take", times=3, dies_at=1, deaths=99))
    assert job.state == "failed" and job.failure.cause == "worker_died"
    assert "SIGKILL" in job.failure.message and "3 times" in job.failure.message
    assert [take["index"] for take in job.takes] == [0] and real.log.count("died") == 3


def test_other_work_fails_with_its_worker_and_the_next_job_gets_a_new_one(real: Any) -> None:
    job = real.run(Chore(do="exit"))
    assert job.state == "failed" and "exit code 3" in job.failure.message
    assert "the last words of a library" in job.failure.details
    assert real.run(Chore()).state == "done"


def test_a_worker_that_died_while_idle_is_replaced_unnoticed(real: Any) -> None:
    real.run(Chore())
    os.kill(pid_of(real.hands[-1]), signal.SIGKILL)
    real.hands[-1]._process.wait()
    job = real.run(Chore())
    assert job.state == "done" and job.warnings == () and len(real.hands) == 2


def test_an_idle_worker_can_be_sent_home_to_free_its_memory(real: Any) -> None:
    real.run(Chore())
    assert real.runner.stop_worker() and not real.hands[-1].is_alive()
    assert real.run(Chore()).state == "done"


def test_a_worker_that_is_busy_is_sent_home_after_its_job(queue: Any) -> None:
    job = queue.submit(Errand(do="take", wait=True))
    queue.until(job.id, lambda job: len(job.takes) == 1)
    assert not queue.runner.stop_worker()
    queue.go()
    assert queue.runner.wait(job.id, 60).state == "done"
    assert queue.run(Chore()).state == "done" and len(queue.hands) == 2


def test_closing_ends_the_worker_and_leaves_what_can_go_on_waiting(made: Made) -> None:
    queue = made(inline=False)
    job = queue.submit(Errand(do="take", wait=True))
    behind = queue.submit(Chore())
    queue.until(job.id, lambda job: len(job.takes) == 1)
    queue.close()
    assert not queue.hands[-1].is_alive()
    again = made()
    queue.go()
    done = again.runner.wait(job.id, 60)
    assert done.state == "done" and len(done.takes) == 3
    assert again.runner.wait(behind.id, 60).state == "done"


def test_how_a_process_ended_is_reported_in_words() -> None:
    assert describe_worker_exit(-9) == "was killed by the system (SIGKILL)"
    assert describe_worker_exit(7) == "exited (exit code 7)"
    assert describe_worker_exit(None) == "did not respond"
