"""Word error rate, speaker similarity and speed of a model, with the targets of the starter.

    python benchmarks/starter.py --judge PROGRAM [--bundle NAME] [--people FOLDER]
        [--precision VALUE] [--rounds N] [PART ...]

PROGRAM is called with a CSV (wav,text,voice) and `--voices FOLDER`; it prints a line for each clip,
then a JSON object with `wer`, `similarity` and `identified`. All clips are synthesized by the
program's own commands with fixed seeds. Prints a JSON object for each part, then a table.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from audio.clip import Clip  # noqa: E402
from audio.io import read_clip, write_clip  # noqa: E402
from audio.mel import VOCODER_MEL, resample, vocoder_mel  # noqa: E402
from core.progress import ProgressReporter  # noqa: E402
from recipes.corpus.sample_voices import (  # noqa: E402
    READERS,
    SAMPLE_SENTENCES,
    TEACHER_VOICES,
    speak_as,
)
from recipes.corpus.speakers import SyntheticSpeaker, synthesize_clip  # noqa: E402
from text.normalization.pipeline import normalize_text  # noqa: E402
from tortoise.checkpoints.loading import load_model, load_network  # noqa: E402
from tortoise.generation.vocoding import GRIFFIN_LIM, choose_vocoder, vocode  # noqa: E402
from training.asr.base import SAMPLE_RATE, TranscriberConfig  # noqa: E402
from training.asr.selection import load_transcriber  # noqa: E402
from training.asr.wer import normalize_to_words, word_error_rate  # noqa: E402

SEED = 20_000
HERE = Path(__file__).parent / "lines"
REFERENCE_CLIPS = 3  # about ten seconds
LENGTHS = (0.6, 1.7)  # times the duration of the source voice
RANKED_LINES, RANKED_CANDIDATES = 20, 16
Line = tuple[str, str, str]  # text, expected words, voice
Metrics = dict[str, Any]

UNSEEN_SPEAKERS = (
    SyntheticSpeaker(name="slt_high", voice="slt", tract=1.13, pitch=1.32),
    SyntheticSpeaker(name="slt_broad", voice="slt", tract=0.93, pitch=1.12, pace=1.1),
    SyntheticSpeaker(name="rms_small", voice="rms", tract=1.22, pitch=1.5),
    SyntheticSpeaker(name="rms_deep", voice="rms", tract=0.86, pitch=0.72),
    SyntheticSpeaker(name="awb_flat", voice="awb", tract=0.94, pitch=0.8, pace=0.92),
    SyntheticSpeaker(name="espeak", synthesizer="espeak-ng", voice="en-us"),
    SyntheticSpeaker(name="espeak_f2", synthesizer="espeak-ng", voice="en-us+f2"),
    SyntheticSpeaker(name="espeak_f5", synthesizer="espeak-ng", voice="en-us+f5"),
    SyntheticSpeaker(name="espeak_m3", synthesizer="espeak-ng", voice="en-us+m3"),
    SyntheticSpeaker(name="espeak_m7", synthesizer="espeak-ng", voice="en-gb+m7", tract=0.93),
)
"""Voices that are not in the corpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterBenchmark:
    """Paths and options.

    people: has a folder for each real person; rounds: times that a sentence is spoken, each time by
    another voice (presets, new voices and people).
    """

    judge: Path
    out: Path
    bundle: str
    people: Path | None
    voices: Path = ROOT / "voices"
    precision: str = "exact"
    rounds: int = 1

    def sentences(self) -> list[str]:
        """Read the judge's sentences, which are not in the corpus."""
        text = (self.judge.parent / "sentences.txt").read_text("utf-8")
        return [line.strip() for line in text.splitlines() if line.strip()]


def over_voices(texts: Sequence[str], voices: Sequence[str], rounds: int = 1) -> list[Line]:
    """Assign texts to voices in turn, in each round to the next voice."""
    return [
        (text, text, voices[(n + shift) % len(voices)])
        for shift in range(rounds)
        for n, text in enumerate(texts)
    ]


def ceiling(benchmark: StarterBenchmark) -> Metrics:
    """Score the source voices, as an upper bound."""
    return run_judge(
        benchmark,
        synthesize_sources(
            benchmark, "ceiling", over_voices(benchmark.sentences(), list(TEACHER_VOICES))
        ),
    )


def preset(benchmark: StarterBenchmark, name: str) -> Metrics:
    """Score a preset."""
    lines = over_voices(benchmark.sentences(), SPEAKER_NAMES, benchmark.rounds)
    return synthesize_and_judge(benchmark, name, lines, preset=name)


def long(benchmark: StarterBenchmark) -> Metrics:
    """Score lines of 25 to 40 words, which the program splits."""
    lines = (HERE / "long.txt").read_text("utf-8").splitlines()
    return synthesize_and_judge(benchmark, "long", over_voices(lines, SPEAKER_NAMES))


