"""Each benchmark starts as its docstring says: as a plain program, without PYTHONPATH."""

from __future__ import annotations

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


def test_there_are_benchmarks() -> None:
    assert {"speed.py", "starter.py", "stopping.py"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_starts_and_tells_its_options(name: str) -> None:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, f"benchmarks/{name}", "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.startswith("usage: ") and name in done.stdout.splitlines()[0]
