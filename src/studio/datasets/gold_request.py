"""The request to make a gold-standard dataset, and where its project lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from core.errors import AppError
from core.paths import ProjectPaths, slugify, validate_name

GOLD_DIR, SOURCE_DIR = "gold", "source"
STEPS = ("clean", "diarize", "check", "align", "split", "report")
STEP_HELP: Mapping[str, str] = MappingProxyType(
    {
        "clean": "read the transcript: one turn per line",
        "diarize": "find who speaks when, and what is heard",
        "check": "compare transcript and recording turn by turn",
        "align": "find the times of the words",
        "split": "cut utterances of 1.6 to 11 seconds",
        "report": "write one HTML page with plots and the worst utterances",
    }
)
METHODS = ("agglomerative", "spectral", "pyannote")
LAYOUTS = ("ljspeech", "tortoise", "libritts", "vctk", "folders", "huggingface")

MAX_SPEAKERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldRequest:
    """Run steps of a gold-standard project.

    recording, transcript: paths, "" for a project that exists;  name: of the project, "" for that
    of the recording;  speaker: whose utterances are kept, "" for all;  speakers: how many speak, 0
    for the number in the transcript;  encoder: a run, a file, or resemblyzer.
    """

    recording: str = ""
    transcript: str = ""
    name: str = ""
    speaker: str = ""
    speakers: int = 0
    method: str = "agglomerative"
    encoder: str = "resemblyzer"
    steps: tuple[str, ...] = STEPS
    anew: bool = False

    def __post_init__(self) -> None:
        unknown = [step for step in self.steps if step not in STEPS]
        if unknown:
            raise AppError(f"There is no step {unknown[0]!r}; there are {', '.join(STEPS)}.")
        if self.method not in METHODS:
            raise AppError(f"method is {self.method!r}; it must be one of {', '.join(METHODS)}.")
        if not 0 <= self.speakers <= MAX_SPEAKERS:
            raise AppError(
                f"speakers is {self.speakers}; it must be from 0 to {MAX_SPEAKERS}, 0 for as many "
                "as the transcript names."
            )
        if not (self.name or self.recording):
            raise AppError("Give a recording and its transcript, or the name of a project.")

    @property
    def project_name(self) -> str:
        """The name of the project."""
        return self.name or slugify(Path(self.recording).stem)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldExportRequest:
    """Write the kept utterances of a project in a layout. target: a new folder, "" for one in the
    project."""

    name: str
    layout: str = LAYOUTS[0]
    target: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise AppError(f"There is no layout {self.layout!r}; there are {', '.join(LAYOUTS)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldExportResult:
    """What was exported."""

    name: str
    folder: str
    utterances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldResult:
    """The result of running steps. ran: steps that were not already done; seconds: kept speech."""

    name: str
    folder: str
    ran: tuple[str, ...]
    turns: int
    flagged: int
    utterances: int
    left_out: int
    seconds: float


def get_gold_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a project. Raises AppError for a name that is none."""
    return layout.training / GOLD_DIR / validate_name(name, "project")


def find_gold_project(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a project that exists. Raises AppError where it does not."""
    folder = get_gold_folder(layout, name)
    if not (folder / "project.json").is_file():
        known = sorted(path.parent.name for path in folder.parent.glob("*/project.json"))
        listed = f" There are {', '.join(known)}." if known else ""
        raise AppError(f"There is no gold-standard project {name!r}.{listed}")
    return folder
