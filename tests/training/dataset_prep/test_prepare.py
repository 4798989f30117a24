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

import training.asr.voice_activity
import training.dataset_prep.prepare
from audio.clip import Clip
from audio.io import read_clip
from audio.loudness import measure_loudness
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from support.dataset_helpers import ExactEar, job, listening, record, said, spoken
from training.asr.base import WHISPER_FILE, TranscribeError, Word
from training.asr.forced_alignment import WordAlignment
from training.dataset_prep import review
from training.dataset_prep.manifest import (
    AUDIO_DIR,
    DATASET_FILE,
    TRAIN_FILE,
    VALIDATION_FILE,
    Dataset,
    ManifestError,
    read_clip_list,
    read_dataset,
    write_dataset,
)
from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.prepare import run_preparation


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> ExactEar:
    """Everybody listens with the exact ear, and bursts count as speech."""
    ear = ExactEar()
    monkeypatch.setattr(training.dataset_prep.prepare, "create_transcript_provider", listening(ear))
    monkeypatch.setattr(training.asr.voice_activity, "is_silero_installed", lambda: False)
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
    told = run_preparation(job(tmp_path), ProgressReporter())
    clips = made(tmp_path).clips
    assert [clip.text for clip in clips] == [
        spoken(*range(8)), spoken(*range(8, 17)), spoken(*range(17, 26))
    ]  # fmt: skip
    assert (told.kept, told.dropped, told.failed) == (3, 0, 0)
    lines = read_clip_list(tmp_path / "out" / TRAIN_FILE) + read_clip_list(
        tmp_path / "out" / VALIDATION_FILE
    )
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
    assert left == {AUDIO_DIR, TRAIN_FILE, VALIDATION_FILE, WHISPER_FILE, DATASET_FILE}


def test_a_second_run_has_nothing_to_do_and_changes_nothing(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "one.wav", three_sentences())
    run_preparation(job(tmp_path), ProgressReporter())
    before, listened = made(tmp_path), len(ear.heard)
    run_preparation(job(tmp_path), ProgressReporter())
    assert made(tmp_path) == replace(before, created=made(tmp_path).created)
    assert len(ear.heard) == listened


def test_cutting_in_another_way_hears_nothing_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "one.wav", three_sentences())
    run_preparation(job(tmp_path), ProgressReporter())
    listened = len(ear.heard)
    run_preparation(
        job(tmp_path, options=PrepareOptions(longest_s=4.0, join_below_s=0.0)), ProgressReporter()
    )
    clips = made(tmp_path).clips
    assert len(ear.heard) == listened and len(clips) == 3
    sounds = {path.stem for path in (tmp_path / "out" / AUDIO_DIR).iterdir()}
    assert sounds == {clip.id for clip in clips}


def test_a_stopped_run_goes_on_at_the_next_recording(tmp_path: Path, ear: ExactEar) -> None:
    for number in range(4):
        record(tmp_path, f"{number}.wav", said(range(number, number + 8)))
    ear.stops_after = 2
    with pytest.raises(KeyboardInterrupt):
        run_preparation(job(tmp_path), ProgressReporter())
    states = [row.state for row in made(tmp_path).sources]
    assert states == ["done", "done", "waiting", "waiting"]
    ear.stops_after, ear.heard = None, []
    run_preparation(job(tmp_path), ProgressReporter())
    assert len(ear.heard) == 2 and len(made(tmp_path).clips) == 4


def test_a_stop_is_heeded_and_what_was_done_is_kept(tmp_path: Path, ear: ExactEar) -> None:
    for number in range(3):
        record(tmp_path, f"{number}.wav", said(range(number, number + 8)))
    seen: list[ProgressEvent] = []
    wanted = ProgressReporter(seen.append, lambda: sum(e.stage == "seconds" for e in seen) > 4)
    with pytest.raises(Cancelled):
        run_preparation(job(tmp_path), wanted)
    assert made(tmp_path).sources[0].state == "done"
    assert not list((tmp_path / "out").glob(".working*"))


