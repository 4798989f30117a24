"""Clips with settings inside, as the studio writes them: one, or ten thousand at once."""

from __future__ import annotations

from pathlib import Path

import torch

from audio.clip import Clip
from audio.io import write_clip
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_metadata
from tortoise.generation.options import TortoiseOptions

MARK = "00000"  # stands for the number of a clip, in as many letters


def tone(seconds: float = 0.05, rate: int = 8_000) -> Clip:
    """A short, quiet tone."""
    time = torch.arange(round(seconds * rate)) / rate
    return Clip(wave=0.2 * torch.sin(2 * torch.pi * 220 * time), sample_rate=rate)


def record(text: str, voice: str = "clara", **changes: object) -> TakeMetadata:
    """How a clip was spoken."""
    from dataclasses import asdict, replace

    from studio.schemas.speech import OutputOptions

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
