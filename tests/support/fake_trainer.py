"""Stands in for the trainer: writes the events of a run and does what the file `mode` asks.

    python fake_trainer.py RUN --bundle DIR --dataset DIR --publish DIR

mode in the dataset: done (default), wait (until `stop`), deaf, killed, failed, or broken.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

STEPS = 40


def tell(run: Path, kind: str, step: int, **data: object) -> None:
    line = {"kind": kind, "time": time.time(), "step": step, **data}
    with (run / "events.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line) + "\n")


def checkpoint(run: Path, step: int, loss: float) -> None:
    tell(run, "validation", step, stage="gpt", loss=loss, train_loss=3 - step / 20)
    folder = run / "checkpoints" / f"{step:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpt.safetensors").write_bytes(b"numbers")
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / f"{step:06d}.wav").write_bytes(b"RIFF")
    sample = f"samples/{step:06d}.wav"
    tell(run, "sample", step, path=sample, text="Hello.", wer=0.1, similarity=0.7)
    tell(run, "checkpoint", step, path=f"checkpoints/{step:06d}", bytes=7, loss=loss, best=True)
    (run / "state").write_text(str(step))


def main() -> None:
    run, dataset = Path(sys.argv[1]), Path(sys.argv[sys.argv.index("--dataset") + 1])
    modes = dataset / "mode"
    mode = modes.read_text() if modes.is_file() else "done"
    if mode == "broken":
        sys.exit("ImportError: no such library")
    state = run / "state"
    first = int(state.read_text()) if state.is_file() else 0
    tell(run, "begin", first, steps=STEPS, gpt_steps=STEPS, diffusion_steps=0, clips=8,
         validation_clips=2, device="cpu", batch=4, resumed=bool(first))  # fmt: skip
    for step in range(first + 1, STEPS + 1):
        tell(run, "step", step, stage="gpt", loss=4 - step / 20, mel=3.0, text=1.0, rate=1e-4,
             gradient=0.5, seconds=0.01, memory=1_000_000)  # fmt: skip
        if step % 10 == 0:
            checkpoint(run, step, 3 - step / 40)
        if step == 15 and mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 15 and mode == "failed":
            tell(run, "end", step, state="failed", cause="diverged", message="The loss is NaN.")
            return
        while mode == "deaf" and step == 15:
            time.sleep(1)
        while mode == "wait" and step == 15 and not (run / "stop").exists():
            time.sleep(0.01)
        if (run / "stop").exists():
            state.write_text(str(step))
            tell(run, "end", step, state="stopped", cause="asked", message="Stopped.")
            return
    tell(run, "end", STEPS, state="done", cause="", message="Finished.", best_step=STEPS)


if __name__ == "__main__":
    main()
