"""From recordings to a dataset: whole, resumable, and never at the cost of what a person did."""

from __future__ import annotations

import json
import shutil
import wave
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import training.prepare
import training.voice_activity
from dataset_cases import ExactEar, job, listening, record, said, spoken
from jobs.report import Cancelled, Event, Reporter
from speech.clip import Clip
from speech.files import read_clip
from speech.loudness import loudness_of
from training import review
from training.align_words import Followed
from training.manifest import (
    AUDIO,
    DATASET,
    TRAIN,
    VALIDATION,
    WHISPER,
    Dataset,
    ManifestError,
    Word,
    read_dataset,
    read_lines,
    write_dataset,
)
from training.prepare import prepare
from training.prepare_options import PrepareOptions
from training.transcribe.base import TranscribeError


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> ExactEar:
    """Everybody listens with the exact ear, and bursts count as speech."""
    ear = ExactEar()
    monkeypatch.setattr(training.prepare, "listener", listening(ear))
    monkeypatch.setattr(training.voice_activity, "has_silero", lambda: False)
    return ear


def three_sentences() -> Clip:
    return said(range(8), range(8, 17), range(17, 26))


def made(root: Path) -> Dataset:
    return read_dataset(root / "out")


def edit(root: Path, id: str, text: str) -> None:
    write_dataset(root / "out", review.edit_text(made(root), id, text))


def test_a_recording_becomes_clips_with_their_words_and_both_lists(
    tmp_path: Path, ear: ExactEar
) -> None:
    source = record(tmp_path, "one.wav", three_sentences())
    before = source.read_bytes()
    told = prepare(job(tmp_path), Reporter())
    clips = made(tmp_path).clips
    assert [clip.text for clip in clips] == [
        spoken(*range(8)), spoken(*range(8, 17)), spoken(*range(17, 26))
    ]  # fmt: skip
    assert (told.kept, told.dropped, told.failed) == (3, 0, 0)
    lines = read_lines(tmp_path / "out" / TRAIN) + read_lines(tmp_path / "out" / VALIDATION)
    assert sorted(lines) == sorted((clip.file, clip.text) for clip in clips)
    for clip in clips:
        with wave.open(str(tmp_path / "out" / clip.file)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)
            assert file.getnframes() / 22_050 == pytest.approx(clip.seconds, abs=0.002)
        assert len(clip.words) == len(clip.text.split())
        assert 0 <= clip.words[0].start_s < 0.2 and clip.words[-1].stop_s <= clip.seconds
    assert source.read_bytes() == before and [p.name for p in source.parent.iterdir()] == [
        "one.wav"
    ]
    left = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    assert left == {AUDIO, TRAIN, VALIDATION, WHISPER, DATASET}


def test_a_second_run_has_nothing_to_do_and_changes_nothing(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "one.wav", three_sentences())
    prepare(job(tmp_path), Reporter())
    before, listened = made(tmp_path), len(ear.heard)
    prepare(job(tmp_path), Reporter())
    assert made(tmp_path) == replace(before, created=made(tmp_path).created)
    assert len(ear.heard) == listened


def test_cutting_in_another_way_hears_nothing_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "one.wav", three_sentences())
    prepare(job(tmp_path), Reporter())
    listened = len(ear.heard)
    prepare(job(tmp_path, options=PrepareOptions(longest_s=4.0, join_below_s=0.0)), Reporter())
    clips = made(tmp_path).clips
    assert len(ear.heard) == listened and len(clips) == 3
    sounds = {path.stem for path in (tmp_path / "out" / AUDIO).iterdir()}
    assert sounds == {clip.id for clip in clips}


def test_a_stopped_run_goes_on_at_the_next_recording(tmp_path: Path, ear: ExactEar) -> None:
    for number in range(4):
        record(tmp_path, f"{number}.wav", said(range(number, number + 8)))
    ear.stops_after = 2
    with pytest.raises(KeyboardInterrupt):
        prepare(job(tmp_path), Reporter())
    states = [row.state for row in made(tmp_path).sources]
    assert states == ["done", "done", "waiting", "waiting"]
    ear.stops_after, ear.heard = None, []
    prepare(job(tmp_path), Reporter())
    assert len(ear.heard) == 2 and len(made(tmp_path).clips) == 4


