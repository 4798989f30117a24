"""Is a recording fit to clone a voice from? Each finding in words, with what to do about it.

The limits are held against LibriSpeech, LJ Speech and the shipped voices by
`tests/speech/test_diagnose.py`; what cannot be told for sure is worded as a hint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from speech.clip import Clip
from speech.speakers import ACROSS_CLIPS, TWO_VOICES, unlikeness
from speech.traits import Traits, measure

Light = Literal["good", "fair", "poor"]
WORST_FIRST: tuple[Light, ...] = ("poor", "fair", "good")

SHORT_S, USEFUL_S = 2.0, 3.0
QUIET_DB = 20.0  # speech above its background
HEARD_S = 2.5  # shorter clips have too few quiet moments to hear the background in
LITTLE_S, ENOUGH_S = 5.0, 10.0  # of speech in a whole voice
ROOM_FALL = 130.0  # dB per second; LibriSpeech falls with 138 to 517
UNEVEN_LU = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    measured: the number, for people;  advice: what to do, "" where nothing needs doing.
    """

    topic: str
    light: Light
    measured: str
    words: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found about one clip; the light is that of its worst finding."""

    name: str
    light: Light
    duration_s: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceDiagnosis:
    """What was found about the clips of a voice together, and each by itself."""

    name: str
    light: Light
    spoken_s: float
    findings: tuple[Finding, ...]
    clips: tuple[Diagnosis, ...]


def diagnose(clip: Clip) -> Diagnosis:
    """Look at one clip from every side."""
    return judged(clip.name, measure(clip))


def judged(name: str, traits: Traits) -> Diagnosis:
    """Judge what was measured of a clip."""
    findings = tuple(look(traits) for look in LOOKS)
    return Diagnosis(
        name=name, light=worst(findings), duration_s=traits.duration_s, findings=findings
    )


def unreadable(name: str, reason: str) -> Diagnosis:
    """Say that a file is no clip."""
    finding = Finding(
        topic="File", light="poor", measured="", words=reason, advice="Replace it or take it out."
    )
    return Diagnosis(name=name, light="poor", duration_s=0.0, findings=(finding,))


def diagnose_voice(name: str, clips: Sequence[Clip], bad: Sequence[Diagnosis]) -> VoiceDiagnosis:
    """Look at the clips of one voice, and whether they go together.

    bad: what was found of files that could not be read.
    """
    traits = [measure(clip) for clip in clips]
    each = [judged(clip.name, of) for clip, of in zip(clips, traits, strict=True)]
    spoken_s = sum(of.duration_s * of.spoken_share for of in traits)
    together = [_amount(spoken_s)]
    if len(traits) > 1:
        together += [_evenness([of.lufs for of in traits]), _one_person(unlikeness(clips))]
    whole = [*each, *bad]
    few_bad = [item for item in whole if item.light == "poor"]
    if few_bad:
        together.append(_bad_clips(few_bad, len(whole)))
    return VoiceDiagnosis(
        name=name,
        light=worst(together),
        spoken_s=spoken_s,
        findings=tuple(together),
        clips=tuple(whole),
    )


def worst(findings: Sequence[Finding]) -> Light:
    """Return the light of the whole."""
    return min((finding.light for finding in findings), key=WORST_FIRST.index, default="good")


def _length(of: Traits) -> Finding:
    told = f"{of.duration_s:.1f} s"
    if of.duration_s < SHORT_S:
        return Finding(
            topic="Length", light="poor", measured=told, words="too short to hear a voice in",
            advice="Record 3 to 10 seconds in one go, or join it with another clip.",
        )  # fmt: skip
    if of.duration_s < USEFUL_S:
        return Finding(
            topic="Length", light="fair", measured=told, words="rather short",
            advice="Clips of 3 to 10 seconds tell more of a voice.",
        )  # fmt: skip
    return Finding(topic="Length", light="good", measured=told, words="long enough")


def _level(of: Traits) -> Finding:
    told = f"{of.lufs:.0f} LUFS, peak {of.peak_db:.0f} dB"
    if of.lufs < -36:
        return Finding(
            topic="Level", light="poor" if of.lufs < -45 else "fair", measured=told,
            words="very quiet" if of.lufs < -45 else "quiet",
            advice="Record closer to the microphone or with more gain; raising it later raises "
            "the noise too.",
        )  # fmt: skip
    if of.lufs > -10:
        return Finding(
            topic="Level", light="fair", measured=told, words="very loud all the way",
            advice="It may have been squashed by a limiter. Use the recording before that.",
        )  # fmt: skip
    return Finding(topic="Level", light="good", measured=told, words="loud enough")


def _clipping(of: Traits) -> Finding:
    per_minute = of.cut_runs / max(of.duration_s / 60, 0.05)
    told = f"{of.cut_runs} flat peaks"
    if of.cut_runs < 3:
        return Finding(topic="Clipping", light="good", measured=told, words="peaks are whole")
    return Finding(
        topic="Clipping", light="poor" if per_minute > 120 else "fair", measured=told,
        words="the loudest peaks were cut off, which sounds harsh",
        advice="Record again with less gain; cut peaks cannot be brought back.",
    )  # fmt: skip


def _noise(of: Traits) -> Finding:
    told = f"speech {of.noise_db:.0f} dB above the background"
    if of.duration_s < HEARD_S:
        return Finding(
            topic="Noise", light="good", measured="too short to tell", words="no hint of it"
        )
    kind = "low hum or rumble" if of.low_share > 0.6 else "noise"
    if of.noise_db >= QUIET_DB:
        return Finding(topic="Noise", light="good", measured=told, words="the background is quiet")
    return Finding(
        topic="Noise", light="poor" if of.noise_db < 12 else "fair", measured=told,
        words=f"there is {kind} behind the voice, which is cloned with it",
        advice="Clean the clip up here, or record in a quieter place.",
    )  # fmt: skip


def _sharpness(of: Traits) -> Finding:
    told = f"{of.sample_rate / 1000:g} kHz, sound up to {of.highest_hz / 1000:.1f} kHz"
    if of.highest_hz >= 6_000:
        return Finding(topic="Sharpness", light="good", measured=told, words="clear enough")
    return Finding(
        topic="Sharpness", light="poor" if of.highest_hz < 4_500 else "fair", measured=told,
        words="muffled, as over a telephone; a high sample rate does not help afterwards",
        advice="Use the original recording, made with 22 kHz or more and not compressed much.",
    )  # fmt: skip


def _silence(of: Traits) -> Finding:
    told = f"{of.spoken_share:.0%} of the time is spoken"
    if of.spoken_share >= 0.5:
        return Finding(topic="Silence", light="good", measured=told, words="few pauses")
    return Finding(
        topic="Silence", light="poor" if of.spoken_share < 0.25 else "fair", measured=told,
        words="much of the clip is silence", advice="Cut the long pauses out.",
    )  # fmt: skip


def _echo(of: Traits) -> Finding:
    if of.fall_db_s is None:
        return Finding(topic="Echo", light="good", measured="cannot be told", words="no hint of it")
    told = f"words die away with {of.fall_db_s:.0f} dB per second"
    if of.fall_db_s >= ROOM_FALL:
        return Finding(topic="Echo", light="good", measured=told, words="no hint of a large room")
    return Finding(
        topic="Echo", light="fair", measured=told, words="perhaps an echoing room",
        advice="Listen: if it echoes, record closer to the microphone, among soft furniture.",
    )  # fmt: skip


def _second_voice(of: Traits) -> Finding:
    if of.unlikeness is None:
        return Finding(
            topic="One person", light="good", measured="too short to tell", words="no hint of two"
        )
    told = f"likeness of its parts {of.unlikeness:.1f} (two people: {TWO_VOICES} or more)"
    if of.unlikeness < TWO_VOICES:
        return Finding(topic="One person", light="good", measured=told, words="no hint of two")
    return Finding(
        topic="One person", light="fair", measured=told, words="perhaps two people, or two places",
        advice="Listen: if somebody else speaks too, cut that out. Voices that are much alike "
        "cannot be told apart here.",
    )  # fmt: skip


def _amount(spoken_s: float) -> Finding:
    told = f"{spoken_s:.0f} s of speech"
    if spoken_s >= ENOUGH_S:
        return Finding(topic="Amount", light="good", measured=told, words="enough to clone from")
    return Finding(
        topic="Amount", light="poor" if spoken_s < LITTLE_S else "fair", measured=told,
        words="little to clone from",
        advice="Two to six clips of 3 to 10 seconds are a good voice; more helps little.",
    )  # fmt: skip


def _evenness(lufs: Sequence[float]) -> Finding:
    apart = max(lufs) - min(lufs)
    told = f"{apart:.0f} LU between the quietest and the loudest clip"
    if apart <= UNEVEN_LU:
        return Finding(topic="Evenness", light="good", measured=told, words="equally loud")
    return Finding(
        topic="Evenness", light="fair", measured=told, words="some clips are much louder",
        advice="Bring the clips to the same loudness; clean-up does that here.",
    )  # fmt: skip


def _one_person(found: float | None) -> Finding:
    if found is None or found < ACROSS_CLIPS:
        told = "too short to tell" if found is None else f"likeness of the clips {found:.1f}"
        return Finding(topic="One person", light="good", measured=told, words="no hint of two")
    return Finding(
        topic="One person", light="fair", words="perhaps two people, or two microphones",
        measured=f"likeness of the clips {found:.1f} (two people: {ACROSS_CLIPS} or more)",
        advice="Listen to the clips; a voice should have one person in it, recorded in one place.",
    )  # fmt: skip


def _bad_clips(bad: Sequence[Diagnosis], among: int) -> Finding:
    named = ", ".join(item.name for item in bad[:5]) + (", …" if len(bad) > 5 else "")
    return Finding(
        topic="Clips", light="fair" if len(bad) < among else "poor",
        measured=f"{len(bad)} of {among} clips are poor", words=named,
        advice="Replace these clips or take them out of the voice.",
    )  # fmt: skip


LOOKS: tuple[Callable[[Traits], Finding], ...] = (
    *(_length, _level, _clipping, _noise, _sharpness, _silence, _echo, _second_voice),
)
