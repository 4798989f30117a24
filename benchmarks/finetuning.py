"""Finetune on one person's voice, and compare the result with the base model.

    python benchmarks/finetuning.py --speech FOLDER --judge PROGRAM [--set FIELD=VALUE ...]

FOLDER holds clips of one person and `metadata.csv` with their transcripts. All steps are commands
of the program, in a new studio under --out: preparing the dataset with the given transcripts, and
again with PocketSphinx; the proposed configuration; the training. Then the held-out texts and
twenty sentences are synthesized with the base model, from the training clips, and with the
finetune. The judge compares the voice with the held-out clips. PROGRAM is called as in
benchmarks/starter.py. Prints a JSON object for each part.
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
PERSON, TRAIN_VOICE, POCKETSPHINX_DATASET = "person", "learned", "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneBenchmark:
    """Paths and options.  studio: a folder that is created for the benchmark."""

    speech: Path
    judge: Path
    sentences: Path
    studio: Path
    bundle: str
    preset: str
    stated: Sequence[str]

    def run(self, *command: str) -> float:
        """Run a command of the program; return its seconds."""
        started_at = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "cli", *command],
            check=True,
            cwd=ROOT / "src",
            env={**os.environ, "TESTUDO_ROOT": str(self.studio)},
            stdout=sys.stderr,
        )
        return round(time.perf_counter() - started_at, 1)


def main() -> None:
    """Run all parts; print a JSON line for each."""
    cli = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared"
    cli.add_argument("--speech", type=Path, default=shared / "speech" / "ljspeech")
    cli.add_argument("--judge", type=Path, default=shared / "judge" / "run")
    cli.add_argument("--sentences", type=Path, help="default: sentences.txt beside the judge")
    cli.add_argument("--out", type=Path, default=ROOT / "build" / "finetuning")
    cli.add_argument("--bundle", default="starter")
    cli.add_argument("--preset", default="ultra_fast")
    cli.add_argument("--set", dest="stated", action="append", default=[], metavar="FIELD=VALUE")
    parsed = cli.parse_args()
    benchmark = FinetuneBenchmark(
        speech=parsed.speech,
        judge=parsed.judge,
        sentences=parsed.sentences or parsed.judge.parent / "sentences.txt",
        studio=parsed.out.resolve(),
        bundle=parsed.bundle,
        preset=parsed.preset,
        stated=parsed.stated,
    )
    _create_studio(benchmark)
    _print_metrics("given transcripts", prepare(benchmark))
    _print_metrics("PocketSphinx", prepare_with_pocketsphinx(benchmark))
    _print_metrics("training", train(benchmark))
    _print_metrics("untouched", judge(benchmark, benchmark.bundle, TRAIN_VOICE))
    _print_metrics("finetuned", judge(benchmark, "auto", PERSON))


def prepare(benchmark: FinetuneBenchmark) -> dict[str, Any]:
    """Prepare the dataset with the given transcripts; copy the clips of each split."""
    elapsed_s = benchmark.run("prepare", PERSON, "--validation-share", str(HELD_BACK))
    dataset = read_dataset(benchmark.studio / "training" / PERSON)
    sources = {
        part: [c.source for c in dataset.clips if c.kept and c.part == part] for part in _PARTS
    }
    for part, folder in _PARTS.items():
        place = benchmark.studio / folder
        place.mkdir(parents=True)
        for source in sources[part]:
            shutil.copy2(benchmark.studio / "voices" / PERSON / source, place)
    minutes = sum(clip.seconds for clip in dataset.clips if clip.kept) / 60
    counts = {part: len(of_part) for part, of_part in sources.items()}
    return {"seconds": elapsed_s, "minutes": round(minutes, 2), **counts}


def prepare_with_pocketsphinx(benchmark: FinetuneBenchmark) -> dict[str, Any]:
    """Prepare a dataset with PocketSphinx; return its word error rate."""
    elapsed_s = benchmark.run(
        "prepare", PERSON, "--name", POCKETSPHINX_DATASET, "--transcriber", "pocketsphinx"
    )
    dataset = read_dataset(benchmark.studio / "training" / POCKETSPHINX_DATASET)
    transcripts = _read_transcripts(benchmark)
    wrong = words = 0.0
    for source, text in transcripts.items():
        clips = sorted((c for c in dataset.clips if c.source == source), key=lambda c: c.start_s)
        truth = normalize_to_words(text)
        recognised = normalize_to_words(" ".join(clip.text for clip in clips))
        wrong += word_error_rate(truth, recognised) * len(truth)
        words += len(truth)
    kept = [clip for clip in dataset.clips if clip.kept]
    minutes = sum(clip.seconds for clip in kept) / 60
    return {
        "seconds": elapsed_s,
        "clips": len(kept),
        "minutes": round(minutes, 2),
        "wer": round(wrong / words, 4),
    }


def train(benchmark: FinetuneBenchmark) -> dict[str, Any]:
    """Train as the program proposes; return the seconds and the losses."""
    stated = [word for setting in benchmark.stated for word in ("--set", setting)]
    configured = benchmark.run("configure", PERSON, "--bundle", benchmark.bundle, *stated)
    elapsed_s = benchmark.run("train", PERSON, "--name", PERSON, "--follow")
    event_log = benchmark.studio / "training" / PERSON / "runs" / PERSON / "events.jsonl"
    events = [json.loads(line) for line in event_log.read_text("utf-8").splitlines()]
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
        "seconds": elapsed_s,
        "state": end.get("state"),
        "best_step": end.get("best_step"),
        "validation": losses,
    }


def judge(benchmark: FinetuneBenchmark, model: str, voice: str) -> dict[str, Any]:
    """Synthesize the held-out texts and the sentences with a model; return the judge's scores."""
    folder = benchmark.studio / "spoken" / model
    folder.mkdir(parents=True)
    transcripts = _read_transcripts(benchmark)
    held_out = [
        transcripts[path.name] for path in sorted((benchmark.studio / "judge" / PERSON).iterdir())
    ]
    lines = [line.strip() for line in benchmark.sentences.read_text("utf-8").splitlines()]
    spread = [line for line in lines if line][:: max(1, len(lines) // SENTENCES)][:SENTENCES]
    texts = {"held back": held_out, "sentences": spread}
    rows = [(t, voice, SEED + n) for n, t in enumerate([*held_out, *spread])]
    _write(folder / "lines.csv", ("text", "voice", "seed"), rows)
    elapsed_s = benchmark.run(
        *("speak", "--lines", str(folder / "lines.csv"), "--quiet", "--out-dir", str(folder)),
        *("--preset", benchmark.preset, "--bundle", model),
    )
    synthesized = sorted(folder.glob("*.wav"))
    figures: dict[str, Any] = {"seconds": elapsed_s}
    for part, of_part in texts.items():
        waves, synthesized = synthesized[: len(of_part)], synthesized[len(of_part) :]
        items = folder / f"{part.replace(' ', '-')}.csv"
        rows_of_part = [(w.name, t, PERSON) for w, t in zip(waves, of_part, strict=True)]
        _write(items, ("wav", "text", "voice"), rows_of_part)
        figures[part] = _run_judge(benchmark, items)
    return figures


_PARTS: Mapping[str, str] = {"train": f"voices/{TRAIN_VOICE}", "validation": f"judge/{PERSON}"}
"""Split of the dataset -> folder of its clips."""


def _create_studio(benchmark: FinetuneBenchmark) -> None:
    if benchmark.studio.exists():
        shutil.rmtree(benchmark.studio)
    (benchmark.studio / "models").mkdir(parents=True)
    (benchmark.studio / "models" / benchmark.bundle).symlink_to(ROOT / "models" / benchmark.bundle)
    person = benchmark.studio / "voices" / PERSON
    person.mkdir(parents=True)
    for path in benchmark.speech.rglob("*"):
        if path.is_file():
            shutil.copy2(path, person)
    for voice in sorted((ROOT / "voices").iterdir()):
        if voice.is_dir():
            shutil.copytree(voice, benchmark.studio / "judge" / voice.name)


def _read_transcripts(benchmark: FinetuneBenchmark) -> dict[str, str]:
    """Return the transcripts by file name."""
    files = {path.stem: path.name for path in (benchmark.studio / "voices" / PERSON).iterdir()}
    return {
        files[Path(clip).stem]: text
        for clip, text in read_clip_list(benchmark.speech / "metadata.csv")
    }


def _run_judge(benchmark: FinetuneBenchmark, items: Path) -> dict[str, Any]:
    command = [str(benchmark.judge), str(items), "--voices", str(benchmark.studio / "judge")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows])


def _print_metrics(part: str, figures: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps({"part": part, **figures}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
