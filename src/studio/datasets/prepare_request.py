"""A wish to make a dataset of recordings, checked before time is lost. Light."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import AppError, reraise_as_app_error
from core.paths import MAX_NAME_LENGTH, ProjectPaths, quote_for_message
from studio.voices.catalog import find_voice
from training.asr.availability import TranscriberInfo, probe_transcribers
from training.asr.base import AUTO, GIVEN, TRANSCRIBERS, TranscribeError, TranscriberConfig
from training.asr.languages import LANGUAGE_CODES
from training.asr.selection import resolve_transcriber_name
from training.asr.transcripts.discovery import find_existing_transcripts
from training.dataset_prep.lock import is_being_prepared
from training.dataset_prep.manifest import DATASET_FILE, ManifestError, read_dataset
from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.sources import (
    check_target_dir,
    estimate_file_duration_s,
    find_recordings,
)

__all__ = ["AUTO", "TRANSCRIBERS"]

MIN_RECOMMENDED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRequest:
    """A wish to make, or renew, a dataset of the recordings of a voice or of any folder.

    name: of the dataset, "" for that of the voice or folder;  transcriber, model, language, device,
    fetch: see training.asr.base;  anew: also what is done already.
    """

    name: str = ""
    voice: str = ""
    folder: str = ""
    transcriber: str = AUTO
    model: str = ""
    language: str = "en"
    device: str = "auto"
    fetch: bool = False
    anew: bool = False
    options: PrepareOptions = field(default_factory=PrepareOptions)

    def __post_init__(self) -> None:
        if bool(self.voice) == bool(self.folder):
            raise ValueError("Name a voice, or a folder of recordings; one of the two.")
        self.to_transcriber_config()

    def to_transcriber_config(self) -> TranscriberConfig:
        """Return who shall listen.  Raises TranscribeError, a ValueError, for nobody known."""
        return TranscriberConfig(
            name=self.transcriber,
            model=self.model,
            language=parse_language_code(self.language),
            device=self.device,
            fetch=self.fetch,
        )

    @property
    def dataset_name(self) -> str:
        """What the dataset is called."""
        return self.name or self.voice or dataset_name_from_folder(Path(self.folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePlan:
    """What a wish comes to, as far as it can be told at once.

    seconds: of recordings, guessed by their sizes;  given: recordings that come with their text;
    transcriber: who hears the rest, "" where nobody needs to;  remarks: for people.
    """

    name: str
    folder: str
    files: int
    seconds: float
    given: int
    transcriber: str
    remarks: tuple[str, ...]


def plan_preparation(layout: ProjectPaths, request: PrepareRequest) -> PreparePlan:
    """Say what a wish comes to.  Raises StudioError for one that would fail."""
    target = layout.dataset(request.dataset_name)
    folder = find_source_folder(layout, request)
    with reraise_as_app_error(ManifestError, TranscribeError):
        files = find_recordings(folder)
        given = (
            find_existing_transcripts(folder, files) if request.transcriber in (AUTO, GIVEN) else {}
        )
        check_target_dir(target)
        check_dataset_name_free(layout, request, folder)
    if is_being_prepared(target):
        raise AppError(
            f"{quote_for_message(request.dataset_name)} is being prepared already. Wait until "
            f"that is done, stop it, "
            "or choose another name."
        )
    if request.transcriber == GIVEN and not given:
        raise AppError(
            "None of the recordings comes with what is said in it. Put a .txt beside each or a "
            "metadata.csv into the folder, or let a machine listen.",
            code="bad_clip",
        )
    seconds = sum(map(estimate_file_duration_s, files))
    hears = ""
    if len(files) > len(given) and request.transcriber != GIVEN:
        with reraise_as_app_error(TranscribeError):
            hears = resolve_transcriber_name(request.to_transcriber_config(), layout.whisper)
    return PreparePlan(
        name=request.dataset_name,
        folder=str(folder),
        files=len(files),
        seconds=round(seconds, 1),
        given=len(given),
        transcriber=hears,
        remarks=tuple(_collect_remarks(seconds, len(files), len(given))),
    )


def find_source_folder(layout: ProjectPaths, request: PrepareRequest) -> Path:
    """Say where the recordings lie.  Raises StudioError where there is no such place."""
    if request.voice:
        voice = find_voice(layout, request.voice)
        if not voice.clips:
            raise AppError(
                f"The voice {quote_for_message(request.voice)} was kept without clips, so there "
                f"is nothing to "
                "learn from. Take a voice that has recordings.",
                code="missing_voice",
            )
        return voice.folder
    folder = Path(request.folder).expanduser()
    if not folder.is_absolute():
        folder = Path.cwd() / folder
    inside = folder.resolve()
    if inside == layout.training.resolve() or inside == layout.root.resolve():
        raise AppError(
            f"{quote_for_message(str(folder))} is the studio itself. Name a folder in it."
        )
    return inside


def check_dataset_name_free(layout: ProjectPaths, request: PrepareRequest, folder: Path) -> None:
    """Raise StudioError where the name is that of a dataset of other recordings."""
    target = layout.dataset(request.dataset_name)
    if not (target / DATASET_FILE).is_file():
        return
    try:
        before = read_dataset(target)
    except ManifestError:
        return  # it is put aside when the dataset is prepared
    same = before.voice == request.voice if request.voice else before.folder == str(folder)
    if not same and before.clips:
        raise AppError(
            f"There is already a dataset {quote_for_message(request.dataset_name)}, made of "
            f"{before.voice or before.folder}. Choose another name, or delete that one.",
            code="name_taken",
        )


def list_transcribers(layout: ProjectPaths) -> tuple[TranscriberInfo, ...]:
    """Return who could listen, and what is missing for those who cannot."""
    return probe_transcribers(layout.whisper)


def parse_language_code(language: str) -> str:
    """Return the code of a language: English, en-GB and en are "en"; "" is any."""
    wanted = language.strip().lower()
    code = LANGUAGE_CODES.get(wanted, wanted.replace("_", "-").split("-")[0])
    if code and not re.fullmatch(r"[a-z]{2,3}", code):
        raise TranscribeError(
            f"{quote_for_message(language)} is no language. Write a code such as en, de or ja, "
            f"or leave it "
            "empty for whatever is heard."
        )
    return code


def dataset_name_from_folder(folder: Path) -> str:
    """Return a name for a dataset that any system takes, like that of a folder."""
    plain = re.sub(r"[^\w .()-]+", "-", folder.name or "recordings").strip(" .-~_")
    return plain[:MAX_NAME_LENGTH].strip(" .") or "recordings"


def _collect_remarks(seconds: float, files: int, given: int) -> list[str]:
    told = []
    if seconds < MIN_RECOMMENDED_S:
        told.append("These are hardly a minute of recordings; finetuning wants ten or more.")
    if files == 1 and seconds < MIN_RECOMMENDED_S:
        told.append("A single clip leaves nothing to judge the training by.")
    if 0 < given < files:
        told.append(f"{given} of {files} recordings come with their text; the others are heard.")
    return told
