"""A finetuning that is killed again and again ends bit for bit like one that was not."""

from __future__ import annotations

import random
from pathlib import Path

from campaigns.figures import Figures
from campaigns.processes import measure_seconds, run_until_killed
from support.finetune_helpers import Case, fingerprint, make_case
from training.finetuning import train_loop


def kill_runs(folder: Path, kills: int) -> Figures:
    """Kill runs at random moments until there were so many kills; finish each and compare."""
    whole = make_case(folder, "whole")
    duration_s = measure_seconds(_train, whole, False)
    chance, done, run, lost = random.Random("training"), 0, 0, 0
    while done < kills:
        run += 1
        case = make_case(folder, f"killed-{run}")
        for saves_always in (True, False, True):  # at each step, or every few minutes
            delay_s = chance.uniform(0.0, duration_s)
            done += run_until_killed(_train, (case, saves_always), delay_s) is None
        run_until_killed(_train, (case, False), None)
        lost += fingerprint(case.run) != fingerprint(whole.run) or case.curve() != whole.curve()
    left = [path for path in folder.rglob("*.part*") if path.is_file()]
    return Figures(kills=done, lost=lost, half_written=len(left))


def _train(case: Case, saves_always: bool) -> None:
    train_loop.SAVE_INTERVAL_S = 0.0 if saves_always else 120.0
    assert case.train().state == "done"
