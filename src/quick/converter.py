"""Convert recordings to another voice: words and timing stay.

Shapes: n samples, c mel bands, f GPT mel frames, m codes, g vocoder mel frames.
"""

from __future__ import annotations

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
from core.progress import ProgressReporter
from engines.model_files import get_network_path, get_sha256
from tortoise.checkpoints.loading import load_model
from tortoise.generation.model_offload import LoadedNetworks, ModelManager
from tortoise.generation.vocoding import GRIFFIN_LIM, choose_vocoder, vocode
from tortoise.generation.voice_conditioning import embed_speaker, load_vector_encoder
from tortoise.modules.speaker_codec import SpeakerCodecConfig

if TYPE_CHECKING:
    from typing_extensions import Self

PIECE_S = 20.0  # converted at once
SEARCH_S = 4.0  # before the end of a piece, for a quiet place to cut
ID_LENGTH = 16


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
        """Return a hash of the codec's weights."""
        return get_sha256(get_network_path(self.networks.bundle.folder, "dvae"))[:ID_LENGTH]

    def embed(self, clips: Sequence[Clip]) -> Tensor:
        """Return the speaker vector of clips of one speaker: (s,)."""
        name = self.networks.bundle.config.architecture("dvae").speaker_encoder
        return embed_speaker(load_vector_encoder(name), clips)

    def convert(
        self,
        clip: Clip,
        speaker: Tensor,
        vocoder: str,
        generator: torch.Generator,
        report: ProgressReporter,
    ) -> Clip:
        """Return the clip in another voice, as long as it is, at 24 kHz.

        speaker: (s,) from `embed`; vocoder: name of the option; generator: on the CPU.
        """
        whole = clip.resample(VOCODER_MEL.sample_rate)
        pieces = split_at_quiet_places(whole)
        waves = []
        for piece in report.track(pieces, "convert"):
            wave = self._convert_piece(piece, speaker, vocoder, generator, report)
            waves.append(F.pad(wave, (0, len(piece.wave) - len(wave)))[: len(piece.wave)])
        return Clip(wave=torch.cat(waves), sample_rate=whole.sample_rate, name=clip.name)

    def _convert_piece(
        self,
        piece: Clip,
        speaker: Tensor,
        vocoder: str,
        generator: torch.Generator,
        report: ProgressReporter,
    ) -> Tensor:
        """Return the wave (n,) on the CPU; its length may differ by a few frames."""
        device = self.networks.device
        manager = ModelManager(networks=self.networks, low_vram=False, half=False, report=report)
        low = piece.resample(GPT_MEL.sample_rate).wave
        low = F.pad(low, (0, max(0, GPT_MEL.n_fft - len(low))))
        mel = log_mel(low.to(device), GPT_MEL)
        with manager.use("dvae") as codec:
            spoken = codec.decode(codec.encode_log_mel(mel), speaker.to(device)[None])
        chosen = choose_vocoder(vocoder, self.networks.bundle.config.networks)
        if chosen == GRIFFIN_LIM:
            return vocode(None, spoken, generator)[0].cpu()
        with manager.use(chosen) as network:
            return vocode(network, spoken, generator)[0].cpu()


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
