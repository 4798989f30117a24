"""Copy-synthesis of real people: what a vocoder loses on their own mels and on perturbed ones.

    python benchmarks/vocoder.py --judge PROGRAM --people FOLDER [--weights FOLDER] [SYSTEM ...]

FOLDER has a folder of recordings for each person. PROGRAM is called with a CSV (wav,text) and
`--json FILE`; the words of a copy are compared with those that it hears in the source. Needs the
packages pesq, pystoi and resemblyzer. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from audio.clip import Clip  # noqa: E402
from audio.io import read_clip, write_clip  # noqa: E402
from audio.mel import VOCODER_MEL, resample, vocoder_mel  # noqa: E402
from tortoise.checkpoints.loading import load_network  # noqa: E402
from tortoise.generation.vocoding import (  # noqa: E402
    GRIFFIN_LIM,
    VOCODER_NETWORKS,
    MelVocoder,
    prepare_for_inference,
    vocode,
)

SAMPLE_RATE, JUDGED_RATE = VOCODER_MEL.sample_rate, 16_000
PERTURBED = " perturbed"
BLUR, NOISE = (0.2, 0.6, 0.2), 0.2
TIMED_S = 10.0
Row = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderBenchmark:
    """Paths and options."""

    judge: Path
    people: Path
    weights: Path
    out: Path
    clips: int  # of each person, the shortest ones

    def list_sources(self) -> list[Path]:
        """Return the recordings to copy."""
        folders = sorted(path for path in self.people.iterdir() if path.is_dir())
        chosen: list[Path] = []
        for folder in folders:
            files = sorted(folder.glob("*.flac"), key=lambda path: path.stat().st_size)
            chosen += files[: self.clips]
        return chosen

    def load(self, system: str) -> MelVocoder | None:
        """Load a vocoder; None is Griffin-Lim."""
        if system == GRIFFIN_LIM:
            return None
        network = load_network(self.weights, VOCODER_NETWORKS[system]).float()
        return prepare_for_inference(network)  # type: ignore[return-value]


def run(benchmark: VocoderBenchmark, systems: Sequence[str]) -> dict[str, Row]:
    """Copy, judge and compare; a row of metrics for each system and each kind of mel."""
    waves = [read_wave(path) for path in benchmark.list_sources()]
    folder = write_waves(benchmark.out / "source", waves)
    heard = [item["heard"] for item in judge(benchmark, folder, ["-"] * len(waves))]
    texts = [words or "-" for words in heard]
    rows = {"source": summarize(judge(benchmark, folder, texts))}
    for system in systems:
        network = benchmark.load(system)
        for kind in ("", PERTURBED):
            mels = [vocoder_mel(wave) for wave in waves]
            if kind:
                mels = [perturb(mel, seed) for seed, mel in enumerate(mels)]
            copies = [
                vocode(network, mel, torch.Generator().manual_seed(seed))[0, : len(wave)]
                for seed, (mel, wave) in enumerate(zip(mels, waves, strict=True))
            ]
            copied = write_waves(benchmark.out / (system + kind).replace(" ", "_"), copies)
            row = summarize(judge(benchmark, copied, texts)) | compare(waves, copies)
            rows[system + kind] = row | {"times_real_time": measure_speed(network)}
    return rows


def read_wave(path: Path) -> Tensor:
    """Read a recording at 24 kHz: (n,), a whole number of frames."""
    clip = read_clip(path)
    wave = resample(clip.wave, clip.sample_rate, SAMPLE_RATE)
    return wave[: len(wave) // VOCODER_MEL.hop * VOCODER_MEL.hop]


def perturb(mel: Tensor, seed: int) -> Tensor:
    """Blur a mel (b, bands, f) in time and add noise, as a measure of imperfect mels."""
    kernel = torch.tensor(BLUR).expand(mel.shape[1], 1, 3)
    padded = F.pad(mel, (1, 1), mode="replicate")
    blurred = F.conv1d(padded, kernel, groups=mel.shape[1])
    noise = torch.randn(mel.shape, generator=torch.Generator().manual_seed(seed))
    return blurred + NOISE * noise


def write_waves(folder: Path, waves: Sequence[Tensor]) -> Path:
    """Write waves as 000.wav, 001.wav and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, wave in enumerate(waves):
        write_clip(folder / f"{number:03d}.wav", Clip(wave=wave.clone(), sample_rate=SAMPLE_RATE))
    return folder


