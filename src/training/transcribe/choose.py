"""From what a person wishes to who listens, and who says what of each recording.

Light to import; the network of a transcriber is loaded when it is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.report import Reporter
from training.transcribe.available import (
    automatic,
    available,
    best_model,
    find_converted,
    find_whisper,
    how_to_fetch,
    local_models,
)
from training.transcribe.base import (
    AUTO,
    FASTER_WHISPER,
    GIVEN,
    POCKETSPHINX,
    WHISPER,
    TranscribeError,
    Transcriber,
    TranscriberWish,
)
from training.transcribe.given import Given
from training.transcribe.languages import NAMES

if TYPE_CHECKING:
    import torch

SHOWN_FILES = 5
SUGGESTED = "base"  # small enough for any machine


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who says what is said in each recording: what was given with it, else a machine.

    name: what the dataset calls it;  given: of the recordings that have something;  machine: hears
    the others, None where nobody needs to.
    """

    name: str
    given: Mapping[Path, Given]
    machine: Transcriber | None


def listener(
    wish: TranscriberWish,
    files: Sequence[Path],
    given: Mapping[Path, Given],
    models: Path,
    report: Reporter,
) -> Listener:
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
        return Listener(name=GIVEN, given=told, machine=None)
    if wish.name == GIVEN:
        _tell_missing(rest, len(files), report)
        return Listener(name=GIVEN, given=told, machine=None)
    machine = choose(wish, models, report)
    name = f"{GIVEN}, else {machine.name}" if told else machine.name
    return Listener(name=name, given=told, machine=machine)


def choose(wish: TranscriberWish, models: Path, report: Reporter) -> Transcriber:
    """Load the transcriber that is wished for; `auto` takes Whisper, else PocketSphinx.

    Raises TranscribeError saying what is missing and how it is had.
    """
    name = check_wish(wish, models)
    if name == WHISPER:
        return _whisper(wish, models, report)
    if name == FASTER_WHISPER:
        from training.transcribe.faster import FasterWhisper

        folder = find_converted(models, wish.model)
        return FasterWhisper(folder, language=wish.language, device=_device(wish))
    if wish.name == AUTO:
        report.note(
            f"No Whisper model is in {models}, so PocketSphinx listens: English only, and about "
            "every fourth word is wrong. Look through its text before training. "
            f"{how_to_fetch(SUGGESTED)} brings a better ear."
        )
    from training.transcribe.sphinx import PocketSphinx

    return PocketSphinx(_code(wish.language))


def check_wish(wish: TranscriberWish, models: Path) -> str:
    """Say who would listen, without loading anything.

    Raises TranscribeError for whom this machine lacks, or who hears another language.
    """
    if wish.name == GIVEN:
        raise TranscribeError("Given transcripts are read, not heard; no transcriber listens.")
    language = _code(wish.language)
    name = wish.name
    if name == AUTO:
        name = WHISPER if wish.model or wish.fetch else automatic(models, language)
    (choice,) = (one for one in available(models) if one.name == name)
    if "not installed" in choice.why_not:
        raise TranscribeError(f"{name} cannot listen: {choice.why_not}.")
    if name == FASTER_WHISPER:
        find_converted(models, wish.model)
    elif name == WHISPER and not _will_be_fetched(wish):
        find_whisper(models, _model_of(wish, models))
    elif name == POCKETSPHINX and language not in ("", "en"):
        raise TranscribeError(
            f"PocketSphinx hears English only, not {wish.language!r}, and no Whisper model is "
            f"in {models} or wished for. {how_to_fetch(SUGGESTED)} brings one; or give the "
            "transcripts, a .txt beside each recording or a metadata.csv."
        )
    return name


def _whisper(wish: TranscriberWish, models: Path, report: Reporter) -> Transcriber:
    from training.transcribe.openai_whisper import OpenAiWhisper
    from training.transcribe.whisper_file import load_whisper

    model, device = _model_of(wish, models), _device(wish)
    if _will_be_fetched(wish):
        from training.transcribe.fetch import fetch_whisper

        fetch_whisper(model, models, report)
    path = find_whisper(models, model)
    with report.stage("loading"):
        network = load_whisper(path)
    return OpenAiWhisper(network, model=path.stem, language=wish.language, device=device)


def _device(wish: TranscriberWish) -> torch.device:
    from engines.device import pick_device

    try:
        return pick_device(wish.device)
    except ValueError as error:
        raise TranscribeError(str(error)) from error


def _model_of(wish: TranscriberWish, models: Path) -> str:
    return wish.model or best_model(local_models(models), _code(wish.language)) or SUGGESTED


def _will_be_fetched(wish: TranscriberWish) -> bool:
    return wish.fetch and not wish.model.endswith(".pt")


def _tell_missing(rest: Sequence[Path], all: int, report: Reporter) -> None:
    if len(rest) == all:
        raise TranscribeError(
            "None of the recordings comes with what is said in it. Put a .txt beside each, or a "
            "metadata.csv with lines such as 'clip|what is said' into the folder; or take `auto`, "
            "and a machine listens."
        )
    more = f" and {len(rest) - SHOWN_FILES} more" if len(rest) > SHOWN_FILES else ""
    names = ", ".join(file.name for file in rest[:SHOWN_FILES])
    report.warn(f"Nothing is given for {names}{more}; they are left out.")


def _code(language: str) -> str:
    """Return the code of a language by its common names; what is no such name stays as it is."""
    wanted = language.strip().lower()
    return NAMES.get(wanted, wanted.split("-")[0])
