"""The paths that the studio reads or writes."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from core.errors import AppError

ROOT_ENV_VAR = "TESTUDO_ROOT"
MAX_NAME_LENGTH = 100  # characters
CONSENT_FILE = "consent.yaml"  # in the folder of a voice, a run and a finetuned model
MAX_NAME_BYTES = 200  # in UTF-8; file systems take 255, with what is added to a name
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff/\\:*?"<>|+]')
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # Windows adds U+202A
_OPENING_QUOTES, _CLOSING_QUOTES = "\"'“‘„«`", "\"'”’“»`"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
_BLANK_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
ADDRESS_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "voice": frozenset({"bin"}),
        "run": frozenset({"bin"}),
        "model": frozenset({"bin", "download", "unload", "verify"}),
    }
)
"""Words that stand in addresses of the HTTP API where a name of this kind does."""
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
        """Return the default paths under `root`."""
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
        """Return the folder of the clips of a voice."""
        return find_same_name(self.voices, validate_name(name, "voice"))

    def voice_results(self, voice: str) -> Path:
        """Return the folder of the clips generated with a voice."""
        return find_same_name(self.results, validate_name(voice, "voice"))

    def model(self, name: str) -> Path:
        """Return the folder of a model; fine-tuned ones are named finetunes/NAME."""
        parts = name.split("/")
        if len(parts) == 2 and parts[0] == "finetunes":
            return find_same_name(self.models / "finetunes", validate_name(parts[1], "fine-tune"))
        return find_same_name(self.models, validate_name(name, "model"))

    def dataset(self, name: str) -> Path:
        """Return the folder of a dataset."""
        return find_same_name(self.training, validate_name(name, "dataset"))

    def run(self, dataset: str, name: str) -> Path:
        """Return the folder of a training run of a dataset."""
        return find_same_name(self.dataset(dataset) / "runs", validate_name(name, "run"))

    def encoder_dataset(self, name: str) -> Path:
        """Return the folder of a preprocessed speaker dataset."""
        return find_same_name(self.encoders / "datasets", validate_name(name, "dataset"))

    def encoder_run(self, name: str) -> Path:
        """Return the folder of a speaker encoder: its training run, and its checkpoints."""
        return find_same_name(self.encoders / "runs", validate_name(name, "run"))

    @property
    def encoders(self) -> Path:
        """The folder of speaker datasets and speaker encoders."""
        return self.root / "encoders"

    @property
    def whisper(self) -> Path:
        """The folder of the Whisper models."""
        return self.models / "whisper"

    @property
    def training_lock(self) -> Path:
        """The lock that all training runs share, so that one runs at a time."""
        return self.state / "training.lock"

    @property
    def jobs_db(self) -> Path:
        """The database of jobs."""
        return self.state / "journal.sqlite"

    @property
    def history_db(self) -> Path:
        """The index of all clips; it can be rebuilt from the clips."""
        return self.state / "history.sqlite"

    @property
    def presets_file(self) -> Path:
        """The presets of one's own, beside the settings."""
        return self.settings_file.with_name("presets.yaml")

    @property
    def log(self) -> Path:
        """The log file of the server and its jobs."""
        return self.state / "log" / "testudo.log"

    @property
    def stars(self) -> Path:
        """The list of starred clips."""
        return self.state / "stars.json"

    @property
    def pronunciations(self) -> Path:
        """The user's list of pronunciations."""
        return self.state / "pronunciations.txt"

    @property
    def speakers(self) -> Path:
        """The voices of the speakers of scripts."""
        return self.state / "speakers.yaml"

    @property
    def trash(self) -> Path:
        """The trash of deleted clips."""
        return self.state / "bin"

    @property
    def exports(self) -> Path:
        """The folder of exported zip files."""
        return self.state / "exports"

    def latents_cache_dirs(self, voice: Path) -> tuple[Path, Path]:
        """Return folders for the latents of a voice; the first that is writable is used."""
        return voice / ".cache", self.state / "voices" / voice.name


def find_root(environment: Mapping[str, str], source: Path, here: Path) -> Path:
    """Return the studio's folder: from the environment, else the checkout, else the current one.

    source: a file of this package;  here: the current folder.
    """
    named = environment.get(ROOT_ENV_VAR, "")
    if named:
        root = Path(named).expanduser()
        if not root.is_dir():
            raise AppError(
                f"{ROOT_ENV_VAR} is {named}, which is not a folder. Create it or unset the "
                "variable."
            )
        return root.resolve()
    checkout = source.resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else here.resolve()


