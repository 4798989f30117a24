"""Clips with settings inside, as the studio writes them: one, or ten thousand at once."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch

from audio.clip import Clip
from audio.io import write_clip
from core.paths import ProjectPaths
from studio.schemas.speech import OutputOptions, SpeechRequest
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_metadata
from studio.synthesis.line_takes import LineTakes, LineTakesFile, SavedTake, write_line_takes
from studio.synthesis.output_paths import OutputPath
from tortoise.generation.options import TortoiseOptions

MARK = "00000"  # stands for the number of a clip, in as many letters


def tone(seconds: float = 0.05, rate: int = 8_000) -> Clip:
    """A short, quiet tone."""
    time = torch.arange(round(seconds * rate)) / rate
    return Clip(wave=0.2 * torch.sin(2 * torch.pi * 220 * time), sample_rate=rate)


def record(text: str, voice: str = "clara", **changes: object) -> TakeMetadata:
    """How a clip was spoken."""
    usual = TakeMetadata(
        text=text,
        voice=voice,
        engine="tortoise",
        bundle="starter",
        weights_id="none",
        seed=7,
        options={**asdict(TortoiseOptions(samples=4, iterations=4)), "seed": 7},
        delivery=asdict(OutputOptions()),
        duration_s=0.05,
        created="2026-03-04T05:06:07+00:00",
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def write_spoken(path: Path, told: TakeMetadata, seconds: float = 0.05) -> Path:
    """Write a clip that carries its settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, tone(seconds))
    write_metadata(path, told)
    return path


def write_many(results: Path, count: int) -> None:
    """Write `count` clips of two voices, each with a text of its own."""
    for number, voice in enumerate(("clara", "felix")):
        model = write_spoken(
            results / voice / "model.wav", record(f"Sentence number {MARK} of many", voice)
        )
        spoken = model.read_bytes()
        model.unlink()
        assert spoken.count(MARK.encode()) == 1, "the text must stand in the file as it is"
        for at in range(number, count, 2):
            name = f"{at + 20_001:05d}-sentence-number-{at:05d}.wav"
            data = spoken.replace(MARK.encode(), f"{at:05d}".encode())
            (results / voice / name).write_bytes(data)


def write_project(root: Path, count: int, voice: str = "clara") -> str:
    """Write a clip of so many lines with their takes; returns its path below the results."""
    layout = ProjectPaths.from_root(root)
    length = 0.05
    told = record("\n".join(f"Line {number} of many." for number in range(count)), voice)
    delivery = OutputOptions(delimiter="\\n", pause_s=0.0)
    clip = OutputPath(clip_path=layout.results / voice / f"{10_000 + count:05d}-{count}-lines.wav")
    lines = []
    for number, text in enumerate(told.text.split("\n")):
        take = SavedTake(
            file=clip.take_path(number).name, text=text, heard=text, voice=voice,
            options=told.options, seconds=length, audible=(0.0, length),
            word_times=(0.0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03, length),
        )  # fmt: skip
        lines.append(LineTakes(heard=text, pause_s=0.0, takes=(take,), chosen=take.file))
        write_spoken(clip.take_path(number), replace(told, text=text), length)
    whole = replace(told, delivery=asdict(delivery), duration_s=count * length)
    write_spoken(clip.clip_path, whole, count * length)
    request = SpeechRequest(text=told.text, voice=voice, options=told.options, delivery=delivery)
    file = LineTakesFile(
        suffix=".wav", request=request, lines=tuple(lines), finished=True, record=whole
    )
    write_line_takes(clip, file)
    return clip.clip_path.relative_to(layout.results).as_posix()
