"""What is measured of a clip before it is kept: how loud, how noisy, how clipped, how fast."""

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
NOISY_DB = 18.0  # above the noise; what lies below is marked, not dropped
FLAGGED_CLIPPED_SHARE = 0.0005  # share of cut-off peaks; more is marked
MAX_PACE_RATIO, MIN_PACE_RATIO = 2.0, 0.4  # of the usual letters per second; beyond is marked
MAX_LETTERS_PER_S, MIN_LETTERS_PER_S = 40.0, 2.0  # nobody speaks so
MIN_CLIPS_FOR_PACE = 6  # clips
FADE_S = 0.005
MIN_VOICE_HZ = 100.0  # below it a microphone picks up the building


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMetrics:
    """Of one clip as it was recorded.

    level_db: LUFS;  snr_db: voice above noise;  clipped_share: of the time;  sound: two clips with
    the same are the same.
    """

    level_db: float
    snr_db: float
    clipped_share: float
    sound: str


def compute_clip_metrics(clip: Clip, clipped_share: float) -> ClipMetrics:
    """Measure a clip.  clipped_share: as its recording knows it."""
    steps = (clip.wave.clamp(-1, 1) * 32_767).round().numpy().astype(np.int16)
    level = measure_loudness(clip)
    return ClipMetrics(
        level_db=round(level, 2) if math.isfinite(level) else -100.0,
        snr_db=round(_compute_snr_db(clip), 1) if bool(clip.wave.any()) else 0.0,
        clipped_share=round(clipped_share, 6),
        sound=hashlib.sha256(steps.tobytes()).hexdigest()[:16],
    )


def _compute_snr_db(clip: Clip) -> float:
    """Say how far the voice lies above the noise, in dB, where voices are: rumble is not heard."""
    power = compute_power_spectrum(clip)  # (k, f)
    hz = torch.linspace(0, clip.sample_rate / 2, power.shape[0])
    return estimate_snr_db(power[hz >= MIN_VOICE_HZ])


def check_audio_quality(found: ClipMetrics, options: PrepareOptions) -> tuple[bool, str]:
    """Return whether a clip may be kept, and what is wrong or doubtful about its sound."""
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
    """Return the clip without a click at either end."""
    length = min(int(FADE_S * clip.sample_rate), clip.wave.shape[0] // 2)
    wave = clip.wave.clone()
    for at in range(length):
        share = (at + 1) / (length + 1)
        wave[at] *= share
        wave[-1 - at] *= share
    return replace(clip, wave=wave)


def flag_odd_pace(clips: Sequence[ClipRow]) -> list[ClipRow]:
    """Mark kept clips that are far faster or slower than the others; drop what nobody can say.

    A clip that a person changed, or that has another mark, stays as it is.
    """
    rates = [compute_letters_per_s(clip) for clip in clips if clip.kept]
    usual = median(rates) if len(rates) >= MIN_CLIPS_FOR_PACE else None
    return [_flag_clip_pace(clip, usual) for clip in clips]


def compute_letters_per_s(clip: ClipRow) -> float:
    """Say how fast a clip is spoken, in letters, which vary less than words."""
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