def test_the_whole_is_counted_in_seconds_to_its_end(tmp_path: Path, ear: ExactEar) -> None:
    for number in range(2):
        record(tmp_path, f"{number}.wav", three_sentences())
    seen: list[ProgressEvent] = []
    run_preparation(job(tmp_path), ProgressReporter(seen.append))
    told = [(event.done, event.total) for event in seen if event.stage == "seconds"]
    assert told == sorted(told) and told[-1][0] >= (told[-1][1] or 0) - 3


def test_what_a_person_edited_survives_even_where_the_recording_changed(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(tmp_path, "one.wav", three_sentences())
    run_preparation(job(tmp_path), ProgressReporter())
    _, second, third = made(tmp_path).clips
    edit(tmp_path, second.id, "Really said.")
    write_dataset(tmp_path / "out", review.drop_clips(made(tmp_path), [third.id]))
    record(tmp_path, "one.wav", said(range(8), range(8, 17), range(17, 26), range(26, 36)))
    run_preparation(job(tmp_path), ProgressReporter())
    clips = {clip.text: clip for clip in made(tmp_path).clips}
    assert clips["Really said."].id == second.id and clips["Really said."].kept
    assert clips[third.text].reason == "by_hand" and not clips[third.text].kept
    assert spoken(*range(26, 36)) in clips and spoken(*range(8, 17)) not in clips
    assert len(clips) == 4


def test_an_edit_made_while_the_dataset_is_prepared_is_kept(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "1.wav", said(range(8)))
    run_preparation(job(tmp_path), ProgressReporter())
    record(tmp_path, "2.wav", said(range(8, 16)))
    (id,) = (clip.id for clip in made(tmp_path).clips)

    def tell(event: ProgressEvent) -> None:
        if event.stage == "seconds" and event.done == 0 and len(ear.heard) == 1:
            edit(tmp_path, id, "Said meanwhile.")

    run_preparation(job(tmp_path), ProgressReporter(tell))
    assert {clip.text for clip in made(tmp_path).clips} == {
        "Said meanwhile.", spoken(*range(8, 16))
    }  # fmt: skip


def test_a_recording_that_vanished_keeps_its_clips_and_is_told(
    tmp_path: Path, ear: ExactEar
) -> None:
    gone = record(tmp_path, "1.wav", said(range(8)))
    record(tmp_path, "2.wav", said(range(8, 16)))
    run_preparation(job(tmp_path), ProgressReporter())
    gone.unlink()
    run_preparation(job(tmp_path), ProgressReporter())
    rows = {row.path: row.message for row in made(tmp_path).sources}
    assert "no longer exists" in rows["1.wav"] and not rows["2.wav"]
    assert len(made(tmp_path).kept()) == 2
    record(tmp_path, "1.wav", said(range(8)))
    run_preparation(job(tmp_path), ProgressReporter())
    assert not any(row.message for row in made(tmp_path).sources)


def test_a_recording_that_was_damaged_since_keeps_its_clips_and_is_tried_again(
    tmp_path: Path, ear: ExactEar
) -> None:
    source = record(tmp_path, "1.wav", said(range(8)))
    run_preparation(job(tmp_path), ProgressReporter())
    whole = source.read_bytes()
    source.write_bytes(b"junk" * 999)
    assert run_preparation(job(tmp_path), ProgressReporter()).failed == 1
    (row,), (clip,) = made(tmp_path).sources, made(tmp_path).kept()
    assert row.state == "failed" and "Its clips are kept" in row.message
    assert (tmp_path / "out" / clip.file).is_file()
    source.write_bytes(whole)
    assert run_preparation(job(tmp_path), ProgressReporter()).failed == 0


def test_unusable_recordings_are_told_and_passed_over(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "good.wav", said(range(8)))
    record(tmp_path, "silent.wav", Clip(wave=torch.zeros(48_000), sample_rate=24_000))
    (tmp_path / "in" / "junk.wav").write_bytes(b"RIFF nothing of the kind" * 50)
    (tmp_path / "in" / "empty.flac").touch()
    warned: list[str] = []
    told = run_preparation(job(tmp_path), ProgressReporter(lambda e: warned.append(e.message)))
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
    run_preparation(job(tmp_path), ProgressReporter())
    (clip,) = made(tmp_path).clips
    assert (clip.id, clip.text, clip.confidence) == ("a", "Twelve words are given", 1.0)
    assert clip.start_s == pytest.approx(0.32, abs=0.05) and not ear.heard


def test_a_changed_text_is_taken_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(12)))
    for text in ("First text given", "Another text given"):
        (tmp_path / "in" / "a.txt").write_text(text, encoding="utf-8")
        run_preparation(job(tmp_path), ProgressReporter())
    assert [clip.text for clip in made(tmp_path).clips] == ["Another text given"]


