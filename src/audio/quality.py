"""Check whether a recording is suitable for cloning a voice, with advice for each finding.

The limits were set with LibriSpeech, LJ Speech and the shipped voices; tests/audio/test_quality.py
checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from audio.clip import Clip
from audio.quality_metrics import QualityMetrics, measure_quality
from audio.speaker_similarity import (
    CROSS_CLIP_THRESHOLD,
    TWO_SPEAKERS_THRESHOLD,
    compute_speaker_distance,
)

Rating = Literal["good", "fair", "poor"]
RATINGS_WORST_FIRST: tuple[Rating, ...] = ("poor", "fair", "good")

MIN_CLIP_S, GOOD_CLIP_S = 2.0, 3.0
GOOD_SNR_DB = 20.0  # speech above its background
MIN_NOISE_ESTIMATE_S = 2.5  # shorter clips have too few pauses to measure the background
MIN_VOICE_S, GOOD_VOICE_S = 5.0, 10.0  # of speech in a whole voice
MIN_DECAY_DB_S = 130.0  # dB per second; LibriSpeech falls with 138 to 517
MAX_LOUDNESS_SPREAD_LU = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFinding:
    """One check.

    measured: the value as text. advice: what to do, "" if nothing.
    """

    topic: str
    light: Rating
    measured: str
    words: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """The findings about one clip; its rating is the worst of them."""

    name: str
    light: Rating
    duration_s: float
    findings: tuple[QualityFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceQualityReport:
    """The findings about the clips of a voice together, and about each."""

    name: str
    light: Rating
    spoken_s: float
    findings: tuple[QualityFinding, ...]
    clips: tuple[QualityReport, ...]


def assess_clip_quality(clip: Clip) -> QualityReport:
    """Measure and rate a clip."""
    return summarize_findings(clip.name, measure_quality(clip))


def summarize_findings(name: str, traits: QualityMetrics) -> QualityReport:
    """Rate what was measured of a clip."""
    findings = tuple(look(traits) for look in CLIP_CHECKS)
    return QualityReport(
        name=name, light=get_worst_rating(findings), duration_s=traits.duration_s, findings=findings
    )


def report_unreadable_file(name: str, reason: str) -> QualityReport:
    """Return the report of a file that cannot be read."""
    finding = _make_finding("File", "poor", "", reason, "Replace or remove it.")
    return QualityReport(name=name, light="poor", duration_s=0.0, findings=(finding,))


def assess_voice_quality(
    name: str, clips: Sequence[Clip], bad: Sequence[QualityReport]
) -> VoiceQualityReport:
    """Rate the clips of one voice, and whether they fit together.

    bad: reports of files that could not be read.
    """
    traits = [measure_quality(clip) for clip in clips]
    each = [summarize_findings(clip.name, of) for clip, of in zip(clips, traits, strict=True)]
    spoken_s = sum(of.duration_s * of.speech_share for of in traits)
    together = [_check_total_duration(spoken_s)]
    if len(traits) > 1:
        together += [
            _check_loudness_spread([of.lufs for of in traits]),
            _check_same_speaker(compute_speaker_distance(clips)),
        ]
    whole = [*each, *bad]
    few_bad = [item for item in whole if item.light == "poor"]
    if few_bad:
        together.append(_report_poor_clips(few_bad, len(whole)))
    return VoiceQualityReport(
        name=name,
        light=get_worst_rating(together),
        spoken_s=spoken_s,
        findings=tuple(together),
        clips=tuple(whole),
    )


def get_worst_rating(findings: Sequence[QualityFinding]) -> Rating:
    """Return the worst rating."""
    return min(
        (finding.light for finding in findings), key=RATINGS_WORST_FIRST.index, default="good"
    )


def _check_length(of: QualityMetrics) -> QualityFinding:
    measured = f"{of.duration_s:.1f} s"
    if of.duration_s < MIN_CLIP_S:
        return _make_finding(
            "Length",
            "poor",
            measured,
            "too short to clone a voice",
            "Record 3 to 10 seconds in one go, or join it with another clip.",
        )
    if of.duration_s < GOOD_CLIP_S:
        return _make_finding(
            "Length", "fair", measured, "rather short", "Clips of 3 to 10 seconds are recommended."
        )
    return _make_finding("Length", "good", measured, "long enough")


def _check_level(of: QualityMetrics) -> QualityFinding:
    measured = f"{of.lufs:.0f} LUFS, peak {of.peak_db:.0f} dB"
    if of.lufs < -36:
        return _make_finding(
            "Level",
            "poor" if of.lufs < -45 else "fair",
            measured,
            "very quiet" if of.lufs < -45 else "quiet",
            "Record closer to the microphone or with more gain; amplifying it later "
            "amplifies the noise too.",
        )
    if of.lufs > -10:
        return _make_finding(
            "Level",
            "fair",
            measured,
            "constantly very loud",
            "It may have been compressed by a limiter. Use the original recording.",
        )
    return _make_finding("Level", "good", measured, "loud enough")


def _check_clipping(of: QualityMetrics) -> QualityFinding:
    per_minute = of.clipped_runs / max(of.duration_s / 60, 0.05)
    measured = f"{of.clipped_runs} flat peaks"
    if of.clipped_runs < 3:
        return _make_finding("Clipping", "good", measured, "no clipping")
    return _make_finding(
        "Clipping",
        "poor" if per_minute > 120 else "fair",
        measured,
        "the loudest peaks are clipped, which sounds harsh",
        "Record again with less gain; clipped peaks cannot be restored.",
    )


def _check_noise(of: QualityMetrics) -> QualityFinding:
    measured = f"speech {of.snr_db:.0f} dB above the background"
    if of.duration_s < MIN_NOISE_ESTIMATE_S:
        return _make_finding("Noise", "good", "too short to measure", "no noise found")
    kind = "low hum or rumble" if of.low_frequency_share > 0.6 else "noise"
    if of.snr_db >= GOOD_SNR_DB:
        return _make_finding("Noise", "good", measured, "little background noise")
    return _make_finding(
        "Noise",
        "poor" if of.snr_db < 12 else "fair",
        measured,
        f"there is {kind} in the background, which is cloned too",
        "Clean the clip up here, or record in a quieter place.",
    )


def _check_bandwidth(of: QualityMetrics) -> QualityFinding:
    measured = f"{of.sample_rate / 1000:g} kHz, sound up to {of.highest_hz / 1000:.1f} kHz"
    if of.highest_hz >= 6_000:
        return _make_finding("Bandwidth", "good", measured, "wide enough")
    return _make_finding(
        "Bandwidth",
        "poor" if of.highest_hz < 4_500 else "fair",
        measured,
        "muffled, like a telephone; resampling does not help",
        "Use the original recording, made with 22 kHz or more and not compressed much.",
    )


def _check_silence(of: QualityMetrics) -> QualityFinding:
    measured = f"{of.speech_share:.0%} of the clip is speech"
    if of.speech_share >= 0.5:
        return _make_finding("Silence", "good", measured, "few pauses")
    return _make_finding(
        "Silence",
        "poor" if of.speech_share < 0.25 else "fair",
        measured,
        "much of the clip is silence",
        "Remove the long pauses.",
    )


def _check_reverberation(of: QualityMetrics) -> QualityFinding:
    if of.decay_db_s is None:
        return _make_finding("Reverb", "good", "cannot be measured", "no noise found")
    measured = f"speech decays by {of.decay_db_s:.0f} dB per second"
    if of.decay_db_s >= MIN_DECAY_DB_S:
        return _make_finding("Reverb", "good", measured, "low reverb")
    return _make_finding(
        "Reverb",
        "fair",
        measured,
        "possibly strong reverb",
        "Play the clip: if it echoes, record closer to the microphone, in a furnished room.",
    )


def _check_single_speaker(of: QualityMetrics) -> QualityFinding:
    if of.speaker_distance is None:
        return _make_finding("Speakers", "good", "too short to measure", "single speaker")
    measured = (
        f"similarity of its parts {of.speaker_distance:.1f} (two speakers: "
        f"{TWO_SPEAKERS_THRESHOLD} or more)"
    )
    if of.speaker_distance < TWO_SPEAKERS_THRESHOLD:
        return _make_finding("Speakers", "good", measured, "single speaker")
    return _make_finding(
        "Speakers",
        "fair",
        measured,
        "possibly two speakers or two rooms",
        "Play the clip: if another person speaks, cut that part. Very similar voices "
        "cannot be distinguished.",
    )


def _check_total_duration(spoken_s: float) -> QualityFinding:
    measured = f"{spoken_s:.0f} s of speech"
    if spoken_s >= GOOD_VOICE_S:
        return _make_finding("Amount", "good", measured, "enough to clone from")
    return _make_finding(
        "Amount",
        "poor" if spoken_s < MIN_VOICE_S else "fair",
        measured,
        "little to clone from",
        "Use two to six clips of 3 to 10 seconds; more clips help little.",
    )


def _check_loudness_spread(lufs: Sequence[float]) -> QualityFinding:
    apart = max(lufs) - min(lufs)
    measured = f"{apart:.0f} LU between the quietest and the loudest clip"
    if apart <= MAX_LOUDNESS_SPREAD_LU:
        return _make_finding("Loudness range", "good", measured, "equally loud")
    return _make_finding(
        "Loudness range",
        "fair",
        measured,
        "some clips are much louder",
        "Normalize the loudness of the clips with Clean up.",
    )


def _check_same_speaker(found: float | None) -> QualityFinding:
    if found is None or found < CROSS_CLIP_THRESHOLD:
        measured = (
            "too short to measure" if found is None else f"similarity of the clips {found:.1f}"
        )
        return _make_finding("Speakers", "good", measured, "single speaker")
    return QualityFinding(
        topic="Speakers",
        light="fair",
        words="possibly two speakers or two microphones",
        measured=f"similarity of the clips {found:.1f} (two speakers: {CROSS_CLIP_THRESHOLD} or "
        "more)",
        advice="Play the clips; a voice needs one speaker, recorded in one room.",
    )


def _report_poor_clips(bad: Sequence[QualityReport], among: int) -> QualityFinding:
    named = ", ".join(item.name for item in bad[:5]) + (", …" if len(bad) > 5 else "")
    return _make_finding(
        "Clips",
        "fair" if len(bad) < among else "poor",
        f"{len(bad)} of {among} clips are poor",
        named,
        "Replace these clips or remove them from the voice.",
    )


CLIP_CHECKS: tuple[Callable[[QualityMetrics], QualityFinding], ...] = (
    *(
        _check_length,
        _check_level,
        _check_clipping,
        _check_noise,
        _check_bandwidth,
        _check_silence,
        _check_reverberation,
        _check_single_speaker,
    ),
)


def _make_finding(
    topic: str, light: Rating, measured: str, words: str, advice: str = ""
) -> QualityFinding:
    return QualityFinding(topic=topic, light=light, measured=measured, words=words, advice=advice)
