"""Downloading the published weights from a hub that breaks, lies and fills the disk."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import AppError
from core.files import sha256_file
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.model_files import get_network_path
from studio.model_store.bundles import download_published_model, verify_model_files
from studio.model_store.download import (
    DownloadProgress,
    _ProgressFile,
    download_file,
    find_remote_files,
)
from support.hub_server import Hub, serving
from support.published_files import (
    fit_small_files,
    published_by_name,
    served,
    small_files,
    small_tokenizer,
)
from tortoise.checkpoints.loading import load_model
from tortoise.checkpoints.published import DownloadSource, PublishedFile

CONTENT = bytes(range(256)) * 20
FILE = replace(
    published_by_name("cvvp.pth"), sources=(DownloadSource(repo="some/repo", path="cvvp.pth"),)
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one small file, which the downloader asks without waiting between attempts."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    with serving({"some/repo/cvvp.pth": CONTENT}) as serving_hub:
        serving_hub.use(monkeypatch)
        yield serving_hub


def fetched(
    folder: Path, file: PublishedFile = FILE, report: ProgressReporter | None = None
) -> Path:
    return download_file(file, folder, DownloadProgress(len(CONTENT), report or ProgressReporter()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


class TestOneFile:
    def test_a_file_arrives_whole(self, hub: Hub, tmp_path: Path) -> None:
        assert fetched(tmp_path).read_bytes() == CONTENT
        assert names(tmp_path) == ["cvvp.pth"]

    def test_progress_counts_bytes_and_guesses_the_rest(self, hub: Hub, tmp_path: Path) -> None:
        events: list[ProgressEvent] = []
        fetched(tmp_path, report=ProgressReporter(events.append))
        counts = [event.done for event in events]
        assert counts == sorted(counts) and counts[-1] == len(CONTENT) == events[-1].total
        assert events[0].data["eta_s"] > 0 and events[-1].data["eta_s"] == 0

    def test_a_cut_connection_is_taken_up_where_it_broke(self, hub: Hub, tmp_path: Path) -> None:
        hub.cuts["some/repo/cvvp.pth"] = [1024, 512]
        assert fetched(tmp_path).read_bytes() == CONTENT
        assert hub.fetched("cvvp") == [0, 1024, 1536]

    def test_a_later_run_goes_on_from_what_arrived(self, hub: Hub, tmp_path: Path) -> None:
        hub.cuts["some/repo/cvvp.pth"] = [1024] + [0] * 9
        with pytest.raises(AppError, match=r"broke at 1024 of 5120 bytes.*Download it again"):
            fetched(tmp_path)
        (part,) = tmp_path.iterdir()
        assert part.name.endswith(".part") and part.read_bytes() == CONTENT[:1024]
        hub.cuts.clear()
        hub.asked.clear()
        events: list[ProgressEvent] = []
        assert fetched(tmp_path, report=ProgressReporter(events.append)).read_bytes() == CONTENT
        assert hub.fetched("cvvp") == [1024] and events[-1].done == len(CONTENT)

    def test_a_server_without_ranges_starts_over(self, hub: Hub, tmp_path: Path) -> None:
        hub.ranges = False
        hub.cuts["some/repo/cvvp.pth"] = [1024]
        events: list[ProgressEvent] = []
        assert fetched(tmp_path, report=ProgressReporter(events.append)).read_bytes() == CONTENT
        assert events[-1].done == len(CONTENT)

    def test_a_part_of_another_version_is_not_gone_on_with(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "cvvp.pth.0123456789abcdef.part").write_bytes(b"old")
        assert fetched(tmp_path).read_bytes() == CONTENT
        assert names(tmp_path) == ["cvvp.pth"]

    def test_stopping_keeps_what_arrived(self, hub: Hub, tmp_path: Path) -> None:
        asked = iter([False, False, True])
        with pytest.raises(Cancelled):
            fetched(tmp_path, report=ProgressReporter(stopped=lambda: next(asked)))
        (part,) = tmp_path.iterdir()
        assert part.read_bytes() == CONTENT[: 3 * 256]

    def test_another_content_than_the_hub_promised_is_refused_and_removed(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        hub.lies["some/repo/cvvp.pth"] = CONTENT[::-1]
        with pytest.raises(AppError, match="is not the published file: its sha256 is"):
            fetched(tmp_path)
        assert names(tmp_path) == []

    def test_another_content_than_the_table_knows_is_refused_and_removed(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        with pytest.raises(AppError, match=f"not {'0' * 64}"):
            fetched(tmp_path, replace(FILE, sha256="0" * 64))
        assert names(tmp_path) == []

    def test_a_large_file_comes_from_another_host_which_never_sees_the_token(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "secret")
        hub.elsewhere = True
        hub.cuts["some/repo/cvvp.pth"] = [1024]
        assert fetched(tmp_path).read_bytes() == CONTENT
        assert hub.fetched("cvvp") == [0, 0, 1024, 1024]  # each asked here, answered there
        assert hub.tokens == {"127.0.0.1": {"Bearer secret"}, "localhost": {""}}

    def test_the_known_sum_is_accepted(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "copy").write_bytes(CONTENT)
        known = replace(FILE, sha256=sha256_file(tmp_path / "copy"))
        assert fetched(tmp_path / "in", known).exists()

    def test_a_second_place_serves_what_the_first_has_not(self, hub: Hub, tmp_path: Path) -> None:
        elsewhere = DownloadSource(repo="gone/repo", path="cvvp.pth")
        assert fetched(tmp_path, replace(FILE, sources=(elsewhere, *FILE.sources))).exists()

    def test_the_source_serves_what_the_hub_has_wrong(self, hub: Hub, tmp_path: Path) -> None:
        right = CONTENT + b"right"
        (tmp_path / "right").write_bytes(right)
        hub.files = {**hub.files, "source/us/code/abc/data/cvvp.pth": right}
        source = DownloadSource(
            repo="us/code", path="data/cvvp.pth", revision="abc", in_source=True
        )
        known = sha256_file(tmp_path / "right")
        file = replace(FILE, sources=(*FILE.sources, source), sha256=known)
        assert fetched(tmp_path / "in", file).read_bytes() == right
        assert names(tmp_path / "in") == ["cvvp.pth"]

    def test_a_file_that_is_nowhere_is_refused(self, hub: Hub, tmp_path: Path) -> None:
        gone = replace(FILE, sources=(DownloadSource(repo="some/repo", path="gone.pth"),))
        with pytest.raises(AppError, match=r"answers 404 for gone\.pth of some/repo"):
            fetched(tmp_path, gone)

    def test_a_mirror_is_asked_in_place_of_the_hub_and_never_sees_the_token(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "secret")
        with serving({"some/repo/cvvp.pth": CONTENT}) as mirror:
            meter = DownloadProgress(len(CONTENT), ProgressReporter(), mirror.address)
            assert download_file(FILE, tmp_path, meter).read_bytes() == CONTENT
            assert mirror.asked and hub.asked == []
            assert mirror.tokens == {"127.0.0.1": {""}}

    def test_a_mirror_that_is_not_there_is_named(self, hub: Hub, tmp_path: Path) -> None:
        meter = DownloadProgress(len(CONTENT), ProgressReporter(), "http://127.0.0.1:9")
        with pytest.raises(AppError, match=r"127\.0\.0\.1:9 cannot be reached.*mirror in Settings"):
            download_file(FILE, tmp_path, meter)

    def test_a_hub_that_is_not_there_is_refused(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace(hub, address="http://127.0.0.1:9").use(monkeypatch)
        with pytest.raises(AppError, match=r"127\.0\.0\.1:9 cannot be reached"):
            fetched(tmp_path)

    def test_offline_mode_asks_nobody(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(AppError, match="HF_HUB_OFFLINE is set"):
            next(find_remote_files(FILE))
        assert hub.asked == []

    def test_a_disk_that_fills_up_leaves_nothing(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = _ProgressFile.write

        def fill(file: _ProgressFile, chunk: bytes) -> int:
            if file.tell() >= 1024:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, chunk)

        monkeypatch.setattr(_ProgressFile, "write", fill)
        with pytest.raises(AppError, match=r"the disk is full\. Free some space"):
            fetched(tmp_path)
        assert names(tmp_path) == []


class TestTheWholeDownload:
    @pytest.fixture
    def layout(self, tmp_path: Path) -> ProjectPaths:
        return ProjectPaths.from_root(tmp_path / "studio")

    @pytest.fixture
    def whole(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
        """The hub with every published file, small."""
        tokenizer = small_tokenizer(tmp_path / "tokenizer")
        fit_small_files(monkeypatch, tokenizer)
        hub.files = served({**small_files(), "tokenizer.json": tokenizer})
        monkeypatch.setattr("studio.model_store.bundles.RESERVED_DISK_BYTES", 0)
        return hub

    def test_the_published_files_become_a_bundle_that_speaks(
        self, whole: Hub, layout: ProjectPaths
    ) -> None:
        made = download_published_model(layout, "tortoise", ProgressReporter())
        assert made.speaks and "dvae" in made.networks and "bigvgan" not in made.networks
        assert verify_model_files(layout, "tortoise", ProgressReporter()).good
        assert load_model(made.path).gpt is not None
        assert [path.name for path in layout.models.iterdir()] == ["tortoise"]
        assert not list(made.path.glob("*.pt*"))

    def test_a_second_download_fetches_only_what_is_new(
        self, whole: Hub, layout: ProjectPaths
    ) -> None:
        download_published_model(layout, "tortoise", ProgressReporter())
        whole.asked.clear()
        made = download_published_model(layout, "tortoise", ProgressReporter(), also=["bigvgan"])
        assert "bigvgan" in made.networks
        assert {path for _, path, _ in whole.asked} == {
            "ecker/tortoise-tts-models/models/bigvgan_24khz_100band.pth"
        }

    def test_an_interrupted_download_goes_on_where_it_stopped(
        self, whole: Hub, layout: ProjectPaths
    ) -> None:
        path = "jbetker/tortoise-tts-v2/.models/clvp2.pth"
        mirror = whole.files[path]
        whole.cuts[path] = [4096] + [0] * 9
        with pytest.raises(AppError, match=r"connection .* broke at 4096 of"):
            download_published_model(layout, "tortoise", ProgressReporter())
        assert not layout.model("tortoise").exists() and mirror
        whole.cuts.clear()
        whole.asked.clear()
        assert download_published_model(layout, "tortoise", ProgressReporter()).speaks
        assert whole.fetched("clvp2") == [4096] and whole.fetched("autoregressive") == []
        assert [path.name for path in layout.models.iterdir()] == ["tortoise"]

    def test_a_download_that_fails_leaves_an_existing_model_as_it_was(
        self, whole: Hub, layout: ProjectPaths
    ) -> None:
        made = download_published_model(layout, "tortoise", ProgressReporter())
        for name in ("gpt", "clvp"):
            get_network_path(made.path, name).unlink()
        before = {path.name: path.read_bytes() for path in made.path.iterdir()}
        whole.cuts["jbetker/tortoise-tts-v2/.models/clvp2.pth"] = [4096] + [0] * 9
        with pytest.raises(AppError, match=r"connection .* broke at 4096 of"):
            download_published_model(layout, "tortoise", ProgressReporter())
        assert {path.name: path.read_bytes() for path in made.path.iterdir()} == before
        whole.cuts.clear()
        whole.asked.clear()
        assert download_published_model(layout, "tortoise", ProgressReporter()).speaks
        assert whole.fetched("clvp2") == [4096] and whole.fetched("autoregressive") == []
        assert [path.name for path in layout.models.iterdir()] == ["tortoise"]

    def test_a_model_that_changed_since_a_failed_download_keeps_the_change(
        self, whole: Hub, layout: ProjectPaths
    ) -> None:
        made = download_published_model(layout, "tortoise", ProgressReporter())
        get_network_path(made.path, "clvp").unlink()
        whole.cuts["jbetker/tortoise-tts-v2/.models/clvp2.pth"] = [4096] + [0] * 9
        with pytest.raises(AppError, match="broke at"):
            download_published_model(layout, "tortoise", ProgressReporter())
        whole.cuts.clear()
        (made.path / "note.txt").write_text("mine")
        assert download_published_model(layout, "tortoise", ProgressReporter()).speaks
        assert (made.path / "note.txt").read_text() == "mine"
        assert [path.name for path in layout.models.iterdir()] == ["tortoise"]

    def test_a_wrong_file_that_speaking_needs_ends_the_download(
        self, whole: Hub, layout: ProjectPaths
    ) -> None:
        for path in [path for path in whole.files if path.endswith("vocoder.pth")]:
            whole.lies[path] = b"x" * len(whole.files[path])
        with pytest.raises(AppError, match=r"vocoder\.pth from .* is not the published file"):
            download_published_model(layout, "tortoise", ProgressReporter())
        assert not layout.model("tortoise").exists()
        assert not list(layout.models.rglob("vocoder*"))

    @pytest.mark.parametrize("fate", ["wrong", "gone", "misfit"])
    def test_without_a_file_that_speaking_does_not_need_it_goes_on_aloud(
        self, whole: Hub, layout: ProjectPaths, fate: str
    ) -> None:
        (path,) = (path for path in whole.files if path.endswith("dvae.pth"))
        files = dict(whole.files)
        if fate == "wrong":
            whole.lies[path] = b"x" * len(files[path])
        elif fate == "gone":
            del files[path]
        else:
            files[path] = small_files()["cvvp.pth"]
        whole.files = files
        events: list[ProgressEvent] = []
        made = download_published_model(layout, "tortoise", ProgressReporter(events.append))
        assert made.speaks and "dvae" not in made.networks
        (warning,) = [event.message for event in events if event.kind == "warning"]
        assert "dvae.pth" in warning and "installed without dvae" in warning

    def test_a_disk_too_small_is_refused_before_anything_is_fetched(
        self, whole: Hub, layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layout.models.mkdir(parents=True)
        usage = shutil.disk_usage(layout.models)._replace(free=10)
        monkeypatch.setattr("studio.model_store.bundles.shutil.disk_usage", lambda path: usage)
        with pytest.raises(AppError, match="Free some space"):
            download_published_model(layout, "tortoise", ProgressReporter())
        assert not whole.fetched("") and list(layout.models.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "also", "reason"),
        [
            ("tortise", [], "'tortise' cannot be downloaded. Choose 'tortoise'"),
            (
                "tortoise",
                ["bigvgn"],
                "'bigvgn' is not an optional part of the published weights.*bigvgan, classifier",
            ),
        ],
    )
    def test_what_cannot_be_downloaded_is_refused(
        self, whole: Hub, layout: ProjectPaths, name: str, also: list[str], reason: str
    ) -> None:
        with pytest.raises(AppError, match=reason):
            download_published_model(layout, name, ProgressReporter(), also=also)
        assert whole.asked == [] and not layout.models.exists()


def test_the_environment_names_the_hub_and_can_forbid_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.progress import ProgressReporter\n"
        "from studio.model_store.download import DownloadProgress, download_file\n"
        "from core.errors import AppError\n"
        "from tortoise.checkpoints.published import DownloadSource, PublishedFile\n"
        "source = DownloadSource(repo='some/repo', path='a')\n"
        "file = PublishedFile(name='a', size=1, sources=(source,))\n"
        "try: download_file(file, Path(sys.argv[1]), DownloadProgress(1, ProgressReporter()))\n"
        "except AppError as refusal: sys.stdout.write(str(refusal))"
    )

    def run(**environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": "src", "HF_HOME": str(tmp_path), **environment},
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with serving({"some/repo/a": b"content"}) as hub:
        assert run(HF_ENDPOINT=hub.address) == ""
        assert (tmp_path / "a").read_bytes() == b"content"
        assert "HF_HUB_OFFLINE is set" in run(HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="1")