def test_given_text_that_is_too_long_for_a_clip_is_dropped_with_a_reason(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(tmp_path, "a.wav", said(range(20), range(20)))
    (tmp_path / "in" / "a.txt").write_text("Nobody knows when which word is said")
    run_preparation(replace_language(tmp_path, "de"), ProgressReporter())
    (clip,) = made(tmp_path).clips
    assert (clip.kept, clip.reason) == (False, "too_long")


def replace_language(root: Path, language: str) -> training.dataset_prep.prepare.PrepareJob:
    wanted = job(root)
    return replace(wanted, wish=replace(wanted.wish, language=language))


def test_text_of_another_script_is_dropped(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(12)))
    (tmp_path / "in" / "a.txt").write_text("Это по-русски", encoding="utf-8")
    run_preparation(job(tmp_path), ProgressReporter())
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
    found = None if followed is None else WordAlignment(words=words, unaligned_speech_s=followed)
    monkeypatch.setattr(
        "training.dataset_prep.clip_builder.find_aligner", lambda *_: lambda wave, text: found
    )
    monkeypatch.setattr(
        "training.dataset_prep.clip_builder.compute_pocketsphinx_wer",
        lambda wave, text, report: wrong,
    )
    record(tmp_path, "a.wav", said(range(9)))
    (tmp_path / "in" / "a.txt").write_text("Given text")
    run_preparation(job(tmp_path, options=PrepareOptions()), ProgressReporter())
    (clip,) = made(tmp_path).clips
    assert (clip.reason, clip.kept, clip.confidence) == (reason, not reason, float(not reason))
    assert len(clip.words) == (2 if found and not reason else 0)


def test_copies_of_a_clip_are_dropped_in_whatever_format(tmp_path: Path, ear: ExactEar) -> None:
    clip = said(range(9))
    for name in ("a.wav", "b.flac", "c.mp3"):
        record(tmp_path, name, clip)
    record(tmp_path, "d.wav", said(range(9, 18)))
    run_preparation(job(tmp_path), ProgressReporter())
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
    run_preparation(job(tmp_path), ProgressReporter())
    reasons = {clip.source: (clip.kept, clip.reason) for clip in made(tmp_path).clips}
    assert reasons["loud.wav"] == (False, "clipped")
    assert reasons["hissing.wav"] == (False, "noisy")


def half_a_minute() -> Clip:
    return said(*[range(at, at + 9) for at in range(7)])


