"""The real studio in a folder of its own: started, killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError

from support.tiny_bundle import make_tiny_bundle

REPOSITORY = Path(__file__).resolve().parents[2]
VOICES = ("clara", "felix")
QUICK: Mapping[str, int | bool] = {"samples": 4, "iterations": 4, "cond_free": False}
CONFLICT = 409
START_S = 240.0  # until the page is there: three seconds, or a hundred where many tests run at once

Found = TypeVar("Found")


def until(
    look: Callable[[], Found | None], *, within_s: float, what: str, every_s: float = 0.05
) -> Found:
    """Return what `look` finds as soon as it finds something; fail saying what never came."""
    last = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > last:
            raise AssertionError(f"within {within_s:g} s there was no {what}")
        time.sleep(every_s)


def make_root(root: Path, advice: Mapping[str, int | bool] = QUICK) -> Path:
    """A studio's folder: two real voices, and a bundle of noise under the shipped one's name."""
    for voice in VOICES:
        shutil.copytree(REPOSITORY / "voices" / voice, root / "voices" / voice)
    bundle = make_tiny_bundle(root / "models" / "starter")
    (root / "settings.yaml").write_text(f"threads: 1\noptions: {json.dumps(dict(advice))}\n")
    config = bundle / "config.json"
    described = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**described, "advice": dict(advice)}), encoding="utf-8")
    return root


def free_port() -> int:
    """A port that nobody listens at right now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@dataclass
class StudioProcess:
    """`python app.py` over one folder; it may be ended and started again at the same port."""

    root: Path
    arguments: tuple[str, ...] = ()
    everywhere: bool = False
    path: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    start_s: float = 0.0

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}{self.path}/"

    @property
    def log(self) -> str:
        """All that the server printed."""
        return (self.root / "server.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> StudioProcess:
        """Start the server and wait until the page is there."""
        begin = time.monotonic()
        host = "0.0.0.0" if self.everywhere else "127.0.0.1"
        listen = ("--listen", f"{host}:{self.port}{self.path}")
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", *listen, "--no-browser", *self.arguments],
                cwd=REPOSITORY,
                env={**os.environ, "TESTUDO_ROOT": str(self.root), "OMP_NUM_THREADS": "2"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._answers, within_s=START_S, what=f"page at {self.url}")
        self.start_s = time.monotonic() - begin
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log}")
        return self.status("/") in (200, 401)  # there, or there for those who log in

    def status(self, path: str, headers: Mapping[str, str] | None = None) -> int | None:
        """The status of a GET, None where nobody answers."""
        asked = urllib.request.Request(self.url[:-1] + path, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return int(answer.status)
        except HTTPError as refusal:
            return refusal.code
        except (URLError, OSError):
            return None

    def get(self, path: str, patience_s: float = 10) -> Any:
        """The JSON at a path below the page's own."""
        with urllib.request.urlopen(self.url + path, timeout=patience_s) as answer:
            return json.load(answer)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return list(self.get("api/jobs")["jobs"])

    def job(self, id: str) -> dict[str, Any]:
        """One job."""
        return dict(self.get(f"api/jobs/{id}"))

    def stop(self, id: str) -> None:
        """Stop a job; one that is over already is left alone."""
        asked = urllib.request.Request(f"{self.url}api/jobs/{id}", method="DELETE")
        try:
            urllib.request.urlopen(asked, timeout=10).close()
        except HTTPError as refusal:
            if refusal.code != CONFLICT:
                raise

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the server alone, and wait until it is gone."""
        assert self.process is not None
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()

    def close(self) -> None:
        """End the server and whatever it started."""
        if self.process is None:
            return
        group = self.process.pid
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)

    def worker(self) -> int | None:
        """The id of the process that speaks, None while there is none."""
        assert self.process is not None
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_bytes()
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and command.split(b"\0")[1:2] == [b"-c"]:
                return int(stat.parent.name)
        return None


def is_alive(process: int) -> bool:
    """Whether a process of this id still runs."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
