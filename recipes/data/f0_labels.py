"""Label recordings with F0: `python -m recipes.data.f0_labels OUT FOLDER …`.

Every recording becomes `OUT/<number>.npz` with its samples at 24 kHz (int16) and its F0 by Harvest
(pyworld), one value per mel frame. Existing files are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.files import atomic_path
from core.progress import ProgressReporter
from recipes.data.segments import F0, HOP_LENGTH, SAMPLE_RATE, Samples, read_audio_folder
from recipes.loop import ProgressPrinter

LOWEST_F0, HIGHEST_F0 = 55.0, 520.0  # Hz


def measure_f0(wave: Samples) -> F0:
    """Return F0 at every mel frame of a wave (n,): (1 + n // 256,) Hz, 0 where unvoiced."""
    import pyworld

    frame_ms = HOP_LENGTH / SAMPLE_RATE * 1000
    samples = wave.astype(np.float64) / 32768
    f0, times = pyworld.harvest(samples, SAMPLE_RATE, LOWEST_F0, HIGHEST_F0, frame_ms)
    f0 = pyworld.stonemask(samples, f0, times, SAMPLE_RATE)
    found = np.zeros(1 + len(wave) // HOP_LENGTH, np.float32)
    length = min(len(found), len(f0))
    found[:length] = f0[:length]
    return np.where((found >= LOWEST_F0) & (found <= HIGHEST_F0), found, 0.0).astype(np.float32)


def write_f0_labels(folder: Path, sources: Sequence[Path], report: ProgressReporter) -> None:
    """Label every recording below the source folders."""
    folder.mkdir(parents=True, exist_ok=True)
    waves = [wave for source in sources for wave in read_audio_folder(source)]
    for number, wave in enumerate(report.track(waves, "F0")):
        path = folder / f"{number:05d}.npz"
        if not path.exists():
            with atomic_path(path) as part, part.open("wb") as handle:
                np.savez(handle, wave=wave, f0=measure_f0(wave))


def read_f0_labels(folder: Path) -> tuple[list[Samples], list[F0]]:
    """Read all recordings of a labelled folder and their F0."""
    found = [np.load(path) for path in sorted(folder.glob("[0-9]*.npz"))]
    if not found:
        raise FileNotFoundError(f"{folder} has no labels; create them with recipes.data.f0_labels")
    return [entry["wave"] for entry in found], [entry["f0"] for entry in found]


def main(arguments: Sequence[str] | None = None) -> None:
    """Label recordings from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.data.f0_labels", description=__doc__)
    cli.add_argument("out", type=Path)
    cli.add_argument("recordings", type=Path, nargs="+", help="folders of recordings")
    parsed = cli.parse_args(arguments)
    write_f0_labels(parsed.out, parsed.recordings, ProgressReporter(ProgressPrinter()))


if __name__ == "__main__":
    main()
