"""Jobs of a list that could not be read are taken over from the command line."""

from __future__ import annotations

from collections.abc import Callable

from core.paths import ProjectPaths
from jobs.models import Job
from jobs.store import JobStore

Run = Callable[..., tuple[int, str, str]]
JOB = Job(id="one", task="speak", request={}, title="t", state="waiting", created=1.5)


def test_doctor_names_the_command_that_takes_jobs_over(testudo: Run, layout: ProjectPaths) -> None:
    assert testudo("doctor", "--restore-jobs")[0] == 2
    store = JobStore.open(layout.jobs_db)
    store.add(JOB)
    store._connection.execute("PRAGMA user_version = 9")
    store.close()
    JobStore.open(layout.jobs_db).close()
    told = testudo("doctor")[1]
    assert "1 job in it can be taken over" in told and "testudo doctor --restore-jobs" in told
    code, out, _ = testudo("doctor", "--restore-jobs")
    assert code == 0 and out.startswith("1 job taken over")
    store = JobStore.open(layout.jobs_db)
    assert [job.id for job in store.list_jobs_in_state("waiting")] == ["one"]
