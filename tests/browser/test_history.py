"""The tab History over ten thousand clips: found, heard, compared, renamed, deleted, copied."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser.clips import record, write_many, write_spoken
from browser.server import StudioProcess, make_root, until
from browser.visitor import Visitor

MANY = 10_000
READ_S = 240.0  # all clips for the first time, on a busy machine; half a minute on a quiet one


@pytest.fixture(scope="module")
def archive(
    browser: object,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StudioProcess]:
    """A studio with ten thousand clips, all of which are in the index."""
    root = make_root(tmp_path_factory.mktemp("archive") / "root")
    write_many(root / "results", MANY)
    running = StudioProcess(root)
    try:
        running.start()
        until(  # the newest are listed at once, the rest is indexed in the background
            lambda: running.get("api/results", READ_S)["total"] == MANY,
            within_s=READ_S,
            what="the index of all clips",
            every_s=0.5,
        )
        yield running
    finally:
        running.close()


def test_ten_thousand_clips_open_at_once(
    archive: StudioProcess, visitor: Callable[..., Visitor], measured: Callable[[str, str], None]
) -> None:
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        archive.get("api/results")
        times.append(time.perf_counter() - begun)
    measured(f"{MANY} clips", f"{1000 * min(times):.0f} ms for a page of the history, over HTTP")
    assert len(archive.get("api/results")["results"]) <= 100  # a page, not all of them
    one = visitor()
    page = one.open(archive.url, "history")
    page.get_by_text("10,000 clips").wait_for()
    assert page.locator("#history-list li.clip").count() <= 100  # not all of them at once
    one.keep(Path("build/screenshots/history-many.png"))


def test_words_find_one_of_ten_thousand_and_its_settings_go_to_generate(
    archive: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(archive.url, "history")
    find(one, "04321", 1)
    page.locator("#history-list li.clip .open").first.click()
    page.locator("#history-copy").click()
    page.locator("#generate-text").wait_for(state="visible")
    text = page.locator("#generate-text textarea")
    until(lambda: text.input_value() == "Sentence number 04321 of many", within_s=60, what="text")
    assert page.locator("#generate-voice input").input_value() == "felix"
    one.unfold()
    assert page.locator("#generate-seed textarea, #generate-seed input").first.input_value() == "7"


def find(one: Visitor, words: str, count: int) -> None:
    """Search, and wait for as many clips."""
    one.set("history-search", words)
    told = one.page.locator("#history-list .counted")
    told.get_by_text(re.compile(rf"^{count:,} clips?\b")).wait_for()


def test_two_are_compared_starred_and_exported(
    archive: StudioProcess, visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    one = visitor()
    page = one.open(archive.url, "history")
    find(one, "0012", 10)
    page.locator("#history-list svg.mini path").nth(9).wait_for(state="attached")
    row = page.locator("#history-list li.clip").first.bounding_box()
    assert row is not None and row["height"] < 100, "a clip is one row"
    choices = page.locator("#history-list li.clip input[type=checkbox]")
    choices.nth(0).check()
    choices.nth(1).check()
    page.locator("#history-compare").click()
    page.locator("#history-list .panel audio").nth(1).wait_for(state="attached")
    page.locator("#history-star").click()
    page.locator("#history-list li.clip .star[aria-pressed=true]").nth(1).wait_for()
    page.locator("#history-export").click()
    with page.expect_download() as coming:
        page.locator("#history-zip").click()
    packed = tmp_path / "export.zip"
    coming.value.save_as(packed)
    assert len([name for name in zipfile.ZipFile(packed).namelist() if name[-4:] == ".wav"]) == 2


def test_all_that_were_found_are_chosen_but_for_one_and_packed(
    archive: StudioProcess, visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    one = visitor()
    page = one.open(archive.url, "history")
    find(one, "001", 100)  # two pages
    page.locator("#history-every").click()
    chosen = page.locator("#history-chosen")
    chosen.get_by_text("100 selected", exact=True).wait_for()
    page.locator("#history-list li.clip input").first.uncheck()
    chosen.get_by_text("99 selected", exact=True).wait_for()
    page.locator("#history-after").click()
    page.locator("#history-list").get_by_text("51 to 100 of 100").wait_for()
    assert page.locator("#history-list li.clip input:checked").count() == 50
    page.locator("#history-export").click()
    with page.expect_download() as coming:
        page.locator("#history-zip").click()
    packed = tmp_path / "export.zip"
    coming.value.save_as(packed)
    assert len([name for name in zipfile.ZipFile(packed).namelist() if name[-4:] == ".wav"]) == 99
    page.locator("#history-clear").click()
    chosen.get_by_text("0 selected", exact=True).wait_for()


def test_a_day_that_is_none_is_refused_and_the_list_stays(
    archive: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(archive.url, "history")
    find(one, "04321", 1)
    one.unfold()
    one.set("history-since", "soon")
    page.get_by_text("is not a date").first.wait_for()
    assert page.locator("#history-list li.clip").count() == 1
    assert page.locator("#history-list").get_by_text("No clip").count() == 0


def test_a_clip_is_renamed_deleted_and_brought_back(
    archive: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(archive.url, "history")
    find(one, "07777", 1)
    page.locator("#history-list li.clip .open").first.click()
    page.locator("#history-name").fill("../../evil")
    page.locator("#history-rename").click()
    page.get_by_text(re.compile("is not a valid")).first.wait_for()
    page.locator("#history-name").fill("a better name")
    page.locator("#history-rename").click()
    until(lambda: named(archive, "a better name"), within_s=30, what="renamed file")
    page.get_by_text(re.compile("Renamed to")).first.wait_for()
    page.locator("#history-delete-opened").click()
    until(lambda: not named(archive, "a better name"), within_s=30, what="deletion")
    page.locator("#history-undo").click()
    until(lambda: named(archive, "a better name"), within_s=30, what="undone deletion")


def named(studio: StudioProcess, name: str) -> list[Path]:
    return list((studio.root / "results").glob(f"*/*{name}*.wav"))


def test_clips_that_come_and_go_on_the_disk_are_noticed(
    archive: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    one.open(archive.url, "history")
    clip = archive.root / "results" / "clara" / "99990-newcomer.wav"
    find(one, "newcomer", 0)
    write_spoken(clip, record("A newcomer speaks"))
    told = one.page.locator("#history-list .counted")
    told.get_by_text(re.compile(r"^1 clip\b")).wait_for(timeout=30_000)
    clip.unlink()
    told.get_by_text(re.compile(r"^0 clips\b")).wait_for(timeout=30_000)


def test_hostile_clips_are_shown_as_text(
    archive: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    script = '<img src=x onerror="window.robbed=1">'
    folder = archive.root / "results" / "clara"
    write_spoken(folder / "99991-odd & <b>bold.wav", record(f"Hostile {script} & more"))
    (folder / "99992-hostile.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEnonsense")
    (folder / "99993-hostile.wav.json").write_text(json.dumps({"text": script}))
    one = visitor()
    page = one.open(archive.url, "history")
    one.set("history-search", "hostile")
    row = page.locator("#history-list li.clip").filter(has_text=script)
    row.first.wait_for(timeout=30_000)
    row.first.locator(".open").click()
    page.locator("#history-list .panel audio").first.wait_for(state="attached")
    assert page.evaluate("() => window.robbed") is None
