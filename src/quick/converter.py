"""Convert recordings to another voice: words and timing stay.

Shapes: n samples, c mel bands, f GPT mel frames, m codes, g vocoder mel frames, t phones,
p phone classes, s speaker dimensions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.clip import Clip
from audio.energy_vad import compute_frame_levels_db
from audio.mel import GPT_MEL, VOCODER_MEL, log_mel
from core.errors import InvalidValueError
from core.paths import quote_for_message
from core.progress import ProgressReporter
from engines.model_files import get_sha256
from quick.teacher import DURATION_UNIT, SAMPLE_RATE, TeacherUtterance
from text.phones import SILENCE, classify_misaki, classify_token
from text.tokenizer import PhonemeTokenizer
from tortoise.checkpoints.layout import list_codec_files
from tortoise.checkpoints.loading import TortoiseModel, load_model
from tortoise.generation.forced_alignment import find_phone_path
from tortoise.generation.mel_decoding import ClipPace, compress_mel
from tortoise.generation.model_offload import LoadedNetworks, ModelManager
from tortoise.generation.text_plan import compute_phone_shares
from tortoise.generation.vocoding import GRIFFIN_LIM, choose_vocoder, vocode
from tortoise.generation.voice_conditioning import embed_speaker, load_codec_encoder
from tortoise.modules.speaker_codec import FRAMES_PER_CODE, SpeakerCodec, SpeakerCodecConfig

if TYPE_CHECKING:
    from typing_extensions import Self

PIECE_S = 20.0  # converted at once
SEARCH_S = 4.0  # before the end of a piece, for a quiet place to cut
MAX_ALIGNED_S = 180.0  # the table of the alignment grows with the square of the length
CODE_S = FRAMES_PER_CODE * GPT_MEL.hop / GPT_MEL.sample_rate
ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhoneTimes:
    """The phones of a clip in order: their classes and durations in seconds, (t,) each."""

    classes: Tensor
    seconds: Tensor

    @classmethod
    def of(cls, spoken: TeacherUtterance) -> Self:
        """Return the phones that the teacher spoke."""
        return cls(
            classes=torch.tensor([classify_misaki(mark) for mark in spoken.phonemes]),
            seconds=torch.tensor(spoken.durations) * (DURATION_UNIT / SAMPLE_RATE),
        )

    def compute_shares(self, start_s: float, codes: int) -> Tensor:
        """Return the shares of the phones from a time on: (p, 2 m)."""
        ends = (self.seconds.cumsum(0) - start_s).clamp(min=0)
        durations = torch.diff(ends, prepend=torch.zeros(1)) / CODE_S
        return compute_phone_shares(self.classes, durations, codes)


@dataclass(frozen=True, kw_only=True, eq=False)
class VoiceConverter:
    """A model with a speaker codec and a vocoder."""

    networks: LoadedNetworks

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Open a model; its networks are loaded at first use.

        Raises ValueError for a model without a speaker codec.
        """
        bundle = load_model(weights)
        codec = bundle.config.dvae
        if not isinstance(codec, SpeakerCodecConfig):
            raise InvalidValueError(
                f"The model {weights.name} cannot convert voices: its codebook has no speaker "
                "vectors. Choose a model with a speaker codec.",
                code="bundle_incompatible",
            )
        return cls(networks=LoadedNetworks(bundle=bundle, device=device))

    @property
    def weights_id(self) -> str:
        """Return a hash of the codec's weights, and of a speaker encoder in the model's folder."""
        folder = self.networks.bundle.folder
        hashes = "".join(get_sha256(folder / name) for name in list_codec_files(folder))
        return hashlib.sha256(hashes.encode()).hexdigest()[:ID_LENGTH]

    @property
    def reads_phonemes(self) -> bool:
        """Return whether `align` can be used: the tokens of the model are phonemes."""
        return isinstance(self.networks.bundle.tokenizer, PhonemeTokenizer)

    def embed(self, clips: Sequence[Clip]) -> Tensor:
        """Return the speaker vector of clips of one speaker: (s,)."""
        bundle = self.networks.bundle
        name = bundle.config.architecture("dvae").speaker_encoder
        return embed_speaker(load_codec_encoder(bundle.folder, name), clips)

    def convert(
        self,
        clip: Clip,
        speaker: Tensor,
        vocoder: str,
        generator: torch.Generator,
        report: ProgressReporter,
        phones: PhoneTimes | None = None,
        speed: float = 1.0,
    ) -> tuple[Clip, ClipPace]:
        """Return the clip in another voice at 24 kHz, `speed` times as fast, and its pace.

        speaker: (s,) from `embed`; vocoder: name of the option; generator: on the CPU; phones: of
        the clip where they are known, which keeps its words clear; speed: at least 1, which keeps
        the length.
        """
        whole = clip.resample(VOCODER_MEL.sample_rate)
        pieces = split_at_quiet_places(whole)
        waves: list[Tensor] = []
        starts = [torch.zeros(1)]
        start_s = 0.0
        for piece in report.track(pieces, "convert"):
            mel = self._convert_mel(piece, start_s, speaker, phones, report)
            if speed > 1.0:
                mel, places = compress_mel(mel, speed)
                starts.append(starts[-1][-1] + places[1:].cpu())
            wave, samples = self._vocode(mel, vocoder, generator, report), len(piece.wave) / speed
            waves.append(F.pad(wave, (0, max(0, round(samples) - len(wave))))[: round(samples)])
            start_s += piece.duration_s
        made = Clip(wave=torch.cat(waves), sample_rate=whole.sample_rate, name=clip.name)
        return made, ClipPace(starts=torch.cat(starts) if speed > 1.0 else None)

    def align(self, clip: Clip, text: str, report: ProgressReporter) -> PhoneTimes:
        """Find when a clip speaks a text, by the phone classifier of its codes.

        Raises InvalidValueError for a model without phonemes, for a text that is longer than the
        clip, and for a clip longer than `MAX_ALIGNED_S`.
        """
        phones = list_text_phones(self.networks.bundle, text)
        if clip.duration_s > MAX_ALIGNED_S:
            raise InvalidValueError(
                f"The recording lasts {clip.duration_s:.0f} s; its words can be used up to "
                f"{MAX_ALIGNED_S:.0f} s. Split it, or convert it without words.",
                code="bad_request",
            )
        heard = []
        with self._manage(report).use("dvae") as codec, report.stage("aligning"):
            for piece in split_at_quiet_places(clip.resample(VOCODER_MEL.sample_rate)):
                codes = self._encode(codec, piece)
                halves = round(2 * piece.duration_s / CODE_S)
                heard.append(codec.classify_phones(codes)[0].T[:halves].cpu())
        path = find_phone_path(torch.cat(heard)[:, phones], phones == SILENCE)
        if path is None:
            raise InvalidValueError(
                f"The recording lasts {clip.duration_s:.1f} s, which is too short for its words: "
                f"{quote_for_message(text)}. Give the words that it speaks.",
                code="bad_request",
            )
        spoken, counts = path.unique_consecutive(return_counts=True)
        return PhoneTimes(classes=phones[spoken], seconds=counts * (CODE_S / 2))

    def _encode(self, codec: SpeakerCodec, piece: Clip) -> Tensor:
        """Return the codes of a piece: (1, m)."""
        low = piece.resample(GPT_MEL.sample_rate).wave
        low = F.pad(low, (0, max(0, GPT_MEL.n_fft - len(low))))
        return codec.encode_log_mel(log_mel(low.to(self.networks.device), GPT_MEL))

    def _convert_mel(
        self,
        piece: Clip,
        start_s: float,
        speaker: Tensor,
        phones: PhoneTimes | None,
        report: ProgressReporter,
    ) -> Tensor:
        """Return the vocoder's mel (1, 100, g) of a piece that begins at `start_s`."""
        device = self.networks.device
        with self._manage(report).use("dvae") as codec:
            codes = self._encode(codec, piece)
            told = None
            if phones is not None:
                told = phones.compute_shares(start_s, codes.shape[1]).to(device)[None]
            spoken: Tensor = codec.decode(codes, speaker.to(device)[None], told)
            return spoken

    def _vocode(
        self, mel: Tensor, vocoder: str, generator: torch.Generator, report: ProgressReporter
    ) -> Tensor:
        """Return the wave (n,) on the CPU; its length may differ by a few frames."""
        chosen = choose_vocoder(vocoder, self.networks.bundle.config.networks)
        if chosen == GRIFFIN_LIM:
            return vocode(None, mel, generator)[0].cpu()
        with self._manage(report).use(chosen) as network:
            return vocode(network, mel, generator)[0].cpu()

    def _manage(self, report: ProgressReporter) -> ModelManager:
        return ModelManager(networks=self.networks, low_vram=False, half=False, report=report)


