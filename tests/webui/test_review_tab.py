"""The review list: what it shows of a clip, what it offers, and that no word of it is trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.paths import ProjectPaths
from training.asr.base import Word
from training.dataset_prep.manifest import ClipRow
from webui.datasets.review_tab import get_stable_rows
from webui.datasets.review_view import PAGE_SIZE, ReviewListing, review_html

ROW = ClipRow(
    id="talk-0001",
    source="talk.mp3",
    start_s=62.0,
    stop_s=66.0,
    text="Good evening to all of you.",
    part="train",
    confidence=0.91,
    level_db=-20.4,
    snr_db=31.0,
)


def drawn(*rows: ClipRow, layout: ProjectPaths, **facts: int) -> str:
    counts = {"total": len(rows), "all": len(rows), **facts}
    return review_html("nora", ReviewListing(rows=rows, **counts), layout)


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    """A studio in which one clip of the data set nora can be heard."""
    sound = tmp_path / "training" / "nora" / ROW.file
    sound.parent.mkdir(parents=True)
    sound.write_bytes(b"sound")
    return ProjectPaths.from_root(tmp_path)


def test_a_row_tells_what_is_known_of_its_clip(layout: ProjectPaths) -> None:
    html = drawn(ROW, layout=layout)
    assert "4.0 s · 1.5 words/s · 91% confidence · level −20 dB" in html
    assert "talk.mp3 at 1:02.0" in html and "api/files/training/nora/audio/talk-0001.wav" in html
    assert "Drop</button>" in html and "Restore" not in html


def test_a_dropped_clip_says_why_and_can_come_back(layout: ProjectPaths) -> None:
    html = drawn(replace(ROW, kept=False, reason="noisy", part=""), layout=layout)
    assert "Dropped: too much background noise" in html and 'data-act="restore"' in html
    assert 'data-act="drop"' not in html and 'data-act="merge"' not in html


def test_a_clip_that_is_too_short_is_joined_and_not_restored(layout: ProjectPaths) -> None:
    html = drawn(replace(ROW, kept=False, reason="too_short", part=""), layout=layout)
    assert 'data-act="merge"' in html and 'data-act="restore"' not in html


def test_a_doubtful_clip_can_be_said_to_be_right(layout: ProjectPaths) -> None:
    for doubtful in (replace(ROW, reason="odd_pace"), replace(ROW, confidence=0.2)):
        assert 'data-act="accept"' in drawn(doubtful, layout=layout)
    for fine in (ROW, replace(ROW, confidence=0.2, edited=True)):
        assert 'data-act="accept"' not in drawn(fine, layout=layout)


def test_clips_stay_in_place_while_they_are_worked_on() -> None:
    rows = [replace(ROW, id=f"c{at}", start_s=4.0 * at, stop_s=4.0 * at + 4) for at in range(4)]
    mended = replace(rows[0], text="Mended.", edited=True)
    now = [rows[3], rows[2], rows[1], mended]
    held = get_stable_rows(("c0", "c1"), now, (rows[3], rows[2]), 3)
    assert held == (mended, rows[1], rows[3])


def test_what_was_joined_or_cut_is_there_as_what_became_of_it() -> None:
    first = replace(ROW, id="c0", start_s=0.0, stop_s=4.0)
    second = replace(first, id="c1", start_s=4.5, stop_s=8.0)
    other = replace(first, id="o", source="another.wav")
    both = replace(first, id="c0.m", stop_s=8.0)
    gone = [replace(clip, kept=False, reason="merged") for clip in (first, second)]
    assert get_stable_rows(("c1", "c0", "o"), [*gone, both, other], (), 25) == (both, other)
    parts = [replace(both, id="p", stop_s=4.2), replace(both, id="q", start_s=4.2)]
    cut = replace(both, kept=False, reason="split")
    assert get_stable_rows(("c0.m",), [*gone, cut, *parts, other], (), 25) == tuple(parts)


def test_a_clip_can_be_cut_between_words_and_at_a_second(layout: ProjectPaths) -> None:
    words = tuple(
        Word(text=text, start_s=at, stop_s=at + 0.5)
        for at, text in enumerate(("Good", "<evening>", "all"))
    )
    html = drawn(replace(ROW, words=words), layout=layout)
    assert html.count('class="word"') == 2 and 'data-value="0.500 1.000"' in html
    assert 'data-at="talk-0001" min="0" max="4.00"' in html and "<evening>" not in html


def test_words_of_a_recording_stay_text(layout: ProjectPaths) -> None:
    script = '<script>alert("1")</script>'
    html = drawn(replace(ROW, text=script, source=f"{script}.wav"), layout=layout)
    assert "<script" not in html and 'alert("1")' not in html


def test_another_text_is_another_field_so_that_typing_is_never_painted_over(
    layout: ProjectPaths,
) -> None:
    before, after = (drawn(replace(ROW, text=text), layout=layout) for text in ("One.", "Two."))
    field = [html.partition("<textarea data-key=")[2][:24] for html in (before, after)]
    assert field[0] != field[1]


def test_a_page_says_where_it_is_in_the_whole(layout: ProjectPaths) -> None:
    html = drawn(ROW, layout=layout, total=60, all=90, page=1)
    assert "60 clips of 90, those to check first" in html
    assert f"{PAGE_SIZE + 1} to {2 * PAGE_SIZE} of 60" in html and "disabled" not in html
    assert 'data-turn="after" disabled' in drawn(ROW, layout=layout, total=60, all=60, page=2)


def test_an_empty_list_says_why(layout: ProjectPaths) -> None:
    assert "No clips yet" in drawn(layout=layout)
    assert "No clips match" in drawn(layout=layout, all=3)
