"""What finetuning does for one person's voice, beside the same model untouched.

    python benchmarks/finetuning.py --speech FOLDER --judge PROGRAM [--set FIELD=VALUE ...]

FOLDER holds clips of one person and `metadata.csv` with what is said in them. Everything is done
with the program's own commands, in a studio of its own under --out: the dataset from the given
transcripts, and once more from what PocketSphinx hears; the proposed configuration; the training.
Then the clips held back and twenty sentences are spoken by the model as it was, from the clips that
were learned from, and by the finetune. The person is recognized by the clips held back alone.
PROGRAM is called as in benchmarks/starter.py. Prints a JSON object for each part.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from training.asr.wer import normalize_to_words, word_error_rate  # noqa: E402
from training.dataset_prep.manifest import read_clip_list, read_dataset  # noqa: E402

SEED = 20_000
SENTENCES = 20
HELD_BACK = 1 / 6  # of the clips: 4 of 24
PERSON, LEARNED, HEARD = "person", "learned", "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where things are.  studio: a folder of its own, made anew."""

    speech: Path
    judge: Path
    sentences: Path
    studio: Path
    bundle: str
    preset: str
    stated: Sequence[str]

    def run(self, *command: str) -> float:
        """Run a command of the program; returns the seconds that it took."""
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "studio", *command],
            check=True,
            cwd=ROOT / "src",
            env={**os.environ, "TESTUDO_ROOT": str(self.studio)},
            stdout=sys.stderr,
        )
        return round(time.perf_counter() - began, 1)


def main() -> None:
    """Read the command line, do everything, print a line for each part."""
    cli = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared"
    cli.add_argument("--speech", type=Path, default=shared / "speech" / "ljspeech")
    cli.add_argument("--judge", type=Path, default=shared / "judge" / "run")
    cli.add_argument("--sentences", type=Path, help="default: sentences.txt beside the judge")
    cli.add_argument("--out", type=Path, default=ROOT / "build" / "finetuning")
    cli.add_argument("--bundle", default="starter")
    cli.add_argument("--preset", default="ultra_fast")
    cli.add_argument("--set", dest="stated", action="append", default=[], metavar="FIELD=VALUE")
    given = cli.parse_args()
    bench = Bench(
        speech=given.speech,
        judge=given.judge,
        sentences=given.sentences or given.judge.parent / "sentences.txt",
        studio=given.out.resolve(),
        bundle=given.bundle,
        preset=given.preset,
        stated=given.stated,
    )
    _furnish(bench)
    _tell("given transcripts", prepare(bench))
    _tell("PocketSphinx", prepare_by_ear(bench))
    _tell("training", train(bench))
    _tell("untouched", judge(bench, bench.bundle, LEARNED))
    _tell("finetuned", judge(bench, "auto", PERSON))


def prepare(bench: Bench) -> dict[str, Any]:
    """Make the dataset of the given transcripts, and lay the clips of both parts ready."""
    took = bench.run("prepare", PERSON, "--validation-share", str(HELD_BACK))
    dataset = read_dataset(bench.studio / "training" / PERSON)
    sources = {
        part: [c.source for c in dataset.clips if c.kept and c.part == part] for part in _PARTS
    }
    for part, folder in _PARTS.items():
        place = bench.studio / folder
        place.mkdir(parents=True)
        for source in sources[part]:
            shutil.copy2(bench.studio / "voices" / PERSON / source, place)
    minutes = sum(clip.seconds for clip in dataset.clips if clip.kept) / 60
    counts = {part: len(of_part) for part, of_part in sources.items()}
    return {"seconds": took, "minutes": round(minutes, 2), **counts}


def prepare_by_ear(bench: Bench) -> dict[str, Any]:
    """Make a dataset of what PocketSphinx hears, and count the words that it gets wrong."""
    took = bench.run("prepare", PERSON, "--name", HEARD, "--transcriber", "pocketsphinx")
    dataset = read_dataset(bench.studio / "training" / HEARD)
    said = _said(bench)
    wrong = words = 0.0
    for source, text in said.items():
        clips = sorted((c for c in dataset.clips if c.source == source), key=lambda c: c.start_s)
        truth = normalize_to_words(text)
        heard = normalize_to_words(" ".join(clip.text for clip in clips))
        wrong += word_error_rate(truth, heard) * len(truth)
        words += len(truth)
    kept = [clip for clip in dataset.clips if clip.kept]
    minutes = sum(clip.seconds for clip in kept) / 60
    return {
        "seconds": took,
        "clips": len(kept),
        "minutes": round(minutes, 2),
        "wer": round(wrong / words, 4),
    }