def test_a_stop_is_heeded_and_what_was_done_is_kept(tmp_path: Path, ear: ExactEar) -> None:
    for number in range(3):
        record(tmp_path, f"{number}.wav", said(range(number, number + 8)))
    seen: list[Event] = []
    wanted = Reporter(seen.append, lambda: sum(e.stage == "seconds" for e in seen) > 4)
    with pytest.raises(Cancelled):
        prepare(job(tmp_path), wanted)
    assert made(tmp_path).sources[0].state == "done"
    assert not list((tmp_path / "out").glob(".working*"))


def test_the_whole_is_counted_in_seconds_to_its_end(tmp_path: Path, ear: ExactEar) -> None:
    for number in range(2):
        record(tmp_path, f"{number}.wav", three_sentences())
    seen: list[Event] = []
    prepare(job(tmp_path), Reporter(seen.append))
    told = [(event.done, event.total) for event in seen if event.stage == "seconds"]
    assert told == sorted(told) and told[-1][0] >= (told[-1][1] or 0) - 3


def test_what_a_person_edited_survives_even_where_the_recording_changed(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(tmp_path, "one.wav", three_sentences())
    prepare(job(tmp_path), Reporter())
    _, second, third = made(tmp_path).clips
    edit(tmp_path, second.id, "Really said.")
    write_dataset(tmp_path / "out", review.drop(made(tmp_path), [third.id]))
    record(tmp_path, "one.wav", said(range(8), range(8, 17), range(17, 26), range(26, 36)))
    prepare(job(tmp_path), Reporter())
    clips = {clip.text: clip for clip in made(tmp_path).clips}
    assert clips["Really said."].id == second.id and clips["Really said."].kept
    assert clips[third.text].reason == "by_hand" and not clips[third.text].kept
    assert spoken(*range(26, 36)) in clips and spoken(*range(8, 17)) not in clips
    assert len(clips) == 4


def test_an_edit_made_while_the_dataset_is_prepared_is_kept(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "1.wav", said(range(8)))
    prepare(job(tmp_path), Reporter())
    record(tmp_path, "2.wav", said(range(8, 16)))
    (id,) = (clip.id for clip in made(tmp_path).clips)

    def tell(event: Event) -> None:
        if event.stage == "seconds" and event.done == 0 and len(ear.heard) == 1:
            edit(tmp_path, id, "Said meanwhile.")

    prepare(job(tmp_path), Reporter(tell))
    assert {clip.text for clip in made(tmp_path).clips} == {
        "Said meanwhile.", spoken(*range(8, 16))
    }  # fmt: skip


def test_a_recording_that_vanished_keeps_its_clips_and_is_told(
    tmp_path: Path, ear: ExactEar
) -> None:
    gone = record(tmp_path, "1.wav", said(range(8)))
    record(tmp_path, "2.wav", said(range(8, 16)))
    prepare(job(tmp_path), Reporter())
    gone.unlink()
    prepare(job(tmp_path), Reporter())
    rows = {row.path: row.message for row in made(tmp_path).sources}
    assert "no longer there" in rows["1.wav"] and not rows["2.wav"]
    assert len(made(tmp_path).kept()) == 2
    record(tmp_path, "1.wav", said(range(8)))
    prepare(job(tmp_path), Reporter())
    assert not any(row.message for row in made(tmp_path).sources)


def test_a_recording_that_was_damaged_since_keeps_its_clips_and_is_tried_again(
    tmp_path: Path, ear: ExactEar
) -> None:
    source = record(tmp_path, "1.wav", said(range(8)))
    prepare(job(tmp_path), Reporter())
    whole = source.read_bytes()
    source.write_bytes(b"junk" * 999)
    assert prepare(job(tmp_path), Reporter()).failed == 1
    (row,), (clip,) = made(tmp_path).sources, made(tmp_path).kept()
    assert row.state == "failed" and "Its clips are kept" in row.message
    assert (tmp_path / "out" / clip.file).is_file()
    source.write_bytes(whole)
    assert prepare(job(tmp_path), Reporter()).failed == 0


def test_unusable_recordings_are_told_and_passed_over(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "good.wav", said(range(8)))
    record(tmp_path, "silent.wav", Clip(wave=torch.zeros(48_000), sample_rate=24_000))
    (tmp_path / "in" / "junk.wav").write_bytes(b"RIFF nothing of the kind" * 50)
    (tmp_path / "in" / "empty.flac").touch()
    warned: list[str] = []
    told = prepare(job(tmp_path), Reporter(lambda e: warned.append(e.message)))
    failed = {row.path: row.message for row in made(tmp_path).sources if row.state == "failed"}
    assert failed.keys() == {"silent.wav", "junk.wav", "empty.flac"}
    assert "is silent" in failed["silent.wav"] and "0 bytes" in failed["empty.flac"]
    assert told.kept == 1 and told.failed == 3
    assert any("junk.wav was left out" in message for message in warned)


def test_given_text_of_a_whole_clip_is_taken_without_listening(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(
        tmp_path,
        "a.wav",
        three_sentences().__class__(wave=said(range(12)).wave, sample_rate=24_000),
    )
    (tmp_path / "in" / "a.txt").write_text("Twelve words | are given", encoding="utf-8")
    prepare(job(tmp_path), Reporter())
    (clip,) = made(tmp_path).clips
    assert (clip.id, clip.text, clip.confidence) == ("a", "Twelve words are given", 1.0)
    assert clip.start_s == pytest.approx(0.32, abs=0.05) and not ear.heard


def test_a_changed_text_is_taken_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(12)))
    for text in ("First text given", "Another text given"):
        (tmp_path / "in" / "a.txt").write_text(text, encoding="utf-8")
        prepare(job(tmp_path), Reporter())
    assert [clip.text for clip in made(tmp_path).clips] == ["Another text given"]


