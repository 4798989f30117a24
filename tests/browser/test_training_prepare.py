"""The part Prepare Dataset: from a voice to clips that are mended, dropped and brought back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile

from browser.server import REPOSITORY, StudioProcess, make_root, until
from browser.visitor import Visitor

pytestmark = pytest.mark.slow  # real trainings; run with -m slow

RATE = 24_000
PAUSE_S = 0.9
MANY = 60
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


def write_many(folder: Path) -> None:
    """As many recordings as take a while, each with its text."""
    folder.mkdir(parents=True)
    spoken = pieces()
    for number in range(MANY):
        piece = spoken[number % len(spoken)] * (1 - number / (2 * MANY))
        soundfile.write(folder / f"{number:03d}.wav", piece, RATE)
        (folder / f"{number:03d}.txt").write_text(f"Text number {number}.", encoding="utf-8")


def stamp(seconds: float) -> str:
    """A time as subtitles have it."""
    whole, rest = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{rest:03d}"


@pytest.fixture(scope="module")
def school(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with a voice whose recordings have transcripts."""
    root = make_root(tmp_path_factory.mktemp("school") / "root")
    write_talk(root / "voices" / "nora")
    write_many(root / "voices" / "many")
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


def review(one: Visitor) -> None:
    """Go to the review of the transcripts, over the list of steps."""
    one.page.locator("#training-steps [data-value=review]").click()


def dataset(running: StudioProcess, name: str) -> dict[str, Any]:
    """What lies in dataset.json."""
    path = running.root / "training" / name / "dataset.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def clips(running: StudioProcess, name: str) -> dict[str, dict[str, Any]]:
    """The clips of a data set by their ids."""
    return {clip["id"]: clip for clip in dataset(running, name)["clips"]}


def texts(running: StudioProcess, name: str) -> dict[str, tuple[str, bool]]:
    """What is said in each clip, and whether it is kept."""
    found = clips(running, name)
    return {id: (clip["text"], clip.get("kept", True)) for id, clip in found.items()}


def reasons(running: StudioProcess, name: str) -> set[str]:
    """Why clips of a data set are dropped."""
    return {str(clip.get("reason", "")) for clip in clips(running, name).values()}


def text_field(page: Any, text: str) -> Any:
    """The field in which a clip has this text."""
    return page.locator(f'textarea[data-was="{text}"]')


