"""The last step of speaking, where it is set: voicefixer over the whole clip."""

from __future__ import annotations

from collections.abc import Callable

from jobs.report import Reporter
from speech.clip import Clip
from studio.fixer import why_not
from studio.speaking import SpeakRequest
from studio.tasks.fixer import fix


def restoring(request: SpeakRequest, report: Reporter) -> Callable[[Clip], Clip]:
    """Return what is done to each whole clip: nothing, unless Voice Fixer is on and is there.

    Where it is not there a warning says so, once, and the clip stays as it was spoken.
    """
    if not request.voice_fixer:
        return _as_it_is
    if reason := why_not():
        report.warn(f"Voice Fixer is on but was left out. {reason}")
        return _as_it_is
    return lambda clip: fix(clip, request.voice_fixer_device, report).resampled(clip.sample_rate)


def _as_it_is(clip: Clip) -> Clip:
    return clip
