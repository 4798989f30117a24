"""Build the starter bundle from nothing, stage by stage.

    python -m training.starter all --work FOLDER

Every stage keeps its state in the work folder and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from jobs.report import Event, Reporter
from training.corpus.reader import Row, read_index, split_held_out
from training.features import Features, write_features
from training.recipe_dvae import DvaeRecipe, train_dvae


def learned_rows(work: Path) -> list[Row]:
    """The clips that networks learn from; the others are for judging."""
    return split_held_out(read_index(work / "corpus"))[0]


def make_features(work: Path, report: Reporter) -> None:
    """Mels of both kinds for every clip, and what each band is divided by."""
    rows = read_index(work / "corpus")
    processes = os.cpu_count() or 1
    write_features(work / "corpus", rows, "gpt", processes, report)
    if not (work / "mel_stats.safetensors").exists():
        features = Features(work / "corpus", rows[:2000], "gpt")
        frames = torch.cat([features[i] for i in range(0, len(features), 4)])  # (f, 80)
        # negative like the published ones: a loud band comes out small, silence large
        norms = -frames.square().mean(0).sqrt()
        save_file({"mel_norms": norms}, work / "mel_stats.safetensors")


def mel_norms(work: Path) -> Tensor:
    """What each band of the 22.05 kHz mel is divided by: (80,)."""
    return load_file(work / "mel_stats.safetensors")["mel_norms"]


def make_dvae(work: Path, report: Reporter) -> None:
    """The code book."""
    rows = learned_rows(work)
    features = Features(work / "corpus", rows, "gpt")
    train_dvae(DvaeRecipe(), features, mel_norms(work), work / "dvae", report)


STAGES: dict[str, Callable[[Path, Reporter], None]] = {
    "features": make_features,
    "dvae": make_dvae,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run the stages asked for."""
    cli = argparse.ArgumentParser(prog="training.starter", description=__doc__)
    cli.add_argument("stage", choices=[*STAGES, "all"])
    cli.add_argument("--work", type=Path, required=True, help="folder of corpus and states")
    cli.add_argument("--threads", type=int, default=os.cpu_count())
    given = cli.parse_args(arguments)
    torch.set_num_threads(given.threads)
    for name in STAGES if given.stage == "all" else [given.stage]:
        STAGES[name](given.work, Reporter(_Teller()))


class _Teller:
    """One line on standard error, renewed at most once a second."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, event: Event) -> None:
        if time.monotonic() - self._told >= 1.0:
            self._told = time.monotonic()
            sys.stderr.write(f"\r{event.stage} {event.done}/{event.total} {event.message}")


if __name__ == "__main__":
    main()
