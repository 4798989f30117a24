"""Worker task: convert a recording to another voice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

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
from quick.converter import CODE_S, MAX_ALIGNED_S, PhoneTimes, VoiceConverter, list_text_phones
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
from text.phones import PHONES, SILENCE, UNKNOWN_PHONE
from training.asr.base import SAMPLE_RATE as ASR_RATE
from training.asr.base import TranscribeError, TranscriberConfig
from training.asr.forced_alignment import LANGUAGE, can_align
from training.asr.selection import load_transcriber

if TYPE_CHECKING:
    from training.asr.phone_times import PhoneSpan

CONVERTED_DIR = "converted"  # the folder below the results
PHONE_DELAY_S = 0.03
"""A phone starts later for the models than for PocketSphinx. A delay of 0.02 to 0.06 s gives a word
error rate of 0.22 to 0.23, none 0.27, 0.07 s 0.32."""


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
        return align_words(converter, clip, words, report) if words else None
    except InvalidValueError as cause:
        if not is_transcribed:
            raise
        report.warn(f"The recording is converted without its words: {cause}")
        return None


def align_words(
    converter: VoiceConverter, clip: Clip, words: str, report: ProgressReporter
) -> PhoneTimes:
    """Find when a clip speaks words: by PocketSphinx, else by the codes of the model.

    PocketSphinx may not be installed, or find no way to speak the words in that time. Raises
    InvalidValueError as `VoiceConverter.align` does.
    """
    phones = list_text_phones(converter.networks.bundle, words)
    if can_align(LANGUAGE) and clip.duration_s <= MAX_ALIGNED_S:
        from training.asr.phone_times import find_phone_spans

        spoken = phones[phones != SILENCE].tolist()
        wave = clip.resample(ASR_RATE).wave
        spans = find_phone_spans(wave, [PHONES[phone] for phone in spoken], report)
        if spans is not None:
            return make_phone_times(spans, phones, clip.duration_s)
    return converter.align(clip, words, report)


def make_phone_times(spans: Sequence[PhoneSpan], phones: Tensor, duration_s: float) -> PhoneTimes:
    """Return the phones as the decoder was trained on them: about a code is free between words.

    phones: (t,) classes, with a silence between two words.
    """
    starts_word = (phones[:-1] == SILENCE)[phones[1:] != SILENCE].tolist()
    spoken = phones[phones != SILENCE].tolist()
    classes, ends = [SILENCE], [PHONE_DELAY_S]
    for span in spans:
        if span.index is not None and starts_word[span.index] and classes[-1] != SILENCE:
            free_s = min(CODE_S, (span.stop_s - span.start_s) / 2)
            classes.append(UNKNOWN_PHONE)
            ends.append(span.start_s + PHONE_DELAY_S + free_s)
        classes.append(SILENCE if span.index is None else spoken[span.index])
        ends.append(span.stop_s + PHONE_DELAY_S)
    ends = [*ends[:-1], max(duration_s, ends[-2])]
    seconds = torch.diff(torch.tensor(ends), prepend=torch.zeros(1)).clamp(min=0)
    return PhoneTimes(classes=torch.tensor(classes), seconds=seconds)


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
    config = TranscriberConfig(language=LANGUAGE, repeatable=True)
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
