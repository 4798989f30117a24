"""Words and likeness of voice conversion, by the judge of the starter benchmark.

    python benchmarks/conversion.py --judge PROGRAM --model FOLDER --people FOLDER [--reader FOLDER]

FOLDER of people has a folder of recordings for each person, none of them in the training; that of a
reader has the recordings of one. What the recordings say is what the judge hears in them, so the
word error rates are those that the conversion adds. Parts: `source` the recordings, `own` through
the codebook and back in the own voice, `teacher` hibari's speech in their voices, `other` each
person's words in the next one's voice, `own_words` and `words` the same with the phonemes of these
words given to the decoder, `reader` as `own`.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from audio.clip import Clip  # noqa: E402
from audio.io import read_clip, write_clip  # noqa: E402
from core.progress import ProgressReporter  # noqa: E402
from quick.converter import PhoneTimes, VoiceConverter  # noqa: E402
from quick.teacher import SAMPLE_RATE, load_teacher  # noqa: E402
from studio.workers.convert_clip import align_words  # noqa: E402

PARTS = ("source", "own", "own_words", "teacher", "other", "words", "reader")
PARTS_WITH_WORDS = ("own_words", "words")
REFERENCE_CLIPS = 3
SUFFIXES = {".wav", ".flac", ".mp3", ".ogg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A clip to judge: file, what it should say, and whose voice it should have."""

    wav: Path
    text: str
    voice: str


@dataclass(frozen=True, kw_only=True)
class ConversionBenchmark:
    """Paths and options; a person's first clips are references, the last ones are converted."""

    judge: Path
    out: Path
    people: Path
    converter: VoiceConverter
    vocoder: str
    clips: int

    def list_people(self) -> list[str]:
        """Return the names of the people."""
        return sorted(path.name for path in self.people.iterdir() if path.is_dir())

    def embed(self, folder: Path) -> torch.Tensor:
        """Return the speaker vector of the reference clips of a person."""
        return self.converter.embed([read_clip(p) for p in list_audio(folder)[:REFERENCE_CLIPS]])

    def convert(
        self, clip: Clip, speaker: torch.Tensor, path: Path, phones: PhoneTimes | None = None
    ) -> Path:
        """Convert a clip and write it."""
        generator = torch.Generator().manual_seed(0)
        made, _ = self.converter.convert(
            clip, speaker, self.vocoder, generator, ProgressReporter(), phones
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, made)
        return path

    def convert_to(
        self,
        targets: Mapping[str, str],
        vectors: Mapping[str, torch.Tensor],
        sources: Sequence[Item],
        part: str,
    ) -> list[Item]:
        """Convert each recording to the target of its voice, in some parts with its phonemes."""
        items = []
        for source in sources:
            clip, voice = read_clip(source.wav), targets[source.voice]
            phones = None
            if part in PARTS_WITH_WORDS:
                phones = align_words(self.converter, clip, source.text, ProgressReporter())
            path = self.out / "clips" / f"{part}-{source.wav.stem}.wav"
            made = self.convert(clip, vectors[voice], path, phones)
            items.append(Item(wav=made, text=source.text, voice=voice))
        return items

    def speak(self, text: str, speaker: torch.Tensor, path: Path) -> Path:
        """Let the teacher speak a text, convert it and write it."""
        spoken = load_teacher().speak(text)
        clip = Clip(wave=torch.from_numpy(spoken.wave), sample_rate=SAMPLE_RATE)
        return self.convert(clip, speaker, path, PhoneTimes.of(spoken))

    def judge_items(self, part: str, items: Sequence[Item], voices: Path) -> dict[str, Any]:
        """Call the judge.  Any: its JSON."""
        table, figures = self.out / f"{part}.csv", self.out / f"{part}.json"
        with table.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(["wav", "text", "voice"])
            writer.writerows([str(item.wav.resolve()), item.text, item.voice] for item in items)
        command = [str(self.judge), str(table), "--voices", str(voices), "--json", str(figures)]
        subprocess.run([*command, "--no-sound"], check=True, stdout=subprocess.DEVNULL)
        judged: dict[str, Any] = json.loads(figures.read_text("utf-8"))
        write_line({"part": part, **judged["summary"]})
        return judged

    def transcribe(self, part: str, folders: Sequence[Path], voices: Path) -> list[Item]:
        """Return the recordings to convert with the words that the judge hears in them."""
        kept = self.out / f"{part}-texts.json"
        clips = [(p, f.name) for f in folders for p in list_audio(f)[-self.clips :]]
        items = [Item(wav=path, text="-", voice=name) for path, name in clips]
        if not kept.exists():
            judged = self.judge_items(part, items, voices)["items"]
            kept.write_text(json.dumps([item["heard"] for item in judged]), encoding="utf-8")
        texts = json.loads(kept.read_text("utf-8"))
        return [
            Item(wav=item.wav, text=text, voice=item.voice)
            for item, text in zip(items, texts, strict=True)
        ]


