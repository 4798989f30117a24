"""Teach the networks to listen to people whom no corpus of synthesizers could hold.

Such a corpus is always clean, and its speakers are few. So references are disturbed as microphones
and rooms would do it, and whole voices are disguised by an equaliser and a longer or shorter vocal
tract. Recordings of real people stand where a reference of a speaker of about their pitch would:
the GPT learns to write a stranger in codes that it knows well, and the diffusion network to bring
the voice itself from what it hears.

Shapes: s speakers, b batch, c mel bands, f mel frames. All mels are natural logs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torchaudio import functional as audio

from speech.files import read_clip
from speech.mel import GPT_MEL, HIGHEST, LOWEST, MelSpec, filterbank, log_mel, resample
from training.codes import SpokenCorpus
from training.corruption import draw
from training.segments import AUDIO

WAVES = 4  # cosines that make up an equaliser's curve
SWING = 0.8  # nepers of the slowest of them, one standard deviation
NOISE_BELOW = (3.0, 8.0)  # nepers between the loudest speech and the noise
NOISE_TILT = (0.0, 2.0)  # nepers that noise falls from the lowest band to the highest
ECHO_BELOW = (0.7, 2.0)  # nepers between speech and its echo
ECHO_FALL = (0.08, 0.4)  # nepers that an echo loses in a frame
TRACTS = (0.84, 1.18)  # formants and harmonics are moved by such factors
SILENCE = LOWEST + 0.1  # nothing can be heard below it, so nothing can be made louder
HIGH_VOICE_HZ = 160.0  # between men and women who read aloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How references are drawn: the chance of each change."""

    strangers: float = 0.35  # of a stand-in's clips, if there are recordings of strangers
    equalised: float = 0.5
    noisy: float = 0.5
    echoing: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """Recordings of people who are in no corpus, by the speaker who stands in for them.

    Names map to log-mels (f, c) as the GPT hears them, before its norms.
    """

    mels: dict[str, list[Tensor]] = field(default_factory=dict)


def read_strangers(folders: Sequence[Path], low: str, high: str) -> Strangers:
    """Read every recording below some folders.

    low, high: the speakers who stand in for low and for high voices.
    """
    found: dict[str, list[Tensor]] = {low: [], high: []}
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    for path in paths:
        if path.suffix.lower() in AUDIO:
            clip = read_clip(path)
            wave = resample(clip.wave, clip.sample_rate, GPT_MEL.sample_rate)
            name = high if pitch_of(wave, GPT_MEL.sample_rate) > HIGH_VOICE_HZ else low
            found[name].append(log_mel(wave, GPT_MEL)[0].T)
    return Strangers(mels=found)


