"""How clearly a bundle speaks, and in the right voice: every bar of the starter, from any bundle.

    python benchmarks/starter.py --judge PROGRAM [--bundle NAME] [--people FOLDER] [PART ...]

PROGRAM is called with a CSV (wav,text,voice) and `--voices FOLDER`; it writes a line a clip and
prints a JSON object with `wer`, `similarity` and `identified` last. Everything is spoken by the
program's own commands with fixed seeds, the best candidate as the program ranks it, nothing twice.
Prints a JSON object for each part, then one table of what was asked for and what was found.
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
sys.path.insert(0, str(ROOT / "src"))

from audio.clip import Clip  # noqa: E402
from audio.io import read_clip, write_clip  # noqa: E402
from audio.mel import VOCODER_MEL, resample, vocoder_mel  # noqa: E402
from recipes.corpus.sample_voices import SAMPLE_SENTENCES, synthesize_clip  # noqa: E402
from recipes.corpus.speakers import SAMPLE_SPEAKERS, SyntheticSpeaker  # noqa: E402
from tortoise.checkpoints.loading import load_model, load_network  # noqa: E402
from tortoise.generation.vocoding import vocode  # noqa: E402

SEED = 20_000
HERE = Path(__file__).parent / "lines"
CLIPS_OF_A_STRANGER = 3  # about ten seconds
LENGTHS = (0.6, 1.7)  # times as long as the source voice takes
RANKED_LINES, RANKED_DRAFTS = 20, 16
Line = tuple[str, str, str]  # what is written, what must be heard, the voice
Figures = dict[str, Any]

STRANGERS = (
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
"""New voices: nobody in the corpus is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where things are.  people: a folder for each real person, or None."""

    judge: Path
    out: Path
    bundle: str
    people: Path | None
    voices: Path = ROOT / "voices"

    def sentences(self) -> list[str]:
        """The judge's own lines, which nothing was trained on."""
        text = (self.judge.parent / "sentences.txt").read_text("utf-8")
        return [line.strip() for line in text.splitlines() if line.strip()]


def over_voices(texts: Sequence[str], voices: Sequence[str]) -> list[Line]:
    """Spread plain texts over voices."""
    return [(text, text, voices[n % len(voices)]) for n, text in enumerate(texts)]


def ceiling(bench: Bench) -> Figures:
    """The corpus voices themselves say the sentences."""
    return judged(bench, said_by_sources(bench, "ceiling", over_voices(bench.sentences(), NAMES)))


def preset(bench: Bench, name: str) -> Figures:
    """The bundle says the sentences with a preset."""
    return spoken(bench, name, over_voices(bench.sentences(), NAMES), preset=name)


def long(bench: Bench) -> Figures:
    """Lines of 25 to 40 words, which the program splits."""
    lines = (HERE / "long.txt").read_text("utf-8").splitlines()
    return spoken(bench, "long", over_voices(lines, NAMES))


def hard(bench: Bench) -> Figures:
    """Numbers, dates, abbreviations and names."""
    rows = read_rows(HERE / "hard.csv")
    lines = [(row["text"], row["words"], NAMES[n % len(NAMES)]) for n, row in enumerate(rows)]
    return spoken(bench, "hard", lines)


