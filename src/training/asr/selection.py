"""Select and load a transcriber. Light to import; its network is loaded when it is selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.progress import ProgressReporter
from training.asr.availability import (
    BUNDLED_MODEL,
    find_bundled_model,
    find_converted_model,
    find_hugging_face_model,
    find_whisper_model,
    format_download_hint,
    get_model_file,
    list_local_models,
    probe_transcribers,
    select_auto_transcriber,
    select_best_model,
)
from training.asr.base import (
    AUTO,
    FASTER_WHISPER,
    GIVEN,
    POCKETSPHINX,
    TRANSFORMERS,
    WHISPER,
    TranscribeError,
    Transcriber,
    TranscriberConfig,
)
from training.asr.languages import parse_language_code
from training.asr.transcripts.discovery import ExistingTranscript

if TYPE_CHECKING:
    import torch

MAX_FILES_SHOWN = 5
SUGGESTED_MODEL = "base"  # small enough for any machine
BETTER_MODEL_ADVICE = f"The model {SUGGESTED_MODEL} is better: choose it and allow its download."


@dataclass(frozen=True, kw_only=True)
class TranscriptProvider:
    """Source of the text of each recording: an existing transcript, else a transcriber.

    name: as the dataset stores it. transcriber: None where every recording has a transcript.
    """

    name: str
    existing_transcripts: Mapping[Path, ExistingTranscript]
    transcriber: Transcriber | None


def create_transcript_provider(
    config: TranscriberConfig,
    files: Sequence[Path],
    existing: Mapping[Path, ExistingTranscript],
    models: Path,
    report: ProgressReporter,
) -> TranscriptProvider:
    """Choose the source of the text of each recording, and load the transcriber if it is needed.

    existing: as `find_existing_transcripts` returns it, used for "auto" and "given". models: the
    folder of speech recognition models. Raises TranscribeError.
    """
    used = {file: existing[file] for file in files if file in existing}
    used = used if config.name in (AUTO, GIVEN) else {}
    rest = [file for file in files if file not in used]
    if used:
        report.note(f"{len(used)} of {len(files)} recordings have an existing transcript.")
    if not rest:
        return TranscriptProvider(name=GIVEN, existing_transcripts=used, transcriber=None)
    if config.name == GIVEN:
        _report_missing(rest, len(files), report)
        return TranscriptProvider(name=GIVEN, existing_transcripts=used, transcriber=None)
    transcriber = load_transcriber(config, models, report)
    name = f"{GIVEN}, else {transcriber.name}" if used else transcriber.name
    return TranscriptProvider(name=name, existing_transcripts=used, transcriber=transcriber)


def load_transcriber(
    config: TranscriberConfig, models: Path, report: ProgressReporter
) -> Transcriber:
    """Load a transcriber.  Raises TranscribeError, saying what is missing and how to get it."""
    is_auto = config.name == AUTO
    config = _resolve_auto(config, models)
    name = resolve_transcriber_name(config, models)
    if is_auto and config.model == BUNDLED_MODEL:
        report.note(
            f"Whisper {BUNDLED_MODEL} transcribes: small and English only. {BETTER_MODEL_ADVICE}"
        )
    if name == WHISPER:
        return _load_openai_whisper(config, models, report)
    if name == FASTER_WHISPER:
        from training.asr.faster_whisper import FasterWhisper

        folder = find_converted_model(models, config.model)
        return FasterWhisper(
            folder,
            language=config.language,
            device=_resolve_device(config),
            temperatures=config.temperatures,
        )
    if name == TRANSFORMERS:
        return _load_transformers_whisper(config, models, report)
    if is_auto:
        report.note(
            f"No Whisper model is in {models}, so PocketSphinx transcribes: English only, and "
            "about every fourth word is wrong. Check its text before training. "
            f"{BETTER_MODEL_ADVICE}"
        )
    from training.asr.pocketsphinx import PocketSphinx

    return PocketSphinx(parse_language_code(config.language))


def resolve_transcriber_name(config: TranscriberConfig, models: Path) -> str:
    """Return the transcriber that `load_transcriber` would load, without loading it.

    Raises TranscribeError where its package, its model or the language is missing.
    """
    if config.name == GIVEN:
        raise TranscribeError("Existing transcripts need no transcriber.")
    config = _resolve_auto(config, models)
    language, name = parse_language_code(config.language), config.name
    (choice,) = (one for one in probe_transcribers(models) if one.name == name)
    if "not installed" in choice.unavailable_reason:
        raise TranscribeError(f"{name} cannot be used: {choice.unavailable_reason}.")
    if name == FASTER_WHISPER:
        find_converted_model(models, config.model)
    elif name == TRANSFORMERS and not _needs_download(config):
        find_hugging_face_model(models, config.model, WHISPER)
    elif name == WHISPER and not (_needs_download(config) or _is_bundled(config, models)):
        find_whisper_model(models, _resolve_model(config, models))
    elif name == POCKETSPHINX and language not in ("", "en"):
        raise TranscribeError(
            f"PocketSphinx supports English only, not {config.language!r}, and no Whisper model is "
            f"in {models}. Allow the download of one, or add transcripts: a .txt beside each "
            "recording or a metadata.csv.",
            cli_hint=format_download_hint(SUGGESTED_MODEL),
        )
    return name


def _resolve_auto(config: TranscriberConfig, models: Path) -> TranscriberConfig:
    """Return the config with the transcriber and model that `auto` selects."""
    if config.name != AUTO:
        return config
    if config.model or config.fetch:
        installed = probe_transcribers(models)
        names = [one.name for one in installed if one.is_available and config.model in one.models]
        return replace(config, name=names[0] if names else WHISPER)
    name, model = select_auto_transcriber(models, parse_language_code(config.language))
    return replace(config, name=name, model=model)


def _load_openai_whisper(
    config: TranscriberConfig, models: Path, report: ProgressReporter
) -> Transcriber:
    from training.asr.openai_whisper import OpenAiWhisper, load_whisper_model

    model, device = _resolve_model(config, models), _resolve_device(config)
    if _needs_download(config):
        from training.asr.whisper_download import download_whisper_model

        download_whisper_model(model, models, report)
    bundled = find_bundled_model()
    if bundled and _is_bundled(config, models):
        from training.asr.whisper_conversion import convert_ctranslate2_whisper

        convert_ctranslate2_whisper(bundled, get_model_file(models, BUNDLED_MODEL))
        model = BUNDLED_MODEL
    path = find_whisper_model(models, model)
    with report.stage("loading"):
        network = load_whisper_model(path)
    return OpenAiWhisper(
        network,
        model=path.stem,
        language=config.language,
        device=device,
        temperatures=config.temperatures,
    )


def _load_transformers_whisper(
    config: TranscriberConfig, models: Path, report: ProgressReporter
) -> Transcriber:
    from training.asr.transformers_whisper import TransformersWhisper

    device = _resolve_device(config)
    if _needs_download(config):
        from training.asr.whisper_download import download_hugging_face_model

        download_hugging_face_model(config.model, models, report, config.mirror)
    folder = find_hugging_face_model(models, config.model, WHISPER)
    with report.stage("loading"):
        return TransformersWhisper(folder, language=config.language, device=device)


def _resolve_device(config: TranscriberConfig) -> torch.device:
    from engines.device import pick_device

    try:
        return pick_device(config.device)
    except ValueError as error:
        raise TranscribeError(str(error)) from error


def _resolve_model(config: TranscriberConfig, models: Path) -> str:
    local, language = list_local_models(models), parse_language_code(config.language)
    best = select_best_model(local, language)
    if not (best or language):
        best = select_best_model(local, "en")
    return config.model or best or SUGGESTED_MODEL


def _is_bundled(config: TranscriberConfig, models: Path) -> bool:
    """Return whether the model has to be converted from the bundled one first."""
    model = config.model or select_best_model(list_local_models(models), "en") or BUNDLED_MODEL
    missing = model == BUNDLED_MODEL and not get_model_file(models, BUNDLED_MODEL).is_file()
    english = parse_language_code(config.language) in ("", "en")
    return missing and english and find_bundled_model() is not None


def _needs_download(config: TranscriberConfig) -> bool:
    """Return whether a download is allowed and the model is a name, not a path."""
    if config.name == TRANSFORMERS:
        is_repository = config.model.count("/") == 1 and not Path(config.model).exists()
        return config.fetch and is_repository
    return config.fetch and not config.model.endswith(".pt")


def _report_missing(rest: Sequence[Path], all: int, report: ProgressReporter) -> None:
    if len(rest) == all:
        raise TranscribeError(
            "None of the recordings has an existing transcript. Put a .txt beside each, or a "
            "metadata.csv with lines such as 'clip|text' into the folder; or choose `auto`, and "
            "they are transcribed."
        )
    more = f" and {len(rest) - MAX_FILES_SHOWN} more" if len(rest) > MAX_FILES_SHOWN else ""
    names = ", ".join(file.name for file in rest[:MAX_FILES_SHOWN])
    report.warn(f"There is no transcript for {names}{more}; they are left out.")