def test_given_text_that_is_too_long_for_a_clip_is_dropped_with_a_reason(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(tmp_path, "a.wav", said(range(20), range(20)))
    (tmp_path / "in" / "a.txt").write_text("Nobody knows when which word is said")
    prepare(replace_language(tmp_path, "de"), Reporter())
    (clip,) = made(tmp_path).clips
    assert (clip.kept, clip.reason) == (False, "too_long")


def replace_language(root: Path, language: str) -> training.prepare.PrepareJob:
    wanted = job(root)
    return replace(wanted, wish=replace(wanted.wish, language=language))


def test_text_of_another_script_is_dropped(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(12)))
    (tmp_path / "in" / "a.txt").write_text("Это по-русски", encoding="utf-8")
    prepare(job(tmp_path), Reporter())
    assert [clip.reason for clip in made(tmp_path).clips] == ["other_language"]


@pytest.mark.parametrize(
    ("followed", "wrong", "reason"),
    [
        (0.0, 1.0, ""),  # nobody is asked
        (2.0, 0.4, ""),  # a crowd between right words
        (2.0, 0.9, "doubtful_text"),
        (None, 0.4, ""),
        (None, 0.9, "doubtful_text"),
        (None, None, "doubtful_text"),  # too short to be heard
        (2.0, None, ""),
    ],
)
def test_a_given_text_is_dropped_where_it_is_neither_followed_nor_heard(
    tmp_path: Path,
    ear: ExactEar,
    monkeypatch: pytest.MonkeyPatch,
    followed: float | None,
    wrong: float | None,
    reason: str,
) -> None:
    words = (Word(text="Given", start_s=0.5, stop_s=1.0), Word(text="text", start_s=1, stop_s=2))
    found = None if followed is None else Followed(words=words, unexplained_s=followed)
    monkeypatch.setattr("training.prepare_clips.can_align", lambda language: True)
    monkeypatch.setattr("training.prepare_clips.align_words", lambda wave, text: found)
    monkeypatch.setattr("training.prepare_clips.doubt", lambda wave, text, report: wrong)
    record(tmp_path, "a.wav", said(range(9)))
    (tmp_path / "in" / "a.txt").write_text("Given text")
    prepare(job(tmp_path, options=PrepareOptions()), Reporter())
    (clip,) = made(tmp_path).clips
    assert (clip.reason, clip.kept, clip.confidence) == (reason, not reason, float(not reason))
    assert len(clip.words) == (2 if found and not reason else 0)


def test_copies_of_a_clip_are_dropped_in_whatever_format(tmp_path: Path, ear: ExactEar) -> None:
    clip = said(range(9))
    for name in ("a.wav", "b.flac", "c.mp3"):
        record(tmp_path, name, clip)
    record(tmp_path, "d.wav", said(range(9, 18)))
    prepare(job(tmp_path), Reporter())
    assert [(clip.source, clip.reason) for clip in made(tmp_path).clips] == [
        ("a.wav", ""), ("b.flac", "duplicate"), ("c.mp3", "duplicate"), ("d.wav", ""),
    ]  # fmt: skip


