"""A discrete VAE whose codes leave the speaker out and whose decoder takes a speaker vector.

It quantises by finite scalar quantisation (arXiv:2309.15505) and encodes as `dvae.Dvae` does; it
decodes to the mel of the vocoder, for which it needs the vector of a speaker encoder.
Shapes: b batch, c mel bands, f GPT mel frames, m codes, q quantised channels, g vocoder mel frames,
s speaker dimensions, w channels, t time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio.mel import GPT_MEL, LOG_MEL_MAX, LOG_MEL_MIN, VOCODER_MEL
from text.phones import PHONES

FRAMES_PER_CODE = 4
VOCODER_FRAMES_PER_CODE = (
    FRAMES_PER_CODE * GPT_MEL.hop * VOCODER_MEL.sample_rate / GPT_MEL.sample_rate / VOCODER_MEL.hop
)
BOUND_SCALE = 0.8  # of the tanh before quantisation; 1.0 left most codes unused
MIN_BAND_STD = 0.3  # nepers, so that a constant band is not amplified
MEL_CENTER, MEL_SCALE = -5.0, 2.5  # of the vocoder's log-mel, for outputs near unit variance
RMS_EPSILON = 1e-5
HALVES = 2  # places of phones in a code
TARGET_FLOOR = -9.0  # nepers, of mels to train on; digital silence would dominate the loss


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerCodecConfig:
    """Sizes of a speaker codec, and the encoder that its speaker vectors come from.

    widths, blocks: at 86, 43 and 21.5 frames per second in the encoder, the reverse in the decoder.
    """

    speaker_encoder: str = "resemblyzer"
    speaker_dim: int = 256
    mel_bands: int = 80
    levels: tuple[int, ...] = (8, 5, 5, 5)
    encoder_widths: tuple[int, int, int] = (128, 192, 224)
    encoder_blocks: tuple[int, int, int] = (1, 1, 2)
    decoder_widths: tuple[int, int, int] = (256, 224, 192)
    decoder_blocks: tuple[int, int, int] = (7, 5, 5)
    film_width: int = 128
    classifier_width: int = 192

    def __post_init__(self) -> None:
        if not self.levels or min(self.levels) < 2:
            raise ValueError(f"a speaker codec needs levels of at least 2; got {self.levels}")

    @property
    def codes(self) -> int:
        """Number of codes: the product of the levels."""
        return math.prod(self.levels)

    @property
    def frames_per_code(self) -> int:
        """Frames of the GPT's mel that one code stands for."""
        return FRAMES_PER_CODE

    @classmethod
    def tiny(cls) -> SpeakerCodecConfig:
        """Return a size for tests."""
        return cls(
            levels=(3, 2), encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8),
            encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 1), film_width=4,
            classifier_width=8,
        )  # fmt: skip


