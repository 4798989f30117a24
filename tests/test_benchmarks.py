"""Each benchmark starts as its docstring says: as a plain program, without PYTHONPATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = [
    path.name
    for path in sorted((ROOT / "benchmarks").glob("*.py"))
    if '__name__ == "__main__"' in path.read_text("utf-8")
]
# Starts every program as `python benchmarks/NAME --help` does, in a process of its own, and writes
# its exit status and output. They share one import of torch, which takes longer than all the rest.
START_ALL = """
import json, os, runpy, sys, tempfile
import torch
found = {}
sys.path[0] = "benchmarks"
for name in sys.argv[1:]:
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.argv = [f"benchmarks/{name}", "--help"]
            runpy.run_path(sys.argv[0], run_name="__main__")
            os._exit(3)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        found[name] = (status, output.read())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def started() -> dict[str, tuple[int, str]]:
    """Exit status and output of each program."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", START_ALL, *PROGRAMS],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    return {name: (status, text) for name, (status, text) in json.loads(done.stdout).items()}


def test_there_are_benchmarks() -> None:
    assert {"speed.py", "starter.py", "stopping.py"} <= set(PROGRAMS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the programs are started by fork")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_starts_and_tells_its_options(
    name: str, started: dict[str, tuple[int, str]]
) -> None:
    status, output = started[name]
    assert status == 0, output[-2_000:]
    assert output.startswith("usage: ") and name in output.splitlines()[0]
