"""Worker tasks for clips: clean up, quality check, AI-audio detection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from audio.clip import Clip, ClipError
from audio.denoise import ClipDenoiseOptions, denoise_clip
from audio.io import read_clip, write_clip
from audio.loudness import SPEECH_LUFS, measure_loudness, normalize_loudness
from audio.noise_estimation import compute_power_spectrum, estimate_snr_db
from audio.quality import (
    QualityReport,
    VoiceQualityReport,
    assess_clip_quality,
    assess_voice_quality,
    report_unreadable_file,
)
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import to_dict
from studio.model_store.bundles import list_models
from studio.schemas.clip_tools import (
    VOICEFIXER,
    CheckClipRequest,
    CheckResult,
    CheckVoiceRequest,
    DenoiseClipRequest,
    DenoiseClipResult,
    DetectSyntheticRequest,
    DetectSyntheticResult,
)
from studio.voices.catalog import find_voice
from studio.voices.uploads import resolve_file_ref
from studio.workers.context import WorkerContext
from studio.workers.synthesis.voicefixer import run_voicefixer

DENOISED_DIR = "cleaned"  # the folder below the results
CLASSIFIER_CHUNK_SAMPLES = 220_000  # samples at 24 kHz of a classifier window, as published
CLASSIFIER_SAMPLE_RATE = 24_000


def denoise_clip_task(
    workshop: WorkerContext, request: DenoiseClipRequest, report: ProgressReporter
) -> DenoiseClipResult:
    """Clean a clip into a new file below results/cleaned."""
    source = resolve_file_ref(workshop.layout, request.clip)
    target = _make_output_path(workshop.layout, source)
    device = workshop.settings.voice_fixer_device
    can_download = not workshop.settings.offline
    return denoise_file(source, target, request, device, report, can_download=can_download)


def denoise_file(
    source: Path,
    target: Path,
    request: DenoiseClipRequest,
    device: str,
    report: ProgressReporter,
    *,
    can_download: bool = False,
) -> DenoiseClipResult:
    """Clean a file into a new one.

    device: where voicefixer computes;  can_download: whether its weights may be downloaded.
    """
    started = time.monotonic()
    with reraise_as_app_error(ClipError):
        clip = read_clip(source)
    cleaned = run_denoiser(request, clip, device, report, can_download)
    with translate_write_errors(target), reraise_as_app_error(ClipError):
        write_clip(target, replace(cleaned, name=target.name))
    return DenoiseClipResult(
        clip=f"results/{DENOISED_DIR}/{target.name}",
        path=str(target),
        noise_db=(_measure_snr_db(clip), _measure_snr_db(cleaned)),
        lufs=(round(measure_loudness(clip), 1), round(measure_loudness(cleaned), 1)),
        seconds=round(time.monotonic() - started, 2),
    )


def run_denoiser(
    request: DenoiseClipRequest,
    clip: Clip,
    device: str,
    report: ProgressReporter,
    can_download: bool,
) -> Clip:
    """Return the cleaned clip. device: device of voicefixer."""
    if request.method == VOICEFIXER:
        fixed = run_voicefixer(clip, device, report, can_download=can_download)
        return normalize_loudness(fixed) if request.even_level else fixed
    with report.stage("clean"), reraise_as_app_error(ClipError):
        return denoise_clip(
            clip,
            ClipDenoiseOptions(
                lower_db=request.lower_db,
                cut_hz=request.cut_hz,
                lufs=SPEECH_LUFS if request.even_level else None,
            ),
        )


def check_clip_task(
    workshop: WorkerContext, request: CheckClipRequest, report: ProgressReporter
) -> CheckResult:
    """Check the quality of a clip for cloning."""
    return build_check_result(check_audio_file(resolve_file_ref(workshop.layout, request.clip)))


def check_audio_file(path: Path) -> QualityReport:
    """Check one file; an unreadable file is a finding too."""
    try:
        return assess_clip_quality(read_clip(path))
    except ClipError as cause:
        return report_unreadable_file(path.name, str(cause))


def check_voice_task(
    workshop: WorkerContext, request: CheckVoiceRequest, report: ProgressReporter
) -> CheckResult:
    """Check the quality of the clips of a voice for cloning."""
    return build_check_result(check_voice_clips(workshop.layout, request.voice, report))


def check_voice_clips(
    layout: ProjectPaths, name: str, report: ProgressReporter
) -> VoiceQualityReport:
    """Check each clip of a voice, and all of them together."""
    voice = find_voice(layout, name)
    if not voice.clips:
        raise AppError(f"{name} was saved without clips, so there is nothing to check.")
    clips, bad = [], []
    for path in report.track(voice.clips, "check"):
        try:
            clips.append(read_clip(path))
        except ClipError as cause:
            bad.append(report_unreadable_file(path.name, str(cause)))
    return assess_voice_quality(name, clips, bad)


def build_check_result(found: QualityReport | VoiceQualityReport) -> CheckResult:
    """Return findings in the form that crosses to the page."""
    clips = found.clips if isinstance(found, VoiceQualityReport) else ()
    return CheckResult(
        name=found.name,
        light=found.light,
        findings=tuple(to_dict(finding) for finding in found.findings),
        clips=tuple(to_dict(clip) for clip in clips),
    )


def detect_synthetic_task(
    workshop: WorkerContext, request: DetectSyntheticRequest, report: ProgressReporter
) -> DetectSyntheticResult:
    """Return the probability that the published weights generated a clip."""
    return detect_synthetic_speech(
        workshop.layout, resolve_file_ref(workshop.layout, request.clip), request.bundle, report
    )


def detect_synthetic_speech(
    layout: ProjectPaths, path: Path, bundle: str, report: ProgressReporter
) -> DetectSyntheticResult:
    """Run the classifier of a model on one file."""
    import torch

    from engines.model_files import ModelFileError
    from tortoise.checkpoints.loading import load_model

    name = bundle or find_classifier_model(layout)
    with reraise_as_app_error(ClipError, ModelFileError):
        wave = read_clip(path).resample(CLASSIFIER_SAMPLE_RATE).wave
        with report.stage("load"):
            classifier = load_model(layout.model(name)).classifier
    pieces = _split_samples(wave.shape[0])
    likely = []
    with torch.inference_mode():
        for start, stop in report.track(pieces, "judge"):
            window = wave[None, None, start:stop]
            likely.append(round(float(classifier.generated_probability(window)), 4))
    lengths = [stop - start for start, stop in pieces]
    mean = sum(a * b for a, b in zip(likely, lengths, strict=True)) / sum(lengths)
    return DetectSyntheticResult(
        name=path.name, bundle=name, likely=round(mean, 4), pieces=tuple(likely)
    )


def find_classifier_model(layout: ProjectPaths) -> str:
    """Return the name of a model with a classifier. Raises AppError where there is none."""
    for bundle in list_models(layout):
        if "classifier" in bundle.networks:
            return bundle.name
    raise AppError(
        "No installed model has the classifier. The published model has it: `testudo models "
        "download tortoise`."
    )


def _split_samples(samples: int) -> Sequence[tuple[int, int]]:
    count = max(1, round(samples / CLASSIFIER_CHUNK_SAMPLES))
    edges = [samples * at // count for at in range(count + 1)]
    return list(pairwise(edges))


def _make_output_path(layout: ProjectPaths, source: Path) -> Path:
    folder = layout.results / DENOISED_DIR
    with translate_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        path = folder / f"{source.stem}.wav"
        while path.exists():
            number += 1
            path = folder / f"{source.stem}-{number}.wav"
    return path


def _measure_snr_db(clip: Clip) -> float:
    return round(estimate_snr_db(compute_power_spectrum(clip)), 1)
