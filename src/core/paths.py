"""Where everything lies: every path that the studio reads or writes is named here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError

ROOT_ENV_VAR = "TESTUDO_ROOT"
MAX_NAME_LENGTH = 100  # characters; every file system in use takes 255 bytes
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff/\\:*?"<>|+]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPaths:
    """The folders of one studio."""

    root: Path
    voices: Path
    results: Path
    models: Path
    training: Path
    state: Path
    settings_file: Path

    @classmethod
    def from_root(cls, root: Path) -> ProjectPaths:
        """Name the usual places under `root`."""
        return cls(
            root=root,
            voices=root / "voices",
            results=root / "results",
            models=root / "models",
            training=root / "training",
            state=root / "state",
            settings_file=root / "settings.yaml",
        )

    def voice(self, name: str) -> Path:
        """Say where the clips of a voice lie."""
        return self.voices / validate_name(name, "voice")

    def voice_results(self, voice: str) -> Path:
        """Say where the clips that a voice spoke go."""
        return self.results / validate_name(voice, "voice")

    def model(self, name: str) -> Path:
        """Say where the weights of a bundle lie; fine-tunes are named finetunes/NAME."""
        parts = name.split("/")
        if len(parts) == 2 and parts[0] == "finetunes":
            return self.models / "finetunes" / validate_name(parts[1], "fine-tune")
        return self.models / validate_name(name, "model")

    def dataset(self, name: str) -> Path:
        """Say where a dataset lies."""
        return self.training / validate_name(name, "dataset")

    def run(self, dataset: str, name: str) -> Path:
        """Say where a training run of a dataset lies."""
        return self.dataset(dataset) / "runs" / validate_name(name, "run")

    @property
    def whisper(self) -> Path:
        """Say where the models that hear what is said lie."""
        return self.models / "whisper"

    @property
    def training_lock(self) -> Path:
        """Say which lock the trainings share, so that one works at a time."""
        return self.state / "training.lock"

    @property
    def jobs_db(self) -> Path:
        """Say where the list of jobs lies."""
        return self.state / "journal.sqlite"

    @property
    def history_db(self) -> Path:
        """Say where the index of all clips lies; it can be made anew from the clips."""
        return self.state / "history.sqlite"

    @property
    def stars(self) -> Path:
        """Say where the starred clips are listed."""
        return self.state / "stars.json"

    @property
    def trash(self) -> Path:
        """Say where deleted clips wait for being wanted back."""
        return self.state / "bin"

    @property
    def exports(self) -> Path:
        """Say where zip files of clips are made."""
        return self.state / "exports"

    def latents_cache_dirs(self, voice: Path) -> tuple[Path, Path]:
        """Name the folders for what engines made of a voice: the first that can be written wins."""
        return voice / ".cache", self.state / "voices" / voice.name


def find_root(environment: Mapping[str, str], source: Path, here: Path) -> Path:
    """Find the studio's folder: named in the environment, else the checkout, else where we are.

    source: a file of this package;  here: the current folder.
    """
    named = environment.get(ROOT_ENV_VAR, "")
    if named:
        root = Path(named).expanduser()
        if not root.is_dir():
            raise AppError(
                f"{ROOT_ENV_VAR} names {named}, which is not a folder. "
                "Make it or unset the variable."
            )
        return root.resolve()
    checkout = source.resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else here.resolve()


def get_project_paths(root: Path | None = None) -> ProjectPaths:
    """Name the paths of the studio at `root`, or of the one that this process belongs to."""
    return ProjectPaths.from_root(root or find_root(os.environ, Path(__file__), Path.cwd()))


def validate_name(name: str, kind: str) -> str:
    """Return `name` if it can name one folder or file on any system; refuse paths and tricks."""
    fits = 0 < len(name) <= MAX_NAME_LENGTH and name.strip() == name and name[0] not in ".-~"
    if fits and name[-1] != "." and not _FORBIDDEN.search(name) and not _RESERVED.fullmatch(name):
        return name
    raise AppError(
        f"{quote_for_message(name)} cannot name a {kind}. A name is 1 to {MAX_NAME_LENGTH} "
        f"characters, "
        'not a path, starts with a letter or digit and has none of / \\ : * ? " < > | +.',
        code="bad_name",
    )


def quote_for_message(text: str, longest: int = 60) -> str:
    """Quote what the user gave, shortened and without control characters."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return repr(short)


def slugify(text: str, longest: int = 40) -> str:
    """Make a file name of the first words of a text."""
    words = re.findall(r"[^\W_]+", text.lower())
    name = ""
    for word in words:
        if len(name) + len(word) + 1 > longest:
            break
        name = f"{name}-{word}" if name else word
    return name or "speech"