def list_text_phones(bundle: TortoiseModel, text: str) -> Tensor:
    """Return the phone classes of a text, with a silence between two words: (t,).

    Raises InvalidValueError for a model whose tokens are not phonemes and for a text without words.
    """
    tokenizer = bundle.tokenizer
    if not isinstance(tokenizer, PhonemeTokenizer):
        raise InvalidValueError(
            f"The model {bundle.folder.name} cannot use the words of a recording: it has no "
            "phonemes. Convert without words.",
            code="bundle_incompatible",
        )
    classes = [SILENCE]
    for token in tokenizer.tokenize(text):
        phone = classify_token(token)
        if phone > SILENCE:
            classes.append(phone)
        elif classes[-1] != SILENCE:
            classes.append(SILENCE)
    if classes == [SILENCE]:
        raise InvalidValueError(
            f"There is no word in {quote_for_message(text)}. Give the words that the recording "
            "speaks, or leave them empty.",
            code="bad_request",
        )
    return torch.tensor(classes)


def split_at_quiet_places(clip: Clip) -> list[Clip]:
    """Split a clip into pieces of at most 20 s, each cut at the quietest place of its last 4 s."""
    longest, search = round(PIECE_S * clip.sample_rate), round(SEARCH_S * clip.sample_rate)
    pieces, start = [], 0
    while len(clip.wave) - start > longest:
        first = start + longest - search
        tail = Clip(wave=clip.wave[first : start + longest], sample_rate=clip.sample_rate)
        levels = compute_frame_levels_db(tail)
        stop = first + int(levels.argmin()) * search // len(levels)
        pieces.append(Clip(wave=clip.wave[start:stop], sample_rate=clip.sample_rate))
        start = stop
    return [*pieces, Clip(wave=clip.wave[start:], sample_rate=clip.sample_rate)]
