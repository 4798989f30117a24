"""Compare the word times that an engine tells with those that an aligner finds in the sound.

python benchmarks/word_times.py [FILE] [--count N] [--voice NAME] [--model NAME]

FILE: a line of text each, or a table whose first column is the text. The aligner is a wav2vec2
model of models/whisper if there is one, else PocketSphinx. Differences are told minus found, in
milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from take_check import read_lines  # noqa: E402

from core.paths import ProjectPaths  # noqa: E402
from core.progress import ProgressReporter  # noqa: E402
from studio.schemas.settings import Settings  # noqa: E402
from studio.synthesis.chunking import get_token_budget, split_into_chunks  # noqa: E402
from studio.synthesis.planning import plan_lines  # noqa: E402
from studio.synthesis.request_builder import SpeechRequestInput, build_request  # noqa: E402
from studio.workers.synthesis.synthesizer import Synthesizer  # noqa: E402
from studio.workers.synthesis.word_times import align_text  # noqa: E402
from text.normalization.words import split_words  # noqa: E402

LINES = ROOT / "benchmarks" / "lines" / "hard.csv"
LAYOUT = ProjectPaths.from_root(ROOT)


@dataclass
class Differences:
    """What was measured.  starts, stops: milliseconds, one for each word that has a sound."""

    starts: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    sound_s: float = 0.0
    aligned_s: float = 0.0
    left_out: int = 0


def main() -> int:
    """Speak the lines and print the differences."""
    flags = _parse_flags()
    synthesizer, found = Synthesizer(LAYOUT), Differences()
    lines = read_lines(flags.file)[: flags.count]
    for number, text in enumerate(lines):
        _measure_line(synthesizer, text, number, flags, found)
    sys.stdout.write(
        f"{len(lines)} lines, {len(found.starts)} words, {found.sound_s:.0f} s of sound, "
        f"{found.left_out} chunks left out; aligned in {found.aligned_s:.1f} s\n"
        f"| | median | mean | 90 % within | 95 % within |\n{'|---' * 5}|\n"
        f"| starts | {describe(found.starts)} |\n| ends | {describe(found.stops)} |\n"
    )
    return 0


def _measure_line(
    synthesizer: Synthesizer, text: str, seed: int, flags: argparse.Namespace, found: Differences
) -> None:
    asked = SpeechRequestInput(
        text=text,
        voice=flags.voice,
        options={"seed": seed},
        request_fields={"bundle": flags.model},
    )
    request = build_request(Settings(), asked, LAYOUT)
    session = synthesizer.open_session(request, ProgressReporter())
    plan = plan_lines(request, LAYOUT)
    for chunk in split_into_chunks(plan, get_token_budget(session.engine), request):
        candidate = session.synthesize_chunk(chunk).candidates[0]
        words, begun = split_words(chunk.line.spoken_text), time.perf_counter()
        aligned = align_text(candidate.clip, " ".join(words), LAYOUT.whisper)
        found.aligned_s += time.perf_counter() - begun
        found.sound_s += candidate.clip.duration_s
        if not aligned or not candidate.word_times:
            found.left_out += 1
            continue
        differences = [
            1000 * (told - heard) for told, heard in zip(candidate.word_times, aligned, strict=True)
        ]
        spoken = [at for at, word in enumerate(words) if any(char.isalnum() for char in word)]
        found.starts += [differences[2 * at] for at in spoken]
        found.stops += [differences[2 * at + 1] for at in spoken]


def describe(differences: list[float]) -> str:
    """Return the median of the absolute differences, the mean difference, and two percentiles."""
    sizes = sorted(abs(value) for value in differences)
    tail = [sizes[min(len(sizes) - 1, int(share * len(sizes)))] for share in (0.9, 0.95)]
    figures = [statistics.median(sizes), statistics.fmean(differences), *tail]
    return " | ".join(f"{figure:.0f} ms" for figure in figures)


def _parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=LINES)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--voice", default="clara")
    parser.add_argument("--model", default="starter")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