class SpeakerCodec(nn.Module):
    """Mel to codes without the speaker; codes and a speaker vector to the vocoder's mel."""

    mel_norms: Tensor  # (c,) what the mels of `encode` were divided by

    def __init__(self, config: SpeakerCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mel_norms", torch.ones(config.mel_bands))
        self.encoder = CodecEncoder(config)
        self.quantizer = ScalarQuantizer(config.levels)
        self.decoder = CodecDecoder(config)
        self.classifier = PhoneClassifier(len(config.levels), config.classifier_width)

    def encode(self, mel: Tensor) -> Tensor:
        """Write mel as codes, as `Dvae.encode` does.

        mel: (b, c, f) normalised mel of whole clips. Returns (b, m) int64, m = ceil(f / 4).
        """
        return self.encode_log_mel(mel * self.mel_norms.unsqueeze(-1))

    def encode_log_mel(self, log_mel: Tensor) -> Tensor:
        """Write natural-log mel as codes: (b, c, f) to (b, m)."""
        return self.quantizer.find_codes(self.encoder(standardize_bands(log_mel)))

    def decode(self, codes: Tensor, speaker: Tensor, phones: Tensor | None = None) -> Tensor:
        """Read codes as log-mel of the vocoder.

        codes: (b, m); speaker: (b, s) of unit length; phones: (b, p, 2 m) from
        `compute_phone_shares` where the text is known, which keeps its words clear. Returns
        (b, 100, g), g = `count_vocoder_frames(m)`.
        """
        vectors = self.quantizer.look_up(codes)
        mel = self.decoder(vectors, speaker, count_vocoder_frames(codes.shape[1]), phones)
        return mel.clamp(LOG_MEL_MIN, LOG_MEL_MAX)

    def classify_phones(self, codes: Tensor) -> Tensor:
        """Return the log-probability of each phone in each half code: (b, m) to (b, p, 2 m)."""
        return self.classifier(self.quantizer.look_up(codes)).float().log_softmax(1)

    def forward(
        self, bands: Tensor, speaker: Tensor, frames: int, phones: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One training pass.

        bands: (b, c, f) from `standardize_bands`; speaker: (b, s); phones: (b, p, f / 2). Returns
        the quantised vectors (b, q, m) and log-mel (b, 100, frames).
        """
        vectors = self.quantizer(self.encoder(bands))
        return vectors, self.decoder(vectors, speaker, frames, phones)


def count_vocoder_frames(codes: int) -> int:
    """Return the number of vocoder mel frames that last as long as some codes."""
    return round(codes * VOCODER_FRAMES_PER_CODE)


def standardize_bands(log_mel: Tensor) -> Tensor:
    """Give each band mean 0 and deviation 1 over the frames louder than average: (b, c, f)."""
    loudness = log_mel.mean(1, keepdim=True)
    loud = (loudness >= loudness.mean(-1, keepdim=True)).to(log_mel)  # (b, 1, f)
    share = loud / loud.sum(-1, keepdim=True).clamp(min=1)
    mean = (log_mel * share).sum(-1, keepdim=True)
    variance = ((log_mel - mean).square() * share).sum(-1, keepdim=True)
    # the root of 0 has no gradient
    return (log_mel - mean) / variance.clamp(min=MIN_BAND_STD**2).sqrt()


class ScalarQuantizer(nn.Module):
    """Round each channel to a few levels in [-1, 1]; the code is their mixed-radix number."""

    levels: Tensor  # (q,)
    places: Tensor  # (q,) value of one step of each channel

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        places = [math.prod(levels[:index]) for index in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.norm = nn.BatchNorm1d(len(levels), affine=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Quantise with a straight-through gradient: (b, q, m) to (b, q, m) in [-1, 1]."""
        with torch.autocast(hidden.device.type, enabled=False):
            bounded = self._bound(hidden)
            rounded = self._to_values(self._to_steps(bounded))
            return bounded + (rounded - bounded).detach()

    def find_codes(self, hidden: Tensor) -> Tensor:
        """hidden: (b, q, m). Returns (b, m) int64."""
        steps = self._to_steps(self._bound(hidden))
        return (steps.long() * self.places[:, None]).sum(1)

    def look_up(self, codes: Tensor) -> Tensor:
        """codes: (b, m). Returns (b, q, m)."""
        steps = codes.unsqueeze(1) // self.places[:, None] % self.levels[:, None]
        return self._to_values(steps.float())

    def _bound(self, hidden: Tensor) -> Tensor:
        return torch.tanh(BOUND_SCALE * self.norm(hidden.float()))

    def _to_steps(self, bounded: Tensor) -> Tensor:
        return ((bounded + 1) / 2 * (self.levels[:, None] - 1)).round()

    def _to_values(self, steps: Tensor) -> Tensor:
        return 2 * steps / (self.levels[:, None] - 1) - 1


class PhoneClassifier(nn.Module):
    """Quantised channels to phones, with a context of seven codes.

    It keeps the words in the codes, and finds the phones of clips to finetune on.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(channels, width, 5, padding=2),
            nn.SiLU(),
            nn.Conv1d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv1d(width, HALVES * len(PHONES), 1),
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """vectors: (b, q, m). Returns logits (b, p, 2 m)."""
        logits = self.net(vectors).unflatten(1, (len(PHONES), HALVES))
        return logits.transpose(2, 3).flatten(2)


class CodecBlock(nn.Module):
    """Two convolutions added to the input, with FiLM of a speaker (arXiv:1709.07871)."""

    def __init__(self, width: int, film_width: int = 0) -> None:
        super().__init__()
        self.conv_in = nn.Conv1d(width, width, 3, padding=1)
        self.conv_out = nn.Conv1d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        self.film = nn.Linear(film_width, 2 * width) if film_width else None

    def forward(self, hidden: Tensor, speaker: Tensor | None = None) -> Tensor:
        """hidden: (b, w, t); speaker: (b, film width). Returns (b, w, t)."""
        scale = torch.rsqrt(hidden.square().mean(1, keepdim=True) + RMS_EPSILON)
        x = hidden * scale
        if self.film is not None:
            gain, shift = self.film(speaker).unsqueeze(-1).chunk(2, dim=1)
            x = x * (1 + gain) + shift
        return hidden + self.conv_out(F.silu(self.conv_in(x)))


class CodecEncoder(nn.Module):
    """Standardised mel to the channels that are quantised."""

    def __init__(self, config: SpeakerCodecConfig) -> None:
        super().__init__()
        widths = config.encoder_widths
        self.conv_in = nn.Conv1d(config.mel_bands, widths[0], 5, padding=2)
        self.stages = nn.ModuleList(
            nn.Sequential(*(CodecBlock(width) for _ in range(count)))
            for width, count in zip(widths, config.encoder_blocks, strict=True)
        )
        self.downs = nn.ModuleList(
            nn.Conv1d(here, there, 4, stride=2, padding=1) for here, there in pairwise(widths)
        )
        self.conv_out = nn.Conv1d(widths[-1], len(config.levels), 1)

    def forward(self, bands: Tensor) -> Tensor:
        """bands: (b, c, f). Returns (b, q, m); a rest of fewer than four frames counts as four."""
        missing = -bands.shape[-1] % FRAMES_PER_CODE
        hidden = self.stages[0](self.conv_in(F.pad(bands, (0, missing), mode="replicate")))
        for down, stage in zip(self.downs, self.stages[1:], strict=True):
            hidden = stage(down(hidden))
        return self.conv_out(hidden)


class CodecDecoder(nn.Module):
    """Quantised channels, a speaker vector and known phones to the vocoder's log-mel."""

    def __init__(self, config: SpeakerCodecConfig) -> None:
        super().__init__()
        widths, film = config.decoder_widths, config.film_width
        self.speaker_in = nn.Linear(config.speaker_dim, film)
        self.conv_in = nn.Conv1d(len(config.levels), widths[0], 5, padding=2)
        self.phones_in = nn.ModuleList(
            [
                nn.Conv1d(len(PHONES), widths[0], 4, stride=2, padding=1, bias=False),
                nn.Conv1d(len(PHONES), widths[1], 3, padding=1, bias=False),
            ]
        )
        for conv in self.phones_in:
            nn.init.zeros_(cast(nn.Conv1d, conv).weight)
        self.stages = nn.ModuleList(
            nn.ModuleList(CodecBlock(width, film) for _ in range(count))
            for width, count in zip(widths, config.decoder_blocks, strict=True)
        )
        self.ups = nn.ModuleList(
            nn.Conv1d(here, there, 3, padding=1) for here, there in pairwise(widths)
        )
        self.conv_out = nn.Conv1d(widths[-1], VOCODER_MEL.bands, 5, padding=2)

    def forward(
        self, vectors: Tensor, speaker: Tensor, frames: int, phones: Tensor | None = None
    ) -> Tensor:
        """vectors: (b, q, m); speaker: (b, s); phones: (b, p, 2 m). Returns (b, 100, frames)."""
        # a unit vector of s entries has entries near s ** -0.5
        film = F.silu(self.speaker_in(speaker * speaker.shape[1] ** 0.5))
        hidden = self.conv_in(vectors)
        told = [] if phones is None else [conv(phones) for conv in self.phones_in]
        hidden = self._run_stage(0, hidden + told[0] if told else hidden, film)
        for number, up in enumerate(self.ups, start=1):
            length = frames if number == len(self.ups) else 2 * hidden.shape[-1]
            hidden = up(F.interpolate(hidden, size=length, mode="linear"))
            if told and number < len(told):
                hidden = hidden + told[number]
            hidden = self._run_stage(number, hidden, film)
        return self.conv_out(hidden).float() * MEL_SCALE + MEL_CENTER

    def _run_stage(self, number: int, hidden: Tensor, film: Tensor) -> Tensor:
        for block in cast(nn.ModuleList, self.stages[number]):
            hidden = block(hidden, film)
        return hidden
