"""testudo speak --lines: a table spoken with one engine, whatever its rows are like."""

from __future__ import annotations

import csv
import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.synthesis import batch
from studio.synthesis.batch_csv import BatchItem, BatchRow, InvalidBatchRow, read_batch_table
from studio.synthesis.request_builder import SpeechRequestInput
from support.fake_engine import FakeEngine

Run = Callable[..., tuple[int, str, str]]
ROWS, EARLY_ROWS, LATE_ROWS = 450, (50, 250), (250, 450)  # long spans: what is kept once is small
MAX_BYTES_PER_ROW = 1_000


def table_at(folder: Path, text: str, name: str = "lines.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def items_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "items.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def speak(testudo: Run, table: Path, out: Path, *flags: str) -> tuple[int, dict[str, object], str]:
    code, told, err = testudo(
        *("speak", "--lines", str(table), "--out-dir", str(out), "--json", *flags)
    )
    return code, json.loads(told) if told else {}, err


THREE = "text,voice,seed,preset,name\nGood day.,alice,1,standard,day\n" + (
    '"One, two.",bob,,,\nGood night.,,7,,night\n'
)


def test_every_row_becomes_a_clip_and_an_item(testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told, err = speak(testudo, table_at(tmp_path, THREE), out, "--voice", "alice")
    assert (code, err) == (0, "")
    assert items_in(out) == [
        {"wav": "day.wav", "text": "Good day.", "voice": "alice"},
        {"wav": "002.wav", "text": "One, two.", "voice": "bob"},
        {"wav": "night.wav", "text": "Good night.", "voice": "alice"},
    ]
    assert all(read_clip(out / item["wav"]).duration_s > 0.3 for item in items_in(out))
    assert told["spoken"] == 3 and told["kept"] == 0 and told["failed"] == []
    assert len(FakeEngine.loads) == 1
    day = json.loads(testudo("read", str(out / "day.wav"), "--json")[1])
    assert (day["seed"], day["options"]["samples"]) == (1, 256)


def test_a_bad_row_is_named_and_the_rest_is_spoken(testudo: Run, tmp_path: Path) -> None:
    rows = ["Good day.,alice,,ok", ",alice,,a", "Hm.,nobody,,b", "Hi.,alice,soon,c"]
    rows += ["Hi.,alice,,../d", "Hi.,alice,,OK", "?!,alice,,e", "Hi, you,alice,,f", "Bye.,bob,,bye"]
    table = table_at(tmp_path, "text,voice,seed,name\n" + "\n".join(rows))
    out = tmp_path / "out"
    code, told, err = speak(testudo, table, out)
    assert code == 2 and told["spoken"] == 2
    assert [item["wav"] for item in items_in(out)] == ["ok.wav", "bye.wav"]
    failed = told["failed"]
    assert isinstance(failed, list)
    assert [row["number"] for row in failed] == [2, 3, 4, 5, 6, 7, 8]
    reasons = [row["reason"] for row in failed]
    parts = ["is empty", "no voice 'nobody'", "seed is 'soon'", "is not a valid clip name"]
    parts += ["already named", "no letter or digit", "quotes"]
    assert all(part in reason for part, reason in zip(parts, reasons, strict=True))
    assert err.count("warning: Row") == 7 and "Row 3 was left out" in err


def test_an_interrupted_table_goes_on_where_it_stopped(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, out = table_at(tmp_path, THREE), tmp_path / "out"
    speak_once = FakeEngine.synthesize

    def interrupted(self: FakeEngine, text: str, *rest: object) -> object:
        if text == "Good night.":
            raise KeyboardInterrupt
        return speak_once(self, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeEngine, "synthesize", interrupted)
    assert speak(testudo, table, out, "--voice", "alice")[0] == 130
    assert [item["wav"] for item in items_in(out)] == ["day.wav", "002.wav"]
    monkeypatch.setattr(FakeEngine, "synthesize", speak_once)
    FakeEngine.heard.clear()
    before = (out / "002.wav").read_bytes()
    code, told, _ = speak(testudo, table, out, "--voice", "alice")
    assert code == 0 and told["kept"] == 2 and told["spoken"] == 1
    assert FakeEngine.heard == ["Good night."]
    assert (out / "002.wav").read_bytes() == before
    assert len(items_in(out)) == 3


CHANGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "another text": (THREE.replace("Good day.", "Good bye."), ()),
    "another voice": (THREE.replace("Good day.,alice", "Good day.,bob"), ()),
    "another seed": (THREE.replace("alice,1", "alice,2"), ()),
    "another preset": (THREE.replace("standard", "fast"), ()),
    "another steering": (THREE.replace("Good day.", "[Hush] good day."), ()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_changed_is_spoken_again(change: str, testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    speak(testudo, table_at(tmp_path, THREE), out, "--voice", "alice")
    text, flags = CHANGES[change]
    _, told, _ = speak(testudo, table_at(tmp_path, text), out, "--voice", "alice", *flags)
    assert told["kept"] == 2 and told["spoken"] == 1


def test_other_weights_speak_all_rows_again(
    testudo: Run, tmp_path: Path, layout: ProjectPaths
) -> None:
    out = tmp_path / "out"
    speak(testudo, table_at(tmp_path, THREE), out, "--voice", "alice")
    (layout.models / "starter" / "weights").write_bytes(b"other numbers")
    assert speak(testudo, table_at(tmp_path, THREE), out, "--voice", "alice")[1]["kept"] == 0


def test_a_clip_of_somebody_else_is_not_taken_for_a_row(testudo: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "day.wav").write_bytes(b"RIFF")
    assert speak(testudo, table_at(tmp_path, THREE), out, "--voice", "alice")[1]["spoken"] == 3


def test_steering_words_are_not_part_of_the_item(testudo: Run, tmp_path: Path) -> None:
    table = table_at(tmp_path, 'text,voice\n"[I am sad,] please go on.",alice\n')
    speak(testudo, table, tmp_path / "out")
    assert items_in(tmp_path / "out")[0]["text"] == "please go on."


def test_an_item_names_the_voice_that_really_spoke(testudo: Run, tmp_path: Path) -> None:
    row = '"{""voice"": ""bob""} Hello.",alice'
    speak(testudo, table_at(tmp_path, f"text,voice\n{row}\n"), tmp_path / "out")
    assert items_in(tmp_path / "out") == [{"wav": "001.wav", "text": "Hello.", "voice": "bob"}]


def test_missing_weights_stop_the_table_at_once(testudo: Run, tmp_path: Path) -> None:
    code, _, err = speak(testudo, table_at(tmp_path, THREE), tmp_path / "out", "--bundle", "none")
    assert code == 2 and err.count("\n") == 1 and "no model 'none'" in err


BAD_TABLES = {
    "empty": ("", "is empty"),
    "only a header": ("text,voice\n", "no rows"),
    "no text column": ("voice,name\nalice,a\n", "no column text"),
    "an unknown column": ("text,voise\nhi,alice\n", "Did you mean 'voice'"),
    "a column twice": ("text,text\nhi,ho\n", "twice"),
    "an open quote": ('text\n"hi\n', "not a table"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_what_is_no_table_is_refused(case: str, tmp_path: Path) -> None:
    text, reason = BAD_TABLES[case]
    with pytest.raises(AppError, match=reason):
        read_batch_table(table_at(tmp_path, text))


def test_a_table_in_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\nЖизнь\n".encode("cp1251"))
    with pytest.raises(AppError, match="not UTF-8"):
        read_batch_table(path)


def test_tables_of_spreadsheets_are_read(tmp_path: Path) -> None:
    marked = table_at(tmp_path, "\ufeffText,Voice\r\n\r\nHi,alice\r\n")
    tabs = table_at(tmp_path, "text\tvoice\nHi, you\tbob\n", "lines.tsv")
    assert read_batch_table(marked) == [BatchRow(number=1, text="Hi", name="001", voice="alice")]
    assert read_batch_table(tabs) == [BatchRow(number=1, text="Hi, you", name="001", voice="bob")]


def test_names_are_numbered_so_that_they_sort(tmp_path: Path) -> None:
    rows = read_batch_table(table_at(tmp_path, "text\n" + "hi\n" * 1200))
    names = [row.name for row in rows if not isinstance(row, InvalidBatchRow)]
    assert names == sorted(names) and names[0] == "0001"


def test_a_longer_table_costs_the_same_for_every_row(
    testudo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = batch.write_items_csv

    def count(folder: Path, items: Iterable[BatchItem]) -> Path:
        items = list(items)
        written.append(len(items))
        return write(folder, items)

    monkeypatch.setattr(batch, "write_items_csv", count)
    rows = "".join(f"Line {number}.,alice\n" for number in "abcdef")
    code, told, _ = speak(testudo, table_at(tmp_path, "text,voice\n" + rows), tmp_path / "out")
    assert (code, told["spoken"]) == (0, 6)
    assert written == [0, 6], "the list of clips is written as a whole at both ends only"


class SilentSynthesizer:
    """Speaks nothing, so that only the table takes memory."""

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        return SpeechResult(path="", voice="", text="", heard="", seed=0, seconds=0.0, stages={},
                            candidates=())  # fmt: skip

    def weights_id(self, request: SpeechRequest, report: ProgressReporter) -> str:
        return ""


def test_a_row_of_a_long_table_takes_as_much_memory_as_any_other(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    table = table_at(tmp_path, "text,voice\n" + "Good day to you.,alice\n" * ROWS)
    sizes: dict[int, int] = {}

    def listen(event: ProgressEvent) -> None:
        if event.stage == "table" and event.done in (*EARLY_ROWS, *LATE_ROWS):
            gc.collect()
            sizes[event.done] = tracemalloc.get_traced_memory()[0]

    job = batch.BatchJob(
        folder=tmp_path / "out",
        request_input=SpeechRequestInput(),
        layout=layout,
        settings=Settings(),
        synthesizer=SilentSynthesizer(),
        report=ProgressReporter(listen),
    )
    rows = read_batch_table(table)
    batch.synthesize_batch(rows[:20], job)
    tracemalloc.start()
    try:
        batch.synthesize_batch(rows, job)
    finally:
        tracemalloc.stop()
    early, late = (
        (sizes[end] - sizes[start]) / (end - start) for start, end in (EARLY_ROWS, LATE_ROWS)
    )
    assert max(early, late) < MAX_BYTES_PER_ROW and abs(late - early) < MAX_BYTES_PER_ROW / 4


def test_a_clip_in_a_chosen_precision_is_kept_where_any_may_be_chosen(tmp_path: Path) -> None:
    fast, int8, exact = ({"precision": name} for name in ("fast", "int8", "exact"))
    for asked, had, same in ((fast, int8, True), (int8, fast, False), (exact, {}, True),
                             (exact, int8, False), ({}, exact, True)):  # fmt: skip
        request = SpeechRequest(text="One.", voice="alice", options=asked)
        compare = batch._get_comparable_options
        left, right = compare(asked, request, True), compare(had, request, True)
        assert (left == right) is same, (asked, had)
