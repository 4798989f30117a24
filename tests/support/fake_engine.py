"""An engine that hums instead of speaking: every behaviour of the studio, and no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from audio.clip import Clip
from core.options import OptionInfo, validate_options
from core.progress import ProgressReporter
from engines.protocols import SpeechCandidate, SynthesisOutput
from engines.speaker_latents import SpeakerLatents

RATE = 24_000
WORD_S = 0.2


class FakeMeasure:
    """Reads texts as the engine does: every letter is a token, digits are unknown."""

    text_limit = 400

    def count_tokens(self, text: str) -> int:
        return len(text)

    def normalize(self, text: str) -> str:
        return text.replace("Dr.", "Doctor")

    def find_unknown(self, text: str) -> tuple[str, ...]:
        return tuple(word for word in text.split() if word.isdigit())

    def find_guessed(self, text: str) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """A few knobs of each kind."""

    samples: Annotated[int, OptionInfo(1, 512, 1, "How many drafts")] = 4
    candidates: Annotated[int, OptionInfo(1, 8, 1, "How many clips")] = 1
    temperature: Annotated[float, OptionInfo(0.05, 2.0, 0.05, "How freely")] = 0.8
    crop: Annotated[str, OptionInfo(choices=("whole", "first"), help="What is heard")] = "whole"
    half: Annotated[bool, OptionInfo(help="Half precision")] = False
    seed: Annotated[int | None, OptionInfo(0, 2**63 - 1, 1, "Where the numbers start")] = None

    def __post_init__(self) -> None:
        validate_options(self)

    @classmethod
    def presets(cls) -> Mapping[str, Mapping[str, Any]]:
        return {"fast": {"samples": 96}, "standard": {"samples": 256}}

    @classmethod
    def measure(cls, weights: Path) -> FakeMeasure:
        return FakeMeasure()


class FakeEngine:
    """Hums a tone per word; the pitch is the speaker's, the phase and noise come from the seed."""

    name: ClassVar[str] = "tortoise"
    sample_rate: ClassVar[int] = RATE
    options: ClassVar[type] = FakeOptions
    conditioning_options: ClassVar[tuple[str, ...]] = ("crop",)
    loads: ClassVar[list[Path]] = []
    heard: ClassVar[list[str]] = []  # texts, in the order they were spoken
    listened: ClassVar[list[list[str]]] = []  # clip names
    text_limit: int = 400

    def __init__(self, weights: bytes) -> None:
        self.weights_id = hashlib.sha256(weights).hexdigest()[:16]

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> FakeEngine:
        if not (weights / "weights").is_file():
            raise ValueError(f"{weights} has no weights. Download the model again.")
        cls.loads.append(weights)
        return cls((weights / "weights").read_bytes())

    def count_tokens(self, text: str) -> int:
        return len(text)

    def condition(self, clips: Sequence[Clip], report: ProgressReporter) -> SpeakerLatents:
        return self.condition_with_options(clips, FakeOptions(), report)

    def condition_with_options(
        self, clips: Sequence[Clip], options: FakeOptions, report: ProgressReporter
    ) -> SpeakerLatents:
        self.listened.append([clip.name for clip in clips])
        levels = torch.stack([clip.wave.abs().mean() for clip in clips])
        return self._speaker(levels.mean()[None])

    def sample_random_speaker(self, seed: int, report: ProgressReporter) -> SpeakerLatents:
        return self._speaker(torch.rand(1, generator=torch.Generator().manual_seed(seed)))

    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: FakeOptions, report: ProgressReporter
    ) -> SynthesisOutput:
        self.heard.append(text)
        assert options.seed is not None
        generator = torch.Generator().manual_seed(options.seed)
        for _ in report.track(range(3), "draft"):
            pass
        clips = [self._hum(text, speaker, generator) for _ in range(options.candidates)]
        scores = [1.0 - 0.1 * number for number in range(options.candidates)]
        return SynthesisOutput(
            candidates=[
                SpeechCandidate(clip=clip, score=score)
                for clip, score in zip(clips, scores, strict=True)
            ]
        )

    def align(
        self,
        parts: Sequence[str],
        candidate: SpeechCandidate,
        speaker: SpeakerLatents,
        report: ProgressReporter,
    ) -> list[float] | None:
        if "mumble" in " ".join(parts):
            return None
        words = [0, *(len(part.split()) for part in parts[:-1])]
        return [WORD_S * sum(words[: index + 1]) for index in range(len(parts))]

    def _speaker(self, pitch: Tensor) -> SpeakerLatents:
        return SpeakerLatents(
            engine=self.name, weights_id=self.weights_id, tensors={"pitch": pitch}
        )

    def _hum(self, text: str, speaker: SpeakerLatents, generator: torch.Generator) -> Clip:
        n = round(len(text.split()) * WORD_S * RATE)
        hz = 100 + 400 * float(speaker.tensors["pitch"])
        time = torch.arange(n) / RATE
        noise = 0.01 * torch.randn(n, generator=generator)
        return Clip(wave=0.5 * torch.sin(2 * torch.pi * hz * time) + noise, sample_rate=RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PacedOptions(FakeOptions):
    """Options with a speed."""

    speed: Annotated[float, OptionInfo(0.5, 2.0, 0.05, "How fast")] = 1.0


class PacedEngine(FakeEngine):
    """Hums at the speed that is asked for."""

    options: ClassVar[type] = PacedOptions

    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: Any, report: ProgressReporter
    ) -> SynthesisOutput:
        output = super().synthesize(text, speaker, options, report)
        candidates = []
        for one in output.candidates:
            length = round(len(one.clip.wave) / options.speed)
            wave = one.clip.wave.repeat(2)[:length]
            candidates.append(replace(one, clip=replace(one.clip, wave=wave)))
        return replace(output, candidates=candidates)
