"""Datasets of the studio: asked for, listed, looked through, changed, deleted and had back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

import training.asr.voice_activity
import training.dataset_prep.prepare
from audio.io import write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from jobs.detached import LOCK_FILE
from studio.app.studio import Studio
from studio.datasets.service import (
    ClipRow,
    Datasets,
    PrepareOptions,
    PrepareRequest,
    list_transcribers,
    plan_preparation,
    preview_lists,
)
from support.counting import count_calls
from support.dataset_helpers import ExactEar, listening, said
from support.inline_worker import InlineStudio
from training.dataset_prep.manifest import Dataset, SourceRow, read_dataset, write_dataset
from training.dataset_prep.review_audio import write_samples

Testudo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> ExactEar:
    ear = ExactEar()
    monkeypatch.setattr(training.dataset_prep.prepare, "create_transcript_provider", listening(ear))
    monkeypatch.setattr(training.asr.voice_activity, "is_silero_installed", lambda: False)
    return ear


@pytest.fixture
def talk(layout: ProjectPaths) -> Datasets:
    """A dataset of 60 clips, some dropped, some marked."""
    folder = layout.dataset("talk")
    (folder / "audio").mkdir(parents=True)
    rows = []
    for at in range(60):
        kept, reason = at % 10 != 9, {7: "noisy", 8: "doubtful_text", 9: "silent"}.get(at % 10, "")
        rows.append(
            ClipRow(
                id=f"c{at:02d}", source=f"s{at // 30}.wav", start_s=at * 4.0, stop_s=at * 4.0 + 3,
                text=f"the words of clip {at}", kept=kept, reason=reason, confidence=0.5,
                part="train" if kept else "",
            )
        )  # fmt: skip
        write_samples(folder / rows[-1].file, np.zeros(3 * 22_050, np.int16))
    sources = (SourceRow(path="s0.wav", state="done"), SourceRow(path="s1.wav", state="done"))
    write_dataset(
        folder, Dataset(name="talk", voice="alice", transcriber="ear", sources=sources,
                        clips=tuple(rows)),
    )  # fmt: skip
    return Datasets(layout)


def test_a_voice_becomes_a_dataset_as_a_job(layout: ProjectPaths, ear: ExactEar) -> None:
    layout.voice("carol").mkdir()
    write_clip(layout.voice("carol") / "1.wav", said(range(8), range(8, 16)))
    studio = InlineStudio(layout, Studio.open(layout.root).settings)
    request = PrepareRequest(voice="carol", options=PrepareOptions(check_text=False))
    job = studio.wait(studio.submit(request).id, 30)
    studio.close()
    assert job.state == "done", job.failure
    assert job.result is not None and job.result["kept"] == 2
    (info,) = Datasets(layout).list()
    assert (info.name, info.voice, info.kept, info.state) == ("carol", "carol", 2, "ready")


def test_a_folder_becomes_a_dataset_on_the_command_line(
    layout: ProjectPaths, ear: ExactEar, testudo: Testudo, tmp_path: Path
) -> None:
    folder = tmp_path / "My talks"
    folder.mkdir()
    write_clip(folder / "1.wav", said(range(8), range(8, 16), range(16, 24)))
    code, out, _ = testudo("prepare", str(folder), "--no-check-text", "--longest-s", "8")
    assert code == 0 and "3 clips kept" in out and "1 clip for validation" in out
    assert read_dataset(layout.dataset("My talks")).folder == str(folder)
    code, out, _ = testudo("datasets")
    assert code == 0 and out.startswith("My talks  0.2 minutes in 3 of 3 clips")
    code, out, _ = testudo("datasets", "show", "My talks", "--worst", "1")
    assert code == 0 and out.count(" s  kept") == 1
    testudo("datasets", "drop", "My talks", "1-0001")
    testudo("datasets", "edit", "My talks", "1-0002", "Really said.")
    texts = {c.id: (c.text, c.kept) for c in read_dataset(layout.dataset("My talks")).clips}
    assert texts["1-0002"] == ("Really said.", True) and not texts["1-0001"][1]
    assert testudo("datasets", "restore", "My talks", "1-0001")[0] == 0
    code, _, err = testudo("datasets", "split", "My talks", "1-0001", "--after", "99")
    assert code == 2 and "cut after word 1 to 7" in err
    code, out, _ = testudo("datasets", "delete", "My talks")
    assert testudo("datasets", "bring-back", out.split()[-1]) == (0, "My talks restored.\n", "")


@pytest.mark.parametrize(
    ("wish", "match"),
    [
        ({"voice": "nobody"}, "There is no voice 'nobody'"),
        ({"folder": "/no/such/place"}, "There is no folder"),
        ({"voice": "alice", "name": "../up"}, "is not a valid dataset name"),
        ({"voice": "alice", "transcriber": "given"}, "has a transcript"),
        ({"voice": "alice", "transcriber": "whisper", "model": "large"}, "large"),
        ({"voice": "alice", "language": "de"}, "supports English only"),
        ({"voice": "alice", "name": "talk2"}, "already a dataset 'talk2'"),
    ],
)
def test_what_would_fail_is_refused_before_time_is_lost(
    layout: ProjectPaths, wish: dict[str, str], match: str
) -> None:
    other = layout.dataset("talk2")
    other.mkdir(parents=True)
    row = ClipRow(id="a", source="s", start_s=0, stop_s=2, text="x")
    write_dataset(other, Dataset(name="talk2", voice="bob", clips=(row,)))
    with pytest.raises(AppError, match=match):
        plan_preparation(layout, PrepareRequest(**wish))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "match"),
    [
        ({}, "Give either a voice or a folder"),
        ({"voice": "a", "folder": "b"}, "Give either"),
        ({"voice": "a", "transcriber": "parrot"}, "no transcriber 'parrot'"),
        ({"voice": "a", "language": "Elvish!"}, "is not a supported language"),
    ],
)
def test_a_request_that_makes_no_sense_cannot_be_made(wish: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PrepareRequest(**wish)  # type: ignore[arg-type]


def test_a_request_has_a_plan(layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.asr.availability.find_bundled_model", lambda: None)
    (layout.voice("alice") / "one.txt").write_text("One.")
    ready = plan_preparation(layout, PrepareRequest(voice="alice", language="English"))
    assert (ready.name, ready.files, ready.given) == ("alice", 2, 1)
    assert ready.transcriber == "pocketsphinx" and "1 of 2 recordings" in ready.remarks[-1]
    assert {choice.name for choice in list_transcribers(layout)} >= {"whisper", "pocketsphinx"}


def test_an_empty_voice_folder_or_unreadable_place_is_reported(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(AppError, match="There are no recordings in"):
        plan_preparation(layout, PrepareRequest(folder=str(empty)))
    with pytest.raises(AppError, match="is the folder of the studio"):
        plan_preparation(layout, PrepareRequest(folder=str(layout.root)))


def test_the_worst_come_first_page_by_page(talk: Datasets) -> None:
    first, last = talk.find("talk"), talk.find("talk", page=99)
    assert (first.total, first.pages, last.page) == (60, 3, 3)
    assert {row.reason for row in first.rows[:6]} == {"doubtful_text"}
    assert {row.reason for row in last.rows[-6:]} == {"silent"}
    seen = [row.id for page in (1, 2, 3) for row in talk.find("talk", page=page).rows]
    assert len(set(seen)) == 60


@pytest.mark.parametrize(
    ("show", "words", "count"),
    [("kept", "", 54), ("dropped", "", 6), ("doubtful", "", 12), ("noisy", "", 6),
     ("edited", "", 0), ("all", "CLIP C07", 1), ("all", "s1.wav words", 30), ("all", "nowhere", 0)],
)  # fmt: skip
def test_clips_are_found_by_state_and_words(
    talk: Datasets, show: str, words: str, count: int
) -> None:
    found = talk.find("talk", show=show, words=words)
    assert found.total == count
    with pytest.raises(AppError, match="is not a filter"):
        talk.find("talk", show="pretty")


def test_changes_are_on_disk_at_once_and_seen_by_others(
    talk: Datasets, layout: ProjectPaths
) -> None:
    other = Datasets(layout)
    assert other.find("talk", show="edited").total == 0
    (row,) = talk.edit_text("talk", "c08", "What is really said.")
    assert (row.text, row.kept, row.reason) == ("What is really said.", True, "")
    talk.drop("talk", ["c01", "c02"])
    talk.restore("talk", ["c02"])
    assert other.find("talk", show="edited").total == 3
    assert other.report("talk").kept.clips == 53
    train = (layout.dataset("talk") / "train.txt").read_text()
    assert "audio/c08.wav|What is really said." in train and "c01.wav" not in train
    assert talk.accept_above("talk", 0.5) == 5 and talk.accept_above("talk", 0.5) == 0


def test_clips_are_joined_and_cut(talk: Datasets, layout: ProjectPaths) -> None:
    (joined,) = talk.merge("talk", "c03")
    assert joined.seconds == pytest.approx(7.0, abs=0.01)
    assert (layout.dataset("talk") / joined.file).is_file()
    parts = talk.split("talk", joined.id, after_words=5)
    assert [part.text for part in parts] == ["the words of clip 3", "the words of clip 4"]
    with pytest.raises(AppError, match="no clip after c29"):
        talk.merge("talk", "c29")
    with pytest.raises(AppError, match="has no clip 'zz'"):
        talk.edit_text("talk", "zz", "Nothing.")


def test_many_threads_change_one_dataset_and_nothing_is_lost(
    talk: Datasets, layout: ProjectPaths
) -> None:
    def change(at: int) -> None:
        Datasets(layout).edit_text("talk", f"c{at:02d}", f"mended {at}")

    threads = [threading.Thread(target=change, args=(at,)) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert talk.find("talk", show="edited").total == 12


def test_a_dataset_that_is_gone_damaged_or_unfinished_is_reported(
    talk: Datasets, layout: ProjectPaths
) -> None:
    with pytest.raises(AppError, match=r"There is no dataset 'none'\. There are: talk"):
        talk.find("none")
    with pytest.raises(AppError, match="is not a valid dataset name"):
        talk.find("../talk")
    known = read_dataset(layout.dataset("talk"))
    waiting = replace(known, sources=(*known.sources, SourceRow(path="s2.wav")))
    write_dataset(layout.dataset("talk"), waiting)
    assert talk.list()[0].state == "unfinished"
    with FileLock(layout.dataset("talk") / ".preparing.lock"):
        assert talk.list()[0].state == "preparing"
        with pytest.raises(AppError, match="being prepared already"):
            plan_preparation(layout, PrepareRequest(voice="alice", name="talk"))
        with pytest.raises(AppError, match="Stop that first"):
            talk.delete("talk")
    (layout.dataset("talk") / "dataset.json").write_text("{")
    assert talk.list()[0].state == "damaged"


def test_what_is_changed_while_a_training_runs_is_reported_to_count_later(
    talk: Datasets, layout: ProjectPaths, testudo: Testudo
) -> None:
    (layout.dataset("talk") / "runs" / "001").mkdir(parents=True)
    assert "takes effect at the next" not in testudo("datasets", "drop", "talk", "c01")[2]
    with FileLock(layout.dataset("talk") / "runs" / "001" / LOCK_FILE):
        assert "takes effect at the next run" in testudo("datasets", "drop", "talk", "c02")[2]
        with pytest.raises(AppError, match="A training runs on 'talk'"):
            talk.delete("talk")


def test_a_deleted_dataset_can_be_had_back_beside_its_successor(
    talk: Datasets, layout: ProjectPaths
) -> None:
    talk.delete("talk")
    assert talk.list() == () and not talk.names()
    layout.dataset("talk").mkdir()
    (deleted,) = talk.list_deleted()
    assert talk.restore_deleted(deleted.id) == "talk 2"
    assert talk.names() == ["talk 2"] and talk.list_deleted() == []
    with pytest.raises(AppError, match=r"no dataset .* in the trash"):
        talk.restore_deleted(deleted.id)


def test_a_search_of_ten_thousand_clips_makes_few_calls_for_each(layout: ProjectPaths) -> None:
    folder = layout.dataset("large")
    folder.mkdir(parents=True)
    row = ClipRow(id="a", source="s", start_s=0, stop_s=5, text="some words " * 8 + "end")
    rows = tuple(replace(row, id=f"c{at}") for at in range(10_000))
    write_dataset(folder, Dataset(name="large", clips=rows))
    datasets = Datasets(layout)
    datasets.find("large")
    for page in (1, 10):
        found, calls = count_calls(partial(datasets.find, "large", words="some END", page=page))
        assert found.total == 10_000
        assert calls < 10 * 10_000


def test_the_command_line_prints_id_name_and_time_of_a_deletion(
    talk: Datasets, testudo: Testudo
) -> None:
    code, out, _ = testudo("datasets", "delete", "talk", "--json")
    assert code == 0 and list(json.loads(out)) == ["id", "name", "when"]


UNCLEAR = "one.wav|Hello there.|Good day.\ntwo.wav|Bye then.|So long.\n"


def test_a_list_that_is_not_clear_is_shown_and_asked_about(
    layout: ProjectPaths, testudo: Testudo
) -> None:
    (layout.voice("alice") / "metadata.csv").write_text(UNCLEAR)
    request = PrepareRequest(voice="alice", transcriber="given")
    with pytest.raises(AppError, match=r"metadata\.csv, line 1: 3 columns.*Set columns, such as"):
        plan_preparation(layout, request)
    (shown,) = preview_lists(layout, request)
    assert shown.question and shown.rows[0] == ("one.wav", "Hello there.", "Good day.")
    code, _, err = testudo("prepare", "alice", "--transcriber", "given")
    assert code == 2 and "column 1: audio, column 2: not used, column 3: not used" in err
    assert "one.wav | Hello there. | Good day." in err
    answered = plan_preparation(layout, replace(request, columns="text=3"))
    assert answered.given == 2 and answered.lists[0].columns[2] == "column 3: text"
    code, _, err = testudo("prepare", "alice", "--columns", "words=3")
    assert code == 2 and "'words' is not what a column can be used for" in err
    with pytest.raises(ValueError, match="does not name a column"):
        PrepareRequest(voice="alice", columns="3")


def test_speakers_and_broken_cues_are_told(layout: ProjectPaths) -> None:
    folder = layout.voice("alice")
    (folder / "metadata.csv").write_text("file|text|speaker\none|Hi.|ida\ntwo|Bye.|otto\n")
    (folder / "one.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nHi.\n\n2\n00:00:xx --> 00:00:03,000\nLost.\n"
    )
    plan = plan_preparation(layout, PrepareRequest(voice="alice", transcriber="given"))
    assert plan.given == 2
    assert any("2 speakers: ida, otto" in note for note in plan.left_out)
    assert any(note.startswith("one.srt, line 6: left out") for note in plan.left_out)
    unused = PrepareRequest(voice="alice", transcriber="pocketsphinx")
    assert plan_preparation(layout, unused).lists == ()
