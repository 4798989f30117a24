"""Several processes learn what one learns, and only the first of them writes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.finetune_helpers import Case, make_case
from training.finetuning.distributed import DistributedContext

SRC = Path(__file__).resolve().parents[3] / "src"


def test_rows_are_dealt_so_that_each_process_has_short_and_long_ones() -> None:
    dealt = [
        DistributedContext(rank=n, world_size=3, device=torch.device("cpu")).get_local_indices(7)
        for n in range(3)
    ]
    assert dealt == [[0, 3, 6], [1, 4], [2, 5]]


def test_alone_nothing_is_added_and_nobody_is_asked() -> None:
    alone = DistributedContext(device=torch.device("cpu"))
    value = torch.ones(2)
    alone.all_reduce_sum([value])
    assert alone.is_main_process and torch.equal(value, torch.ones(2))
    assert alone.any_process(True) and not alone.any_process(False)


def start(case: Case) -> subprocess.CompletedProcess[str]:
    places = case.places
    command = [sys.executable, "-m", "training.finetuning.trainer", str(case.run)]
    command += ["--bundle", str(places.bundle), "--dataset", str(places.dataset)]
    command += ["--publish", str(places.publish)]
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="gloo as on posix")
def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    one, two = make_case(tmp_path, "one"), make_case(tmp_path, "two")
    for case, processes in ((one, 1), (two, 2)):
        case.write(
            optimizer={"batch": 4},
            machine={"processes": processes},
            samples={"text": ""},
        )
    one.train()
    finished = start(two)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert two.events("begin")[0]["processes"] == 2 and len(two.events("begin")) == 1
    assert two.events("end")[0]["state"] == "done"
    assert two.curve().keys() == one.curve().keys()
    assert two.curve() == pytest.approx(one.curve(), rel=2e-4)
    judged = [[e["loss"] for e in case.events("validation")] for case in (one, two)]
    assert judged[1] == pytest.approx(judged[0], rel=2e-4)
    assert two.places.publish is not None and two.places.publish.is_dir()
