"""The request to prepare a dataset, and its checks before the job is submitted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import AppError, reraise_as_app_error
from core.paths import ProjectPaths, parse_path, quote_for_message, shorten_name
from core.tables.columns import TablePreview, parse_column_choice
from studio.voices.catalog import compose, find_voice
from training.asr.availability import TranscriberInfo, probe_transcribers
from training.asr.base import AUTO, GIVEN, TRANSCRIBERS, TranscribeError, TranscriberConfig
from training.asr.languages import parse_language_code
from training.asr.selection import resolve_transcriber_name
from training.asr.transcripts.discovery import (
    FoundTranscripts,
    check_questions,
    search_transcripts,
)
from training.asr.transcripts.lists import LIST_ROLES
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
    """Prepare or update a dataset from the recordings of a voice or a folder.

    name: of the dataset, "" for that of the voice or folder;  transcriber, model, language, device,
    fetch: see training.asr.base;  anew: process finished recordings again;  columns: of lists of
    transcripts, where they are not clear: "audio=1,text=Sentence".
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
    columns: str = ""
    options: PrepareOptions = field(default_factory=PrepareOptions)

    def __post_init__(self) -> None:
        if bool(self.voice) == bool(self.folder):
            raise ValueError("Give either a voice or a folder of recordings.")
        self.to_transcriber_config()
        self.parse_columns()

    def to_transcriber_config(self) -> TranscriberConfig:
        """Return the transcriber options.  Raises TranscribeError for unknown ones."""
        return TranscriberConfig(
            name=self.transcriber,
            model=self.model,
            language=parse_language_code(self.language),
            device=self.device,
            fetch=self.fetch,
        )

    def parse_columns(self) -> dict[str, str]:
        """Return the columns by role.  Raises TableError for an invalid choice."""
        return parse_column_choice(self.columns, LIST_ROLES)

    @property
    def uses_transcripts(self) -> bool:
        """Whether existing transcripts are used."""
        return self.transcriber in (AUTO, GIVEN)

    @property
    def dataset_name(self) -> str:
        """The name of the dataset."""
        return self.name or self.voice or dataset_name_from_folder(parse_path(self.folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePlan:
    """The plan of a request.

    seconds: of recordings, estimated from file sizes; given: recordings with a transcript;
    transcriber: for the others, "" for none; remarks: for the user; left_out: lines of
    transcripts that are not used, which the job reports, too; lists: of transcripts, with the
    columns that are used.
    """

    name: str
    folder: str
    files: int
    seconds: float
    given: int
    transcriber: str
    remarks: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    lists: tuple[TablePreview, ...] = ()


def plan_preparation(layout: ProjectPaths, request: PrepareRequest) -> PreparePlan:
    """Return what a request will do.  Raises AppError for one that would fail."""
    target = layout.dataset(request.dataset_name)
    folder = find_source_folder(layout, request)
    with reraise_as_app_error(ManifestError, TranscribeError):
        files = find_recordings(folder)
        found = _search_transcripts(request, folder, files)
        check_questions(found)
        given = found.by_file
        check_target_dir(target)
        check_dataset_name_free(layout, request, folder)
    if is_being_prepared(target):
        raise AppError(
            f"{quote_for_message(request.dataset_name)} is being prepared already. Wait for it, "
            "stop it, or choose another name."
        )
    if request.transcriber == GIVEN and not given:
        raise AppError(
            "None of the recordings has a transcript. Put a .txt beside each or a metadata.csv "
            "into the folder, or choose a transcriber.",
            code="bad_clip",
        )
    seconds = sum(map(estimate_file_duration_s, files))
    transcriber = ""
    if len(files) > len(given) and request.transcriber != GIVEN:
        with reraise_as_app_error(TranscribeError):
            transcriber = resolve_transcriber_name(request.to_transcriber_config(), layout.whisper)
    return PreparePlan(
        name=request.dataset_name,
        folder=str(folder),
        files=len(files),
        seconds=round(seconds, 1),
        given=len(given),
        transcriber=transcriber,
        remarks=tuple(_collect_remarks(seconds, len(files), len(given))),
        left_out=found.notes,
        lists=found.lists,
    )


def preview_lists(layout: ProjectPaths, request: PrepareRequest) -> tuple[TablePreview, ...]:
    """Return the lists of transcripts as they are read, also where their columns are not clear.

    Raises AppError where there are no recordings, or a list is malformed.
    """
    folder = find_source_folder(layout, request)
    with reraise_as_app_error(ManifestError, TranscribeError):
        return _search_transcripts(request, folder, find_recordings(folder)).lists


def _search_transcripts(
    request: PrepareRequest, folder: Path, files: list[Path]
) -> FoundTranscripts:
    if not request.uses_transcripts:
        return FoundTranscripts(by_file={})
    return search_transcripts(folder, files, request.parse_columns())


def find_source_folder(layout: ProjectPaths, request: PrepareRequest) -> Path:
    """Return the folder with the recordings.  Raises AppError where there is none."""
    if request.voice:
        voice = find_voice(layout, request.voice)
        if not voice.clips:
            raise AppError(
                f"The voice {quote_for_message(request.voice)} has no clips to train on. Choose a "
                "voice that has recordings.",
                code="missing_voice",
            )
        return voice.folder
    folder = parse_path(request.folder)
    if not folder.is_absolute():
        folder = Path.cwd() / folder
    inside = folder.resolve()
    if inside == layout.training.resolve() or inside == layout.root.resolve():
        raise AppError(
            f"{quote_for_message(str(folder))} is the folder of the studio. Choose another folder."
        )
    return inside


def check_dataset_name_free(layout: ProjectPaths, request: PrepareRequest, folder: Path) -> None:
    """Raise AppError where a dataset of that name was made of other recordings."""
    target = layout.dataset(request.dataset_name)
    if not (target / DATASET_FILE).is_file():
        return
    try:
        before = read_dataset(target)
    except ManifestError:
        return  # it is moved away when the dataset is prepared
    same = (
        compose(before.voice) == compose(request.voice)
        if request.voice
        else before.folder == str(folder)
    )
    if not same and before.clips:
        raise AppError(
            f"There is already a dataset {quote_for_message(request.dataset_name)}, made from "
            f"{before.voice or before.folder}. Choose another name, or delete that one.",
            code="name_taken",
        )


def list_transcribers(layout: ProjectPaths) -> tuple[TranscriberInfo, ...]:
    """Return the transcribers, and what unavailable ones lack."""
    return probe_transcribers(layout.whisper)


def dataset_name_from_folder(folder: Path) -> str:
    """Return the name of a folder, reduced to characters that are valid on any system."""
    plain = re.sub(r"[^\w .()-]+", "-", folder.name or "recordings").strip(" .-~_")
    return shorten_name(plain).strip(" .…") or "recordings"


def _collect_remarks(seconds: float, files: int, given: int) -> list[str]:
    remarks = []
    if seconds < MIN_RECOMMENDED_S:
        remarks.append("Less than 1 minute of audio; 10 or more minutes are recommended.")
    if files == 1 and seconds < MIN_RECOMMENDED_S:
        remarks.append("One clip is not enough to keep some for validation.")
    if 0 < given < files:
        remarks.append(
            f"{given} of {files} recordings have a transcript; the others are transcribed."
        )
    return remarks