def train(bench: Bench) -> dict[str, Any]:
    """Train as the program proposes; returns how long it took and what the losses did."""
    stated = [word for setting in bench.stated for word in ("--set", setting)]
    configured = bench.run("configure", PERSON, "--bundle", bench.bundle, *stated)
    took = bench.run("train", PERSON, "--name", PERSON, "--follow")
    diary = bench.studio / "training" / PERSON / "runs" / PERSON / "events.jsonl"
    events = [json.loads(line) for line in diary.read_text("utf-8").splitlines()]
    validations = [event for event in events if event["kind"] == "validation"]
    losses = {
        stage: [
            (event["step"], round(event["loss"], 5))
            for event in validations
            if event["stage"] == stage
        ]
        for stage in sorted({event["stage"] for event in validations})
    }
    end = events[-1]
    return {
        "configure_seconds": configured,
        "seconds": took,
        "state": end.get("state"),
        "best_step": end.get("best_step"),
        "validation": losses,
    }


def judge(bench: Bench, model: str, voice: str) -> dict[str, Any]:
    """Have a model say the held-back clips and the sentences; returns what the judge says."""
    folder = bench.studio / "spoken" / model
    folder.mkdir(parents=True)
    said = _said(bench)
    held = [said[path.name] for path in sorted((bench.studio / "judge" / PERSON).iterdir())]
    lines = [line.strip() for line in bench.sentences.read_text("utf-8").splitlines()]
    spread = [line for line in lines if line][:: max(1, len(lines) // SENTENCES)][:SENTENCES]
    texts = {"held back": held, "sentences": spread}
    rows = [(t, voice, SEED + n) for n, t in enumerate([*held, *spread])]
    _write(folder / "lines.csv", ("text", "voice", "seed"), rows)
    took = bench.run(
        *("speak", "--lines", str(folder / "lines.csv"), "--quiet", "--out-dir", str(folder)),
        *("--preset", bench.preset, "--bundle", model),
    )
    spoken = sorted(folder.glob("*.wav"))
    figures: dict[str, Any] = {"seconds": took}
    for part, of_part in texts.items():
        waves, spoken = spoken[: len(of_part)], spoken[len(of_part) :]
        items = folder / f"{part.replace(' ', '-')}.csv"
        rows_of_part = [(w.name, t, PERSON) for w, t in zip(waves, of_part, strict=True)]
        _write(items, ("wav", "text", "voice"), rows_of_part)
        figures[part] = _judged(bench, items)
    return figures


_PARTS: Mapping[str, str] = {"train": f"voices/{LEARNED}", "validation": f"judge/{PERSON}"}
"""Where the clips of each part lie for speaking and for judging."""


def _furnish(bench: Bench) -> None:
    if bench.studio.exists():
        shutil.rmtree(bench.studio)
    (bench.studio / "models").mkdir(parents=True)
    (bench.studio / "models" / bench.bundle).symlink_to(ROOT / "models" / bench.bundle)
    person = bench.studio / "voices" / PERSON
    person.mkdir(parents=True)
    for path in bench.speech.rglob("*"):
        if path.is_file():
            shutil.copy2(path, person)
    for voice in sorted((ROOT / "voices").iterdir()):
        if voice.is_dir():
            shutil.copytree(voice, bench.studio / "judge" / voice.name)


def _said(bench: Bench) -> dict[str, str]:
    """Return what is said in each clip, by the name of its file."""
    files = {path.stem: path.name for path in (bench.studio / "voices" / PERSON).iterdir()}
    return {
        files[Path(clip).stem]: text for clip, text in read_clip_list(bench.speech / "metadata.csv")
    }


def _judged(bench: Bench, items: Path) -> dict[str, Any]:
    command = [str(bench.judge), str(items), "--voices", str(bench.studio / "judge")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows])


def _tell(part: str, figures: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps({"part": part, **figures}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
