"""From what a person wishes to who listens, and who says what of each recording.

Light to import; the network of a transcriber is loaded when it is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.progress import ProgressReporter
from training.asr.availability import (
    find_converted_model,
    find_whisper_model,
    format_download_command,
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
    WHISPER,
    TranscribeError,
    Transcriber,
    TranscriberConfig,
)
from training.asr.languages import LANGUAGE_CODES
from training.asr.transcripts.discovery import ExistingTranscript

if TYPE_CHECKING:
    import torch

MAX_FILES_SHOWN = 5
SUGGESTED_MODEL = "base"  # small enough for any machine


@dataclass(frozen=True, kw_only=True)
class TranscriptProvider:
    """Who says what is said in each recording: what was given with it, else a machine.

    name: what the dataset calls it;  given: of the recordings that have something;  machine: hears
    the others, None where nobody needs to.
    """

    name: str
    existing_transcripts: Mapping[Path, ExistingTranscript]
    transcriber: Transcriber | None


def create_transcript_provider(
    wish: TranscriberConfig,
    files: Sequence[Path],
    given: Mapping[Path, ExistingTranscript],
    models: Path,
    report: ProgressReporter,
) -> TranscriptProvider:
    """Return who says what of these recordings; what has to be loaded is loaded here.

    given: as `find_given` found it, heeded for "auto" and "given".  models: the folder of Whisper
    models.  Says by a note what was chosen and why.  Raises TranscribeError.
    """
    told = {file: given[file] for file in files if file in given}
    told = told if wish.name in (AUTO, GIVEN) else {}
    rest = [file for file in files if file not in told]
    if told:
        report.note(f"{len(told)} of {len(files)} recordings come with what is said in them.")
    if not rest:
        return TranscriptProvider(name=GIVEN, existing_transcripts=told, transcriber=None)
    if wish.name == GIVEN:
        _report_missing(rest, len(files), report)
        return TranscriptProvider(name=GIVEN, existing_transcripts=told, transcriber=None)
    machine = load_transcriber(wish, models, report)
    name = f"{GIVEN}, else {machine.name}" if told else machine.name
    return TranscriptProvider(name=name, existing_transcripts=told, transcriber=machine)


def load_transcriber(
    wish: TranscriberConfig, models: Path, report: ProgressReporter
) -> Transcriber:
    """Load the transcriber that is wished for; `auto` takes Whisper, else PocketSphinx.

    Raises TranscribeError saying what is missing and how it is had.
    """
    name = resolve_transcriber_name(wish, models)
    if name == WHISPER:
        return _load_whisper_transcriber(wish, models, report)
    if name == FASTER_WHISPER:
        from training.asr.faster_whisper import FasterWhisper

        folder = find_converted_model(models, wish.model)
        return FasterWhisper(folder, language=wish.language, device=_resolve_device(wish))
    if wish.name == AUTO:
        report.note(
            f"No Whisper model is in {models}, so PocketSphinx listens: English only, and about "
            "every fourth word is wrong. Look through its text before training. "
            f"{format_download_command(SUGGESTED_MODEL)} brings a better ear."
        )
    from training.asr.pocketsphinx import PocketSphinx

    return PocketSphinx(_resolve_language(wish.language))


def resolve_transcriber_name(wish: TranscriberConfig, models: Path) -> str:
    """Say who would listen, without loading anything.

    Raises TranscribeError for whom this machine lacks, or who hears another language.
    """
    if wish.name == GIVEN:
        raise TranscribeError("Given transcripts are read, not heard; no transcriber listens.")
    language = _resolve_language(wish.language)
    name = wish.name
    if name == AUTO:
        name = WHISPER if wish.model or wish.fetch else select_auto_transcriber(models, language)
    (choice,) = (one for one in probe_transcribers(models) if one.name == name)
    if "not installed" in choice.unavailable_reason:
        raise TranscribeError(f"{name} cannot listen: {choice.unavailable_reason}.")
    if name == FASTER_WHISPER:
        find_converted_model(models, wish.model)
    elif name == WHISPER and not _needs_download(wish):
        find_whisper_model(models, _resolve_model(wish, models))
    elif name == POCKETSPHINX and language not in ("", "en"):
        raise TranscribeError(
            f"PocketSphinx hears English only, not {wish.language!r}, and no Whisper model is "
            f"in {models} or wished for. {format_download_command(SUGGESTED_MODEL)} brings one; "
            f"or give the "
            "transcripts, a .txt beside each recording or a metadata.csv."
        )
    return name


def _load_whisper_transcriber(
    wish: TranscriberConfig, models: Path, report: ProgressReporter
) -> Transcriber:
    from training.asr.openai_whisper import OpenAiWhisper, load_whisper_model

    model, device = _resolve_model(wish, models), _resolve_device(wish)
    if _needs_download(wish):
        from training.asr.whisper_download import download_whisper_model

        download_whisper_model(model, models, report)
    path = find_whisper_model(models, model)
    with report.stage("loading"):
        network = load_whisper_model(path)
    return OpenAiWhisper(network, model=path.stem, language=wish.language, device=device)


def _resolve_device(wish: TranscriberConfig) -> torch.device:
    from engines.device import pick_device

    try:
        return pick_device(wish.device)
    except ValueError as error:
        raise TranscribeError(str(error)) from error


def _resolve_model(wish: TranscriberConfig, models: Path) -> str:
    return (
        wish.model
        or select_best_model(list_local_models(models), _resolve_language(wish.language))
        or SUGGESTED_MODEL
    )


def _needs_download(wish: TranscriberConfig) -> bool:
    return wish.fetch and not wish.model.endswith(".pt")


def _report_missing(rest: Sequence[Path], all: int, report: ProgressReporter) -> None:
    if len(rest) == all:
        raise TranscribeError(
            "None of the recordings comes with what is said in it. Put a .txt beside each, or a "
            "metadata.csv with lines such as 'clip|what is said' into the folder; or take `auto`, "
            "and a machine listens."
        )
    more = f" and {len(rest) - MAX_FILES_SHOWN} more" if len(rest) > MAX_FILES_SHOWN else ""
    names = ", ".join(file.name for file in rest[:MAX_FILES_SHOWN])
    report.warn(f"Nothing is given for {names}{more}; they are left out.")


def _resolve_language(language: str) -> str:
    """Return the code of a language by its common names; what is no such name stays as it is."""
    wanted = language.strip().lower()
    return LANGUAGE_CODES.get(wanted, wanted.split("-")[0])