def judge(
    benchmark: VocoderBenchmark, folder: Path, texts: Sequence[str]
) -> list[dict[str, object]]:
    """Run the judge on the waves of a folder; its figures of each."""
    table, figures = folder / "items.csv", folder / "judged.json"
    with table.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("wav", "text", "voice"))
        writer.writerows((f"{number:03d}.wav", text, "") for number, text in enumerate(texts))
    command = [str(benchmark.judge), str(table), "--json", str(figures)]
    subprocess.run(command, check=True, capture_output=True)
    items: list[dict[str, object]] = json.loads(figures.read_text("utf-8"))["items"]
    return items


def summarize(items: Sequence[dict[str, object]]) -> Row:
    """Average the judge's figures over clips, WER over words."""
    words = np.array([len(str(item["said"]).split()) for item in items])
    errors = np.array([float(str(item["wer"])) for item in items])
    row = {"wer": float((errors * words).sum() / words.sum())}
    for name in ("dnsmos", "plcmos"):
        row[name] = float(np.mean([float(str(item[name])) for item in items if name in item]))
    return row


def compare(waves: Sequence[Tensor], copies: Sequence[Tensor]) -> Row:
    """Return PESQ and STOI of copies, and the similarity of their speakers to the sources'."""
    from pesq import pesq
    from pystoi import stoi
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    scores: dict[str, list[float]] = {"similarity": [], "pesq": [], "stoi": []}
    for wave, copy in zip(waves, copies, strict=True):
        pair = [resample(x, SAMPLE_RATE, JUDGED_RATE).numpy() for x in (wave, copy)]
        scores["pesq"].append(float(pesq(JUDGED_RATE, *pair, "wb")))
        scores["stoi"].append(float(stoi(*pair, JUDGED_RATE)))
        voices = [encoder.embed_utterance(preprocess_wav(x, JUDGED_RATE)) for x in pair]
        scores["similarity"].append(float(voices[0] @ voices[1]))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def measure_speed(network: MelVocoder | None) -> float:
    """Return how many times faster than real time one core is."""
    turns = 150 * torch.arange(round(TIMED_S * SAMPLE_RATE)) / SAMPLE_RATE
    mel = vocoder_mel(0.3 * (2 * torch.pi * turns).sin())
    threads, taken = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for _ in range(3):
        started = time.process_time()
        vocode(network, mel, torch.Generator().manual_seed(0))
        taken.append(time.process_time() - started)
    torch.set_num_threads(threads)
    return TIMED_S / min(taken)


def format_table(rows: dict[str, Row]) -> str:
    """Format the rows as Markdown."""
    names = ("wer", "similarity", "pesq", "stoi", "dnsmos", "plcmos", "times_real_time")
    lines = [f"| system | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    for system, row in rows.items():
        cells = [f"{row[name]:.3g}" if name in row else "-" for name in names]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the systems named on the command line."""
    cli = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared"
    cli.add_argument("--judge", type=Path, default=shared / "judge" / "run")
    cli.add_argument("--people", type=Path, default=shared / "speech" / "librispeech")
    cli.add_argument("--weights", type=Path, default=ROOT / "models" / "starter")
    cli.add_argument("--out", type=Path, default=ROOT / "build" / "vocoder")
    cli.add_argument("--clips", type=int, default=2, help="recordings of each person")
    cli.add_argument("systems", nargs="*", default=["istft", GRIFFIN_LIM])
    parsed = cli.parse_args()
    unknown = sorted(set(parsed.systems) - {*VOCODER_NETWORKS, GRIFFIN_LIM})
    if unknown:
        cli.error(f"no vocoder {', '.join(unknown)}")
    benchmark = VocoderBenchmark(
        judge=parsed.judge.resolve(), people=parsed.people, weights=parsed.weights,
        out=parsed.out.resolve(), clips=parsed.clips,
    )  # fmt: skip
    sys.stdout.write(format_table(run(benchmark, parsed.systems)))


if __name__ == "__main__":
    main()
