"""Metrics of a clip that decide whether it is kept: loudness, noise, clipping, speaking rate."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch

from audio.clip import Clip
from audio.loudness import measure_loudness
from audio.noise_estimation import compute_power_spectrum, estimate_snr_db
from training.dataset_prep.manifest import ClipRow
from training.dataset_prep.options import PrepareOptions

SILENT_LUFS = -55.0  # a voice so quiet is none
NOISY_DB = 18.0  # above the noise; clips below are marked, not dropped
FLAGGED_CLIPPED_SHARE = 0.0005  # share of cut-off peaks; more is marked
MAX_PACE_RATIO, MIN_PACE_RATIO = 2.0, 0.4  # of the usual letters per second; beyond is marked
MAX_LETTERS_PER_S, MIN_LETTERS_PER_S = 40.0, 2.0  # faster than any speech
MIN_CLIPS_FOR_PACE = 6  # clips
FADE_S = 0.005
MIN_VOICE_HZ = 100.0  # below it a microphone picks up the building


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMetrics:
    """Metrics of a clip before processing.

    level_db: LUFS. snr_db: speech above noise. clipped_share: of the time. sound: a hash; equal for
    identical audio.
    """

    level_db: float
    snr_db: float
    clipped_share: float
    sound: str


def compute_clip_metrics(clip: Clip, clipped_share: float) -> ClipMetrics:
    """Measure a clip.  clipped_share: of its recording."""
    steps = (clip.wave.clamp(-1, 1) * 32_767).round().numpy().astype(np.int16)
    level = measure_loudness(clip)
    return ClipMetrics(
        level_db=round(level, 2) if math.isfinite(level) else -100.0,
        snr_db=round(_compute_snr_db(clip), 1) if bool(clip.wave.any()) else 0.0,
        clipped_share=round(clipped_share, 6),
        sound=hashlib.sha256(steps.tobytes()).hexdigest()[:16],
    )


def _compute_snr_db(clip: Clip) -> float:
    """Return the signal-to-noise ratio in dB in the range of voices, without rumble."""
    power = compute_power_spectrum(clip)  # (k, f)
    hz = torch.linspace(0, clip.sample_rate / 2, power.shape[0])
    return estimate_snr_db(power[hz >= MIN_VOICE_HZ])


def check_audio_quality(found: ClipMetrics, options: PrepareOptions) -> tuple[bool, str]:
    """Return whether a clip is kept, and the reason for dropping or marking it."""
    if found.level_db < SILENT_LUFS:
        return False, "silent"
    if found.clipped_share > options.most_clipped:
        return False, "clipped"
    if found.snr_db < options.least_snr_db:
        return False, "noisy"
    if found.clipped_share > FLAGGED_CLIPPED_SHARE:
        return True, "clipped"
    return True, "noisy" if found.snr_db < NOISY_DB else ""


def apply_fades(clip: Clip) -> Clip:
    """Fade both ends to avoid clicks."""
    length = min(int(FADE_S * clip.sample_rate), clip.wave.shape[0] // 2)
    wave = clip.wave.clone()
    for at in range(length):
        share = (at + 1) / (length + 1)
        wave[at] *= share
        wave[-1 - at] *= share
    return replace(clip, wave=wave)


def flag_odd_pace(clips: Sequence[ClipRow]) -> list[ClipRow]:
    """Mark kept clips far faster or slower than the others; drop impossible rates.

    Edited clips, and those with another mark, stay as they are.
    """
    rates = [compute_letters_per_s(clip) for clip in clips if clip.kept]
    usual = median(rates) if len(rates) >= MIN_CLIPS_FOR_PACE else None
    return [_flag_clip_pace(clip, usual) for clip in clips]


def compute_letters_per_s(clip: ClipRow) -> float:
    """Return the speaking rate in letters, which varies less than in words."""
    letters = sum(sign.isalnum() for sign in clip.text)
    return letters / clip.seconds if clip.seconds > 0 else 0.0


def _flag_clip_pace(clip: ClipRow, usual: float | None) -> ClipRow:
    if not clip.kept or clip.edited or clip.reason not in ("", "odd_pace"):
        return clip
    rate = compute_letters_per_s(clip)
    if not MIN_LETTERS_PER_S <= rate <= MAX_LETTERS_PER_S:
        return replace(clip, kept=False, reason="odd_pace")
    is_odd = usual is not None and not MIN_PACE_RATIO * usual <= rate <= MAX_PACE_RATIO * usual
    return replace(clip, reason="odd_pace" if is_odd else "")