def lengths(bench: Bench) -> Figures:
    """A hundred clips, each against the source voice saying the same."""
    texts = bench.sentences()
    lines = [(text, text, NAMES[(n + n // len(texts)) % len(NAMES)])
             for n, text in enumerate((texts * 3)[:100])]  # fmt: skip
    cloned = speak(bench, "lengths", lines)
    source = said_by_sources(bench, "lengths_source", lines)
    ratios = [one / other for one, other in zip(seconds(cloned), seconds(source), strict=True)]
    fair = [LENGTHS[0] <= ratio <= LENGTHS[1] for ratio in ratios]
    return {
        "clips": len(ratios),
        "fair": round(sum(fair) / len(fair), 4),
        "shortest": round(min(ratios), 2),
        "longest": round(max(ratios), 2),
    }


def new_voices(bench: Bench) -> Figures:
    """Ten synthetic speakers whom training never heard, from ten seconds of each."""
    voices = bench.out / "new_voices" / "voices"
    for stranger in STRANGERS:
        (voices / stranger.name).mkdir(parents=True, exist_ok=True)
        for number, line in enumerate(SAMPLE_SENTENCES[:CLIPS_OF_A_STRANGER]):
            write_clip(voices / stranger.name / f"{number}.flac", synthesize_clip(stranger, line))
    names = [stranger.name for stranger in STRANGERS]
    lines = over_voices(bench.sentences(), names)
    return spoken(bench, "new_voices", lines, voices=voices)


def people(bench: Bench) -> Figures:
    """Real people, from their clips."""
    if bench.people is None:
        raise SystemExit("starter: people needs --people FOLDER, a folder of clips for each person")
    names = sorted(folder.name for folder in bench.people.iterdir() if folder.is_dir())
    lines = over_voices((bench.sentences() * 2)[:42], names)
    return spoken(bench, "people", lines, voices=bench.people)


def ranking(bench: Bench) -> Figures:
    """How much of the way from a random draft to the best of sixteen the ranking goes."""
    lines = over_voices(bench.sentences()[:RANKED_LINES], NAMES)
    folder = speak(bench, "ranking", lines, flags=("--candidates", str(RANKED_DRAFTS)))
    rows = read_rows(folder / "items.csv")
    items, counts = [], []
    for row in rows:
        takes = takes_of(folder / row["wav"])
        counts.append(len(takes))
        items += [(take.name, row["text"], row["voice"]) for take in takes]
    write_rows(folder / "items.csv", ("wav", "text", "voice"), items)
    judged(bench, folder)
    errors = iter(item_errors(folder))
    picks, means, bests, words = 0.0, 0.0, 0.0, 0
    for row, count in zip(rows, counts, strict=True):
        length = len(row["text"].split())
        found = [next(errors) * length for _ in range(count)]
        picks, words = picks + found[0], words + length
        means, bests = means + sum(found) / count, bests + min(found)
    closed = (means - picks) / max(means - bests, 1e-9)
    figures = {"picked": picks / words, "random": means / words, "best": bests / words}
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return {"lines": len(rows), **rounded, "closed": round(closed, 4)}


def copies(bench: Bench) -> Figures:
    """What the vocoder that the bundle advises makes of real mels, beside the recordings."""
    source = said_by_sources(bench, "recordings", over_voices(bench.sentences(), NAMES))
    folder = fresh(bench.out / "copies")
    bundle = ROOT / "models" / bench.bundle
    advised = str(load_model(bundle).config.advice.get("vocoder", "univnet"))
    network = None if advised == "griffin_lim" else load_network(bundle, "vocoder").float().eval()
    rows = read_rows(source / "items.csv")
    for number, row in enumerate(rows):
        clip = read_clip(source / row["wav"])
        wave = resample(clip.wave, clip.sample_rate, VOCODER_MEL.sample_rate)
        with torch.inference_mode():
            noise = torch.Generator().manual_seed(SEED + number)
            copy = vocode(network, vocoder_mel(wave), noise)[0].clone()
        write_clip(folder / row["wav"], Clip(wave=copy, sample_rate=VOCODER_MEL.sample_rate))
    shutil.copy(source / "items.csv", folder / "items.csv")
    real, copied = judged(bench, source), judged(bench, folder)
    return {
        "wer_lost": round(copied["wer"] - real["wer"], 4),
        "similarity_lost": round(real["similarity"] - copied["similarity"], 4),
        "vocoder": advised,
    }


def spoken(
    bench: Bench,
    part: str,
    lines: Sequence[Line],
    *,
    preset: str = "ultra_fast",
    voices: Path | None = None,
) -> Figures:
    """Speak lines and judge them; also how long a second of speech took."""
    began = time.perf_counter()
    folder = speak(bench, part, lines, preset=preset, voices=voices)
    took = time.perf_counter() - began
    figures = judged(bench, folder, voices)
    return figures | {"time_per_second": round(took / sum(seconds(folder)), 2)}


def speak(
    bench: Bench,
    part: str,
    lines: Sequence[Line],
    *,
    preset: str = "ultra_fast",
    voices: Path | None = None,
    flags: Sequence[str] = (),
) -> Path:
    """Let the program speak lines into a folder of their own, in a studio of its own."""
    studio = fresh(bench.out / part / "studio")
    (studio / "models").mkdir()
    (studio / "models" / bench.bundle).symlink_to(ROOT / "models" / bench.bundle)
    shutil.copytree(voices or bench.voices, studio / "voices")
    folder = studio.parent / "clips"
    shutil.rmtree(folder, ignore_errors=True)
    table = studio.parent / "lines.csv"
    rows = [(text, voice, SEED + n, f"{n:03d}") for n, (text, _, voice) in enumerate(lines)]
    write_rows(table, ("text", "voice", "seed", "name"), rows)
    command = [sys.executable, "-m", "studio", "speak", "--lines", str(table), "--quiet"]
    command += ["--out-dir", str(folder), "--preset", preset, "--bundle", bench.bundle, *flags]
    environment = {**os.environ, "TESTUDO_ROOT": str(studio)}
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, cwd=ROOT / "src", env=environment, stdout=quiet)
    wavs = [row["wav"] for row in read_rows(folder / "items.csv")]
    heard = [(wav, words, voice) for wav, (_, words, voice) in zip(wavs, lines, strict=True)]
    write_rows(folder / "items.csv", ("wav", "text", "voice"), heard)
    return folder


def said_by_sources(bench: Bench, part: str, lines: Sequence[Line]) -> Path:
    """Let the synthesizers behind the shipped voices say lines."""
    folder = fresh(bench.out / part)
    speakers = {speaker.name: speaker for speaker in SAMPLE_SPEAKERS}
    rows = []
    for number, (text, words, voice) in enumerate(lines):
        write_clip(folder / f"{number:03d}.wav", synthesize_clip(speakers[voice], text))
        rows.append((f"{number:03d}.wav", words, voice))
    write_rows(folder / "items.csv", ("wav", "text", "voice"), rows)
    return folder


def judged(bench: Bench, folder: Path, voices: Path | None = None) -> Figures:
    """What the judge says of a folder's clips."""
    command = [str(bench.judge), str(folder / "items.csv")]
    command += ["--voices", str(voices or bench.voices)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (folder / "judged.txt").write_text(done.stdout, "utf-8")
    summary: Figures = json.loads(done.stdout.splitlines()[-1])
    return summary


def item_errors(folder: Path) -> list[float]:
    """The word error rate of every clip, which begins its line."""
    lines = (folder / "judged.txt").read_text("utf-8").splitlines()[:-1]
    return [float(line.split()[0]) for line in lines]


def takes_of(best: Path) -> list[Path]:
    """A clip and its other candidates, the best first."""
    return [best, *sorted(best.parent.glob(f"{best.stem}.candidate-*.wav"))]


def seconds(folder: Path) -> list[float]:
    """How long every clip of a folder is."""
    return [soundfile.info(folder / row["wav"]).duration for row in read_rows(folder / "items.csv")]


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def read_rows(path: Path) -> list[dict[str, str]]:
    """A CSV as dictionaries."""
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A CSV of a header and rows."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows)


NAMES = [speaker.name for speaker in SAMPLE_SPEAKERS]
PARTS: dict[str, Callable[[Bench], Figures]] = {
    "ceiling": ceiling,
    "ultra_fast": lambda bench: preset(bench, "ultra_fast"),
    "fast": lambda bench: preset(bench, "fast"),
    "long": long,
    "hard": hard,
    "new_voices": new_voices,
    "people": people,
    "lengths": lengths,
    "ranking": ranking,
    "copies": copies,
}
BARS: tuple[tuple[str, str, str, str, float], ...] = (
    ("WER, preset Fast", "fast", "wer", "<=", 0.20),
    ("WER, preset Ultra Fast", "ultra_fast", "wer", "<=", 0.27),
    ("right voice among the shipped ones", "fast", "identified", ">=", 0.95),
    ("similarity to the voice's own clips", "fast", "similarity", ">=", 0.80),
    ("WER, 20 long lines", "long", "wer", "<=", 0.25),
    ("WER, 40 hard lines", "hard", "wer", "<=", 0.35),
    ("right voice among ten new ones", "new_voices", "identified", ">=", 0.60),
    ("WER, real people", "people", "wer", "<=", 0.40),
    ("clips 0.6 to 1.7 times the source's length", "lengths", "fair", ">=", 0.98),
    ("seconds for a second, Ultra Fast", "ultra_fast", "time_per_second", "<=", 1.0),
    ("way from a random draft to the best of 16", "ranking", "closed", ">=", 0.5),
    ("WER that the vocoder adds", "copies", "wer_lost", "<=", 0.03),
    ("similarity that the vocoder takes", "copies", "similarity_lost", "<=", 0.05),
)
"""What is measured, in which part, under which name, and the bar."""


def table_of(found: dict[str, Figures]) -> str:
    """Bars and figures as Markdown."""
    lines = ["| what | bar | measured |", "|---|---|---|"]
    for what, part, name, sign, bar in BARS:
        if part in found:
            value = found[part][name]
            met = value <= bar if sign == "<=" else value >= bar
            lines.append(f"| {what} | {sign} {bar} | {value}{'' if met else ' (missed)'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line, judge, print a line for each part and the table."""
    cli = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared"
    cli.add_argument("--judge", type=Path, default=shared / "judge" / "run")
    cli.add_argument("--people", type=Path, help="a folder of clips for each real person")
    cli.add_argument("--out", type=Path, default=ROOT / "build" / "starter")
    cli.add_argument("--bundle", default="starter")
    cli.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    given = cli.parse_args()
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        cli.error(f"no part {', '.join(unknown)}; known are {', '.join(PARTS)}")
    known = shared / "speech" / "librispeech"
    held = given.people or (known if known.is_dir() else None)
    bench = Bench(judge=given.judge, out=given.out.resolve(), bundle=given.bundle, people=held)
    found: dict[str, Figures] = {}
    for part in given.parts or PARTS:
        found[part] = PARTS[part](bench)
        sys.stdout.write(json.dumps({"part": part, **found[part]}) + "\n")
        sys.stdout.flush()
    sys.stdout.write("\n" + table_of(found))


if __name__ == "__main__":
    main()
