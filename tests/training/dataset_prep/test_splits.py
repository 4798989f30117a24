"""The parts of a dataset: drawn by a seed, never without anything to learn from."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from training.dataset_prep.manifest import ClipRow
from training.dataset_prep.splits import get_text_key, split_clips


def clips(*texts: str, dropped: int = 0) -> list[ClipRow]:
    rows = [
        ClipRow(id=f"c{at}", source="a.wav", start_s=at, stop_s=at + 2, text=text)
        for at, text in enumerate(texts)
    ]
    gone = [
        ClipRow(
            id=f"d{at}", source="b.wav", start_s=0, stop_s=1, text="gone", kept=False,
            reason="silent", part="train",
        )
        for at in range(dropped)
    ]  # fmt: skip
    return rows + gone


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 10, 40, 200])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_there_is_always_something_to_learn_from(count: int, share: float) -> None:
    split = split_clips(clips(*(f"text {at}" for at in range(count)), dropped=2), share, 7)
    parts = [clip.part for clip in split.clips]
    judging = parts.count("validation")
    assert parts.count("train") == count - judging >= max(1, count // 2)
    assert parts[count:] == ["", ""]
    if share and count >= 3:
        assert judging == min(count - 2, max(1, round(share * count)))
    if count < 3 or not share:
        assert judging == 0 and "Overfitting cannot be detected" in split.summary


def test_the_same_seed_draws_the_same_clips_and_another_others() -> None:
    rows = clips(*(f"text {at}" for at in range(60)))
    assert split_clips(rows, 0.2, 1) == split_clips(rows, 0.2, 1)
    assert split_clips(rows, 0.2, 1).clips != split_clips(rows, 0.2, 2).clips


def test_no_text_is_in_both_parts_however_it_is_written() -> None:
    chance = random.Random(3)
    texts = [
        chance.choice(["Yes.", "yes", "YES!", "No, thanks.", "no thanks", "It's"]) for _ in "x" * 30
    ]
    split = split_clips(clips(*texts, "another", "and another"), 0.3, 5)
    by_part = {
        part: {get_text_key(clip.text) for clip in split.clips if clip.part == part}
        for part in ("train", "validation")
    }
    assert by_part["validation"] and not by_part["train"] & by_part["validation"]


def test_one_text_said_by_all_clips_is_only_learned_from() -> None:
    split = split_clips(clips("hello", "Hello", "hello!", "hello"), 0.5, 0)
    assert {clip.part for clip in split.clips} == {"train"}


def test_nothing_kept_is_told() -> None:
    assert split_clips(clips(dropped=3), 0.1, 0).summary == "No clip is left for training."


def test_who_judged_once_judges_on_and_only_newcomers_are_drawn() -> None:
    first = split_clips(clips(*(f"text {at}" for at in range(20))), 0.2, 1).clips
    more = clips(*(f"text {at}" for at in range(40)))[20:]
    later = split_clips([*first, *more], 0.2, 99).clips
    assert later[:20] == first
    assert sum(clip.part == "validation" for clip in later) == 8


def test_without_any_judge_left_one_is_drawn_anew() -> None:
    rows = [replace(clip, part="train") for clip in clips(*(f"text {at}" for at in range(10)))]
    parts = [clip.part for clip in split_clips(rows, 0.1, 1).clips]  # type: ignore[arg-type]
    assert parts.count("validation") == 1
