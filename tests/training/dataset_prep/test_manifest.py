"""The files of a dataset: read as they were written, refused where they were not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training.asr.base import Word
from training.dataset_prep.manifest import (
    DATASET_FILE,
    TRAIN_FILE,
    VALIDATION_FILE,
    ClipRow,
    Dataset,
    ManifestError,
    SourceRow,
    read_clip_list,
    read_dataset,
    write_dataset,
)

CLIP = ClipRow(
    id="a-0001", source="sub/ä.wav", start_s=1.25, stop_s=4, text="Grüße, world", part="train",
    confidence=0.5, words=(Word(text="Grüße,", start_s=0, stop_s=1.5),), level_db=-20.5,
)  # fmt: skip
WHOLE = Dataset(
    name="x", voice="alice", transcriber="ear", created=1.5, seed=3,
    sources=(SourceRow(path="sub/ä.wav", seconds=9.5, size=7, modified_ns=2**60, state="done"),),
    clips=(
        CLIP,
        replace(CLIP, id="b", part="validation", edited=True),
        replace(CLIP, id="c", kept=False, reason="noisy", part="", words=()),
    ),
)  # fmt: skip


def test_a_dataset_is_read_as_it_was_written_and_lists_what_is_kept(tmp_path: Path) -> None:
    write_dataset(tmp_path, WHOLE)
    assert read_dataset(tmp_path) == WHOLE
    assert read_clip_list(tmp_path / TRAIN_FILE) == [("audio/a-0001.wav", "Grüße, world")]
    assert read_clip_list(tmp_path / VALIDATION_FILE) == [("audio/b.wav", "Grüße, world")]
    assert {path.name for path in tmp_path.iterdir()} == {TRAIN_FILE, VALIDATION_FILE, DATASET_FILE}


def damaged(**changes: object) -> object:
    plain = {"format": 1, "name": "x", "clips": [{"id": "a", "source": "s", "start_s": 0,
                                                  "stop_s": 1, "text": "t"}]}  # fmt: skip
    plain["clips"][0] |= changes  # type: ignore[index]
    return plain


@pytest.mark.parametrize(
    "plain",
    [
        damaged(id="../../etc"), damaged(id=""), damaged(id=7), damaged(text="two\nlines"),
        damaged(text="a|b"), damaged(reason="whim"), damaged(part="test"), damaged(stop_s=-1),
        damaged(start_s="soon"), damaged(words=[["w", 1]]), damaged(words=[["w", "x", 2]]),
        damaged(surprise=1), {"format": 1, "name": "x", "clips": [3]},
        {"format": 1, "name": "x", "clips": 3}, {"format": 2}, [], {"format": 1},
        {"format": 1, "name": "x", "sources": [{"state": "done"}]},
    ],
)  # fmt: skip
def test_a_damaged_dataset_is_refused(tmp_path: Path, plain: object) -> None:
    (tmp_path / DATASET_FILE).write_text(json.dumps(plain))
    with pytest.raises(ManifestError, match="Prepare"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("raw", [b"\0\1\2", b"\xff\xfe", b"{", b"[" * 100_000, b""])
def test_junk_in_place_of_a_dataset_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / DATASET_FILE).write_bytes(raw)
    with pytest.raises(ManifestError):
        read_dataset(tmp_path)
    (tmp_path / DATASET_FILE).unlink()
    with pytest.raises(ManifestError, match="There is no"):
        read_dataset(tmp_path)


def test_two_clips_of_one_name_are_refused() -> None:
    with pytest.raises(ManifestError, match="Two clips of x are named B"):
        replace(WHOLE, clips=(replace(CLIP, id="b"), replace(CLIP, id="B")))


def test_lists_of_two_and_three_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa.wav|One.\n\nb|Dr. 2|Doctor two\nc|Three|\n".encode())
    assert read_clip_list(path) == [("a.wav", "One."), ("b", "Doctor two"), ("c", "Three")]


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"a.wav|ok\njust text\n", "Line 2 of"), (b"a|b|c|d", "Line 1"), (b"|text", "Line 1"),
        (b"a|caf\xe9", "not UTF-8 text"), (b"a|b\0", "not a text file"),
    ],
)  # fmt: skip
def test_malformed_lists_are_refused_with_their_line(
    tmp_path: Path, raw: bytes, match: str
) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(raw)
    with pytest.raises(ManifestError, match=match):
        read_clip_list(path)