def pitch_of(wave: Tensor, sample_rate: int) -> float:
    """The median pitch in Hz where it is loud.  wave: (n,)."""
    pitch = audio.detect_pitch_frequency(wave, sample_rate, frame_time=0.01)
    hop = round(sample_rate * 0.01)
    frames = wave[: len(wave) // hop * hop].unfold(0, hop, hop).square().mean(1)[: len(pitch)]
    return float(pitch[: len(frames)][frames > frames.quantile(0.6)].median())


def hear(
    corpus: SpokenCorpus,
    chosen: Sequence[int],
    frames: int,
    strangers: Strangers,
    hearing: Hearing,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """What the GPT hears of everybody who speaks in `chosen`, or of strangers in their place.

    Returns log-mels (s, c, frames) and for each chosen clip its row (b,).
    """
    mels, which = corpus.voices(chosen, frames, generator)
    rows = list(mels)
    for place, index in enumerate(chosen):
        others = strangers.mels.get(corpus.names[corpus.clips[index].speaker])
        if others and _chance(hearing.strangers, generator):
            other = others[draw(0, len(others), generator)]
            which[place] = len(rows)
            rows.append(_cut(other, frames, generator).T)
    return torch.stack([disturb(row, GPT_MEL, hearing, generator) for row in rows]), which


def disturb(mel: Tensor, spec: MelSpec, hearing: Hearing, generator: torch.Generator) -> Tensor:
    """Let a microphone, its noise and a room each do their part, or not.  (c, f) to (c, f)."""
    if _chance(hearing.equalised, generator):
        mel = equalise(mel, draw_curve(spec, generator))
    if _chance(hearing.echoing, generator):
        mel = echo(mel, spec, generator)
    if _chance(hearing.noisy, generator):
        mel = add_noise(mel, spec, generator)
    return mel


def draw_curve(spec: MelSpec, generator: torch.Generator) -> Tensor:
    """A smooth random equaliser: (c,) nepers to add."""
    waves = torch.arange(1, WAVES + 1)
    swings = torch.randn(WAVES, generator=generator) * SWING / waves
    phases = torch.rand(WAVES, generator=generator) * 2 * math.pi
    places = (torch.arange(spec.bands) + 0.5) / spec.bands
    angles = math.pi * waves[:, None] * places + phases[:, None]
    level = torch.randn(1, generator=generator) * SWING / 2
    return spec.power * ((swings[:, None] * angles.cos()).sum(0) + level)


def equalise(mel: Tensor, curve: Tensor) -> Tensor:
    """Add a curve (c,) wherever there is sound: (c, f) to (c, f)."""
    changed = (mel + curve[:, None]).clamp(min=LOWEST)
    return torch.where(mel > SILENCE, changed, mel)


def add_noise(mel: Tensor, spec: MelSpec, generator: torch.Generator) -> Tensor:
    """Lay steady noise below the speech: (c, f) to (c, f)."""
    loudest = float(mel.mean(0).amax())
    level = loudest - spec.power * _between(NOISE_BELOW, generator)
    tilt = torch.linspace(0, -1, spec.bands)[:, None] * _between(NOISE_TILT, generator)
    grain = torch.randn(mel.shape, generator=generator) * 0.3
    return torch.logaddexp(mel, level + spec.power * (tilt + grain)).clamp(min=LOWEST)


def echo(mel: Tensor, spec: MelSpec, generator: torch.Generator) -> Tensor:
    """Let every sound die away slowly: (c, f) to (c, f)."""
    fall = spec.power * _between(ECHO_FALL, generator) * torch.arange(mel.shape[1])
    tail = (mel + fall).cummax(1).values - fall - spec.power * _between(ECHO_BELOW, generator)
    return torch.maximum(mel, tail)


def draw_tract(generator: torch.Generator) -> float:
    """A factor for `warp`."""
    return _between(TRACTS, generator)


def warp(mel: Tensor, factor: float, spec: MelSpec) -> Tensor:
    """Multiply all frequencies: a shorter vocal tract for factors above one.  (c, f) to (c, f)."""
    centres = band_centres(spec)
    places = torch.searchsorted(centres, (centres / factor).contiguous()).clamp(1, spec.bands - 1)
    low, high = centres[places - 1], centres[places]
    share = ((centres / factor - low) / (high - low)).clamp(0, 1)[:, None]
    return mel[places - 1] * (1 - share) + mel[places] * share


def band_centres(spec: MelSpec) -> Tensor:
    """The middle of every mel band in Hz, rising: (c,)."""
    bank = filterbank(spec, torch.device("cpu"))
    hz = torch.linspace(0, spec.sample_rate / 2, bank.shape[1])
    return (bank @ hz) / bank.sum(1)


def disguise(mel: Tensor, factor: float, curve: Tensor, spec: MelSpec) -> Tensor:
    """Warp, then equalise: another speaker says the same at the same time.  (c, f) to (c, f)."""
    return equalise(warp(mel, factor, spec), curve).clamp(LOWEST, HIGHEST)


def _cut(mel: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """A stretch of a log-mel (f, c), repeated if it is short."""
    mel = mel.repeat(-(-frames // len(mel)), 1)
    first = draw(0, len(mel) - frames + 1, generator)
    return mel[first : first + frames]


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand(1, generator=generator)) < share


def _between(ends: tuple[float, float], generator: torch.Generator) -> float:
    return ends[0] + (ends[1] - ends[0]) * float(torch.rand(1, generator=generator))
