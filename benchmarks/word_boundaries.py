"""Measure the times of aligned words against synthetic speech whose times are known.

    PYTHONPATH=src python benchmarks/word_boundaries.py CLIPS.json [--sentences 24]

CLIPS.json has, for each speaker, a list of files and what is said in them; only the texts are
used. flite tells the end of each phone (starts and stops of words), espeak-ng the start of each
word. Prints the median and the 95th percentile of the error, as JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from audio.clip import Clip
from audio.io import read_clip
from training.asr.base import SAMPLE_RATE
from training.asr.forced_alignment import find_aligner
from training.gold.agreement import align_sequences
from training.gold.cleaning import clean_transcript

FLITE_VOICES = ("slt", "rms", "awb", "kal16")
WORD_EVENT = 1  # espeakEVENT_WORD
SYNCHRONOUS, RETRIEVAL = 2, 2

Timed = tuple[list[str], list[tuple[float, float | None]], Clip]
"""Words, the start and the stop of each where known, and the sound."""


def speak_with_flite(text: str, voice: str) -> Timed:
    """Speak a text; the times come from flite's phones, matched to those of each word alone."""
    words = [word for part in clean_transcript(text) for word in part.words]
    spoken = " ".join(words).lower()
    with tempfile.TemporaryDirectory() as work:
        path = Path(work, "speech.wav")
        printed = _run("flite", "-voice", voice, "-psdur", "-t", spoken, "-o", str(path))
        clip = read_clip(path)
    phones, ends = [], []
    for entry in printed.split():
        name, _, end = entry.partition(":")
        phones.append(name)
        ends.append(float(end))
    alone = [_run("flite", "-voice", voice, "-ps", "-t", w.lower(), "-o", "none") for w in words]
    known = [
        (phone, number)
        for number, line in enumerate(alone)
        for phone in line.split()
        if phone != "pau"
    ]
    owners: dict[int, list[int]] = {}
    for run in align_sequences([phone for phone, _ in known], phones):
        width = min(run.last - run.first, run.right - run.left)
        for offset in range(width):
            if run.is_equal or phones[run.left + offset] != "pau":
                owners.setdefault(known[run.first + offset][1], []).append(run.left + offset)
    times: list[tuple[float, float | None]] = []
    for number in range(len(words)):
        own = owners.get(number, [0])
        times.append((ends[own[0] - 1] if own[0] else 0.0, ends[own[-1]]))
    return words, times, clip


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


class EspeakSpeaker:
    """espeak-ng's library, which tells when each word starts."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, None, 0)
        self._library.espeak_SetVoiceByName(b"en-us")

    def speak(self, text: str) -> Timed:
        """Speak a text; only the starts of the words are known."""
        words = [word for part in clean_transcript(text) for word in part.words]
        spoken = " ".join(words).lower().encode()
        samples: list[int] = []
        starts: dict[int, float] = {}
        callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )

        def receive(wave: object, count: int, events: object) -> int:
            if count and wave:
                samples.extend(wave[:count])  # type: ignore[index]
            number = 0
            while events[number].type:  # type: ignore[index]
                event = events[number]  # type: ignore[index]
                if event.type == WORD_EVENT:
                    starts[event.text_position - 1] = event.sample / self.rate
                number += 1
            return 0

        callback = callback_type(receive)
        self._library.espeak_SetSynthCallback(callback)
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, 0, None, None)
        self._library.espeak_Synchronize()
        wave = torch.tensor(samples, dtype=torch.float32) / 32_768
        places = [match.start() for match in re.finditer(rb"\S+", spoken)]
        times: list[tuple[float, float | None]] = [
            (starts.get(place, -1.0), None) for place in places
        ]
        return words, times, Clip(wave=wave, sample_rate=self.rate)


def measure(made: list[Timed], models: Path) -> dict[str, float]:
    """Align each text and return the errors of the starts and stops, in milliseconds."""
    starts, stops, failed = [], [], 0
    for words, times, clip in made:
        text = " ".join(words).lower()
        aligner = find_aligner(text, "en", models)
        found = aligner(clip.resample(SAMPLE_RATE).wave, text) if aligner else None
        if found is None or len(found.words) != len(words):
            failed += 1
            continue
        for word, (start, stop) in zip(found.words, times, strict=True):
            if start >= 0:
                starts.append(1000 * abs(word.start_s - start))
            if stop is not None:
                stops.append(1000 * abs(word.stop_s - stop))
    errors = np.array(starts + stops)
    return {
        "texts": len(made),
        "not_aligned": failed,
        "boundaries": len(errors),
        "median_ms": round(float(np.median(errors)), 1),
        "median_start_ms": round(float(np.median(starts)), 1),
        "percentile_95_ms": round(float(np.percentile(errors, 95)), 1),
        "within_60_ms": round(float((errors <= 60).mean()), 4),
    }


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--sentences", type=int, default=24)
    parser.add_argument("--models", type=Path, default=Path("models/whisper"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    listed = json.loads(given.clips.read_text("utf-8"))
    texts = [text for rows in listed.values() for _, text in rows][: given.sentences]
    flite = [
        speak_with_flite(text, FLITE_VOICES[number % len(FLITE_VOICES)])
        for number, text in enumerate(texts)
    ]
    espeak = EspeakSpeaker()
    result = {
        "flite": measure(flite, given.models),
        "espeak-ng": measure([espeak.speak(text) for text in texts], given.models),
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