def test_a_long_recording_is_heard_in_stretches(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.dataset_prep.transcription.CHUNK_S", 12.0)
    record(tmp_path, "long.wav", half_a_minute())
    run_preparation(job(tmp_path), ProgressReporter())
    assert len(ear.heard) == 4 and max(ear.heard) <= 12.5
    assert [clip.text for clip in made(tmp_path).kept()] == [
        spoken(*range(at, at + 9)) for at in range(7)
    ]


def test_hearing_goes_on_within_a_recording(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.dataset_prep.transcription.CHUNK_S", 12.0)
    monkeypatch.setattr("training.dataset_prep.transcription.SAVE_INTERVAL_S", 0.0)
    record(tmp_path, "long.wav", half_a_minute())
    ear.stops_after = 3
    with pytest.raises(KeyboardInterrupt):
        run_preparation(job(tmp_path), ProgressReporter())
    ear.stops_after, ear.heard = None, []
    run_preparation(job(tmp_path), ProgressReporter())
    assert len(ear.heard) == 1 and len(made(tmp_path).kept()) == 7


def test_a_constant_level_in_a_recording_is_taken_out(tmp_path: Path, ear: ExactEar) -> None:
    clip = said(range(9))
    record(tmp_path, "a.wav", replace(clip, wave=clip.wave + 0.2))
    run_preparation(job(tmp_path), ProgressReporter())
    (row,) = made(tmp_path).kept()
    assert abs(float(read_clip(tmp_path / "out" / row.file).wave.mean())) < 0.002


def test_odd_names_stay_apart(tmp_path: Path, ear: ExactEar) -> None:
    names = ["a b|c.wav", "a b+c.wav", "Ünï'cödé.wav", "sub/a b c.wav", "-x.wav", "日本.wav"]
    for at, name in enumerate(names):
        record(tmp_path, name, said(range(at * 3, at * 3 + 8)))
    told = run_preparation(job(tmp_path), ProgressReporter())
    assert told.kept == len(names)
    assert {row.path for row in made(tmp_path).sources} == set(names)
    assert len(read_clip_list(tmp_path / "out" / TRAIN_FILE)) == len(names) - 1


def test_the_parts_stay_until_another_draw_is_wanted(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "1.wav", said(*[range(at * 8, at * 8 + 8) for at in range(10)]))
    run_preparation(job(tmp_path), ProgressReporter())
    before = {clip.id: clip.part for clip in made(tmp_path).clips}
    write_dataset(tmp_path / "out", review.drop_clips(made(tmp_path), [made(tmp_path).clips[0].id]))
    run_preparation(job(tmp_path), ProgressReporter())
    after = {clip.id: clip.part for clip in made(tmp_path).clips}
    assert {id: part for id, part in before.items() if after[id]} == dict(list(after.items())[1:])
    wanted = PrepareOptions(seed=5, validation_share=0.4, check_text=False)
    run_preparation(job(tmp_path, options=wanted), ProgressReporter())
    assert len(made(tmp_path).kept("validation")) == 4


@pytest.mark.parametrize("clips", [1, 2, 3])
def test_few_clips_are_parted_with_care(tmp_path: Path, ear: ExactEar, clips: int) -> None:
    record(tmp_path, "few.wav", said(*[range(at * 8, at * 8 + 8) for at in range(clips)]))
    told = run_preparation(job(tmp_path), ProgressReporter())
    parts = [clip.part for clip in made(tmp_path).clips]
    assert parts.count("train") == (2 if clips == 3 else clips)
    assert ("Overfitting cannot be detected" in told.split) == (clips < 3)


def test_a_folder_without_recordings_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    with pytest.raises(ManifestError, match="no recordings in"):
        run_preparation(job(tmp_path), ProgressReporter())
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(ManifestError, match="There is no folder"):
        run_preparation(job(tmp_path), ProgressReporter())
    assert not (tmp_path / "out").exists()


def test_binary_junk_in_a_list_of_texts_is_refused_before_anything_is_done(
    tmp_path: Path, ear: ExactEar
) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "in" / "metadata.csv").write_bytes(bytes(range(256)))
    with pytest.raises(TranscribeError, match=r"metadata\.csv"):
        run_preparation(job(tmp_path), ProgressReporter())
    assert not (tmp_path / "out").exists()


def test_two_cannot_prepare_one_dataset(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".preparing.lock"),
        pytest.raises(ManifestError, match="being prepared already"),
    ):
        run_preparation(job(tmp_path), ProgressReporter())


