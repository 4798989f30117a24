"""How clearly a bundle speaks, and in the right voice.

    python benchmarks/starter.py --judge PROGRAM [--bundle NAME]

Any bundle can be judged. PROGRAM is called with a CSV (wav,text,voice) and `--voices FOLDER`, and
prints a JSON object with `wer`, `similarity` and `identified` last.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from speech.files import write_clip  # noqa: E402
from training.corpus.shipped import say  # noqa: E402
from training.corpus.speakers import SHIPPED  # noqa: E402

SEED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where things are."""

    judge: Path
    sentences: Path
    out: Path
    bundle: str
    voices: Path = ROOT / "voices"

    def lines(self) -> list[tuple[str, str]]:
        """(text, voice): the sentences spread over the shipped voices."""
        texts = [line.strip() for line in self.sentences.read_text("utf-8").splitlines()]
        names = [speaker.name for speaker in SHIPPED]
        spoken = [text for text in texts if text]
        return [(text, names[number % len(names)]) for number, text in enumerate(spoken)]


def ceiling(bench: Bench) -> dict[str, Any]:
    """The corpus voices themselves say the sentences."""
    folder = bench.out / "ceiling"
    folder.mkdir(parents=True, exist_ok=True)
    speakers = {speaker.name: speaker for speaker in SHIPPED}
    rows = []
    for number, (text, voice) in enumerate(bench.lines()):
        path = folder / f"{number:03d}.wav"
        write_clip(path, say(speakers[voice], text))
        rows.append((path.name, text, voice))
    _write_rows(folder / "items.csv", ("wav", "text", "voice"), rows)
    return _judged(bench, folder)


def spoken(bench: Bench, preset: str) -> dict[str, Any]:
    """The bundle says the sentences in one process; also how long it took for each second."""
    folder = bench.out / preset
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "lines.csv"
    rows = [(text, voice, SEED + number) for number, (text, voice) in enumerate(bench.lines())]
    _write_rows(table, ("text", "voice", "seed"), rows)
    command = [sys.executable, "-m", "studio", "speak", "--lines", str(table), "--quiet"]
    command += ["--out-dir", str(folder), "--preset", preset, "--bundle", bench.bundle]
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT / "src", stdout=subprocess.DEVNULL)
    took = time.perf_counter() - began
    seconds = sum(soundfile.info(path).duration for path in _wavs(folder))
    return _judged(bench, folder) | {"time_per_second": round(took / max(seconds, 1e-3), 2)}


def _wavs(folder: Path) -> list[Path]:
    with (folder / "items.csv").open(newline="", encoding="utf-8") as handle:
        return [folder / row["wav"] for row in csv.DictReader(handle)]


def _judged(bench: Bench, folder: Path) -> dict[str, Any]:
    command = [str(bench.judge), str(folder / "items.csv"), "--voices", str(bench.voices)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (folder / "judged.txt").write_text(done.stdout, "utf-8")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def _write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Read the command line, judge, print a line for each part."""
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--judge", type=Path, default=ROOT.parent / "shared" / "judge" / "run")
    cli.add_argument("--sentences", type=Path, help="default: sentences.txt beside the judge")
    cli.add_argument("--out", type=Path, default=ROOT / "build" / "starter")
    cli.add_argument("--bundle", default="starter")
    cli.add_argument("parts", nargs="*", help="ceiling, ultra_fast, fast, … (default: all three)")
    given = cli.parse_args()
    sentences = given.sentences or given.judge.parent / "sentences.txt"
    bench = Bench(judge=given.judge, sentences=sentences, out=given.out, bundle=given.bundle)
    for part in given.parts or ("ceiling", "ultra_fast", "fast"):
        figures = ceiling(bench) if part == "ceiling" else spoken(bench, part)
        sys.stdout.write(json.dumps({"part": part, **figures}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
