"""Downloads that are killed, cut and lied to: the file is absent or whole, never another."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from campaigns.figures import Figures
from campaigns.processes import measure_seconds, run_until_killed
from core.errors import AppError
from core.progress import ProgressReporter
from studio.model_store.download import DownloadProgress, download_file
from support.hub_server import Hub, serving
from support.published_files import published_by_name
from tortoise.checkpoints.published import DownloadSource

CONTENT = random.Random("download").randbytes(400_000)
PLACE = "some/repo/cvvp.pth"
FILE = replace(
    published_by_name("cvvp.pth"),
    sources=(DownloadSource(repo="some/repo", path="cvvp.pth"),),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
)


def kill_downloads(folder: Path, kills: int) -> Figures:
    """Download until there were so many kills and broken connections; check after each."""
    chance, done, requests, wrong = random.Random("kills"), 0, 0, 0
    with serving({PLACE: CONTENT}) as hub:
        duration_s = measure_seconds(_download, hub.address, folder / "first")
        while done < kills:
            target = folder / f"target-{done}"
            for disturb in (_cut, _lie, _no_ranges, _nothing):
                disturb(hub, chance)
                delay_s = chance.uniform(0.0, duration_s)
                was_killed = run_until_killed(_try, (hub.address, target), delay_s) is None
                done += was_killed or disturb is _cut
                wrong += _is_wrong(target)
            _nothing(hub, chance)
            run_until_killed(_download, (hub.address, target), None)
            wrong += not (target / FILE.name).is_file() or len(list(target.iterdir())) > 1
        requests = len(hub.asked)
    return Figures(kills=done, requests=requests, half_written=wrong)


def _is_wrong(target: Path) -> bool:
    path = target / FILE.name
    return path.is_file() and path.read_bytes() != CONTENT


def _cut(hub: Hub, chance: random.Random) -> None:
    hub.cuts[PLACE] = [chance.randrange(len(CONTENT)) for _ in range(9)]


def _lie(hub: Hub, chance: random.Random) -> None:
    _nothing(hub, chance)
    content = bytearray(CONTENT)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    hub.lies[PLACE] = bytes(content)


def _no_ranges(hub: Hub, chance: random.Random) -> None:
    _nothing(hub, chance)
    hub.ranges = False


def _nothing(hub: Hub, chance: random.Random) -> None:
    hub.cuts.clear()
    hub.lies.clear()
    hub.ranges = True


def _try(address: str, target: Path) -> None:
    _catch(lambda: _download(address, target))


def _catch(work: Callable[[], object]) -> None:
    try:
        work()
    except AppError as refusal:
        assert str(refusal) and refusal.code


def _download(address: str, target: Path) -> None:
    patch = pytest.MonkeyPatch()  # of this process alone
    hub = Hub(files={}, address=address)
    hub.use(patch)
    patch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    download_file(FILE, target, DownloadProgress(len(CONTENT), ProgressReporter()))
