"""The report on a dataset: every clip is counted once, and what is wrong is said in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from training.dataset_prep.manifest import ClipRow, Dataset, SourceRow
from training.dataset_prep.report import build_dataset_report, format_dataset_report

CLIP = ClipRow(
    id="a", source="s", start_s=0, stop_s=5, text="some words", part="train", level_db=-20.0
)


def mixed() -> Dataset:
    drops = ["noisy", "noisy", "duplicate", "too_short", "doubtful_text", "odd_pace"]
    kept = [replace(CLIP, id=f"k{at}", stop_s=2.0 + at) for at in range(6)]
    kept[0] = replace(kept[0], part="validation")
    kept[1] = replace(kept[1], reason="clipped", level_db=-90.0)
    dropped = [
        replace(CLIP, id=f"d{at}", kept=False, reason=reason, part="", level_db=None)
        for at, reason in enumerate(drops)
    ]
    sources = (
        SourceRow(path="bad.wav", state="failed", message="It is damaged."),
        SourceRow(path="hush.wav", state="done", message="It contains no speech."),
        SourceRow(path="good.wav", state="done"),
    )
    return Dataset(name="talk", sources=sources, clips=(*kept, *dropped))


def test_every_clip_is_counted_once() -> None:
    report = build_dataset_report(mixed())
    assert (report.kept.clips, report.dropped.clips) == (6, 6)
    assert (report.train.clips, report.validation.clips) == (5, 1)
    assert report.kept.seconds == 2 + 3 + 4 + 5 + 6 + 7 and report.dropped.seconds == 30
    assert sum(share.clips for share in report.dropped_by.values()) == 6
    assert next(iter(report.dropped_by)) == "noisy" and report.noisy == ("d0", "d1")
    assert report.clipped == ("k1",) and report.marked_by["clipped"].clips == 1
    assert sum(one.kept + one.dropped for one in report.lengths) == 12
    assert sum(one.kept + one.dropped for one in report.levels) == 6
    for bins in (report.lengths, report.levels):
        assert all(one.high == other.low for one, other in pairwise(bins))


def test_the_text_tells_minutes_reasons_failures_and_what_to_do() -> None:
    told = format_dataset_report(build_dataset_report(mixed()))
    assert "talk: 0.5 minutes in 6 clips kept, 0.5 minutes in 6 clips dropped" in told
    assert "bad.wav: It is damaged." in told and "hush.wav: It contains no speech" in told
    assert "good.wav" not in told and "too much background noise" in told
    assert "Only 27 s are kept" in told


def test_an_empty_dataset_says_so() -> None:
    report = build_dataset_report(Dataset(name="none"))
    assert report.remarks == ("No clip is kept, so there is nothing to train on.",)
    assert "none: 0.0 minutes in 0 clips kept" in format_dataset_report(report)


def test_texts_that_do_not_belong_to_the_recordings_are_pointed_out() -> None:
    wrong = [replace(CLIP, id=f"{at}", kept=False, reason="doubtful_text") for at in range(9)]
    report = build_dataset_report(Dataset(name="x", clips=(CLIP, *wrong)))
    assert any(
        "The text of 9 of 10 clips does not match the audio" in told for told in report.remarks
    )
