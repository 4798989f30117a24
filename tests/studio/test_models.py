"""Bundles as jobs, in the bin and back; updates only on purpose."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from studio.app.studio import Studio
from studio.diagnostics.updates import CheckUpdatesRequest, can_check_for_updates, check_for_updates
from studio.model_store.bundles import list_models
from studio.model_store.lifecycle import (
    VerifyModelRequest,
    delete_model,
    empty_trash,
    list_deleted_models,
    restore_model,
)
from support.inline_worker import InlineStudio
from support.tiny_bundle import make_tiny_bundle

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle to copy, which is quicker than to make."""
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def studio(layout: ProjectPaths, tiny: Path) -> Iterator[Studio]:
    """A studio whose jobs run in a thread, with a bundle that can be checked."""
    for name in ("tiny", "finetunes/mine"):
        shutil.copytree(tiny, layout.models / name)
    opened = InlineStudio.open(layout.root)
    yield opened
    opened.close()


def test_a_bundle_is_checked_as_a_job(studio: Studio) -> None:
    job = studio.wait(studio.submit(VerifyModelRequest(name="tiny")).id, 30)
    assert job.state == "done" and job.result is not None
    assert all(check["good"] for check in job.result["checks"]) and job.result["name"] == "tiny"


def test_damage_is_found_by_the_job_and_an_unknown_bundle_fails_it(studio: Studio) -> None:
    file = studio.layout.models / "tiny" / "clvp.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\1\2\3\4")
    job = studio.wait(studio.submit(VerifyModelRequest(name="tiny")).id, 30)
    assert job.result is not None
    wrong = [check["file"] for check in job.result["checks"] if not check["good"]]
    assert wrong == ["clvp.safetensors"]
    missing = studio.wait(studio.submit(VerifyModelRequest(name="none")).id, 30)
    assert missing.failure is not None and missing.failure.cause == "missing_weights"


@pytest.mark.parametrize("name", ["tiny", "finetunes/mine"])
def test_a_deleted_bundle_can_be_had_back_as_it_was(studio: Studio, name: str) -> None:
    layout = studio.layout
    before = {path.name: path.read_bytes() for path in layout.model(name).iterdir()}
    deleted = delete_model(layout, name)
    assert name not in [bundle.name for bundle in list_models(layout)]
    assert [one.id for one in list_deleted_models(layout)] == [deleted.id]
    assert deleted.size == sum(map(len, before.values())) and deleted.name == name
    assert restore_model(layout, deleted.id) == name
    assert {path.name: path.read_bytes() for path in layout.model(name).iterdir()} == before
    assert list_deleted_models(layout) == []


def test_the_starter_stays_and_so_does_what_a_job_needs(studio: Studio) -> None:
    for name in ("starter", "Starter"):
        with pytest.raises(AppError, match=r"came with Testudo and stays|no model"):
            delete_model(studio.layout, name)
    with pytest.raises(AppError, match="A job needs the model 'tiny'"):
        delete_model(studio.layout, "tiny", busy=["tiny"])
    with pytest.raises(AppError, match="There is no model 'none'"):
        delete_model(studio.layout, "none")
    assert len(list_models(studio.layout)) == 2 and (studio.layout.models / "starter").is_dir()


@pytest.mark.parametrize("name", ["../voices", "..", "a/b", "/etc", "finetunes/../../voices"])
def test_a_name_that_leads_elsewhere_is_refused(studio: Studio, name: str) -> None:
    with pytest.raises(AppError, match="is not a valid"):
        delete_model(studio.layout, name)
    with pytest.raises(AppError, match="There is no deleted model"):
        restore_model(studio.layout, name)
    assert studio.layout.voices.is_dir()


def test_a_bundle_is_not_put_back_over_another(studio: Studio) -> None:
    deleted = delete_model(studio.layout, "tiny")
    (studio.layout.models / "tiny").mkdir()
    with pytest.raises(AppError, match="There is already a model 'tiny'"):
        restore_model(studio.layout, deleted.id)
    assert len(list_deleted_models(studio.layout)) == 1


def test_the_bin_is_emptied_on_purpose_only(studio: Studio) -> None:
    size = delete_model(studio.layout, "tiny").size
    delete_model(studio.layout, "finetunes/mine")
    assert empty_trash(studio.layout) > size
    assert list_deleted_models(studio.layout) == [] and empty_trash(studio.layout) == 0


def test_the_worker_can_unload_its_models(studio: Studio) -> None:
    studio.wait(studio.submit(VerifyModelRequest(name="tiny")).id, 30)
    assert studio.unload()
    assert studio.wait(studio.submit(VerifyModelRequest(name="tiny")).id, 30).state == "done"


def test_a_download_is_refused_on_the_command_line_when_only_local_models_are_allowed(
    testudo: Run, layout: ProjectPaths
) -> None:
    layout.settings_file.write_text("offline: true\n")
    code, _, err = testudo("models", "download")
    assert code == 2 and "Only Load Models Locally" in err


# updates


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*command, *arguments], check=True, capture_output=True)


def commit(folder: Path, name: str) -> None:
    (folder / name).write_text(name)
    git(folder, "add", name)
    git(folder, "commit", "-m", name)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, and beside it the place that it came from."""
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "--initial-branch", "main")
    commit(source, "one")
    git(tmp_path, "clone", str(source), str(tmp_path / "checkout"))
    return tmp_path / "checkout"


def test_a_newer_version_is_seen_and_nothing_is_fetched(checkout: Path) -> None:
    request = CheckUpdatesRequest(root=str(checkout))
    assert not check_for_updates(request).newer
    commit(checkout, "my own change")
    assert not check_for_updates(request).newer, "being ahead is no update"
    commit(checkout.with_name("source"), "two")
    answer = check_for_updates(request)
    assert answer.newer and answer.fix == "./update.sh" and not (checkout / "two").exists()


def test_without_git_or_network_nobody_is_asked(checkout: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert can_check_for_updates(checkout) and not can_check_for_updates(plain)
    with pytest.raises(AppError, match="Not a git checkout"):
        check_for_updates(CheckUpdatesRequest(root=str(plain)))
    with pytest.raises(AppError, match="Only Load Models Locally"):
        check_for_updates(CheckUpdatesRequest(root=str(checkout), offline=True))
    checkout.with_name("source").rename(tmp_path / "gone")
    with pytest.raises(AppError, match="cannot be reached"):
        check_for_updates(CheckUpdatesRequest(root=str(checkout)))


def test_updates_are_never_asked_for_by_default(studio: Studio) -> None:
    assert studio.settings.check_updates is False
