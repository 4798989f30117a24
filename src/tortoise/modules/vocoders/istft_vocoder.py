"""A vocoder that predicts a spectrum: the mel's own magnitudes, harmonics at its F0, and noise.

A ConvNeXt network (as in Vocos, arXiv:2306.00814) reads the mel and corrects priors that need no
training: the magnitudes recovered from the mel and the spectrum of a pulse train at the F0 that a
small network reads from the mel. The spectrum is S = exp(P + r) z / |z| with
z = exp(i pi tanh(theta)) E + exp(rr + i phi) + exp(rn) noise, and an inverse STFT makes the wave.

Shapes: b batch, f mel frames, c channels, k spectrum bins, n samples, p F0 bins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio.griffin_lim import invert_mel_scale
from audio.mel import VOCODER_MEL, hann_window

N_FFT, HOP, BINS = VOCODER_MEL.n_fft, VOCODER_MEL.hop, VOCODER_MEL.n_fft // 2 + 1
OVERLAPS = N_FFT // HOP
WINDOW_POWER = 1.5  # sum of the squared Hann windows over each sample, a quarter window apart
LOWEST_F0, HIGHEST_F0 = 50.0, 550.0  # Hz
HIGHEST_HARMONIC_HZ = 11_900.0
F0_NEIGHBOURS = 4  # bins on both sides of the best one that are averaged
NNLS_ITERATIONS = 10
LOWEST_LOG_MAGNITUDE, HIGHEST_LOG_MAGNITUDE = -12.0, 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IstftVocoderConfig:
    """The architecture; the defaults are the starter's."""

    width: int = 224
    blocks: int = 8
    kernel: int = 7
    expansion: int = 2  # of each block's hidden layer
    f0_width: int = 96
    f0_blocks: int = 3
    f0_bins: int = 160

    @property
    def hop(self) -> int:
        """Samples per mel frame."""
        return HOP

    @property
    def context(self) -> int:
        """Frames on both sides that the backbone reads for a frame."""
        return self.kernel // 2 * self.blocks

    @property
    def f0_context(self) -> int:
        """Frames on both sides that the F0 network reads for a frame."""
        return self.kernel // 2 * self.f0_blocks

    @classmethod
    def tiny(cls) -> IstftVocoderConfig:
        """The size that tests run on."""
        return cls(width=8, blocks=2, expansion=1, f0_width=8, f0_blocks=1, f0_bins=16)


class SpectrumParts(NamedTuple):
    """The network's corrections of the priors, each (b, f, k)."""

    gain: Tensor  # r, of the log magnitude
    rotation: Tensor  # theta, of the harmonics
    tone_level: Tensor  # rr, log magnitude of a part with free phase
    tone_phase: Tensor  # phi
    noise_level: Tensor  # rn, log magnitude


PART_BIASES = (0.0, 0.0, -2.0, 0.0, -1.5)


