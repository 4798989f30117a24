"""The part Prepare Dataset: from a voice to clips that are mended, dropped and brought back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile

from browser.server import REPOSITORY, StudioProcess, make_root, until
from browser.visitor import Visitor

RATE = 24_000
PAUSE_S = 0.9
SENTENCES = (
    "The first sentence is said here.",
    "Then a second one follows it.",
    "A third sentence comes after that.",
    "And the fourth one ends the talk.",
)


def pieces() -> list[Any]:
    """What the shipped voice clara says, four times about four seconds."""
    found = sorted((REPOSITORY / "voices" / "clara").glob("*.flac"))
    return [soundfile.read(path, dtype="float32")[0] for path in found]


def write_talk(folder: Path) -> None:
    """One recording of four sentences with subtitles, and a short one with a text beside it."""
    folder.mkdir(parents=True)
    sound, cues, at = [], [], 0.3
    sound.append(numpy.zeros(int(RATE * at), dtype="float32"))
    for number, (piece, text) in enumerate(zip(pieces(), SENTENCES, strict=True), start=1):
        length = len(piece) / RATE
        cues.append(f"{number}\n{stamp(at)} --> {stamp(at + length)}\n{text}\n")
        sound += [piece, numpy.zeros(int(RATE * PAUSE_S), dtype="float32")]
        at += length + PAUSE_S
    soundfile.write(folder / "talk.wav", numpy.concatenate(sound), RATE)
    (folder / "talk.srt").write_text("\n".join(cues), encoding="utf-8")
    soundfile.write(folder / "note.wav", pieces()[1] * 0.5, RATE)
    (folder / "note.txt").write_text("A note that stands alone.", encoding="utf-8")


def stamp(seconds: float) -> str:
    """A time as subtitles have it."""
    whole, rest = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{rest:03d}"


@pytest.fixture(scope="module")
def school(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with a voice whose recordings have transcripts."""
    root = make_root(tmp_path_factory.mktemp("school") / "root")
    write_talk(root / "voices" / "nora")
    running = StudioProcess(root)
    try:
        yield running.start()
    finally:
        running.close()


def prepare(one: Visitor, voice: str) -> None:
    """Press Prepare for a voice; its texts are made up, so they are not held to the sound."""
    one.set("training-prepare-voice", voice)
    one.page.locator("#training-prepare-advanced > button").click()
    one.set("training-prepare-check-text", False)
    one.page.locator("#training-prepare-run").click()


def dataset(running: StudioProcess, name: str) -> dict[str, Any]:
    """What lies in dataset.json."""
    path = running.root / "training" / name / "dataset.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def clips(running: StudioProcess, name: str) -> list[dict[str, Any]]:
    """The clips of a data set."""
    return list(dataset(running, name).get("clips", []))


def test_a_voice_becomes_a_data_set_that_is_looked_through(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    prepare(one, "nora")
    page.locator("#training-prepare-jobs .job.is-done").wait_for()
    rows = page.locator("#training-review .review-row")
    until(lambda: rows.count() >= 4, within_s=60, what="four clips in the list")
    page.locator("#training-report .report").wait_for()
    assert page.locator("#training-report svg rect").count() >= 2

    field = rows.first.locator("textarea")
    ref = str(rows.first.get_attribute("data-ref"))
    field.fill("Words that were mended by hand.")
    field.press("Enter")
    row = page.locator(f'.review-row[data-ref="{ref}"]')
    row.get_by_text("Edited by you").wait_for()
    page.keyboard.press("d")
    row.get_by_text("Dropped: dropped by you").wait_for()
    page.keyboard.press("r")
    row.get_by_role("button", name="Drop").wait_for()
    kept = {clip["id"]: clip for clip in clips(school, "nora")}
    assert kept[ref]["text"] == "Words that were mended by hand." and kept[ref]["kept"]


def test_what_is_not_there_is_said_in_place(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    one.set("training-prepare-folder", str(school.root / "nothing" / "here"))
    page.locator("#training-prepare-run").click()
    page.locator("#training-prepare-message .refusal").wait_for()
    assert "Traceback" not in school.log
