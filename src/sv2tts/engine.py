"""The SV2TTS engine: an embedding of the voice, Tacotron, a neural vocoder or Griffin-Lim."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from audio.clip import Clip
from core.progress import ProgressReporter
from engines.model_files import ModelFileError, compute_files_id, get_network_path
from engines.protocols import SpeechCandidate, SynthesisOutput, SynthesisWarning
from engines.speaker_latents import SpeakerLatents
from speakers.embedding import Encoder, embed_clip, mean_embedding
from sv2tts.checkpoints import (
    PUBLISHED_NAMES,
    Sv2ttsConfig,
    load_istft_vocoder,
    load_speaker_encoder,
    load_synthesizer,
    load_vocoder,
    read_config,
)
from sv2tts.front_end import FrontEnd, load_front_end
from sv2tts.generation.attention_check import AttentionReport, character_times, check_attention
from sv2tts.generation.options import Sv2ttsOptions
from sv2tts.generation.wavernn_generation import WaveRNNOptions, generate_wave, make_sampler
from sv2tts.mel import MEL_FORMATS, MelFormat, to_vocoder_mel
from sv2tts.modules.tacotron import Tacotron, trim_trailing_silence
from sv2tts.modules.wavernn import WaveRNN
from sv2tts.text_analyzer import TEXT_LIMIT, read_text
from text.normalization.words import find_word_tokens
from text.phones import SPACE_TOKEN
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, vocode_mel

if TYPE_CHECKING:
    from typing_extensions import Self

EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sv2ttsCandidateData:
    """Intermediate data of a candidate.

    text: as it was read; attention: (d, t) one row per decoder step; step_s: seconds per step.
    """

    text: str
    attention: Tensor
    step_s: float
    report: AttentionReport


@dataclass(frozen=True, kw_only=True, eq=False)
class Sv2ttsEngine:
    """Clones a voice from a few seconds; a failed attention is found and tried again."""

    name: ClassVar[str] = "sv2tts"
    options: ClassVar[type] = Sv2ttsOptions

    folder: Path
    config: Sv2ttsConfig
    device: torch.device

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Open a model; its networks are loaded at first use.

        Raises ValueError for an incomplete model.
        """
        config = read_config(weights)
        needed = [name for name in PUBLISHED_NAMES if name != "vocoder" or config.vocoder]
        needed += ["istft_vocoder"] if config.istft_vocoder else []
        missing = [name for name in needed if not get_network_path(weights, name).is_file()]
        if missing:
            raise ModelFileError(
                f"{weights} lacks {', '.join(missing)} and cannot generate speech. Import the "
                "model again.",
                code="incomplete_weights",
            )
        return cls(folder=weights, config=config, device=device)

    @cached_property
    def weights_id(self) -> str:
        """Return the id of the weights that determine embeddings and mels."""
        return compute_files_id(self.folder, ("encoder", "synthesizer"))

    @property
    def sample_rate(self) -> int:
        """Return the sample rate of the mel, in Hz."""
        return self._mel.spec.sample_rate

    @property
    def text_limit(self) -> int:
        """The maximum number of symbols of one chunk."""
        return TEXT_LIMIT

    def count_tokens(self, text: str) -> int:
        """Return the number of letters of the text as it is read."""
        return len(read_text(text))

    def condition(self, clips: Sequence[Clip], report: ProgressReporter) -> SpeakerLatents:
        """Embed clips of one speaker: the mean of their embeddings, of unit length."""
        if not clips:
            raise ValueError("A voice needs at least one clip.")
        embeddings = [embed_clip(self._encoder, clip) for clip in report.track(clips, "listening")]
        mean = torch.from_numpy(mean_embedding(np.stack(embeddings)))
        return SpeakerLatents(
            engine=self.name, weights_id=self.weights_id, tensors={EMBEDDING: mean}
        )

    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: Sv2ttsOptions, report: ProgressReporter
    ) -> SynthesisOutput:
        """Synthesize the text; each candidate's `aux` is an Sv2ttsCandidateData."""
        speaker.require_weights(self.name, self.weights_id)
        if options.seed is None:
            options = replace(options, seed=secrets.randbelow(2**31))
        read = self._front_end.read(text, options.text_cleaning)
        makes = [
            self._make_candidate(read, speaker, options, number, report)
            for number in range(options.candidates)
        ]
        ranked = sorted(makes, key=lambda made: -_score(made.aux.report))
        warnings = [
            SynthesisWarning(
                message=f"In {read!r} {', '.join(made.aux.report.problems)}. Generate it again "
                "with another seed, or split the text.",
                topic="attention",
            )
            for made in ranked
            if not made.aux.report.is_good
        ]
        return SynthesisOutput(candidates=ranked, warnings=warnings[:1])

    def locate_words(
        self, words: Sequence[str], candidate: SpeechCandidate
    ) -> list[tuple[float, float]] | None:
        """Return the times of the words by the attention; None where it is not good."""
        data = candidate.aux
        if not isinstance(data, Sv2ttsCandidateData) or not data.report.is_good:
            return None
        times = character_times(data.attention, data.step_s)

        def find_time(index: int) -> float:
            return times[min(self._front_end.find_symbol(data.text, index), len(times) - 1)]

        spans = find_word_tokens(
            words,
            _split_letters(data.text),
            lambda word: _split_letters(self._front_end.read(word)),
        )
        return [(find_time(start), find_time(stop)) for start, stop in spans]

    def align(
        self,
        parts: Sequence[str],
        candidate: SpeechCandidate,
        speaker: SpeakerLatents,
        report: ProgressReporter,
    ) -> list[float] | None:
        """Return the start time of each part in seconds, read from the attention."""
        data = candidate.aux
        if not isinstance(data, Sv2ttsCandidateData) or not data.report.is_good:
            return None
        times = character_times(data.attention, data.step_s)
        starts, position = [], 0
        for part in parts:
            words = self._front_end.read(part).strip()
            found = data.text.find(words, position)
            if found < 0:
                return None
            symbol = self._front_end.find_symbol(data.text, found)
            starts.append(times[min(symbol, len(times) - 1)])
            position = found + len(words)
        return starts

    def _make_candidate(
        self,
        text: str,
        speaker: SpeakerLatents,
        options: Sv2ttsOptions,
        number: int,
        report: ProgressReporter,
    ) -> SpeechCandidate:
        """Generate mels until one passes the attention check, then the wave of the best."""
        best: tuple[Tensor, Tensor, AttentionReport] | None = None
        for attempt in range(options.retakes + 1):
            generator = torch.Generator().manual_seed(
                _derive_seed(options.seed or 0, number, attempt)
            )
            made = self._make_mel(text, speaker, options, generator, report)
            if best is None or _score(made[2]) > _score(best[2]):
                best = made
            if best[2].is_good:
                break
        assert best is not None  # at least one attempt
        mel, attention, check = best
        with report.stage("vocode"):
            wave = self._vocode(mel, options, number, report)
        data = Sv2ttsCandidateData(
            text=text, attention=attention, step_s=self._step_s, report=check
        )
        clip = Clip(wave=wave.float().clamp(-1.0, 1.0), sample_rate=self.sample_rate)
        return SpeechCandidate(clip=clip, score=_score(check), aux=data)

    def _make_mel(
        self,
        text: str,
        speaker: SpeakerLatents,
        options: Sv2ttsOptions,
        generator: torch.Generator,
        report: ProgressReporter,
    ) -> tuple[Tensor, Tensor, AttentionReport]:
        """Return a mel (m, f), its attention (d, t) and what that says."""
        chars = torch.tensor([self._front_end.to_ids(text)], device=self.device)
        embedding = speaker.tensors[EMBEDDING].to(self.device).unsqueeze(0)
        frames = int(options.max_seconds * self._mel.spec.sample_rate / self._mel.spec.hop)
        with report.stage("draft"):
            made = self._synthesizer.generate(
                chars, embedding, generator, frames, lambda frame: report.check_cancelled()
            )
        attention = made.attention[0].cpu()
        ended = made.mel_postnet.shape[-1] < frames
        check = check_attention(attention, step_s=self._step_s, ended=ended)
        threshold = float(self._synthesizer.stop_threshold)
        mel = trim_trailing_silence(made.mel_postnet[0], threshold)
        return (mel if mel.shape[-1] else made.mel_postnet[0]), attention, check

    def _vocode(
        self, mel: Tensor, options: Sv2ttsOptions, number: int, report: ProgressReporter
    ) -> Tensor:
        """Return the wave (n,) of a mel (m, f)."""
        generator = torch.Generator().manual_seed(_derive_seed(options.seed or 0, number, -1))
        chosen = self._own_vocoder if options.vocoder == "auto" else options.vocoder
        if chosen == "griffin_lim":
            return self._mel.invert(mel.unsqueeze(0), generator)[0].cpu()
        if chosen == "istft":
            network_mel = to_vocoder_mel(mel.unsqueeze(0))
            with torch.inference_mode():
                return vocode_mel(self._istft_vocoder, network_mel, generator)[0].cpu()
        network = self._vocoder
        settings = WaveRNNOptions(
            batched=options.vocoder_batched,
            target=options.vocoder_target,
            overlap=options.vocoder_overlap,
            mu_law=self.config.mu_law,
        )

        def on_step(step: int, total: int) -> None:
            report.check_cancelled()

        return generate_wave(network, mel, settings, make_sampler(network, generator), on_step)

    @property
    def _step_s(self) -> float:
        """Seconds of audio per decoder step."""
        return self._synthesizer.r * self._mel.spec.hop / self._mel.spec.sample_rate

    @property
    def _mel(self) -> MelFormat:
        return MEL_FORMATS[self.config.mel]

    @property
    def _own_vocoder(self) -> str:
        """Return the vocoder that the model has."""
        if self.config.istft_vocoder is not None:
            return "istft"
        return "griffin_lim" if self.config.vocoder is None else "wavernn"

    @cached_property
    def _front_end(self) -> FrontEnd:
        return load_front_end(self.folder, self.config.symbols)

    @cached_property
    def _encoder(self) -> Encoder:
        return load_speaker_encoder(self.folder, self.config, self.device)

    @cached_property
    def _synthesizer(self) -> Tacotron:
        return load_synthesizer(self.folder, self.config, self.device)

    @cached_property
    def _vocoder(self) -> WaveRNN:
        return load_vocoder(self.folder, self.config, self.device)

    @cached_property
    def _istft_vocoder(self) -> IstftVocoder:
        return load_istft_vocoder(self.folder, self.config, self.device)


def _split_letters(text: str) -> list[str]:
    return [SPACE_TOKEN if letter == " " else letter for letter in text]


def _score(report: AttentionReport) -> float:
    """Rank attempts: fewer problems first, then the coverage of the text, then the focus."""
    return report.coverage + 0.1 * report.focus - len(report.problems)


def _derive_seed(seed: int, number: int, attempt: int) -> int:
    """Return an independent seed for each candidate and attempt."""
    digest = hashlib.sha256(f"{seed} {number} {attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