def write_line(values: dict[str, Any]) -> None:
    """Write a line of JSON to the standard output."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def link_voice(folder: Path, voices: Path) -> Path:
    """Make a folder of voices with the recordings of one reader, for the judge."""
    own = voices / folder.name
    own.mkdir(parents=True, exist_ok=True)
    for path in list_audio(folder):
        link = own / path.name
        if not link.exists():
            link.symlink_to(path.resolve())
    return voices


def list_audio(folder: Path) -> list[Path]:
    """Return the audio files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)


def run(bench: ConversionBenchmark, parts: Sequence[str], reader: Path | None) -> None:
    """Run the parts and print a line of JSON for each."""
    names = bench.list_people()
    vectors = {name: bench.embed(bench.people / name) for name in names}
    sources = bench.transcribe("source", [bench.people / name for name in names], bench.people)
    folder = bench.out / "clips"
    same = dict(zip(names, names, strict=True))
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    targets = {"own": same, "own_words": same, "other": following, "words": following}
    for part in [part for part in targets if part in parts]:
        items = bench.convert_to(targets[part], vectors, sources, part)
        bench.judge_items(part, items, bench.people)
    if "teacher" in parts:
        texts = (bench.judge.parent / "sentences.txt").read_text("utf-8").splitlines()
        pairs = [(texts[n], names[n % len(names)]) for n in range(bench.clips * len(names))]
        items = [
            Item(wav=bench.speak(text, vectors[name], folder / f"teacher-{n}.wav"), text=text,
                 voice=name)
            for n, (text, name) in enumerate(pairs)
        ]  # fmt: skip
        bench.judge_items("teacher", items, bench.people)
    if "reader" in parts and reader is not None:
        voices = link_voice(reader, bench.out / "reader-voices")
        spoken = bench.transcribe("reader-source", [reader], voices)
        vector = bench.embed(reader)
        items = [
            Item(wav=bench.convert(read_clip(s.wav), vector, folder / f"reader-{s.wav.stem}.wav"),
                 text=s.text, voice=s.voice)
            for s in spoken
        ]  # fmt: skip
        bench.judge_items("reader", items, voices)


def main() -> None:
    """Run the parts that the command line names."""
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    cli.add_argument("--judge", type=Path, required=True)
    cli.add_argument("--model", type=Path, required=True)
    cli.add_argument("--people", type=Path, required=True)
    cli.add_argument("--reader", type=Path)
    cli.add_argument("--out", type=Path, default=Path("conversion"))
    cli.add_argument("--vocoder", default="auto")
    cli.add_argument("--clips", type=int, default=2, help="of each person")
    given = cli.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    converter = VoiceConverter.load(given.model, torch.device("cpu"))
    started = time.monotonic()
    bench = ConversionBenchmark(
        judge=given.judge, out=given.out, people=given.people, converter=converter,
        vocoder=given.vocoder, clips=given.clips,
    )  # fmt: skip
    run(bench, given.parts or PARTS, given.reader)
    write_line({"seconds": round(time.monotonic() - started, 1)})


if __name__ == "__main__":
    main()
