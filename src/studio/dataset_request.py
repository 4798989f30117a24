"""A wish to make a dataset of recordings, checked before time is lost. Light."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import StudioError, refusing
from studio.layout import LONGEST_NAME, Layout, shown
from studio.voices import find_voice
from training.dataset_lock import is_being_prepared
from training.manifest import DATASET, ManifestError, read_dataset
from training.prepare_options import PrepareOptions
from training.prepare_sources import find_recordings, refuse_foreign, rough_seconds_of
from training.transcribe.available import Choice, available
from training.transcribe.base import AUTO, GIVEN, TranscribeError, TranscriberWish
from training.transcribe.choose import check_wish
from training.transcribe.given import find_given
from training.transcribe.languages import NAMES

LITTLE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRequest:
    """A wish to make, or renew, a dataset of the recordings of a voice or of any folder.

    name: of the dataset, "" for that of the voice or folder;  transcriber, model, language, device,
    fetch: see training.transcribe.base;  anew: also what is done already.
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
        self.wish()

    def wish(self) -> TranscriberWish:
        """Return who shall listen.  Raises TranscribeError, a ValueError, for nobody known."""
        return TranscriberWish(
            name=self.transcriber,
            model=self.model,
            language=language_code(self.language),
            device=self.device,
            fetch=self.fetch,
        )

    @property
    def called(self) -> str:
        """What the dataset is called."""
        return self.name or self.voice or name_of_folder(Path(self.folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
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


def check_prepare(layout: Layout, request: PrepareRequest) -> Ready:
    """Say what a wish comes to.  Raises StudioError for one that would fail."""
    target = layout.dataset(request.called)
    folder = source_folder(layout, request)
    with refusing(ManifestError, TranscribeError):
        files = find_recordings(folder)
        given = find_given(folder, files) if request.transcriber in (AUTO, GIVEN) else {}
        refuse_foreign(target)
        refuse_other(layout, request, folder)
    if is_being_prepared(target):
        raise StudioError(
            f"{shown(request.called)} is being prepared already. Wait until that is done, stop it, "
            "or choose another name."
        )
    if request.transcriber == GIVEN and not given:
        raise StudioError(
            "None of the recordings comes with what is said in it. Put a .txt beside each or a "
            "metadata.csv into the folder, or let a machine listen.",
            cause="bad_clip",
        )
    seconds = sum(map(rough_seconds_of, files))
    hears = ""
    if len(files) > len(given) and request.transcriber != GIVEN:
        with refusing(TranscribeError):
            hears = check_wish(request.wish(), layout.whisper)
    return Ready(
        name=request.called,
        folder=str(folder),
        files=len(files),
        seconds=round(seconds, 1),
        given=len(given),
        transcriber=hears,
        remarks=tuple(_remarks(seconds, len(files), len(given))),
    )


def source_folder(layout: Layout, request: PrepareRequest) -> Path:
    """Say where the recordings lie.  Raises StudioError where there is no such place."""
    if request.voice:
        voice = find_voice(layout, request.voice)
        if not voice.clips:
            raise StudioError(
                f"The voice {shown(request.voice)} was kept without clips, so there is nothing to "
                "learn from. Take a voice that has recordings.",
                cause="missing_voice",
            )
        return voice.folder
    folder = Path(request.folder).expanduser()
    if not folder.is_absolute():
        folder = Path.cwd() / folder
    inside = folder.resolve()
    if inside == layout.training.resolve() or inside == layout.root.resolve():
        raise StudioError(f"{shown(str(folder))} is the studio itself. Name a folder in it.")
    return inside


def refuse_other(layout: Layout, request: PrepareRequest, folder: Path) -> None:
    """Raise StudioError where the name is that of a dataset of other recordings."""
    target = layout.dataset(request.called)
    if not (target / DATASET).is_file():
        return
    try:
        before = read_dataset(target)
    except ManifestError:
        return  # it is put aside when the dataset is prepared
    same = before.voice == request.voice if request.voice else before.folder == str(folder)
    if not same and before.clips:
        raise StudioError(
            f"There is already a dataset {shown(request.called)}, made of "
            f"{before.voice or before.folder}. Choose another name, or delete that one.",
            cause="name_taken",
        )


def transcribers(layout: Layout) -> tuple[Choice, ...]:
    """Return who could listen, and what is missing for those who cannot."""
    return available(layout.whisper)


def language_code(language: str) -> str:
    """Return the code of a language: English, en-GB and en are "en"; "" is any."""
    wanted = language.strip().lower()
    code = NAMES.get(wanted, wanted.replace("_", "-").split("-")[0])
    if code and not re.fullmatch(r"[a-z]{2,3}", code):
        raise TranscribeError(
            f"{shown(language)} is no language. Write a code such as en, de or ja, or leave it "
            "empty for whatever is heard."
        )
    return code


def name_of_folder(folder: Path) -> str:
    """Return a name for a dataset that any system takes, like that of a folder."""
    plain = re.sub(r"[^\w .()-]+", "-", folder.name or "recordings").strip(" .-~_")
    return plain[:LONGEST_NAME].strip(" .") or "recordings"


def _remarks(seconds: float, files: int, given: int) -> list[str]:
    told = []
    if seconds < LITTLE_S:
        told.append("These are hardly a minute of recordings; finetuning wants ten or more.")
    if files == 1 and seconds < LITTLE_S:
        told.append("A single clip leaves nothing to judge the training by.")
    if 0 < given < files:
        told.append(f"{given} of {files} recordings come with their text; the others are heard.")
    return told