def test_noise_and_cut_peaks_are_dropped_and_told(tmp_path: Path, ear: ExactEar) -> None:
    noise = torch.randn(24_000 * 7, generator=torch.Generator().manual_seed(2)) * 0.1
    bad = said(range(12))
    loud = replace(bad, wave=(bad.wave * 8).clamp(-0.7, 0.7))
    hissing = replace(bad, wave=bad.wave + noise[: bad.wave.shape[0]])
    for name, clip in (("loud.wav", loud), ("hissing.wav", hissing)):
        record(tmp_path, name, clip)
        (tmp_path / "in" / name).with_suffix(".txt").write_text(f"The text of {name}")
    prepare(job(tmp_path), Reporter())
    reasons = {clip.source: (clip.kept, clip.reason) for clip in made(tmp_path).clips}
    assert reasons["loud.wav"] == (False, "clipped")
    assert reasons["hissing.wav"] == (False, "noisy")


def half_a_minute() -> Clip:
    return said(*[range(at, at + 9) for at in range(7)])


def test_a_long_recording_is_heard_in_stretches(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.prepare_hearing.STRETCH_S", 12.0)
    record(tmp_path, "long.wav", half_a_minute())
    prepare(job(tmp_path), Reporter())
    assert len(ear.heard) == 4 and max(ear.heard) <= 12.5
    assert [clip.text for clip in made(tmp_path).kept()] == [
        spoken(*range(at, at + 9)) for at in range(7)
    ]


def test_hearing_goes_on_within_a_recording(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.prepare_hearing.STRETCH_S", 12.0)
    monkeypatch.setattr("training.prepare_hearing.KEPT_EVERY_S", 0.0)
    record(tmp_path, "long.wav", half_a_minute())
    ear.stops_after = 3
    with pytest.raises(KeyboardInterrupt):
        prepare(job(tmp_path), Reporter())
    ear.stops_after, ear.heard = None, []
    prepare(job(tmp_path), Reporter())
    assert len(ear.heard) == 1 and len(made(tmp_path).kept()) == 7


def test_a_constant_level_in_a_recording_is_taken_out(tmp_path: Path, ear: ExactEar) -> None:
    clip = said(range(9))
    record(tmp_path, "a.wav", replace(clip, wave=clip.wave + 0.2))
    prepare(job(tmp_path), Reporter())
    (row,) = made(tmp_path).kept()
    assert abs(float(read_clip(tmp_path / "out" / row.file).wave.mean())) < 0.002


def test_odd_names_stay_apart(tmp_path: Path, ear: ExactEar) -> None:
    names = ["a b|c.wav", "a b+c.wav", "Ünï'cödé.wav", "sub/a b c.wav", "-x.wav", "日本.wav"]
    for at, name in enumerate(names):
        record(tmp_path, name, said(range(at * 3, at * 3 + 8)))
    told = prepare(job(tmp_path), Reporter())
    assert told.kept == len(names)
    assert {row.path for row in made(tmp_path).sources} == set(names)
    assert len(read_lines(tmp_path / "out" / TRAIN)) == len(names) - 1


def test_the_parts_stay_until_another_draw_is_wanted(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "1.wav", said(*[range(at * 8, at * 8 + 8) for at in range(10)]))
    prepare(job(tmp_path), Reporter())
    before = {clip.id: clip.part for clip in made(tmp_path).clips}
    write_dataset(tmp_path / "out", review.drop(made(tmp_path), [made(tmp_path).clips[0].id]))
    prepare(job(tmp_path), Reporter())
    after = {clip.id: clip.part for clip in made(tmp_path).clips}
    assert {id: part for id, part in before.items() if after[id]} == dict(list(after.items())[1:])
    wanted = PrepareOptions(seed=5, validation_share=0.4, check_text=False)
    prepare(job(tmp_path, options=wanted), Reporter())
    assert len(made(tmp_path).kept("validation")) == 4


@pytest.mark.parametrize("clips", [1, 2, 3])
def test_few_clips_are_parted_with_care(tmp_path: Path, ear: ExactEar, clips: int) -> None:
    record(tmp_path, "few.wav", said(*[range(at * 8, at * 8 + 8) for at in range(clips)]))
    told = prepare(job(tmp_path), Reporter())
    parts = [clip.part for clip in made(tmp_path).clips]
    assert parts.count("train") == (2 if clips == 3 else clips)
    assert ("Over-fitting cannot be seen" in told.split) == (clips < 3)


def test_a_folder_without_recordings_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    with pytest.raises(ManifestError, match="no recordings in"):
        prepare(job(tmp_path), Reporter())
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(ManifestError, match="There is no folder"):
        prepare(job(tmp_path), Reporter())
    assert not (tmp_path / "out").exists()


def test_binary_junk_in_a_list_of_texts_is_refused_before_anything_is_done(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "in" / "metadata.csv").write_bytes(bytes(range(256)))
    with pytest.raises(TranscribeError, match=r"metadata\.csv"):
        prepare(job(tmp_path), Reporter())
    assert not (tmp_path / "out").exists()


def test_two_cannot_prepare_one_dataset(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".preparing.lock"),
        pytest.raises(ManifestError, match="being prepared already"),
    ):
        prepare(job(tmp_path), Reporter())


def test_what_another_program_made_is_left_alone(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / TRAIN).write_text("audio/x.wav|theirs\n")
    with pytest.raises(ManifestError, match="another program made it"):
        prepare(job(tmp_path), Reporter())
    assert (tmp_path / "out" / TRAIN).read_text() == "audio/x.wav|theirs\n"


def test_a_run_that_was_refused_does_not_stand_in_the_way_of_the_next(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "out" / AUDIO).mkdir(parents=True)  # as a run leaves it that is killed early
    (tmp_path / "out" / TRAIN).touch()
    assert prepare(job(tmp_path), Reporter()).kept == 1
    shutil.rmtree(tmp_path / "out")

    def refuse(*asked: object) -> None:
        raise TranscribeError("nobody listens")

    monkeypatch.setattr(training.prepare, "listener", refuse)
    with pytest.raises(TranscribeError, match="nobody listens"):
        prepare(job(tmp_path), Reporter())
    assert not (tmp_path / "out").exists()


def test_another_language_is_heard_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    prepare(job(tmp_path), Reporter())
    ear.language = "de"
    prepare(replace_language(tmp_path, "de"), Reporter())
    assert len(ear.heard) == 2 and len(made(tmp_path).kept()) == 1


def test_damaged_books_are_put_aside_and_made_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    prepare(job(tmp_path), Reporter())
    (tmp_path / "out" / DATASET).write_text('{"format": 1, "clips": [{"id": 7}]}')
    warned: list[str] = []
    prepare(job(tmp_path), Reporter(lambda e: warned.append(e.message)))
    assert any("put aside" in message for message in warned)
    assert len(made(tmp_path).clips) == 1
    assert list((tmp_path / "out").glob("dataset.json.damaged-*"))


def test_a_disk_without_room_is_refused_before_anything_is_done(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(ManifestError, match=r"are needed for .* minutes of recordings"):
        prepare(job(tmp_path), Reporter())


def test_a_disk_that_fills_up_leaves_what_was_there(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "1.wav", said(range(8)))
    prepare(job(tmp_path), Reporter())
    before = (tmp_path / "out" / DATASET).read_bytes()
    record(tmp_path, "2.wav", said(range(8, 16)))

    def full(path: Path, clip: Clip) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(training.prepare, "write_clip", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(job(tmp_path), Reporter())
    now = json.loads((tmp_path / "out" / DATASET).read_bytes())
    assert now["clips"] == json.loads(before)["clips"]
    assert (tmp_path / "out" / made(tmp_path).clips[0].file).is_file()


def test_every_clip_becomes_equally_loud(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "quiet.wav", said(range(8), level=0.02))
    record(tmp_path, "loud.wav", said(range(8, 16), level=0.5))
    prepare(job(tmp_path, options=PrepareOptions(loudness=-24.0, check_text=False)), Reporter())
    levels = [loudness_of(read_clip(tmp_path / "out" / c.file)) for c in made(tmp_path).clips]
    assert levels == [pytest.approx(-24.0, abs=0.3)] * 2
    assert {round(clip.level_db or 0) for clip in made(tmp_path).clips} != {-24}
