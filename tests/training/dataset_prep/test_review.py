"""What a person does to a dataset: each change whole, refused clearly, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.asr.base import Word
from training.dataset_prep import review
from training.dataset_prep.manifest import CLIP_SAMPLE_RATE, ClipRow, Dataset, ManifestError
from training.dataset_prep.review_audio import find_quietest_moment, read_samples, write_samples

TEXT = "one two three four"


def row(id: str, start: float, seconds: float = 3.0, **changed: object) -> ClipRow:
    each = seconds / 4
    words = tuple(
        Word(text=word, start_s=at * each, stop_s=(at + 0.8) * each)
        for at, word in enumerate(TEXT.split())
    )
    usual = ClipRow(
        id=id, source="a.wav", start_s=start, stop_s=start + seconds, text=TEXT, words=words,
        part="train", confidence=0.9, snr_db=40.0,
    )  # fmt: skip
    return replace(usual, **changed)  # type: ignore[arg-type]


def dataset(*rows: ClipRow) -> Dataset:
    return Dataset(name="talk", clips=rows)


def sound(folder: Path, rows: Sequence[ClipRow]) -> Path:
    """A tone in the middle of each quarter of a clip, so that quiet is between words."""
    for clip in rows:
        time = np.arange(round(clip.seconds * CLIP_SAMPLE_RATE)) / CLIP_SAMPLE_RATE
        quarter = clip.seconds / 4
        heard = (time % quarter) < 0.8 * quarter
        (folder / "audio").mkdir(exist_ok=True)
        write_samples(
            folder / clip.file, (8000 * heard * np.sin(1400 * time)).round().astype(np.int16)
        )
    return folder


def test_the_worst_come_first_and_what_a_person_saw_last() -> None:
    fine = row("fine", 0)
    doubted = row("doubted", 5, reason="doubtful_text")
    unsure = row("unsure", 10, confidence=0.2)
    noisy = row("noisy", 15, snr_db=9.0, reason="noisy")
    seen = row("seen", 20, confidence=0.1, edited=True)
    gone = row("gone", 25, kept=False, reason="silent")
    order = [c.id for c in review.sort_worst_first([fine, doubted, unsure, noisy, seen, gone])]
    assert order[:3] == ["doubted", "noisy", "unsure"] and order[-1] == "seen"
    assert order.index("fine") < order.index("gone")


def test_a_new_text_is_cleaned_counts_as_sure_and_keeps_its_word_times() -> None:
    known = dataset(row("a", 0, confidence=0.3))
    (clip,) = review.edit_text(known, "a", " uno dos\ntres|cuatro ").clips
    assert (clip.text, clip.confidence, clip.edited) == ("uno dos tres cuatro", 1.0, True)
    assert [word.text for word in clip.words] == clip.text.split()
    (clip,) = review.edit_text(known, "a", "fewer words").clips
    assert clip.words == ()


def test_a_right_text_brings_a_clip_back_that_was_dropped_for_its_text_only() -> None:
    known = dataset(
        row("text", 0, kept=False, reason="doubtful_text", part=""),
        row("noise", 5, kept=False, reason="noisy", part=""),
    )
    known = review.edit_text(review.edit_text(known, "text", "Right."), "noise", "Right too.")
    assert [(clip.kept, clip.part) for clip in known.clips] == [(True, "train"), (False, "")]


def test_a_clip_moves_to_the_part_that_has_its_text() -> None:
    known = dataset(row("a", 0, part="validation", text="same"), row("b", 5, words=()))
    assert [clip.part for clip in review.edit_text(known, "b", "Same!").clips] == ["validation"] * 2


@pytest.mark.parametrize("text", ["", "  ", "|", "…"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="needs a transcript"):
        review.edit_text(dataset(row("a", 0)), "a", text)


def test_dropping_and_restoring_leaves_a_clip_as_it_was() -> None:
    known = dataset(row("a", 0), row("b", 5))
    gone = review.drop_clips(known, ["a"])
    assert [(clip.kept, clip.reason, clip.part) for clip in gone.clips] == [
        (False, "by_hand", ""), (True, "", "train"),
    ]  # fmt: skip
    back = review.restore_clips(gone, ["a"]).clips[0]
    assert replace(back, edited=False) == known.clips[0]


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"reason": "too_long"}, "cannot be trained on"),
        ({"reason": "no_words", "text": "", "words": ()}, "has no transcript"),
        ({"reason": "merged"}, "is in other too"),
    ],
)
def test_what_cannot_be_learned_from_is_not_restored(
    changed: dict[str, object], match: str
) -> None:
    known = dataset(row("a", 0, kept=False, **changed), row("other", 1))
    with pytest.raises(ManifestError, match=match):
        review.restore_clips(known, ["a"])
    with pytest.raises(ManifestError, match=match):
        review.accept_clips(known, ["a"])


def test_a_clip_is_joined_with_the_next_of_its_recording(tmp_path: Path) -> None:
    rows = [row("a", 0), row("b", 3.5), row("c", 1.0, source="b.wav")]
    joined, id = review.merge_clips(dataset(*rows), "a", sound(tmp_path, rows))
    clips = {clip.id: clip for clip in joined.clips}
    new = clips[id]
    assert list(clips) == ["a", "b", id, "c"]
    assert (new.text, new.kept, new.edited, new.part) == (f"{TEXT} {TEXT}", True, True, "train")
    assert {clips["a"].reason, clips["b"].reason} == {"merged"}
    assert len(read_samples(tmp_path / new.file)) / CLIP_SAMPLE_RATE == pytest.approx(
        6.5, abs=0.001
    )
    assert new.seconds == pytest.approx(6.5, abs=0.001)
    assert new.words[4].start_s == pytest.approx(3.5) and len(new.words) == 8


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([row("a", 0)], "no clip after a in its recording"),
        ([row("a", 0), row("b", 9)], "can be joined"),
        ([row("a", 0, 7), row("b", 7, 7)], "the limit is 11.6 s"),
        ([row("a", 0, reason="split", kept=False), row("b", 3)], "already part of other clips"),
    ],
)
def test_what_does_not_belong_together_is_not_joined(
    tmp_path: Path, rows: list[ClipRow], match: str
) -> None:
    with pytest.raises(ManifestError, match=match):
        review.merge_clips(dataset(*rows), "a", sound(tmp_path, rows))


def test_a_clip_is_cut_in_the_pause_between_two_words(tmp_path: Path) -> None:
    rows = [row("a", 10, part="validation")]
    parted, (first, second) = review.split_clip(dataset(*rows), "a", sound(tmp_path, rows), after=1)
    clips = {clip.id: clip for clip in parted.clips}
    one, two = clips[first], clips[second]
    assert (one.text, two.text) == ("one", "two three four")
    assert one.start_s == 10 and one.stop_s == two.start_s and two.stop_s == 13
    assert 10.6 <= one.stop_s <= 10.75
    assert [word.text for word in two.words] == two.text.split()
    assert two.words[0].start_s == pytest.approx(10.75 - two.start_s, abs=0.002)
    assert clips["a"].reason == "split" and not clips["a"].kept
    assert {one.part, two.part} == {"validation"}
    lengths = [len(read_samples(tmp_path / clip.file)) for clip in (one, two)]
    assert sum(lengths) == round(3.0 * CLIP_SAMPLE_RATE)


def test_without_word_times_the_quietest_place_near_by_is_taken(tmp_path: Path) -> None:
    rows = [row("a", 0, words=())]
    parted, (first, _) = review.split_clip(dataset(*rows), "a", sound(tmp_path, rows), at_s=1.3)
    assert review.find_clip(parted, first).stop_s == pytest.approx(1.42, abs=0.09)
    assert review.find_clip(parted, first).text == "one two"


@pytest.mark.parametrize(
    ("after", "at_s", "match"),
    [(0, None, "cut after word 1 to 3"), (9, None, "cut after word"), (3, 2.95, "shorter than")],
)
def test_a_cut_that_leaves_nothing_is_refused(
    tmp_path: Path, after: int | None, at_s: float | None, match: str
) -> None:
    rows = [row("a", 0, words=())]
    with pytest.raises(ManifestError, match=match):
        review.split_clip(dataset(*rows), "a", sound(tmp_path, rows), at_s, after)
    with pytest.raises(ManifestError, match="fewer than two words"):
        review.split_clip(
            dataset(replace(rows[0], text="one")), "a", sound(tmp_path, rows), at_s, after
        )


def test_a_clip_or_sound_that_is_gone_is_told(tmp_path: Path) -> None:
    rows = [row("a", 0), row("b", 3.1)]
    with pytest.raises(ManifestError, match="has no clip 'z'"):
        review.drop_clips(dataset(*rows), ["z"])
    (tmp_path / "audio").mkdir()
    with pytest.raises(ManifestError, match=r"a\.wav cannot be read"):
        review.merge_clips(dataset(*rows), "a", tmp_path)


def test_the_quietest_moment_is_found() -> None:
    steps = np.full(CLIP_SAMPLE_RATE, 1000, np.int16)
    steps[10_000:11_000] = 0
    assert find_quietest_moment(steps, 0.0, 1.0) == pytest.approx(
        10_500 / CLIP_SAMPLE_RATE, abs=0.03
    )
