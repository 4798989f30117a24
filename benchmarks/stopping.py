"""How long Stop takes at each stage, with the shipped weights: from the wish to a free worker.

python benchmarks/stopping.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from core.paths import ProjectPaths
from studio.app.studio import Studio
from studio.schemas.settings import Settings
from studio.synthesis.request_builder import SpeechRequestInput, build_request

REPOSITORY = Path(__file__).resolve().parents[1]
STAGES = ("starting", "load", "draft", "latents", "diffusion", "vocode")
TEXT = "A long evening it was, and nobody in the house had thought of the rain before it came."
TURNED = {"samples": 16, "iterations": 100, "seed": 1}


def main() -> None:
    """Stop one job at each stage, and say how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        layout = ProjectPaths.from_root(Path(folder))
        layout.models.mkdir()
        (layout.models / "starter").symlink_to(REPOSITORY / "models" / "starter")
        for stage in STAGES:
            studio = Studio(layout, Settings(threads=1))
            try:
                sys.stdout.write(f"{stage:10} {stop_at(stage, studio)}\n")
                sys.stdout.flush()
            finally:
                studio.close()


def stop_at(stage: str, studio: Studio) -> str:
    """Speak until the stage is there, stop, and tell the seconds until the worker was free."""
    wish = SpeechRequestInput(text=TEXT, voice="random", options=TURNED)
    job = studio.submit(build_request(studio.settings, wish, studio.layout))
    while (held := studio.job(job.id)).progress.stage != stage:
        if held.is_over:
            return f"never seen: {held.state} {held.failure}"
        time.sleep(0.002)
    asked = time.monotonic()
    studio.cancel(job.id)
    stopped = studio.wait(job.id, 30)
    return f"{stopped.state} after {time.monotonic() - asked:.2f} s"


if __name__ == "__main__":
    main()
