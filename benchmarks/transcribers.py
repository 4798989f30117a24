"""The word error rate of a transcriber on a folder of clips with given transcripts.

python benchmarks/transcribers.py FOLDER [--name pocketsphinx] [--model base] [--clips 24] FOLDER
has clips and their transcripts (metadata.csv, .txt beside each, ...). Prints one JSON object: the
word error rate over all words, the real-time factor, and how sure the transcriber was of clips that
it heard well and badly.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean

from audio.formats import READABLE_SUFFIXES
from audio.io import read_clip
from core.progress import ProgressReporter
from training.asr.base import SAMPLE_RATE, TranscriberConfig
from training.asr.selection import load_transcriber
from training.asr.transcripts.discovery import find_existing_transcripts
from training.asr.wer import edit_distance, normalize_to_words


def main() -> None:
    """Read the command line, listen to every clip, print the figures."""
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--name", default="pocketsphinx", help="which transcriber")
    cli.add_argument("--model", default="", help="for Whisper: a name, or the path of a .pt file")
    cli.add_argument("--models", type=Path, default=Path("models/whisper"))
    cli.add_argument("--clips", type=int, default=0, help="how many; all where 0")
    parsed = cli.parse_args()
    files = sorted(
        path for path in parsed.folder.rglob("*") if path.suffix.lower() in READABLE_SUFFIXES
    )
    given = find_existing_transcripts(parsed.folder, files)
    chosen = [file for file in files if file in given][: parsed.clips or None]
    transcriber = load_transcriber(
        TranscriberConfig(name=parsed.name, model=parsed.model), parsed.models, ProgressReporter()
    )
    rows = []
    started = time.process_time()
    for file in chosen:
        clip = read_clip(file).resample(SAMPLE_RATE)
        segments = transcriber.transcribe(clip.wave, ProgressReporter())
        reference = normalize_to_words(given[file].text)
        wrong = edit_distance(reference, normalize_to_words(segments.text))
        sure = [one.confidence for one in segments.segments if one.confidence is not None]
        rows.append((wrong, len(reference), clip.duration_s, mean(sure) if sure else None))
    spent = time.process_time() - started
    good = [sure for wrong, words, _, sure in rows if sure is not None and wrong <= 0.25 * words]
    bad = [sure for wrong, words, _, sure in rows if sure is not None and wrong > 0.25 * words]
    figures = {
        "transcriber": transcriber.name,
        "clips": len(rows),
        "words": sum(row[1] for row in rows),
        "wer": round(sum(row[0] for row in rows) / max(1, sum(row[1] for row in rows)), 4),
        "worst_clip_wer": round(max((row[0] / max(1, row[1]) for row in rows), default=0.0), 4),
        "processor_s_per_s": round(spent / max(1e-9, sum(row[2] for row in rows)), 3),
        "confidence_of_well_heard": round(mean(good), 3) if good else None,
        "confidence_of_badly_heard": round(mean(bad), 3) if bad else None,
    }
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main()
