"""Written files are whole after a crash or a power failure at any moment."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from api.auth import load_or_create_secret
from audio.clip import Clip
from audio.encoders import encode_complete
from audio.io import write_clip
from core.errors import CodedError
from core.files import (
    PART_GRACE_S,
    atomic_path,
    commit_folder,
    copy_file,
    create_private_file,
    delete_stale_parts,
    make_private_folder,
    parse_json,
    replace_folder,
    write_bytes,
    write_json,
)
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.model_files import read_checksums, write_atomically
from engines.safetensors_io import save_tensors
from studio.history.favorites import write_stars
from studio.settings.store import update_settings_file
from studio.synthesis.batch import BatchItem
from studio.synthesis.batch_csv import write_items_csv
from studio.workers.create_voice import import_voice
from training.dataset_prep.review_audio import write_samples

TONE = Clip(wave=0.5 * torch.sin(torch.arange(48_000) / 9), sample_rate=24_000)
SPEECH = encode_complete((TONE.wave.numpy() * 32_767).astype(np.int16), "wav", 24_000)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A rename of a file, or of a folder with its files: (old name, new name, inode)."""

    folder: Path  # must be flushed for it to be kept
    files: tuple[tuple[str, str, int], ...]


@dataclass
class Disk:
    """What would be on a disk if the power failed: contents and names that were flushed.

    A file system may lose or keep a name that was changed since its folder was flushed, and keeps
    of a file what was flushed; the rest is arbitrary, here nothing.
    """

    root: Path
    contents: dict[int, bytes] = field(default_factory=dict)  # by inode
    names: dict[str, int] = field(default_factory=dict)
    unflushed: list[Move] = field(default_factory=list)
    states: list[list[dict[str, bytes]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in self.root.rglob("*"):
            if path.is_file():
                self.names[self.key(path)] = path.stat().st_ino
                self.contents[path.stat().st_ino] = path.read_bytes()
        self.record()

    def key(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def record(self) -> None:
        """Note every state that the disk could have after a power failure now."""
        possible = []
        for count in range(len(self.unflushed) + 1):
            for kept in itertools.combinations(self.unflushed, count):
                names = dict(self.names)
                for move in kept:
                    apply(move, names)
                possible.append({name: self.contents.get(at, b"") for name, at in names.items()})
        self.states.append(possible)

    def flush(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_dir():
            for move in [move for move in self.unflushed if move.folder == path]:
                apply(move, self.names)
                self.unflushed.remove(move)
        elif path.is_relative_to(self.root):
            self.contents[path.stat().st_ino] = path.read_bytes()
        self.record()

    def rename(self, old: Path, new: Path) -> None:
        files = [old] if old.is_file() else [path for path in old.rglob("*") if path.is_file()]
        moved = tuple(
            (self.key(path), self.key(new / path.relative_to(old)), path.stat().st_ino)
            for path in files
        )
        self.unflushed.append(Move(folder=new.parent, files=moved))
        self.record()


def apply(move: Move, names: dict[str, int]) -> None:
    for old, new, inode in move.files:
        names.pop(old, None)
        names[new] = inode


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Disk]]:
    """Start to record what reaches the disk below `tmp_path`."""

    def start() -> Disk:
        disk = Disk(tmp_path)
        real_fsync, real_replace, real_rename = os.fsync, Path.replace, Path.rename

        def fsync(handle: int) -> None:
            real_fsync(handle)
            disk.flush(handle)

        def moving(real: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
            def move(self: Path, target: Path) -> Path:
                disk.rename(self, Path(target))
                return real(self, target)

            return move

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", moving(real_replace))
        monkeypatch.setattr(Path, "rename", moving(real_rename))
        return disk

    yield start


def stars(root: Path) -> None:
    write_stars(root / "stars.json", ["b", "c"])


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "bytes": ("a.bin", lambda root: write_bytes(root / "a.bin", b"new" * 999)),
    "json": ("a.json", lambda root: write_json(root / "a.json", {"new": 1})),
    "clip": ("a.wav", lambda root: write_clip(root / "a.wav", TONE)),
    "flac": ("a.flac", lambda root: write_clip(root / "a.flac", TONE)),
    "copy": ("b.wav", lambda root: copy_file(root / "source.wav", root / "b.wav")),
    "stars": ("stars.json", stars),
    "secret": ("state/session.key", lambda root: load_or_create_secret(root / "state")),
    "items": ("items.csv", lambda root: write_items_csv(
        root, [BatchItem(wav="w", text="t", voice="v")])),
    "samples": ("0.wav", lambda root: write_samples(root / "0.wav", np.ones(999, np.int16))),
    "weights": ("m.safetensors", lambda root: save_tensors(
        root / "m.safetensors", {"x": torch.ones(9)})),
    "model": ("config.json", lambda root: write_atomically(
        root / "config.json", lambda part: part.write_text("{}"))),
    "settings": ("settings.yaml", lambda root: update_settings_file(
        ProjectPaths.from_root(root), {"volume": 0.5}, (), lambda settings: None)),
    "voice": ("voices/anna/source.wav", lambda root: import_voice(
        "anna", [root / "source.wav"], ProjectPaths.from_root(root), ProgressReporter())),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("existed", [False, True])
def test_a_file_is_old_or_new_whenever_the_power_fails_and_new_afterwards(
    name: str, existed: bool, tmp_path: Path, watch: Callable[[], Disk]
) -> None:
    target, write = WRITERS[name]
    (tmp_path / "source.wav").write_bytes(SPEECH)
    if existed and name != "voice":
        (tmp_path / target).parent.mkdir(exist_ok=True)
        (tmp_path / target).write_bytes(b"" if name == "settings" else b"old")
    before = (tmp_path / target).read_bytes() if (tmp_path / target).exists() else None
    disk = watch()
    write(tmp_path)
    after = (tmp_path / target).read_bytes()
    assert after != before and len(disk.states) >= 3
    for possible in disk.states:
        assert {state.get(target) for state in possible} <= {before, after}
    assert all(state.get(target) == after for state in disk.states[-1])


@dataclass
class FullDisk:
    """Refuses one operation that writes, counted from 0."""

    at: int
    count: int = 0
    refused: bool = False

    def check(self) -> None:
        if self.count == self.at:
            self.refused = True
        self.count += 1
        if self.refused:  # until something is deleted
            raise OSError(errno.ENOSPC, "No space left on device")

    def install(self, patch: pytest.MonkeyPatch) -> None:
        def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any, **options: Any) -> Any:
                self.check()
                return real(*arguments, **options)

            return run

        for name in ("write_bytes", "write_text", "replace", "rename", "mkdir"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        patch.setattr(os, "fsync", guarded(os.fsync))
        patch.setattr(shutil, "copyfile", guarded(shutil.copyfile))


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_is_full_at_any_operation_keeps_the_old_file(name: str, tmp_path: Path) -> None:
    target, write = WRITERS[name]
    operations = 0
    for at in itertools.count():
        root = tmp_path / str(at)
        (root / target).parent.mkdir(parents=True)
        (root / "source.wav").write_bytes(SPEECH)
        if name != "voice":
            (root / target).write_bytes(b"" if name == "settings" else b"old")
        disk = FullDisk(at=at)
        before = (root / target).read_bytes() if (root / target).exists() else None
        with pytest.MonkeyPatch.context() as patch:
            disk.install(patch)
            try:
                write(root)
                failed = False
            except (OSError, CodedError) as error:
                failed = True
                assert "No space" in str(error) or "full" in str(error), error
        after = (root / target).read_bytes() if (root / target).exists() else None
        if failed or (name == "secret" and disk.refused and after == before):
            assert after == before, f"operation {at}"  # the secret is kept in memory then
        else:
            assert after not in (None, before), f"operation {at}"
        assert [path.name for path in root.rglob("*.part*")] == []
        if not disk.refused:
            break
        operations += 1
    assert operations >= 2


def test_a_folder_is_whole_or_absent_whenever_the_power_fails(
    tmp_path: Path, watch: Callable[[], Disk]
) -> None:
    for name in ("new", "next"):
        (tmp_path / name / "inner").mkdir(parents=True)
        for file in ("a", "inner/b"):
            (tmp_path / name / file).write_bytes(name.encode())
    disk = watch()
    disk.contents.clear()  # what was just written is not on the disk yet
    commit_folder(tmp_path / "new", tmp_path / "model")
    replace_folder(tmp_path / "model", tmp_path / "next")
    for possible in disk.states:
        for state in possible:
            found = [state[name] for name in ("model/a", "model/inner/b") if name in state]
            assert set(found) <= {b"new", b"next"}
    assert disk.states[-1][0]["model/inner/b"] == b"next"


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(ValueError, match="NaN"), atomic_path(tmp_path / "a") as part:
        part.write_bytes(b"half")
        raise ValueError("NaN")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_temporary_files_of_programs_that_ended_are_deleted(tmp_path: Path) -> None:
    dead = 4_194_305  # above the highest number of a process
    names = [f".clip.{dead}.part.wav", f"inner/.lines.{dead}.part.json", f".a.{dead}.part"]
    kept = [f".clip.{os.getpid()}.part.wav", "interview.2.part.wav", ".hidden.wav", "a.part"]
    (tmp_path / "inner").mkdir()
    for name in [*names, *kept]:
        (tmp_path / name).write_bytes(b"x")
    assert delete_stale_parts(tmp_path) == 0, "a program in another container may write them"
    for name in [*names, *kept]:
        os.utime(tmp_path / name, (0, time.time() - 2 * PART_GRACE_S))
    assert delete_stale_parts(tmp_path) == len(names)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(kept)
    assert delete_stale_parts(tmp_path, oldest_s=-1.0) == 1
    assert delete_stale_parts(tmp_path / "nowhere") == 0


def test_private_files_and_folders_are_closed_to_others(tmp_path: Path) -> None:
    for make, path in (
        (make_private_folder, tmp_path / "b"),
        (create_private_file, tmp_path / "c"),
    ):
        make(path)
        assert path.stat().st_mode & 0o077 == 0
        path.chmod(0o755)
        make(path)
        assert path.stat().st_mode & 0o077 == 0


def test_json_of_any_depth_is_a_value_error() -> None:
    for opening in ("[", '{"a":'):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(opening * 200_000)


def test_no_checksum_outlives_the_weights_that_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.safetensors"
    save_tensors(file, {"x": torch.ones(9)})
    assert read_checksums(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("engines.safetensors_io.record_checksum", lambda file: refuse())
        save_tensors(file, {"x": torch.zeros(9)})
    assert read_checksums(tmp_path) == {}
    save_tensors(file, {"x": torch.zeros(9)})
    assert set(read_checksums(tmp_path)) == {file.name}


def refuse() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
