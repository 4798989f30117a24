"""Seconds from a stop request to a free worker at each stage of a synthesis, with the starter.

python benchmarks/stopping.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from core.paths import ProjectPaths  # noqa: E402
from studio.app.studio import Studio  # noqa: E402
from studio.schemas.settings import Settings  # noqa: E402
from studio.synthesis.request_builder import SpeechRequestInput, build_request  # noqa: E402

STAGES = ("starting", "load", "draft", "latents", "diffusion", "vocode")
TEXT = "A long evening it was, and nobody in the house had thought of the rain before it came."
OPTIONS = {"samples": 16, "iterations": 100, "seed": 1}


def main() -> None:
    """Stop one job at each stage and print the seconds."""
    argparse.ArgumentParser(prog="benchmarks/stopping.py", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = ProjectPaths.from_root(Path(folder))
        paths.models.mkdir()
        (paths.models / "starter").symlink_to(ROOT / "models" / "starter")
        for stage in STAGES:
            studio = Studio(paths, Settings(threads=1))
            try:
                sys.stdout.write(f"{stage:10} {stop_at(stage, studio)}\n")
                sys.stdout.flush()
            finally:
                studio.close()


def stop_at(stage: str, studio: Studio) -> str:
    """Cancel a job at a stage; return how it ended and after how many seconds."""
    speech = SpeechRequestInput(text=TEXT, voice="random", options=OPTIONS)
    job = studio.submit(build_request(studio.settings, speech, studio.layout))
    while (running := studio.job(job.id)).progress.stage != stage:
        if running.is_over:
            return f"never seen: {running.state} {running.failure}"
        time.sleep(0.002)
    requested_at = time.monotonic()
    studio.cancel(job.id)
    stopped = studio.wait(job.id, 30)
    return f"{stopped.state} after {time.monotonic() - requested_at:.2f} s"


if __name__ == "__main__":
    main()
