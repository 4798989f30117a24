"""Worker task: convert a recording to another voice."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from audio.clip import Clip, ClipError
from audio.formats import SYNTHETIC_COMMENT
from audio.io import read_clip, write_clip
from core.errors import (
    AppError,
    InvalidValueError,
    reraise_as_app_error,
    translate_write_errors,
)
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.device import pick_device
from quick.converter import MAX_ALIGNED_S, PhoneTimes, VoiceConverter
from quick.engine import SPEAKER, QuickEngine
from quick.options import QuickOptions
from studio.model_store.bundles import list_models
from studio.schemas.clip_tools import ConvertClipRequest, ConvertClipResult
from studio.voices.catalog import check_voices, get_results_folder_name, resolve_random_seed
from studio.voices.consent_reminders import take_consent_reminders
from studio.voices.uploads import resolve_file_ref
from studio.workers.clip_tools import make_output_path
from studio.workers.context import WorkerContext
from studio.workers.synthesis.engine_cache import require_model_folder, translate_engine_errors
from studio.workers.synthesis.latents_cache import ConditioningContext, get_speaker_latents
from training.asr.base import SAMPLE_RATE as ASR_RATE
from training.asr.base import TranscribeError, TranscriberConfig
from training.asr.selection import load_transcriber

CONVERTED_DIR = "converted"  # the folder below the results


def convert_clip_task(
    context: WorkerContext, request: ConvertClipRequest, report: ProgressReporter
) -> ConvertClipResult:
    """Convert a clip into a new file below results/converted."""
    source = resolve_file_ref(context.layout, request.clip)
    stem = f"{source.stem}-{get_results_folder_name(request.voice)}"
    target = make_output_path(context.layout, CONVERTED_DIR, stem)
    return convert_file(context.layout, source, target, request, context.settings.device, report)


def convert_file(
    layout: ProjectPaths,
    source: Path,
    target: Path,
    request: ConvertClipRequest,
    device: str,
    report: ProgressReporter,
) -> ConvertClipResult:
    """Convert a file into a new one.

    Raises AppError for a missing voice, a model without a speaker codec, and an unreadable file.
    """
    started = time.monotonic()
    check_voices(layout, request.voice)
    name = request.bundle or find_converting_model(layout)
    folder = require_model_folder(layout, name)
    with reraise_as_app_error(ClipError):
        clip = read_clip(source)
    with translate_engine_errors():
        converter = VoiceConverter.load(folder, pick_device(device))
        options = QuickOptions(seed=request.seed, vocoder=request.vocoder)
        context = ConditioningContext(
            engine=QuickEngine(converter=converter), options=options, report=report, bundle=folder
        )
        voice = resolve_random_seed(request.voice, request.seed)
        speaker = get_speaker_latents(voice, layout, context).tensors[SPEAKER]
        generator = torch.Generator().manual_seed(request.seed)
        for reminder in take_consent_reminders(layout, [request.voice]):
            report.warn(reminder)
        words, transcriber = "", ""
        if request.words.strip() or converter.reads_phonemes:
            words, transcriber = _find_words(layout, clip, request, report)
        phones = _align(converter, clip, words, report, is_transcribed=bool(transcriber))
        made, _ = converter.convert(clip, speaker, request.vocoder, generator, report, phones)
    with translate_write_errors(target), reraise_as_app_error(ClipError):
        write_clip(target, made, SYNTHETIC_COMMENT)
    return ConvertClipResult(
        clip=f"results/{CONVERTED_DIR}/{target.name}",
        path=str(target),
        voice=request.voice,
        bundle=name,
        duration_s=round(made.duration_s, 2),
        seconds=round(time.monotonic() - started, 2),
        words=words if phones is not None else "",
        transcriber=transcriber if phones is not None else "",
    )


def _align(
    converter: VoiceConverter,
    clip: Clip,
    words: str,
    report: ProgressReporter,
    *,
    is_transcribed: bool,
) -> PhoneTimes | None:
    """Return when the phones of the words are spoken; None without words.

    Transcribed words that do not fit the recording are left out with a warning.
    """
    try:
        return converter.align(clip, words, report) if words else None
    except InvalidValueError as cause:
        if not is_transcribed:
            raise
        report.warn(f"The recording is converted without its words: {cause}")
        return None


def _find_words(
    layout: ProjectPaths, clip: Clip, request: ConvertClipRequest, report: ProgressReporter
) -> tuple[str, str]:
    """Return the words of a clip, "" for none, and the transcriber, "" where they were given."""
    given = " ".join(request.words.split())
    if given or not request.transcribe:
        return given, ""
    if clip.duration_s > MAX_ALIGNED_S:
        report.warn(
            f"The recording is longer than {MAX_ALIGNED_S:.0f} s, so it is converted without its "
            "words and few of them stay clear. Split it to keep them."
        )
        return "", ""
    config = TranscriberConfig(language="en", repeatable=True)
    try:
        transcriber = load_transcriber(config, layout.whisper, report)
    except TranscribeError as cause:
        report.warn(f"The recording is converted without its words: {cause}")
        return "", ""
    heard = transcriber.transcribe(clip.resample(ASR_RATE).wave, report).text.strip()
    return heard, transcriber.name if heard else ""


def find_converting_model(layout: ProjectPaths) -> str:
    """Return the name of the first model with a speaker codec.  Raises AppError for none."""
    for model in list_models(layout):
        if model.converts:
            return model.name
    raise AppError(
        "No installed model can convert voices: that needs a codebook with speaker vectors.",
        code="bundle_incompatible",
        cli_hint="`testudo models list` shows the installed models.",
    )