class ConvNextBlock(nn.Module):
    """A depthwise convolution over time and a hidden layer, added to the input."""

    def __init__(self, width: int, kernel: int, hidden: int, scale: float):
        super().__init__()
        self.depthwise = nn.Parameter(torch.randn(kernel, width) / math.sqrt(kernel))
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.reduce = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(b, f, c) -> (b, f, c)."""
        taps, frames = len(self.depthwise), x.shape[1]
        padded = F.pad(x, (0, 0, taps // 2, taps // 2))
        y = padded[:, :frames] * self.depthwise[0]
        for tap in range(1, taps):
            y = torch.addcmul(y, padded[:, tap : tap + frames], self.depthwise[tap])
        hidden = F.gelu(self.expand(self.norm(y)), approximate="tanh")
        return x + self.scale * self.reduce(hidden).float()


class F0Predictor(nn.Module):
    """Reads F0 and voicing from a mel."""

    def __init__(self, config: IstftVocoderConfig):
        super().__init__()
        width = config.f0_width
        self.inputs = nn.Linear(VOCODER_MEL.bands, width)
        self.blocks = nn.ModuleList(
            ConvNextBlock(width, config.kernel, 2 * width, 1 / config.f0_blocks)
            for _ in range(config.f0_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.outputs = nn.Linear(width, config.f0_bins + 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """mel: (b, f, bands) -> logits of the F0 bins (b, f, p) and of voicing (b, f)."""
        x = self.inputs(_standardize(mel)).float()
        for block in self.blocks:
            x = block(x)
        logits = self.outputs(self.norm(x)).float()
        return logits[..., :-1], logits[..., -1]

    def predict(self, mel: Tensor) -> Tensor:
        """Return F0 (b, f) in Hz, negative where unvoiced.  mel: (b, f, bands)."""
        logits, voicing = self(mel)
        log_f0 = _decode_log_f0(logits)
        return torch.where(voicing > 0, log_f0.exp(), -log_f0.exp())


def compute_f0_bins(bins: int, device: torch.device) -> Tensor:
    """Return the centres of the F0 bins: (p,) natural log of Hz."""
    return torch.linspace(math.log(LOWEST_F0), math.log(HIGHEST_F0), bins, device=device)


def _decode_log_f0(logits: Tensor) -> Tensor:
    """Average the bins around the most probable one: (b, f, p) -> (b, f)."""
    bins = logits.shape[-1]
    places = torch.arange(bins, device=logits.device)
    best = logits.argmax(-1, keepdim=True)
    near = (places - best).abs() <= F0_NEIGHBOURS
    weights = logits.masked_fill(~near, -torch.inf).softmax(-1)
    return (weights * compute_f0_bins(bins, logits.device)).sum(-1)


class IstftVocoder(nn.Module):
    """The vocoder: both networks and the synthesis of the wave."""

    def __init__(self, config: IstftVocoderConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.f0 = F0Predictor(config)
        self.inputs = nn.Linear(VOCODER_MEL.bands + 2 + 2 * BINS, width)
        self.blocks = nn.ModuleList(
            ConvNextBlock(width, config.kernel, config.expansion * width, 1 / config.blocks)
            for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.outputs = nn.Linear(width, len(PART_BIASES) * BINS)
        with torch.no_grad():
            self.outputs.weight.mul_(0.1)
            self.outputs.bias.copy_(torch.tensor(PART_BIASES).repeat_interleave(BINS))

    def forward(self, mel: Tensor, f0: Tensor, pulses: Tensor, noise: Tensor) -> Tensor:
        """Return the spectra (b, f, k), complex.

        mel: (b, bands, f) natural log; f0: (b, f) Hz, not positive where unvoiced;
        pulses: (b, f, k) complex, the spectrum of the pulse train; noise: (b, f, k, 2).
        """
        frames = mel.transpose(1, 2)
        log_magnitude = recover_log_magnitude(mel)
        parts = self.predict_parts(frames, log_magnitude, f0, pulses)
        harmonics = pulses * torch.polar(
            torch.ones_like(parts.rotation), math.pi * parts.rotation.tanh()
        )
        free = torch.polar(
            parts.tone_level.clamp(max=HIGHEST_LOG_MAGNITUDE).exp(), parts.tone_phase
        )
        level = parts.noise_level.clamp(max=HIGHEST_LOG_MAGNITUDE).exp()
        z = harmonics + free + level * torch.view_as_complex(noise)
        z = z * torch.rsqrt(z.real.square() + z.imag.square() + 1e-12)
        magnitude = (log_magnitude + parts.gain).clamp(max=HIGHEST_LOG_MAGNITUDE).exp()
        return magnitude * z

    def predict_parts(
        self, frames: Tensor, log_magnitude: Tensor, f0: Tensor, pulses: Tensor
    ) -> SpectrumParts:
        """Run the backbone.  frames: (b, f, bands);  the others as in `forward`."""
        voiced = f0 > 0
        pitch = torch.where(voiced, (f0.abs().clamp(min=LOWEST_F0) / 200.0).log(), 0.0)
        pulse_level = (pulses.real.square() + pulses.imag.square() + 1e-4).log() / 2
        features = [
            _standardize(frames),
            torch.stack([pitch, voiced.to(pitch)], dim=-1),
            (log_magnitude + 4.0) / 3.0,
            (pulse_level + 2.0) / 2.0,
        ]
        x = self.inputs(torch.cat(features, dim=-1)).float()
        for block in self.blocks:
            x = block(x)
        return SpectrumParts(*self.outputs(self.norm(x)).float().chunk(len(PART_BIASES), dim=-1))


@dataclass(kw_only=True)
class PulseTrain:
    """A train of unit pulses whose phase continues from call to call.  phase: (b,) in turns."""

    phase: Tensor

    @classmethod
    def start(cls, like: Tensor, draw: torch.Generator) -> PulseTrain:
        """Begin at random phases, one for each item of `like` (b, ...)."""
        phase = torch.rand((len(like),), generator=draw, dtype=torch.float64)
        return cls(phase=phase.to(like.device))

    def extend(self, f0: Tensor) -> Tensor:
        """Return the samples between the centres of frames: (b, f) Hz to (b, hop * (f - 1)).

        A frame with F0 <= 0 is unvoiced; its absolute value still moves the phase.
        """
        hz, voiced = f0.abs().double(), f0 > 0
        left, right = hz[:, :-1], hz[:, 1:]
        left = torch.where(voiced[:, 1:] & ~voiced[:, :-1], right, left)
        right = torch.where(voiced[:, :-1] & ~voiced[:, 1:], hz[:, :-1], right)
        place = (torch.arange(HOP, device=f0.device, dtype=torch.float64) + 0.5) / HOP
        hz = torch.lerp(left.unsqueeze(-1), right.unsqueeze(-1), place).flatten(1)
        near = torch.where(place < 0.5, voiced[:, :-1, None], voiced[:, 1:, None]).flatten(1)
        turns = self.phase.unsqueeze(-1) + (hz / VOCODER_MEL.sample_rate).cumsum(-1)
        self.phase = turns[:, -1] % 1.0 if turns.shape[1] else self.phase
        half = math.pi * (turns % 1.0)
        count = (HIGHEST_HARMONIC_HZ / hz.clamp(min=LOWEST_F0)).floor() + 0.5
        sine = half.sin()
        at_pulse = sine.abs() < 1e-4
        ratio = (2 * count * half).sin() / torch.where(at_pulse, 1.0, 2 * sine)
        wave = torch.where(at_pulse, count, ratio) - 0.5
        return torch.where(near, wave, 0.0).float()


def compute_pulse_spectra(pulses: Tensor) -> Tensor:
    """Return spectra (b, f, k) of pulses (b, hop * (f - 1) + n_fft), a unit cosine peaking at 1."""
    window = hann_window(N_FFT, pulses.device)
    return torch.fft.rfft(pulses.unfold(-1, N_FFT, HOP) * window) * (4.0 / N_FFT)


@torch.no_grad()
def recover_log_magnitude(mel: Tensor) -> Tensor:
    """Recover log magnitudes (b, f, k) from a mel (b, bands, f), one frame like another."""
    with torch.autocast(mel.device.type, enabled=False):
        magnitude = invert_mel_scale(mel, VOCODER_MEL, NNLS_ITERATIONS).transpose(1, 2)
    return magnitude.clamp(min=1e-6).log().clamp(min=LOWEST_LOG_MAGNITUDE)


def draw_noise(like: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """Draw complex noise (b, f, k, 2), frame after frame, so that it does not depend on chunks."""
    shape = (like.shape[0], BINS, 2)
    drawn = [torch.randn(shape, generator=generator) for _ in range(frames)]
    return torch.stack(drawn, dim=1).to(like.device) * math.sqrt(0.5)


def overlap_add(spectra: Tensor) -> Tensor:
    """Inverse STFT of spectra (b, f, k): (b, hop * (f + 3)), the first frame at sample 0.

    The samples of the first and the last three hops lack the frames beyond.
    """
    frames = torch.fft.irfft(spectra, N_FFT) * hann_window(N_FFT, spectra.device) / WINDOW_POWER
    hops = frames.unflatten(-1, (OVERLAPS, HOP))  # (b, f, o, hop)
    shifted = [
        F.pad(hops[:, :, place], (0, 0, place, OVERLAPS - 1 - place)) for place in range(OVERLAPS)
    ]
    return torch.stack(shifted).sum(0).flatten(1)


def _standardize(mel: Tensor) -> Tensor:
    return (mel + 5.0) / 3.0


def synthesize_wave(net: IstftVocoder, mel: Tensor, f0: Tensor, draw: torch.Generator) -> Tensor:
    """Synthesize a whole mel (b, bands, f) with F0 (b, f): the wave (b, hop * f).

    Sample 0 is the middle of the first frame.  draw: a CPU generator of first phases and noise.
    """
    train = PulseTrain.start(mel, draw)
    sides = F.pad(f0, (OVERLAPS // 2, OVERLAPS // 2), value=-LOWEST_F0)
    pulses = compute_pulse_spectra(train.extend(sides))
    spectra = net(mel, f0, pulses, draw_noise(mel, mel.shape[-1], draw))
    start = N_FFT // 2
    return overlap_add(spectra)[:, start : start + HOP * mel.shape[-1]]


def vocode_mel(net: IstftVocoder, mel: Tensor, draw: torch.Generator) -> Tensor:
    """Synthesize a mel (b, bands, f) with the F0 that the network reads: (b, hop * f)."""
    return synthesize_wave(net, mel, net.f0.predict(mel.transpose(1, 2)), draw)


def stream_mel(
    net: IstftVocoder, chunks: Iterable[Tensor], draw: torch.Generator
) -> Iterator[Tensor]:
    """Synthesize mels (b, bands, f) as they come; the pieces (b, n) joined are `vocode_mel`'s.

    A piece is due when the frames that influence it are there, `config.context` after its own.
    """
    held: Tensor | None = None
    stream: _Stream | None = None
    for chunk in chunks:
        if held is not None and stream is not None:
            yield stream.extend(held, last=False)
        elif stream is None:
            stream = _Stream(net, chunk, draw)
        held = chunk
    if held is not None and stream is not None:
        yield stream.extend(held, last=True)


class _Stream:
    """The frames that later ones need, all from frame `first` on, and the unfinished samples."""

    def __init__(self, net: IstftVocoder, mel: Tensor, draw: torch.Generator):
        self.net, self.draw = net, draw
        self.train = PulseTrain.start(mel, draw)
        self.first = self.done = 0  # frames
        self.mel = mel[..., :0]
        self.f0 = mel.new_zeros((len(mel), 0))
        self.noise = mel.new_zeros((len(mel), 0, BINS, 2))
        self.spectra = torch.zeros((len(mel), 0, BINS), dtype=torch.complex64, device=mel.device)
        self.unread_f0 = mel.new_full((len(mel), OVERLAPS // 2), -LOWEST_F0)
        self.pulses = mel.new_zeros((len(mel), 0))
        self.tail = mel.new_zeros((len(mel), (OVERLAPS - 1) * HOP))
        self.skipped = N_FFT // 2  # samples before the middle of the first frame

    def extend(self, mel: Tensor, last: bool) -> Tensor:
        """Add frames; return the samples that are finished: (b, n)."""
        self.mel = torch.cat([self.mel, mel], dim=-1)
        self._extend_pulses(self._extend_f0(last), last)
        count = self.spectra.shape[1]
        self.noise = torch.cat([self.noise, self._draw_missing_noise(count)], dim=1)
        stop = count if last else count - self.net.config.context
        start = self.done - self.first
        if stop <= start:
            return mel.new_zeros((len(mel), 0))
        spectra = self.net(self.mel[..., :count], self.f0[:, :count], self.spectra, self.noise)
        wave = overlap_add(spectra[:, start:stop])
        wave = torch.cat(
            [wave[:, : self.tail.shape[1]] + self.tail, wave[:, self.tail.shape[1] :]], 1
        )
        ready = (stop - start) * HOP
        self.tail = wave[:, ready:]
        wave = wave[:, : ready + (N_FFT // 2 if last else 0)]
        skipped, self.skipped = self.skipped, max(0, self.skipped - wave.shape[1])
        self.done += stop - start
        self._forget()
        return wave[:, skipped:]

    def _extend_f0(self, last: bool) -> Tensor:
        """Predict F0 of the frames whose context is there; return it."""
        context = self.net.config.f0_context
        known, total = self.f0.shape[1], self.mel.shape[-1]
        ready = total if last else max(known, total - context)
        start = max(0, known - context)
        frames = self.mel[..., start : min(total, ready + context)].transpose(1, 2)
        fresh = self.net.f0.predict(frames)[:, known - start : ready - start]
        self.f0 = torch.cat([self.f0, fresh], dim=1)
        return fresh

    def _extend_pulses(self, fresh: Tensor, last: bool) -> None:
        """Continue the pulse train over new F0, and compute the spectra that this completes."""
        f0 = torch.cat([self.unread_f0, fresh], dim=1)
        if last:
            f0 = F.pad(f0, (0, OVERLAPS // 2), value=-LOWEST_F0)
        self.pulses = torch.cat([self.pulses, self.train.extend(f0)], dim=1)
        self.unread_f0 = f0[:, -1:]
        count = max(0, (self.pulses.shape[1] - N_FFT) // HOP + 1)
        if count:
            fresh_spectra = compute_pulse_spectra(self.pulses)
            self.spectra = torch.cat([self.spectra, fresh_spectra], dim=1)
            self.pulses = self.pulses[:, count * HOP :]

    def _draw_missing_noise(self, count: int) -> Tensor:
        missing = count - self.noise.shape[1]
        if missing <= 0:
            return self.noise[:, :0]
        return draw_noise(self.mel, missing, self.draw)

    def _forget(self) -> None:
        """Drop the frames that no later one needs."""
        drop = max(0, self.done - self.net.config.context - self.first)
        self.mel, self.f0 = self.mel[..., drop:], self.f0[:, drop:]
        self.noise, self.spectra = self.noise[:, drop:], self.spectra[:, drop:]
        self.first += drop