def find_same_name(folder: Path, name: str) -> Path:
    """Return the entry of a folder with this name, in any case, accents composed or decomposed.

    A Mac decomposes the accents of file names, other systems compose them; Mac and Windows take
    names that differ only in case for one. Without such an entry the path has the composed name.
    """
    composed = unicodedata.normalize("NFC", name)
    for form in dict.fromkeys((composed, name, unicodedata.normalize("NFD", name))):
        if (folder / form).exists():
            return folder / form
    wanted = fold_name(name)
    try:
        entries = sorted(path.name for path in folder.iterdir())
    except OSError:
        entries = []
    return folder / next((entry for entry in entries if fold_name(entry) == wanted), composed)


def fold_name(name: str) -> str:
    """Return what is equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def get_project_paths(root: Path | None = None) -> ProjectPaths:
    """Return the paths of the studio at `root`, or of the default one of this process."""
    return ProjectPaths.from_root(root or find_root(os.environ, Path(__file__), Path.cwd()))


def validate_name(name: str, kind: str) -> str:
    """Return `name` if it can name one folder or file on any system; else raise AppError."""
    if name.lower() in ADDRESS_WORDS.get(kind, ()):
        raise AppError(
            f"{quote_for_message(name)} cannot be the name of a {kind}: the HTTP API has another "
            "meaning for it. Choose another name.",
            code="bad_name",
        )
    fits = 0 < len(name) <= MAX_NAME_LENGTH and name.strip() == name and name[0] not in ".-~"
    fits = fits and len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES
    if fits and name[-1] != "." and not _FORBIDDEN.search(name) and not _RESERVED.fullmatch(name):
        hidden = find_invisible_character(name)
        if not hidden:
            return name
        raise AppError(
            f"{quote_for_message(name)} is not a valid {kind} name: it has the invisible character "
            f"U+{ord(hidden):04X}. Type the name anew, without it.",
            code="bad_name",
        )
    raise AppError(
        f"{quote_for_message(name)} is not a valid {kind} name. A name is 1 to {MAX_NAME_LENGTH} "
        f"characters and at most {MAX_NAME_BYTES} bytes in UTF-8, "
        'not a path, starts with a letter or digit and has none of / \\ : * ? " < > | +.',
        code="bad_name",
    )


def find_invisible_character(text: str) -> str:
    """Return the first character that cannot be seen or changes the direction of others, or "".

    A joiner within a word of another script, or between emojis, is part of how they are written.
    """
    for at, character in enumerate(text):
        is_hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES
        if not is_hidden and character not in _BLANK_LETTERS:
            continue
        around = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
        is_joined = len(around) == 2 and not any(
            one.isascii() or unicodedata.category(one) in _HIDDEN_CATEGORIES for one in around
        )
        if character not in _JOINERS or not is_joined:
            return character
    return text[:1] if text and unicodedata.category(text[0]) in ("Mn", "Me") else ""


def shorten_name(name: str) -> str:
    """Return a name that is as long as a name may be at most."""
    short = name
    while len(short) > MAX_NAME_LENGTH or len(short.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        short = f"{short.removesuffix('…')[:-1]}…"
    return short


def quote_for_message(text: str, longest: int = 60) -> str:
    """Quote what the user gave, shortened and without control characters."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return repr(short)


def parse_path(text: str | Path) -> Path:
    """Return the path that a pasted text stands for: "~", quotes, file:// and hidden marks.

    A path that does not exist is also tried without the backslashes of a terminal, and with letters
    and accents composed and decomposed.
    """
    plain = _INVISIBLE.sub("", str(text)).strip()
    while len(plain) > 1 and plain[0] in _OPENING_QUOTES and plain[-1] in _CLOSING_QUOTES:
        plain = plain[1:-1].strip()
    if plain.lower().startswith("file:"):
        plain = re.sub(r"^/*(?:localhost(?=/))?", "", unquote(plain[len("file:") :]), count=1)
        plain = plain if re.match(r"/|[A-Za-z]:", plain) else f"/{plain}"
    path = Path(plain).expanduser()
    forms = [plain, re.sub(r"\\(?=[^\w\\])", "", plain)]
    tried = [unicodedata.normalize(form, one) for one in forms for form in ("NFC", "NFD")]
    exists = [other for other in map(Path, tried) if not path.exists() and other.exists()]
    return exists[0] if exists else path


def slugify(text: str, longest: int = 40) -> str:
    """Return a file name from the first words of a text."""
    words = re.findall(r"[^\W_]+", text.lower())
    name = ""
    for word in words:
        if len(name) + len(word) + 1 > longest:
            break
        name = f"{name}-{word}" if name else word
    return name or "speech"