def test_a_voice_becomes_a_data_set_that_is_looked_through(
    school: StudioProcess, visitor: Callable[..., Visitor], screenshots: Path
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    prepare(one, "nora")
    page.locator("#training-prepare-jobs .job.is-done").wait_for()
    review(one)
    rows = page.locator("#training-review .review-row")
    until(lambda: rows.count() >= 4, within_s=60, what="four clips in the list")
    page.locator("#training-report .report").wait_for()
    for chart in ("#training-lengths", "#training-levels"):
        page.locator(f"{chart} :is(canvas, svg.marks)").first.wait_for()

    one.keep(screenshots / "training-prepared.png")
    ref = str(rows.first.get_attribute("data-ref"))
    row = page.locator(f'.review-row[data-ref="{ref}"]')
    rows.first.locator("textarea").fill("Words that were mended by hand.")
    rows.first.locator("textarea").press("Enter")
    row.get_by_text("Edited by you").wait_for()
    page.keyboard.press("d")
    row.get_by_text("Dropped: dropped by you").wait_for()
    page.keyboard.press("r")
    row.get_by_role("button", name="Drop").wait_for()
    now = clips(school, "nora")
    assert now[ref]["text"] == "Words that were mended by hand." and now[ref].get("kept", True)


def test_clips_are_joined_and_cut_and_a_further_run_keeps_it(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    review(one)
    first = page.locator(".review-row").filter(has=text_field(page, SENTENCES[0]))
    first.get_by_role("button", name="Join with next").click()
    both = page.locator(".review-row").filter(has=text_field(page, " ".join(SENTENCES[:2])))
    both.wait_for()
    both.locator("summary").click()
    both.get_by_label("Cut at").fill("4.2")
    both.get_by_role("button", name="Cut", exact=True).click()
    page.locator("#training-review-message").get_by_text("Clip split").wait_for()
    first.wait_for()
    until(lambda: "split" in reasons(school, "nora"), within_s=30, what="cut in dataset.json")
    before = texts(school, "nora")
    page.locator("#training-steps [data-value=prepare]").click()
    prepare(one, "nora")
    done = page.locator("#training-prepare-jobs .job.is-done")
    until(lambda: len(school.jobs()) == 2, within_s=60, what="second preparation")
    until(lambda: school.jobs()[0]["state"] == "done", within_s=120, what="end of it")
    done.wait_for()
    assert texts(school, "nora") == before


def test_the_list_is_worked_through_with_keys_alone(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    review(one)
    rows = page.locator("#training-review .review-row")
    rows.nth(2).wait_for()
    rows.first.focus()
    page.keyboard.press("?")
    page.locator(".review-keys[open]").get_by_text("next clip").wait_for()
    for key, at in (("j", 1), ("ArrowDown", 2), ("k", 1)):
        page.keyboard.press(key)
        assert rows.nth(at).evaluate("(row) => row === document.activeElement")
    page.keyboard.press("Space")
    rows.nth(1).locator(".play.is-playing").wait_for()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    field = rows.nth(1).locator("textarea")
    was = field.input_value()
    field.fill("Something else.")
    page.keyboard.press("Escape")
    assert field.input_value() == was
    assert rows.nth(1).evaluate("(row) => row === document.activeElement")
    page.keyboard.press("s")
    rows.nth(1).locator(".review-split[open]").wait_for()


def test_a_preparation_is_followed_after_a_reload_stopped_and_taken_up(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    prepare(one, "many")
    page.locator("#training-prepare-jobs .job.is-running [role=progressbar]").wait_for()
    page.reload()
    one.choose("training")
    running = page.locator("#training-prepare-jobs .job.is-running")
    running.get_by_text(re.compile("of [0-9]+")).wait_for()
    page.locator("#training-prepare-stop").click()
    stopped = page.locator("#training-prepare-jobs .job.is-stopped")
    stopped.wait_for()
    done = sum(source["state"] == "done" for source in dataset(school, "many")["sources"])
    assert done < MANY
    stopped.get_by_role("button", name="Resume").click()
    page.locator("#training-prepare-jobs .job.is-done").wait_for()
    sources = dataset(school, "many")["sources"]
    assert [source["state"] for source in sources] == ["done"] * MANY


def test_recordings_that_are_dropped_become_a_voice_with_their_texts(
    school: StudioProcess, visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    write_talk(tmp_path / "mine")
    one = visitor()
    page = one.open(school.url, "training")
    page.locator("#training-prepare-new > button").click()
    field = page.locator("#training-prepare-drop input[type=file]")
    field.set_input_files(sorted(str(path) for path in (tmp_path / "mine").iterdir()))
    page.locator("#training-prepare-drop").get_by_text("talk").first.wait_for()
    one.set("training-prepare-voice-name", "wilma")
    page.locator("#training-prepare-bring").click()
    chosen = page.locator("#training-prepare-voice input")
    until(lambda: chosen.input_value() == "wilma", within_s=60, what="voice that is chosen")
    page.get_by_text("All have transcripts").wait_for()
    assert sorted(path.name for path in (school.root / "voices" / "wilma").iterdir()) == [
        *("note.txt", "note.wav", "talk.srt", "talk.wav")
    ]


def test_what_is_not_there_is_reported_in_place(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    one.set("training-prepare-folder", str(school.root / "nothing" / "here"))
    page.locator("#training-prepare-run").click()
    page.locator("#training-prepare-message .refusal").wait_for()
    assert "Traceback" not in school.log