def test_what_another_program_made_is_left_alone(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / TRAIN_FILE).write_text("audio/x.wav|theirs\n")
    with pytest.raises(ManifestError, match="it is not a dataset"):
        run_preparation(job(tmp_path), ProgressReporter())
    assert (tmp_path / "out" / TRAIN_FILE).read_text() == "audio/x.wav|theirs\n"


def test_a_run_that_was_refused_does_not_stand_in_the_way_of_the_next(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    (tmp_path / "out" / AUDIO_DIR).mkdir(parents=True)  # as a run leaves it that is killed early
    (tmp_path / "out" / TRAIN_FILE).touch()
    assert run_preparation(job(tmp_path), ProgressReporter()).kept == 1
    shutil.rmtree(tmp_path / "out")

    def refuse(*asked: object) -> None:
        raise TranscribeError("nobody listens")

    monkeypatch.setattr(training.dataset_prep.prepare, "create_transcript_provider", refuse)
    with pytest.raises(TranscribeError, match="nobody listens"):
        run_preparation(job(tmp_path), ProgressReporter())
    assert not (tmp_path / "out").exists()


def test_another_language_is_heard_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    run_preparation(job(tmp_path), ProgressReporter())
    ear.language = "de"
    run_preparation(replace_language(tmp_path, "de"), ProgressReporter())
    assert len(ear.heard) == 2 and len(made(tmp_path).kept()) == 1


def test_damaged_books_are_put_aside_and_made_anew(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    run_preparation(job(tmp_path), ProgressReporter())
    (tmp_path / "out" / DATASET_FILE).write_text('{"format": 1, "clips": [{"id": 7}]}')
    warned: list[str] = []
    run_preparation(job(tmp_path), ProgressReporter(lambda e: warned.append(e.message)))
    assert any("renamed to" in message for message in warned)
    assert len(made(tmp_path).clips) == 1
    assert list((tmp_path / "out").glob("dataset.json.damaged-*"))


def test_a_disk_without_room_is_refused_before_anything_is_done(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "a.wav", said(range(8)))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(ManifestError, match=r"are needed for .* minutes of recordings"):
        run_preparation(job(tmp_path), ProgressReporter())


def test_a_disk_that_fills_up_leaves_what_was_there(
    tmp_path: Path, ear: ExactEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "1.wav", said(range(8)))
    run_preparation(job(tmp_path), ProgressReporter())
    before = (tmp_path / "out" / DATASET_FILE).read_bytes()
    record(tmp_path, "2.wav", said(range(8, 16)))

    def full(path: Path, clip: Clip) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(training.dataset_prep.prepare, "write_clip", full)
    with pytest.raises(OSError, match="No space left"):
        run_preparation(job(tmp_path), ProgressReporter())
    now = json.loads((tmp_path / "out" / DATASET_FILE).read_bytes())
    assert now["clips"] == json.loads(before)["clips"]
    assert (tmp_path / "out" / made(tmp_path).clips[0].file).is_file()


def test_every_clip_becomes_equally_loud(tmp_path: Path, ear: ExactEar) -> None:
    record(tmp_path, "quiet.wav", said(range(8), level=0.02))
    record(tmp_path, "loud.wav", said(range(8, 16), level=0.5))
    run_preparation(
        job(tmp_path, options=PrepareOptions(loudness=-24.0, check_text=False)), ProgressReporter()
    )
    levels = [measure_loudness(read_clip(tmp_path / "out" / c.file)) for c in made(tmp_path).clips]
    assert levels == [pytest.approx(-24.0, abs=0.3)] * 2
    assert {round(clip.level_db or 0) for clip in made(tmp_path).clips} != {-24}
