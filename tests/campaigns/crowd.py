"""Many clients at once: all are served in order, and the job list stays quick."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import psutil

from campaigns.figures import Figures
from campaigns.processes import call
from campaigns.served import open_app, write_served_studio


def serve_crowd(folder: Path, clients: int, jobs: int, watchers: int) -> Figures:
    """Let clients submit jobs each while watchers poll the job list."""
    return Figures(**call(_serve_crowd, folder, clients, jobs, watchers))


def _serve_crowd(folder: Path, clients: int, jobs: int, watchers: int) -> dict[str, Any]:
    root = write_served_studio(folder / "root")
    with open_app(root) as (app, studio):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        return asyncio.run(_meet(transport, studio, clients, jobs, watchers))


async def _meet(
    transport: httpx.ASGITransport, studio: Any, clients: int, jobs: int, watchers: int
) -> dict[str, Any]:
    over = asyncio.Event()
    waits: list[float] = []

    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", timeout=60
    ) as http:
        before = psutil.Process().memory_info().rss

        async def watch() -> None:
            while not over.is_set():
                started = time.perf_counter()
                answer = await http.get("/api/jobs", params={"limit": 50})
                waits.append(time.perf_counter() - started)
                assert answer.status_code == 200, answer.text
                await asyncio.sleep(0.5)

        async def submit(client: int) -> list[str]:
            ids = []
            for number in range(jobs):
                body = {"text": f"Job {number} of {client}.", "voice": "alice"}
                answer = await http.post("/api/jobs/speak", json=body)
                assert answer.status_code == 202, answer.text
                ids.append(answer.json()["id"])
            return ids

        watching = [asyncio.create_task(watch()) for _ in range(watchers)]
        accepted = [id for ids in await asyncio.gather(*map(submit, range(clients))) for id in ids]
        ended = [await asyncio.to_thread(studio.wait, id, 120) for id in accepted]
        over.set()
        await asyncio.gather(*watching)
        grown = psutil.Process().memory_info().rss - before
    return _summarize(studio, accepted, ended, waits, grown)


def _summarize(
    studio: Any, accepted: list[str], ended: list[Any], waits: list[float], grown: int
) -> dict[str, Any]:
    found = studio.jobs(limit=len(accepted) * 2)
    order = [job.id for job in reversed(found)]
    assert [job.id for job in sorted(ended, key=lambda job: job.ended)] == order, "another order"
    return {
        "requests": len(accepted) + len(waits),
        "lost": sum(job.state != "done" for job in ended) + len(accepted) - len(set(accepted)),
        "doubled": len(found) - len(accepted),
        "peak_mb": grown // 2**20,
        "median_ms": round(1000 * median(waits)),
        "p95_ms": round(1000 * quantiles(waits, n=20)[-1]),
    }
