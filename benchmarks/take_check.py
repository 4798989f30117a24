"""Measure the take check: word errors of the first and of the kept takes, and the time it costs.

python benchmarks/take_check.py [FILE] [--count N] [--check fast|strict] [--retakes N]
    [--voice NAME] [--model NAME]

FILE: a line of text each, or a table whose first column is the text; benchmarks/lines/hard.csv
without one. The first take of a line is the one that is spoken without the check. Errors are
counted by the recognizer of the check, and by PocketSphinx, which had no part in the choice.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from audio.clip import Clip  # noqa: E402
from core.paths import ProjectPaths  # noqa: E402
from core.progress import ProgressReporter  # noqa: E402
from studio.schemas.settings import Settings  # noqa: E402
from studio.schemas.speech import TAKE_CHECKS  # noqa: E402
from studio.synthesis.chunking import get_token_budget, split_into_chunks  # noqa: E402
from studio.synthesis.planning import plan_lines  # noqa: E402
from studio.synthesis.request_builder import SpeechRequestInput, build_request  # noqa: E402
from studio.workers.synthesis.checked_takes import Attempt, find_best_take, synthesize_takes  # noqa: E402
from studio.workers.synthesis.synthesizer import Synthesizer  # noqa: E402
from training.asr.base import SAMPLE_RATE  # noqa: E402
from training.asr.wer import compute_pocketsphinx_wer  # noqa: E402

LINES = ROOT / "benchmarks" / "lines" / "hard.csv"


def main() -> int:
    """Speak the lines and print a table."""
    flags = _parse_flags()
    synthesizer = Synthesizer(ProjectPaths.from_root(ROOT))
    header = "| line | words | errors in take 1 | in the kept | takes | s of take 1 | s in all |"
    sys.stdout.write(f"{header}\n{'|---' * 7}|\n")
    rows: list[tuple[float, ...]] = []
    for text in read_lines(flags.file)[: flags.count]:
        rows.append(_measure_line(synthesizer, text, flags))
        figures = " | ".join(f"{value:g}" for value in rows[-1][:6])
        sys.stdout.write(f"| {len(rows)} | {figures} |\n")
        sys.stdout.flush()
    words, first, kept, takes, alone_s, all_s, heard_first, heard_kept = (
        sum(column) for column in zip(*rows, strict=True)
    )
    sys.stdout.write(
        f"\n{len(rows)} lines, {words:g} words, check {flags.check}, {takes:g} takes: "
        f"{first:g} word errors in the first takes, {kept:g} in the kept ones; by PocketSphinx "
        f"{heard_first / len(rows):.1%} and {heard_kept / len(rows):.1%}. "
        f"{alone_s:.1f} s without the check, {all_s:.1f} s with it.\n"
    )
    return 0


def read_lines(path: Path) -> list[str]:
    """Return the texts of a file."""
    text = path.read_text("utf-8")
    if path.suffix != ".csv":
        return [line.strip() for line in text.splitlines() if line.strip()]
    return [row[0] for row in csv.reader(text.splitlines()[1:]) if row]


def _parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=LINES)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--check", choices=TAKE_CHECKS[1:], default="strict")
    parser.add_argument("--retakes", type=int, default=2)
    parser.add_argument("--voice", default="clara")
    parser.add_argument("--model", default="starter")
    return parser.parse_args()


def _measure_line(
    synthesizer: Synthesizer, text: str, flags: argparse.Namespace
) -> tuple[float, ...]:
    layout, report = ProjectPaths.from_root(ROOT), ProgressReporter()
    wanted = SpeechRequestInput(
        text=text,
        voice=flags.voice,
        options={"seed": 1},
        delivery={"take_check": flags.check, "retakes": flags.retakes},
        request_fields={"bundle": flags.model},
    )
    request = build_request(Settings(), wanted, layout)
    session = synthesizer.open_session(request, report)
    chunks = split_into_chunks(
        plan_lines(request, layout), get_token_budget(session.engine), request
    )
    total = [0.0] * 8
    for chunk in chunks:
        session.get_speaker_latents(chunk.line_plan.voice, chunk.options)
        before = dict(report.timings)
        attempts = list(synthesize_takes(session, chunk))
        spent = sum(report.timings.values()) - sum(before.values())
        row = _summarize(attempts, spent)
        total = [one + other for one, other in zip(total, row, strict=True)]
    return tuple(total)


def _summarize(attempts: list[Attempt], spent_s: float) -> tuple[float, ...]:
    number, place = find_best_take(attempts)
    first, kept = attempts[0].checks[0], attempts[number].checks[place]
    assert first is not None
    assert kept is not None
    text = attempts[0].chunk.line.spoken_text
    return (
        first.words,
        first.word_errors,
        kept.word_errors,
        len(attempts),
        sum(attempts[0].result.took.values()),
        spent_s,
        _count_with_pocketsphinx(attempts[0].result.candidates[0].clip, text),
        _count_with_pocketsphinx(attempts[number].result.candidates[place].clip, text),
    )


def _count_with_pocketsphinx(clip: Clip, text: str) -> float:
    return compute_pocketsphinx_wer(clip.resample(SAMPLE_RATE).wave, text) or 0.0


if __name__ == "__main__":
    sys.exit(main())
