"""Attention failures, speed and clips of an SV2TTS model, before and after its retakes.

    python benchmarks/sv2tts_model.py MODEL --voices FOLDER --lines FILE [--retakes 4]
        [--out FOLDER] [--judge PROGRAM]

FOLDER has a folder of recordings for each voice; the lines go to the voices in turn. Prints a JSON
object: failures per 100 sentences at the first attempt and after the retakes with their reasons,
seconds of computing for a second of speech, and what the judge says about the clips.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from audio.io import read_clip, write_clip  # noqa: E402
from core.progress import ProgressReporter  # noqa: E402
from engines.speaker_latents import SpeakerLatents  # noqa: E402
from sv2tts.engine import Sv2ttsEngine  # noqa: E402
from sv2tts.generation.options import Sv2ttsOptions  # noqa: E402

SEED = 20_000
REFERENCE_CLIPS = 3
AUDIO = (".wav", ".flac", ".mp3")
Metrics = dict[str, Any]  # Any: JSON


def condition_voices(engine: Sv2ttsEngine, folder: Path) -> dict[str, SpeakerLatents]:
    """Return the embedding of each voice of a folder, from its first clips."""
    found = {}
    for voice in sorted(path for path in folder.iterdir() if path.is_dir()):
        paths = sorted(path for path in voice.iterdir() if path.suffix.lower() in AUDIO)
        clips = [read_clip(path) for path in paths[:REFERENCE_CLIPS]]
        if clips:
            found[voice.name] = engine.condition(clips, ProgressReporter())
    return found


def measure(
    engine: Sv2ttsEngine,
    voices: dict[str, SpeakerLatents],
    lines: Sequence[str],
    retakes: int,
    out: Path,
) -> Metrics:
    """Speak the lines; a line whose first attempt fails is spoken again with retakes."""
    reasons: dict[str, Counter[str]] = {"before": Counter(), "after": Counter()}
    failures = Counter[str]()
    names = list(voices)
    rows, spoken, computed = [], 0.0, 0.0
    out.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(lines):
        voice = names[number % len(names)]
        for stage, attempts in (("before", 0), ("after", retakes)):
            options = Sv2ttsOptions(seed=SEED + number, retakes=attempts)
            started = time.process_time()
            made = engine.synthesize(line, voices[voice], options, ProgressReporter()).candidates[0]
            computed += time.process_time() - started
            spoken += made.clip.duration_s
            problems = made.aux.report.problems
            failures[stage] += bool(problems)
            reasons[stage].update(problems)
            if not problems:
                break
        write_clip(out / f"{number:03d}.wav", made.clip)
        rows.append((f"{number:03d}.wav", line, voice))
    with (out / "items.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("wav", "text", "voice"), *rows])
    return {
        "sentences": len(lines),
        "failures_before": 100 * failures["before"] / len(lines),
        "failures_after": 100 * failures["after"] / len(lines),
        "reasons_before": dict(reasons["before"]),
        "reasons_after": dict(reasons["after"]),
        "cpu_seconds_per_second": computed / spoken,
    }


def judge_clips(judge: Path, out: Path, voices: Path) -> Metrics:
    """Return the summary of the judge."""
    command = [str(judge), str(out / "items.csv"), "--voices", str(voices)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary: Metrics = json.loads(done.stdout[done.stdout.rindex("\n{") :])
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a model from the command line."""
    cli = argparse.ArgumentParser(prog="benchmarks/sv2tts_model.py", description=__doc__)
    cli.add_argument("model", type=Path)
    cli.add_argument("--voices", type=Path, required=True)
    cli.add_argument("--lines", type=Path, required=True, help="a sentence a line")
    cli.add_argument("--limit", type=int, default=100)
    cli.add_argument("--retakes", type=int, default=4)
    cli.add_argument("--out", type=Path, default=Path("sv2tts-clips"))
    cli.add_argument("--judge", type=Path)
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(1)
    engine = Sv2ttsEngine.load(parsed.model, torch.device("cpu"))
    lines = [line.strip() for line in parsed.lines.read_text("utf-8").splitlines() if line.strip()]
    voices = condition_voices(engine, parsed.voices)
    found = measure(engine, voices, lines[: parsed.limit], parsed.retakes, parsed.out)
    if parsed.judge:
        found["judge"] = judge_clips(parsed.judge, parsed.out, parsed.voices)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