def hard(benchmark: StarterBenchmark) -> Metrics:
    """Score numbers, dates, abbreviations and names by the best installed speech recognizer.

    What it writes is spelled out as the program spells out texts: the judge fails for some numbers,
    and counts a year as it is read as wrong.
    """
    rows = read_rows(HERE / "hard.csv")
    lines = [
        (row["text"], row["words"], SPEAKER_NAMES[n % len(SPEAKER_NAMES)])
        for n, row in enumerate(rows)
    ]
    folder = synthesize(benchmark, "hard", lines)
    wanted = TranscriberConfig(language="en", device="cpu", repeatable=True)
    transcriber = load_transcriber(wanted, ROOT / "models" / "whisper", ProgressReporter())
    wrong = words = 0.0
    for item, row in zip(read_rows(folder / "items.csv"), rows, strict=True):
        wave = read_clip(folder / item["wav"]).resample(SAMPLE_RATE).wave
        heard = transcriber.transcribe(wave, ProgressReporter()).text
        expected, found = (normalize_to_words(normalize_text(t)) for t in (row["text"], heard))
        wrong += word_error_rate(expected, found) * len(expected)
        words += len(expected)
    return {"wer": round(wrong / words, 4), "transcriber": transcriber.name}


def lengths(benchmark: StarterBenchmark) -> Metrics:
    """Compare the durations of a hundred clips with those of the source voices."""
    texts = benchmark.sentences()
    names = list(TEACHER_VOICES)
    lines = [(text, text, names[(n + n // len(texts)) % len(names)])
             for n, text in enumerate((texts * 3)[:100])]  # fmt: skip
    cloned = synthesize(benchmark, "lengths", lines)
    source = synthesize_sources(benchmark, "lengths_source", lines)
    ratios = [one / other for one, other in zip(seconds(cloned), seconds(source), strict=True)]
    fair = [LENGTHS[0] <= ratio <= LENGTHS[1] for ratio in ratios]
    return {
        "clips": len(ratios),
        "fair": round(sum(fair) / len(fair), 4),
        "shortest": round(min(ratios), 2),
        "longest": round(max(ratios), 2),
    }


def new_voices(benchmark: StarterBenchmark) -> Metrics:
    """Score ten unseen synthetic speakers with ten seconds of each."""
    voices = benchmark.out / "new_voices" / "voices"
    for speaker in UNSEEN_SPEAKERS:
        (voices / speaker.name).mkdir(parents=True, exist_ok=True)
        for number, line in enumerate(SAMPLE_SENTENCES[:REFERENCE_CLIPS]):
            write_clip(voices / speaker.name / f"{number}.flac", synthesize_clip(speaker, line))
    names = [speaker.name for speaker in UNSEEN_SPEAKERS]
    lines = over_voices(benchmark.sentences(), names, benchmark.rounds)
    return synthesize_and_judge(benchmark, "new_voices", lines, voices=voices)


def people(benchmark: StarterBenchmark) -> Metrics:
    """Score the voices of real people."""
    if benchmark.people is None:
        raise SystemExit("starter: people needs --people FOLDER, a folder of clips for each person")
    names = sorted(folder.name for folder in benchmark.people.iterdir() if folder.is_dir())
    lines = over_voices((benchmark.sentences() * 2)[:42], names, benchmark.rounds)
    return synthesize_and_judge(benchmark, "people", lines, voices=benchmark.people)


def ranking(benchmark: StarterBenchmark) -> Metrics:
    """Score the ranking: 0 as a random candidate, 1 as the best of sixteen."""
    lines = over_voices(benchmark.sentences()[:RANKED_LINES], SPEAKER_NAMES)
    folder = synthesize(benchmark, "ranking", lines, flags=("--candidates", str(RANKED_CANDIDATES)))
    rows = read_rows(folder / "items.csv")
    items, counts = [], []
    for row in rows:
        takes = list_candidates(folder / row["wav"])
        counts.append(len(takes))
        items += [(take.name, row["text"], row["voice"]) for take in takes]
    write_rows(folder / "items.csv", ("wav", "text", "voice"), items)
    run_judge(benchmark, folder)
    errors = iter(read_word_error_rates(folder))
    picks, means, bests, words = 0.0, 0.0, 0.0, 0
    for row, count in zip(rows, counts, strict=True):
        length = len(row["text"].split())
        found = [next(errors) * length for _ in range(count)]
        picks, words = picks + found[0], words + length
        means, bests = means + sum(found) / count, bests + min(found)
    closed = (means - picks) / max(means - bests, 1e-9)
    metrics = {"picked": picks / words, "random": means / words, "best": bests / words}
    rounded = {name: round(value, 4) for name, value in metrics.items()}
    return {"lines": len(rows), **rounded, "closed": round(closed, 4)}


def copies(benchmark: StarterBenchmark) -> Metrics:
    """Score the model's recommended vocoder on mels of the source voices."""
    source = synthesize_sources(
        benchmark, "recordings", over_voices(benchmark.sentences(), SPEAKER_NAMES)
    )
    folder = empty_folder(benchmark.out / "copies")
    bundle = ROOT / "models" / benchmark.bundle
    config = load_model(bundle).config
    advised = str(config.advice.get("vocoder", "auto"))
    chosen = choose_vocoder(advised, config.networks)
    network = None if chosen == GRIFFIN_LIM else load_network(bundle, chosen).float().eval()
    rows = read_rows(source / "items.csv")
    for number, row in enumerate(rows):
        clip = read_clip(source / row["wav"])
        wave = resample(clip.wave, clip.sample_rate, VOCODER_MEL.sample_rate)
        with torch.inference_mode():
            noise = torch.Generator().manual_seed(SEED + number)
            copy = vocode(network, vocoder_mel(wave), noise)[0].clone()
        write_clip(folder / row["wav"], Clip(wave=copy, sample_rate=VOCODER_MEL.sample_rate))
    shutil.copy(source / "items.csv", folder / "items.csv")
    real, copied = run_judge(benchmark, source), run_judge(benchmark, folder)
    return {
        "wer_lost": round(copied["wer"] - real["wer"], 4),
        "similarity_lost": round(real["similarity"] - copied["similarity"], 4),
        "vocoder": advised,
    }


def synthesize_and_judge(
    benchmark: StarterBenchmark,
    part: str,
    lines: Sequence[Line],
    *,
    preset: str = "ultra_fast",
    voices: Path | None = None,
) -> Metrics:
    """Synthesize and score lines; measure the time for a second of audio."""
    started_at = time.perf_counter()
    folder = synthesize(benchmark, part, lines, preset=preset, voices=voices)
    elapsed_s = time.perf_counter() - started_at
    metrics = run_judge(benchmark, folder, voices)
    return metrics | {"time_per_second": round(elapsed_s / sum(seconds(folder)), 2)}


def synthesize(
    benchmark: StarterBenchmark,
    part: str,
    lines: Sequence[Line],
    *,
    preset: str = "ultra_fast",
    voices: Path | None = None,
    flags: Sequence[str] = (),
) -> Path:
    """Synthesize lines with the program in a studio of its own; return the folder of the clips."""
    studio = empty_folder(benchmark.out / part / "studio")
    (studio / "models").mkdir()
    (studio / "models" / benchmark.bundle).symlink_to(ROOT / "models" / benchmark.bundle)
    shutil.copytree(voices or benchmark.voices, studio / "voices")
    folder = studio.parent / "clips"
    shutil.rmtree(folder, ignore_errors=True)
    table = studio.parent / "lines.csv"
    rows = [(text, voice, SEED + n, f"{n:03d}") for n, (text, _, voice) in enumerate(lines)]
    write_rows(table, ("text", "voice", "seed", "name"), rows)
    command = [sys.executable, "-m", "cli", "speak", "--lines", str(table), "--quiet"]
    command += ["--out-dir", str(folder), "--preset", preset, "--bundle", benchmark.bundle]
    command += ["--precision", benchmark.precision, *flags]
    environment = {**os.environ, "TESTUDO_ROOT": str(studio)}
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, cwd=ROOT / "src", env=environment, stdout=quiet)
    wavs = [row["wav"] for row in read_rows(folder / "items.csv")]
    heard = [(wav, words, voice) for wav, (_, words, voice) in zip(wavs, lines, strict=True)]
    write_rows(folder / "items.csv", ("wav", "text", "voice"), heard)
    return folder


def synthesize_sources(benchmark: StarterBenchmark, part: str, lines: Sequence[Line]) -> Path:
    """Synthesize lines with the source voices of the corpus."""
    folder = empty_folder(benchmark.out / part)
    rows = []
    for number, (text, words, voice) in enumerate(lines):
        write_clip(folder / f"{number:03d}.wav", speak_as(TEACHER_VOICES[voice], text))
        rows.append((f"{number:03d}.wav", words, voice))
    write_rows(folder / "items.csv", ("wav", "text", "voice"), rows)
    return folder


def run_judge(benchmark: StarterBenchmark, folder: Path, voices: Path | None = None) -> Metrics:
    """Run the judge on the clips of a folder."""
    command = [str(benchmark.judge), str(folder / "items.csv")]
    command += ["--voices", str(voices or benchmark.voices)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (folder / "judged.txt").write_text(done.stdout, "utf-8")
    summary: Metrics = json.loads(done.stdout.splitlines()[-1])
    return summary


def read_word_error_rates(folder: Path) -> list[float]:
    """Read the word error rate of every clip."""
    lines = (folder / "judged.txt").read_text("utf-8").splitlines()[:-1]
    return [float(line.split()[0]) for line in lines]


def list_candidates(best: Path) -> list[Path]:
    """List a clip and its other candidates, the best first."""
    return [best, *sorted(best.parent.glob(f"{best.stem}.candidate-*.wav"))]


def seconds(folder: Path) -> list[float]:
    """Return the duration of every clip of a folder."""
    return [soundfile.info(folder / row["wav"]).duration for row in read_rows(folder / "items.csv")]


def empty_folder(folder: Path) -> Path:
    """Create an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV."""
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows)


SPEAKER_NAMES = [*TEACHER_VOICES, *READERS]
PARTS: dict[str, Callable[[StarterBenchmark], Metrics]] = {
    "ceiling": ceiling,
    "ultra_fast": lambda benchmark: preset(benchmark, "ultra_fast"),
    "fast": lambda benchmark: preset(benchmark, "fast"),
    "long": long,
    "hard": hard,
    "new_voices": new_voices,
    "people": people,
    "lengths": lengths,
    "ranking": ranking,
    "copies": copies,
}
BARS: tuple[tuple[str, str, str, str, float], ...] = (
    ("WER, preset Fast", "fast", "wer", "<=", 0.04),
    ("WER, preset Ultra Fast", "ultra_fast", "wer", "<=", 0.05),
    ("speaker accuracy, bundled voices", "fast", "identified", ">=", 0.98),
    ("speaker similarity to the reference clips", "fast", "similarity", ">=", 0.90),
    ("WER, 20 long lines", "long", "wer", "<=", 0.06),
    ("WER, 40 hard lines", "hard", "wer", "<=", 0.08),
    ("speaker accuracy, ten new voices", "new_voices", "identified", ">=", 0.85),
    ("WER, ten new voices", "new_voices", "wer", "<=", 0.06),
    ("WER, real people", "people", "wer", "<=", 0.08),
    ("speaker accuracy, real people", "people", "identified", ">=", 0.80),
    ("speaker similarity, real people", "people", "similarity", ">=", 0.70),
    ("clips of 0.6 to 1.7 times the source's duration", "lengths", "fair", ">=", 0.98),
    ("DNSMOS, preset Fast", "fast", "dnsmos", ">=", 3.1),
    ("PLCMOS, preset Fast", "fast", "plcmos", ">=", 4.3),
    ("real-time factor, Ultra Fast", "ultra_fast", "time_per_second", "<=", 0.25),
    ("gain of ranking from a random to the best of 16 candidates", "ranking", "closed", ">=", 0.5),
    ("WER added by the vocoder", "copies", "wer_lost", "<=", 0.03),
    ("similarity lost by the vocoder", "copies", "similarity_lost", "<=", 0.05),
)
"""Description, part, metric, comparison and target."""


def format_table(found: dict[str, Metrics]) -> str:
    """Format targets and measurements as Markdown."""
    lines = ["| what | bar | measured |", "|---|---|---|"]
    for what, part, name, sign, bar in BARS:
        if part in found:
            value = found[part][name]
            met = value <= bar if sign == "<=" else value >= bar
            lines.append(f"| {what} | {sign} {bar} | {value}{'' if met else ' (missed)'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the parts; print a JSON line for each and the table."""
    cli = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared"
    cli.add_argument("--judge", type=Path, default=shared / "judge" / "run")
    cli.add_argument("--people", type=Path, help="a folder of clips for each real person")
    cli.add_argument("--out", type=Path, default=ROOT / "build" / "starter")
    cli.add_argument("--bundle", default="starter")
    cli.add_argument("--precision", default="exact", help="as of the option of `testudo speak`")
    cli.add_argument("--rounds", type=int, default=1, help="times that each sentence is spoken")
    cli.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parsed = cli.parse_args()
    unknown = sorted(set(parsed.parts) - set(PARTS))
    if unknown:
        cli.error(f"no part {', '.join(unknown)}; known are {', '.join(PARTS)}")
    known = shared / "speech" / "librispeech"
    people_folder = parsed.people or (known if known.is_dir() else None)
    benchmark = StarterBenchmark(
        judge=parsed.judge,
        out=parsed.out.resolve(),
        bundle=parsed.bundle,
        people=people_folder,
        precision=parsed.precision,
        rounds=parsed.rounds,
    )
    found: dict[str, Metrics] = {}
    for part in parsed.parts or PARTS:
        found[part] = PARTS[part](benchmark)
        sys.stdout.write(json.dumps({"part": part, **found[part]}) + "\n")
        sys.stdout.flush()
    sys.stdout.write("\n" + format_table(found))


if __name__ == "__main__":
    main()
