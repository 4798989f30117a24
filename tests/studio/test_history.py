"""The history: every clip is found, belongs together, moves together, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressReporter
from studio.history.index import HistoryIndex
from studio.history.query import PAGE_SIZE, Search
from studio.history.service import History
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_metadata, write_sidecar

QUIET = ProgressReporter()
RECORD = TakeMetadata(
    text="",
    voice="alice",
    engine="tortoise",
    bundle="starter",
    weights_id="0123456789abcdef",
    seed=7,
    options={"temperature": 0.8},
    delivery={"pause_s": 0.3},
    created="2026-01-02T03:04:05+00:00",
)


class Shelf:
    """A studio's results, and a way to put clips there."""

    def __init__(self, root: Path) -> None:
        self.layout = ProjectPaths.from_root(root)
        self.results = self.layout.results
        self.history = History.open(self.layout)

    def put(self, path: str, text: str = "", **facts: Any) -> Path:
        """Write a short clip; with a text, one that carries settings."""
        clip = self.results / path
        clip.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(clip, [0.0] * 2_400, 24_000)
        if text:
            write_metadata(clip, replace(RECORD, text=text, **facts))
        return clip

    def found(self, words: str = "", **wanted: Any) -> list[str]:
        """Look at the disk, and name the clips that fit."""
        self.history.scan(QUIET)
        return [row.ref for row in self.history.find(Search(words=words, **wanted)).rows]

    def files(self) -> set[str]:
        """Name every file below the results."""
        found = (path for path in self.results.rglob("*") if path.is_file())
        return {path.relative_to(self.results).as_posix() for path in found}

    def family(self) -> str:
        """Put a clip with a candidate, a sidecar and lines of another format."""
        write_sidecar(self.put("alice/00001-hello.mp3", "Hello world", score=0.5), RECORD)
        self.put("alice/00001-hello.candidate-2.mp3", "Hello world", score=0.4)
        self.put("alice/00001-hello.lines/001.flac", "Hello")
        self.put("alice/00001-hello.lines/002.flac", "world")
        (self.results / "alice/00001-hello.lines/lines.json").write_text("{}")
        self.history.scan(QUIET)
        return "alice/00001-hello.mp3"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty one."""
    return Shelf(tmp_path / "root")


def test_without_results_there_is_nothing_and_no_error(shelf: Shelf) -> None:
    assert shelf.found() == [] and shelf.history.get_filter_choices().voices == ()


def test_candidates_and_lines_are_shown_under_their_clip(shelf: Shelf) -> None:
    ref = shelf.family()
    (row,) = shelf.history.find(Search()).rows
    assert (row.ref, row.candidates, row.lines, row.whole, row.score) == (ref, 2, 2, True, 0.5)
    assert [(part.line, part.candidate) for part in shelf.history.list_files(ref)] == [
        *((0, 1), (0, 2), (1, 1), (2, 1))
    ]


def test_lines_without_their_clip_stand_for_it_until_it_comes(shelf: Shelf) -> None:
    shelf.put("bob/00002-long.lines/002.flac", "the second")
    shelf.put("bob/00002-long.lines/001.flac", "the first")
    assert shelf.found() == ["bob/00002-long.flac"]
    row = shelf.history.get_clip("bob/00002-long.flac")
    assert not row.whole and row.text == "the first" and row.path.endswith("/001.flac")
    shelf.put("bob/00002-long.mp3", "the first the second")
    assert shelf.found() == ["bob/00002-long.mp3"]
    assert shelf.history.get_clip("bob/00002-long.mp3").lines == 2


def test_two_formats_of_one_name_are_two_clips_and_the_lines_go_with_one(shelf: Shelf) -> None:
    for suffix in ("mp3", "wav"):
        shelf.put(f"alice/one.{suffix}", "Hello")
    shelf.put("alice/one.lines/001.wav", "Hello")
    assert sorted(shelf.found()) == ["alice/one.mp3", "alice/one.wav"]
    assert [shelf.history.get_clip(f"alice/one.{end}").lines for end in ("mp3", "wav")] == [0, 1]
    shelf.history.delete(["alice/one.mp3"])
    assert shelf.files() == {"alice/one.wav", "alice/one.lines/001.wav"}


def test_words_are_found_by_their_beginnings_without_accents_and_in_any_script(
    shelf: Shelf,
) -> None:
    shelf.put("alice/a.wav", "A symphony isn't süß, said 猫: 你好世界")
    shelf.put("alice/b.wav", "Another thing")
    for words in ("symph", "SUß", "isn't", "你好", '"symphony isn\'t"', "symph 世界", "a."):
        assert "alice/a.wav" in shelf.found(words), words
    for words in ('"isn\'t symphony"', "symph another", "世好"):
        assert shelf.found(words) == [], words


@pytest.mark.parametrize(
    "words", ['"', "*", "a OR", "NEAR(", "(", "^", "-", "_", "a:b", "\0", "\ud800"]
)
def test_whatever_is_typed_is_a_search_and_no_error(words: str, shelf: Shelf) -> None:
    shelf.put("alice/a.wav", "Hello")
    shelf.found(words)


def test_filters_narrow_the_list(shelf: Shelf) -> None:
    shelf.put("alice/a.wav", "One", created="2026-01-01T12:00:00+00:00")
    shelf.put("bob/b.wav", "Two", bundle="mine", created="2026-02-01T12:00:00+00:00")
    shelf.put("bob/c.wav", "Three", engine="other", created="2026-03-01T12:00:00+00:00")
    assert shelf.found(voice="alice") == ["alice/a.wav"]
    assert shelf.found(model="mine") == ["bob/b.wav"]
    assert shelf.found(engine="other") == ["bob/c.wav"]
    assert shelf.found(since=1_769_000_000.0, until=1_771_000_000.0) == ["bob/b.wav"]
    shelf.history.set_starred(["bob/c.wav"], True)
    assert shelf.found(starred=True) == ["bob/c.wav"]
    assert shelf.history.get_filter_choices().models == ("mine", "starter")


def test_an_order_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"order is 'newst'.*newest"):
        Search(order="newst")


def test_clips_come_in_the_requested_order_and_page_by_page(shelf: Shelf) -> None:
    for number, (score, seconds) in enumerate([(0.1, 3.0), (None, 1.0), (0.9, 2.0)]):
        shelf.put(
            f"v{number}/{number}.wav",
            "Hi",
            score=score,
            duration_s=seconds,
            created=f"2026-01-0{number + 1}T00:00:00+00:00",
        )
    wanted = {
        "newest": "210",
        "oldest": "012",
        "voice": "012",
        "name": "012",
        "longest": "021",
        "shortest": "120",
        "score": "201",
        "likeness": "120",
    }
    unmeasured = shelf.history.list_unmeasured("built-in") if shelf.found() else []
    values = {"v0/0.wav": None, "v1/1.wav": 0.9, "v2/2.wav": 0.4}
    shelf.history.save_likeness({one: values[one.path] for one in unmeasured}, "built-in")
    for order, names in wanted.items():
        assert [ref[-5] for ref in shelf.found(order=order)] == list(names), order
    page = shelf.history.find(Search(), start=2, count=2)
    assert page.total == 3 and [row.name for row in page.rows] == ["0"]


def test_what_comes_changes_and_goes_on_disk_is_noticed(shelf: Shelf) -> None:
    clip = shelf.put("alice/a.wav", "Before")
    assert shelf.found("before") == ["alice/a.wav"]
    write_metadata(clip, replace(RECORD, text="After"))
    assert shelf.found("before") == [] and shelf.found("after") == ["alice/a.wav"]
    clip.unlink()
    assert shelf.found() == []


def test_a_clip_without_a_tag_is_known_by_the_file_beside_it(shelf: Shelf) -> None:
    clip = shelf.put("alice/a.wav")
    assert shelf.found() == ["alice/a.wav"] and shelf.history.get_clip("alice/a.wav").foreign
    write_sidecar(clip, replace(RECORD, text="Told beside"))
    assert shelf.found("beside") == ["alice/a.wav"]


def test_a_scan_of_nothing_new_changes_nothing(shelf: Shelf) -> None:
    shelf.family()
    before = shelf.history.revision
    assert shelf.history.scan(QUIET) == 0 and shelf.history.revision == before


def test_a_stopped_scan_keeps_what_it_read(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.history.scanner.BATCH_SIZE", 2)
    for number in range(5):
        shelf.put(f"alice/{number}.wav", "Hi")
    stops = iter([False, True])
    with pytest.raises(Cancelled):
        shelf.history.scan(ProgressReporter(stopped=lambda: next(stops)))
    assert shelf.history.find(Search()).total == 2
    assert len(shelf.found()) == 5


def test_a_look_in_the_background_notices_a_new_clip(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.history.service.SCAN_INTERVAL_S", 0.0)
    shelf.put("alice/a.wav", "Hi")
    shelf.history.scan(QUIET)
    shelf.put("alice/b.wav", "Ho")
    wait(lambda: shelf.history.refresh() or shelf.history.find(Search()).total == 2)
    shutil.rmtree(shelf.results)
    wait(lambda: shelf.history.refresh() or shelf.history.find(Search()).total == 0)
    wait(lambda: not shelf.history.scan_status.running)
    assert shelf.history.scan_status.problem == ""


def wait(look: Callable[[], object]) -> None:
    last = time.monotonic() + 60
    while not look():
        assert time.monotonic() < last
        time.sleep(0.01)


HOSTILE = {
    "no sound": b"hello",
    "empty": b"",
    "cut": b"RIFF\xff\xff\xff\xffWAVEfmt ",
    "zeros": bytes(5_000),
}


def test_damaged_files_and_names_break_no_scan(shelf: Shelf) -> None:
    for name, raw in HOSTILE.items():
        for suffix in ("wav", "mp3", "flac", "ogg", "opus"):
            path = shelf.results / "alice" / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
    (shelf.results / "alice" / "folder.wav").mkdir()
    (shelf.results / "alice" / "<img src=x onerror=alert(1)>.wav").write_bytes(b"")
    (shelf.results / "alice" / ".hidden.wav").write_bytes(b"")
    (shelf.results / "alice" / "half.wav.part").write_bytes(b"")
    bytes_of_old = bytes(shelf.results / "alice") + b"/latin-\xe9.wav"
    Path(bytes_of_old.decode("utf-8", "surrogateescape")).write_bytes(b"")
    shelf.put("alice/good.wav", "Hi")
    assert len(shelf.found()) == 5 * len(HOSTILE) + 2
    assert shelf.history.get_clip("alice/no sound.wav").foreign


@pytest.mark.parametrize(
    "facts",
    [
        {"created": "yesterday"},
        {"created": "9999-12-31T23:59:59-23:00"},
        {"seed": 10**40},
        {"duration_s": -1e300},
        {"text": "a\ud800\0b"},
        {"text": "x" * 300_000},
        {"voice": "../../etc"},
    ],
)
def test_settings_that_lie_are_listed_all_the_same(facts: dict[str, Any], shelf: Shelf) -> None:
    clip = shelf.put("alice/a.wav")
    plain = {**json.loads(json.dumps(RECORD_PLAIN)), **facts}
    clip.with_name("a.wav.json").write_text(json.dumps(plain), encoding="utf-8")
    assert shelf.found() == ["alice/a.wav"]


RECORD_PLAIN = {
    "text": "hi",
    "voice": "alice",
    "engine": "tortoise",
    "bundle": "starter",
    "weights_id": "0",
    "seed": 1,
    "options": {},
    "delivery": {},
}


def test_a_link_out_of_the_results_is_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(shelf.put("alice/a.wav", "Hi"), outside / "secret.wav")
    (shelf.results / "linked").symlink_to(outside)
    (shelf.results / "alice" / "linked.wav").symlink_to(outside / "secret.wav")
    assert shelf.found() == ["alice/a.wav"]
    shutil.move(shelf.results / "alice", outside / "alice")
    (shelf.results / "alice").symlink_to(outside / "alice")
    with pytest.raises(AppError, match="is a link that leads out of the results folder"):
        shelf.history.resolve_path("alice/a.wav")


@pytest.mark.parametrize("path", ["../x.wav", "/etc/passwd", "", "alice", "alice/../alice/a.wav"])
def test_a_path_that_the_index_does_not_hold_is_refused(path: str, shelf: Shelf) -> None:
    shelf.put("alice/a.wav", "Hi")
    shelf.history.scan(QUIET)
    for ask in (shelf.history.resolve_path, shelf.history.get_clip, shelf.history.list_files):
        with pytest.raises(AppError, match="There is no clip"):
            ask(path)
    with pytest.raises(AppError, match="There is no clip"):
        shelf.history.delete(["alice/a.wav", path])
    assert shelf.files() == {"alice/a.wav"}


def test_a_renamed_clip_takes_everything_with_it(shelf: Shelf) -> None:
    shelf.history.set_starred([shelf.family()], True)
    new = shelf.history.rename("alice/00001-hello.mp3", "Greeting.mp3")
    assert new == "alice/Greeting.mp3" and shelf.history.get_clip(new).starred
    assert shelf.files() == {
        "alice/Greeting.mp3",
        "alice/Greeting.mp3.json",
        "alice/Greeting.candidate-2.mp3",
        *(f"alice/Greeting.lines/{name}" for name in ("001.flac", "002.flac", "lines.json")),
    }
    row = shelf.history.get_clip(new)
    assert (row.candidates, row.lines) == (2, 2) and shelf.found() == [new]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../out", "is not a valid clip name"),
        ("", "is not a valid clip name"),
        (".hidden", "is not a valid clip name"),
        ("con", "is not a valid clip name"),
        ("x" * 98, "is not a valid clip name"),
        ("a.candidate-2", "reserved for the candidates"),
        ("taken", "already a clip"),
        ("TAKEN", "already a clip"),
        ("ta\u202eken", "invisible character"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, reason: str, shelf: Shelf) -> None:
    ref = shelf.family()
    shelf.put("alice/taken.mp3", "Hi")
    shelf.history.scan(QUIET)
    before = shelf.files()
    with pytest.raises(AppError, match=reason):
        shelf.history.rename(ref, name)
    assert shelf.files() == before


def test_a_rename_that_fails_half_way_is_undone(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, move = shelf.family(), shutil.move
    before = shelf.files()

    def fail(source: Path, target: Path) -> object:
        if "lines" in target.name and target.name.startswith("new"):
            raise PermissionError(13, "no")
        return move(source, target)

    monkeypatch.setattr("studio.history.trash.shutil.move", fail)
    with pytest.raises(AppError, match="permission denied"):
        shelf.history.rename(ref, "new")
    assert shelf.files() == before
    with pytest.raises(AppError, match="There is no clip"):
        shelf.history.get_clip("alice/new.mp3")


def test_a_deleted_clip_comes_back_with_everything_and_its_star(shelf: Shelf) -> None:
    ref = shelf.family()
    shelf.put("bob/b.wav", "Other")
    shelf.history.scan(QUIET)
    shelf.history.set_starred([ref], True)
    before = shelf.files()
    deletion = shelf.history.delete([ref, "bob/b.wav", ref])
    assert shelf.files() == set() and shelf.found() == []
    assert not any((shelf.results / "alice").iterdir())
    assert [clip.ref for clip in deletion.clips] == [ref, "bob/b.wav"]
    assert shelf.history.restore() == [ref, "bob/b.wav"]
    assert shelf.files() == before and shelf.history.get_clip(ref).starred
    with pytest.raises(AppError, match="trash is empty"):
        shelf.history.restore()


def test_a_star_does_not_pass_to_a_new_clip_of_the_same_name(shelf: Shelf) -> None:
    shelf.history.set_starred([shelf.family()], True)
    shelf.history.delete(["alice/00001-hello.mp3"])
    shelf.put("alice/00001-hello.mp3", "Another")
    shelf.found()
    assert not shelf.history.get_clip("alice/00001-hello.mp3").starred


def test_what_comes_back_to_a_taken_name_gets_another(shelf: Shelf) -> None:
    ref = shelf.family()
    shelf.history.delete([ref])
    shelf.put(ref, "Newer")
    assert shelf.history.restore() == ["alice/00001-hello (2).mp3"]
    assert sorted(shelf.found()) == ["alice/00001-hello (2).mp3", ref]
    row = shelf.history.get_clip("alice/00001-hello (2).mp3")
    assert (row.text, row.lines, row.candidates) == ("Hello world", 2, 2)
    assert shelf.history.get_clip(ref).text == "Newer"


def test_two_clips_of_one_name_come_back_to_their_names_together(shelf: Shelf) -> None:
    for name in ("one.wav", "one.flac", "one (2).wav"):
        shelf.put(f"bob/{name}", "One")
    shelf.put("bob/one.lines/001.wav", "One")
    before, refs = shelf.files(), shelf.found()
    shelf.history.delete(refs)
    assert shelf.files() == set()
    assert sorted(shelf.history.restore()) == sorted(refs) and shelf.files() == before
    shelf.history.delete(refs)
    shelf.put("bob/one.wav", "Meanwhile")
    assert set(shelf.history.restore()) == {"bob/one (2).wav", "bob/one (3).wav", "bob/one.flac"}


def test_a_folder_of_many_clips_is_looked_at_once_to_delete_them(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        shelf.put(f"bob/{number}.wav")
    refs, looked = shelf.found(), []
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: looked.append(self) or listing(self))
    shelf.history.delete(refs)
    assert looked.count(shelf.results / "bob") == 2  # before, and after


def test_a_chosen_deletion_is_undone_and_the_bin_emptied(shelf: Shelf) -> None:
    for name in ("a", "b"):
        shelf.put(f"alice/{name}.wav", "Hi")
    shelf.history.scan(QUIET)
    first = shelf.history.delete(["alice/a.wav"])
    shelf.history.delete(["alice/b.wav"])
    assert len(shelf.history.list_trash()) == 2
    assert shelf.history.restore(first.id) == ["alice/a.wav"]
    assert shelf.history.empty_trash() > 4_800 and shelf.history.list_trash() == []
    assert shelf.files() == {"alice/a.wav"}
    with pytest.raises(AppError, match="no deletion"):
        shelf.history.restore(first.id)


@pytest.mark.parametrize("id", ["../../results", "..", "x/y"])
def test_only_a_deletion_can_be_undone(id: str, shelf: Shelf) -> None:
    with pytest.raises(AppError, match="is not a valid deletion name"):
        shelf.history.restore(id)


def test_a_list_in_the_bin_that_points_elsewhere_is_left_alone(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.put("alice/a.wav", "Hi")
    shelf.history.scan(QUIET)
    deletion = shelf.history.delete(["alice/a.wav"])
    listed = shelf.layout.trash / deletion.id / "deleted.json"
    listed.write_text(listed.read_text().replace("alice/a.wav", "../../a.wav"))
    assert shelf.history.list_trash() == []
    with pytest.raises(AppError, match="no deletion"):
        shelf.history.restore(deletion.id)


def test_a_deletion_that_fails_leaves_everything_in_place(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, move, calls = shelf.family(), shutil.move, []

    def fail(source: Path, target: Path) -> object:
        calls.append(source)
        if len(calls) == 3:
            raise OSError(28, "full")
        return move(source, target)

    before = shelf.files()
    monkeypatch.setattr("studio.history.trash.shutil.move", fail)
    with pytest.raises(AppError, match="disk is full"):
        shelf.history.delete([ref])
    assert shelf.files() == before and shelf.history.list_trash() == []


def test_stars_survive_the_loss_of_the_index(shelf: Shelf) -> None:
    shelf.history.set_starred([shelf.family()], True)
    shelf.layout.history_db.unlink()
    assert shelf.found(starred=True) == ["alice/00001-hello.mp3"]
    shelf.history.rebuild(QUIET)
    assert shelf.found(starred=True) == ["alice/00001-hello.mp3"]
    shelf.history.set_starred(["alice/00001-hello.mp3"], False)
    assert shelf.found(starred=True) == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(99)])
def test_a_damaged_index_is_made_anew(content: bytes, tmp_path: Path) -> None:
    first = Shelf(tmp_path)
    first.family()
    first.layout.history_db.write_bytes(content)
    for ending in ("-wal", "-shm"):
        first.layout.history_db.with_name(f"history.sqlite{ending}").unlink(missing_ok=True)
    assert Shelf(tmp_path).found() == ["alice/00001-hello.mp3"]


def test_an_index_of_another_version_is_made_anew(tmp_path: Path) -> None:
    first = Shelf(tmp_path)
    first.family()
    db = sqlite3.connect(first.layout.history_db)
    db.execute("pragma user_version = 99")
    db.close()
    second = Shelf(tmp_path)
    assert second.history.find(Search()).total == 0 and len(second.found()) == 1


def test_a_list_of_stars_that_cannot_be_read_stops_no_scan(shelf: Shelf) -> None:
    shelf.put("alice/a.wav", "Hi")
    shelf.layout.stars.write_text("{", encoding="utf-8")
    with pytest.raises(AppError, match="cannot be read"):
        shelf.history.scan(QUIET)
    assert shelf.history.find(Search()).total == 1
    with pytest.raises(AppError, match="cannot be read"):
        shelf.history.set_starred(["alice/a.wav"], True)
    assert shelf.layout.stars.read_text() == "{"


def test_an_export_holds_each_clip_under_a_name_of_its_own_with_its_settings(
    shelf: Shelf,
) -> None:
    shelf.put("alice/Same.wav", "One", latents="AAAA")
    shelf.put("bob/same.wav", "Two")
    shelf.put("bob/foreign.wav")
    refs = sorted(shelf.found())
    path = shelf.history.export(refs, QUIET)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            *("Same.wav", "Same.wav.json", "foreign.wav", "same (2).wav", "same (2).wav.json")
        ]
        told = json.loads(archive.read("Same.wav.json"))
        assert told["text"] == "One" and "latents" not in told
        assert archive.read("Same.wav") == (shelf.results / "alice/Same.wav").read_bytes()
    assert shelf.history.export(refs[:1], QUIET) != path
    with pytest.raises(AppError, match="No clip is selected"):
        shelf.history.export([], QUIET)


def test_many_threads_may_ask_and_change_at_once(shelf: Shelf) -> None:
    refs = [f"alice/{number}.wav" for number in range(8)]
    for ref in refs:
        shelf.put(ref, "Hi")
    shelf.history.scan(QUIET)
    others = [History.open(shelf.layout) for _ in refs]
    work = [
        threading.Thread(target=other.set_starred, args=([ref], True))
        for other, ref in zip(others, refs, strict=True)
    ] + [threading.Thread(target=shelf.history.scan, args=(QUIET,)) for _ in range(3)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(shelf.found(starred=True)) == refs
    assert len(json.loads(shelf.layout.stars.read_text())) == 8


def test_a_page_takes_the_same_few_queries_however_many_clips_it_has(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(PAGE_SIZE):
        shelf.put(f"alice/{number}.wav")
    shelf.history.scan(QUIET)
    queries: list[str] = []
    connect = HistoryIndex._open_connection

    def trace(index: HistoryIndex) -> sqlite3.Connection:
        db = connect(index)
        db.set_trace_callback(queries.append)
        return db

    monkeypatch.setattr(HistoryIndex, "_open_connection", trace)
    assert len(shelf.history.find(Search()).rows) == PAGE_SIZE
    assert sum(query.lstrip().startswith("select") for query in queries) == 2


def test_clips_wait_for_a_comparison_with_their_voice_until_they_change(shelf: Shelf) -> None:
    shelf.family()
    (clip, candidate) = sorted(shelf.history.list_unmeasured("a"), key=lambda one: len(one.path))
    assert (clip.path, clip.voice) == ("alice/00001-hello.mp3", "alice")
    shelf.history.save_likeness({clip: 0.8, candidate: None}, "a")
    assert shelf.history.count_unmeasured("a") == 0 and shelf.history.count_unmeasured("b") == 2
    assert shelf.history.get_clip(clip.path).likeness == 0.8
    shelf.history.rename(clip.path, "other")
    assert shelf.history.count_unmeasured("a") == 2


def test_length_and_score_narrow_the_list(shelf: Shelf) -> None:
    for number, (length, score) in enumerate(((1.0, 0.1), (5.0, 0.5), (9.0, None))):
        shelf.put(f"alice/{number}.wav", "Hello", duration_s=length, score=score)
    assert shelf.found(min_s=5.0, order="shortest") == ["alice/1.wav", "alice/2.wav"]
    assert shelf.found(max_s=5.0, order="shortest") == ["alice/0.wav", "alice/1.wav"]
    assert shelf.found(min_score=0.2) == ["alice/1.wav"], "clips without a score are left out"
    assert shelf.found(min_s=2.0, max_s=6.0, min_score=0.9) == []


def test_small_waveforms_are_computed_once_and_anew_when_the_file_changes(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = shelf.put("alice/one.wav")
    loud = [0.0] * 1_200 + [0.5] * 1_200
    soundfile.write(clip, loud, 24_000)
    shelf.history.scan(QUIET)
    wanted = ["alice/one.wav", "alice/none.wav", "../settings.yaml"]
    assert shelf.history.get_bars(wanted) == {"alice/one.wav": "0" * 32 + "f" * 32}
    other = History.open(shelf.layout)
    monkeypatch.setattr("studio.history.peaks.compute_bars", lambda file: "computed again")
    assert other.get_bars(["alice/one.wav"]) == {"alice/one.wav": "0" * 32 + "f" * 32}
    soundfile.write(clip, [0.1] * 4_800, 24_000)
    shelf.history.scan(QUIET)
    assert other.get_bars(["alice/one.wav"]) == {"alice/one.wav": "computed again"}
    clip.unlink()
    shelf.history.scan(QUIET)
    assert other.get_bars(["alice/one.wav"]) == {}


@pytest.mark.parametrize(("frames", "bars"), [(0, ""), (3, "f" * 64), (64, "f" * 64)])
def test_very_short_files_have_a_waveform_too(shelf: Shelf, frames: int, bars: str) -> None:
    clip = shelf.put("alice/one.wav")
    soundfile.write(clip, [0.5] * frames, 24_000)
    shelf.history.scan(QUIET)
    assert shelf.history.get_bars(["alice/one.wav"]) == {"alice/one.wav": bars}
    clip.write_bytes(b"no sound")
    shelf.history.scan(QUIET)
    assert shelf.history.get_bars(["alice/one.wav"]) == {"alice/one.wav": ""}
