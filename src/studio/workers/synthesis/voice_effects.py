"""Apply the effects that a voice always has to the takes of its lines.

Takes are checked and compared with their voice before, as the engine spoke them.
"""

from __future__ import annotations

from dataclasses import replace

from audio.clip import Clip
from audio.effects.chain import apply_effects
from audio.effects.options import EffectOptions
from core.progress import ProgressReporter
from core.serialization import from_dict
from engines.protocols import SpeechCandidate
from studio.workers.synthesis.checked_takes import Attempt
from studio.workers.synthesis.clip_editing import fade_ends
from studio.workers.synthesis.session import SynthesisSession

CUT_FADE_S = 0.05  # of a reverberation that is cut at the length of its line


def apply_voice_effects(session: SynthesisSession, attempt: Attempt) -> Attempt:
    """Return an attempt with the effects of its voice; itself where the voice has none.

    A line with an exact length keeps it: a reverberation is cut at its end.
    """
    chunk = attempt.chunk
    chain = session.request.voice_effects.get(chunk.line_plan.voice)
    if not chain:
        return attempt
    options = from_dict(EffectOptions, dict(chain))
    with session.report.stage("effects"):
        candidates = [
            _apply_to_candidate(one, options, keep_length=chunk.duration_s > 0)
            for one in attempt.result.candidates
        ]
    return replace(attempt, result=replace(attempt.result, candidates=candidates))


def _apply_to_candidate(
    candidate: SpeechCandidate, options: EffectOptions, *, keep_length: bool
) -> SpeechCandidate:
    dry = candidate.clip
    made = apply_effects(dry, options, ProgressReporter())
    if keep_length and len(made.wave) > len(dry.wave):
        made = _cut(made, len(dry.wave))
    return replace(candidate, clip=made)


def _cut(clip: Clip, samples: int) -> Clip:
    fade = round(CUT_FADE_S * clip.sample_rate)
    return replace(clip, wave=fade_ends(clip.wave[:samples], 0, fade))
