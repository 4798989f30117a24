"""Edit the clips of a request: cut out steering words, join chunks, set rate and volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import torch
from torch import Tensor
from torch.nn.functional import pad

from audio.clip import Clip, change_pace
from audio.encoders import find_audible_span
from audio.loudness import master_loudness
from core.errors import AppError, InvalidValueError
from studio.schemas.speech import OutputOptions
from studio.synthesis.planning import TextSpan
from training.asr.availability import list_hugging_face_models
from training.asr.base import SAMPLE_RATE

CUT_SEARCH_S = 0.12  # a cut moves this far to the quietest sample
ENERGY_WINDOW_S = 0.02
MIN_CLIP_S = 0.2  # of the rest after cutting
CUT_FADE_S = 0.005
MIN_PACE, MAX_PACE = 0.5, 2.5  # of speech that is stretched to a length
PADDED_SHARE = 0.005  # of a length that is padded or cut instead of stretched
SHORT_TEXT = 100_000  # characters, some two hours, for which any machine has the memory
CHARACTERS_PER_SECOND = 14.0
BYTES_PER_SAMPLE, COPIES = 4, 2.5  # the lines, the clip, and what is written


def locate_with_wav2vec2(texts: Sequence[str], clip: Clip, models: Path) -> list[float] | None:
    """Return the start time in seconds of each text in a clip that contains them all.

    models: the folder of speech recognition models. None without a wav2vec2 model in it, or where
    the texts cannot be located.
    """
    if not list_hugging_face_models(models, "wav2vec2"):
        return None
    from training.asr.ctc_alignment import find_passage_starts
    from training.asr.forced_alignment import find_ctc_aligner

    aligner = find_ctc_aligner(" ".join(texts), "en", models)
    wave = clip.resample(SAMPLE_RATE).wave
    return None if aligner is None else find_passage_starts(wave, texts, aligner)


def require_memory_to_join(characters: int, sample_rate: int) -> None:
    """Raise AppError where a clip of a long text does not fit in the free memory.

    It and its lines are in memory at the end, which may be hours later.
    """
    seconds = characters / CHARACTERS_PER_SECOND
    needed = seconds * sample_rate * BYTES_PER_SAMPLE * COPIES
    free = psutil.virtual_memory().available
    if characters > SHORT_TEXT and needed > free:
        raise AppError(
            f"The text makes about {seconds / 3600:.1f} hours of speech. To join its lines takes "
            f"{needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. Split it into "
            "chapters.",
            code="out_of_host_memory",
        )


def concatenate_clips(
    clips: Sequence[Clip],
    delivery: OutputOptions,
    pauses: Sequence[float] | None = None,
    lead_s: float = 0.0,
    exact: Sequence[bool] = (),
) -> Clip:
    """Join clips of one sample rate with silence, faded where they meet it.

    Silence of a clip itself is cut off there, so that the pause is as long as asked for. pauses:
    seconds behind each clip; None: the pause of sentences between them. lead_s: seconds before the
    first. exact: which of the clips keep their length; () for none.
    """
    behind = [*[delivery.pause_s] * (len(clips) - 1), 0.0] if pauses is None else pauses
    if len(clips) == 1 and not lead_s and not behind[0]:
        return clips[0]
    rate = clips[0].sample_rate
    fade = round(delivery.fade_ms * rate / 1000)
    parts = []
    for index, (clip, pause_s) in enumerate(zip(clips, behind, strict=True)):
        audible = find_audible_span(clip.wave.numpy(), rate)
        if exact and exact[index]:
            audible = slice(0, len(clip.wave))
        start = audible.start if index or lead_s else 0
        stop = audible.stop if index + 1 < len(clips) or pause_s else len(clip.wave)
        parts.append((clip.wave[start:stop], round(pause_s * rate)))
    place = round(lead_s * rate)
    whole = torch.zeros(place + sum(len(wave) + pause for wave, pause in parts))
    for wave, pause in parts:  # straight into place: a book takes gigabytes
        whole[place : place + len(wave)] = fade_edges(wave, fade)
        place += len(wave) + pause
    return replace(clips[0], wave=whole)


def fit_duration(clip: Clip, seconds: float) -> Clip:
    """Stretch the speech of a clip so that it lasts `seconds`, to the sample; the pitch stays.

    What is left at half the pace is silence. Raises InvalidValueError for a pace beyond MAX_PACE,
    and where ffmpeg, which stretches, is missing.
    """
    rate, wave = clip.sample_rate, clip.wave
    wave = wave[find_audible_span(wave.numpy(), rate)]
    target = round(seconds * rate)
    pace = len(wave) / max(1, target)
    if pace > MAX_PACE:
        raise InvalidValueError(
            f"The line takes {len(wave) / rate:.1f} s, so {seconds:g} s are too short. Give it at "
            f"least {len(wave) / rate / MAX_PACE:.2f} s, or shorten its text."
        )
    if abs(pace - 1) > PADDED_SHARE:
        wave = change_pace(wave, rate, max(pace, MIN_PACE))
    wave = fade_edges(wave, round(CUT_FADE_S * rate))[:target]
    return replace(clip, wave=pad(wave, (0, target - len(wave))))


def fade_edges(wave: Tensor, samples: int) -> Tensor:
    """Fade the first and last `samples` in and out, linearly.  wave: (n,). Returns (n,)."""
    samples = min(samples, wave.shape[0] // 2)
    return fade_ends(wave, samples, samples)


def fade_ends(wave: Tensor, start: int, stop: int) -> Tensor:
    """Fade the first `start` samples in and the last `stop` out, linearly: (n,) to (n,)."""
    start, stop = min(start, wave.shape[0]), min(stop, wave.shape[0])
    if start < 1 and stop < 1:
        return wave
    gain = torch.ones(wave.shape[0])
    gain[:start] *= torch.linspace(0, 1, start + 1)[:-1]
    gain[wave.shape[0] - stop :] *= torch.linspace(0, 1, stop + 1)[:-1].flip(0)
    return wave * gain


def finish_clip(clip: Clip, delivery: OutputOptions) -> Clip:
    """Apply sample rate, fades, and loudness or volume.

    Where the volume would clip, it is the loudest that does not.
    """
    rated = clip.resample(delivery.output_rate or clip.sample_rate)
    start, stop = (
        round(ms * rated.sample_rate / 1000) for ms in (delivery.fade_in_ms, delivery.fade_out_ms)
    )
    rated = replace(rated, wave=fade_ends(rated.wave, start, stop))
    if delivery.loudness != "off":
        return master_loudness(rated, float(delivery.loudness))
    wave = rated.wave if delivery.volume == 1 else rated.wave * delivery.volume
    peak = float(max(-wave.min(), wave.max())) if wave.numel() else 0.0
    return replace(rated, wave=wave / peak if peak > 1 else wave)


def join_audible_spans(
    clip: Clip, starts: Sequence[float], spans: Sequence[TextSpan]
) -> Clip | None:
    """Keep the audible spans of a clip; None where less than MIN_CLIP_S would be left.

    starts: seconds at which each span begins.
    """
    rate = clip.sample_rate
    edges = [find_quietest_sample(clip.wave, round(start * rate), rate) for start in starts]
    ends = [*edges[1:], clip.wave.shape[0]]
    edges[0] = 0
    kept = [
        clip.wave[start:end]
        for span, start, end in zip(spans, edges, ends, strict=True)
        if span.audible and end > start
    ]
    faded = [fade_edges(wave, round(CUT_FADE_S * rate)) for wave in kept]
    wave = torch.cat(faded or [torch.zeros(0)])
    return replace(clip, wave=wave) if wave.shape[0] >= MIN_CLIP_S * rate else None


def find_quietest_sample(wave: Tensor, place: int, rate: int) -> int:
    """Return the sample near `place` around which the wave is quietest.  wave: (n,)."""
    reach, window = round(CUT_SEARCH_S * rate), max(1, round(ENERGY_WINDOW_S * rate))
    low, high = max(0, place - reach), min(wave.shape[0], place + reach)
    if high - low <= window:
        return min(max(place, 0), wave.shape[0])
    energy = wave[low:high].double().square().unfold(0, window, 1).mean(-1)  # (places,)
    return low + int(energy.argmin()) + window // 2
