"""The engine `quick`: a small synthesizer speaks, and voice conversion gives it the voice."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from audio.clip import Clip
from audio.mel import VOCODER_MEL
from core.progress import ProgressReporter
from engines.protocols import SpeechCandidate, SynthesisOutput
from engines.speaker_latents import SpeakerLatents
from quick import teacher
from quick.converter import PhoneTimes, VoiceConverter
from quick.options import QuickOptions
from text.normalization.words import find_word_tokens
from text.phones import SPACE_TOKEN

if TYPE_CHECKING:
    from typing_extensions import Self

SPEAKER = "speaker"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuickCandidateData:
    """phonemes: one character each, as spoken;  ends: the seconds at which each ends, after a 0."""

    phonemes: str
    ends: Sequence[float]


@dataclass(frozen=True, kw_only=True, eq=False)
class QuickEngine:
    """Speaks many times faster than real time on one CPU core."""

    name: ClassVar[str] = "quick"
    sample_rate: ClassVar[int] = VOCODER_MEL.sample_rate
    options: ClassVar[type] = QuickOptions

    converter: VoiceConverter

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Open a model with a speaker codec.  Raises ValueError for another model."""
        converter = VoiceConverter.load(weights, device)
        teacher.check_installed()
        return cls(converter=converter)

    @property
    def weights_id(self) -> str:
        """Return the id of the loaded weights, a hash of the codec's."""
        return self.converter.weights_id

    def condition(self, clips: Sequence[Clip], report: ProgressReporter) -> SpeakerLatents:
        """Compute the speaker vector of clips of one speaker."""
        with report.stage("listening"):
            vector = self.converter.embed(clips)
        return SpeakerLatents(
            engine=self.name, weights_id=self.weights_id, tensors={SPEAKER: vector}
        )

    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: QuickOptions, report: ProgressReporter
    ) -> SynthesisOutput:
        """Speak the text with the pace of the options."""
        speaker.require_weights(self.name, self.weights_id)
        seed = secrets.randbelow(2**31) if options.seed is None else options.seed
        spoken_speed = min(options.speed, 1.0)  # faster, the synthesizer is unclear
        with report.stage("speak"):
            spoken = teacher.load_teacher().speak(text, spoken_speed, seed)
        clip, pace = self.converter.convert(
            Clip(wave=torch.from_numpy(spoken.wave).clamp(-1, 1), sample_rate=teacher.SAMPLE_RATE),
            speaker.tensors[SPEAKER],
            options.vocoder,
            torch.Generator().manual_seed(seed),
            report,
            PhoneTimes.of(spoken),
            options.speed / spoken_speed,
        )
        ends = [pace.find_time(end_s) for end_s in spoken.list_ends()]
        data = QuickCandidateData(phonemes=spoken.phonemes, ends=ends)
        return SynthesisOutput(candidates=[SpeechCandidate(clip=clip, aux=data)])

    def locate_words(
        self, words: Sequence[str], candidate: SpeechCandidate
    ) -> list[tuple[float, float]] | None:
        """Return the times of the words by the durations of the phonemes."""
        data = candidate.aux
        if not isinstance(data, QuickCandidateData):
            return None
        speaker = teacher.load_teacher()
        spans = find_word_tokens(
            words,
            _split_phonemes(data.phonemes),
            lambda word: _split_phonemes(speaker.phonemize(word)),
        )
        return [(data.ends[start], data.ends[stop]) for start, stop in spans]


def _split_phonemes(phonemes: str) -> list[str]:
    return [SPACE_TOKEN if mark in (" ", teacher.PAD) else mark for mark in phonemes]
