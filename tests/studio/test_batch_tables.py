"""Tables of lines to speak as spreadsheets, programs and people write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from core.errors import AppError
from studio.synthesis.batch_csv import BatchRow, InvalidBatchRow, read_batch_file, read_batch_table

Run = Callable[..., tuple[int, str, str]]

FIRST, SECOND = "We leave at noon.", "Bring a coat, and a hat."
EXPECTED = [(FIRST, "ida", "one"), (SECOND, "otto", "two")]
COMMAS = f'text,voice,name\n{FIRST},ida,one\n"{SECOND}",otto,two\n'
SEMICOLONS = f"text;voice;name\n{FIRST};ida;one\n{SECOND};otto;two\n"
TABS = SEMICOLONS.replace(";", "\t")

CASES: dict[str, str | bytes] = {
    "commas": COMMAS,
    "semicolons": SEMICOLONS,
    "tabs": TABS,
    "bars": SEMICOLONS.replace(";", "|"),
    "sep= and semicolons": "sep=;\n" + SEMICOLONS,
    "sep= in capitals and quotes": '"SEP=;"\r\n' + SEMICOLONS.replace("\n", "\r\n"),
    "sep= and a separator of its own": "sep=^\n" + SEMICOLONS.replace(";", "^"),
    "sep= and tabs in UTF-16": ("sep=\t\n" + TABS).encode("utf-16"),
    "sep= behind a mark": ("\ufeffsep=,\n" + COMMAS).encode(),
    "a comma behind every line": COMMAS.replace("\n", ",\n"),
    "many commas behind every line": COMMAS.replace("\n", ",,,,\n"),
    "a comma behind the header": COMMAS.replace("name\n", "name,\n"),
    "a semicolon behind every row": SEMICOLONS.replace("e\n", "e;\n").replace("o\n", "o;\n"),
    "UTF-16 and commas": COMMAS.encode("utf-16"),
    "UTF-16 without a mark": TABS.encode("utf-16-le"),
    "UTF-8 with a mark": COMMAS.encode("utf-8-sig"),
    "Windows line ends": COMMAS.replace("\n", "\r\n"),
    "old Mac line ends": COMMAS.replace("\n", "\r"),
    "no last line end": COMMAS.rstrip("\n"),
    "quotes everywhere": f'"text","voice","name"\n"{FIRST}","ida","one"\n"{SECOND}","otto","two"',
    "spaces around cells": f' Text , VOICE ,name\n{FIRST} , ida, one\n "{SECOND}", otto , two\n',
    "blank rows": COMMAS.replace("\n", "\n,,\n\n"),
    "another order": f'name,voice,text\none,ida,{FIRST}\ntwo,otto,"{SECOND}"\n',
    "speaker and file": f'file,speaker,line\none.wav,ida,{FIRST}\ntwo.wav,otto,"{SECOND}"\n',
    "audio paths": (
        "Audio File;Character;Sentence\n"
        f"out/one.mp3;ida;{FIRST}\nout\\two.mp3;otto;{SECOND}"),
    "a column that is not used": (
        f'text,voice,name,comment\n{FIRST},ida,one,ok\n"{SECOND}",otto,two,'),
    "a column of numbers without a name": (
        f',text,voice,name\n0,{FIRST},ida,one\n1,"{SECOND}",otto,two'),
    "a space behind a quote": (
        f'text,voice,name\n"{FIRST}" ,ida,one\n"{SECOND}" , otto,two\n'),
    "invisible letters in the header": COMMAS.replace("voice", "\u200bvoice\ufeff"),
}  # fmt: skip


def spoken(rows: list[BatchRow | InvalidBatchRow]) -> list[tuple[str, str | None, str]]:
    return [(row.text, row.voice, row.name) for row in rows if isinstance(row, BatchRow)]


def write(folder: Path, content: str | bytes, name: str = "lines.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", CASES)
def test_a_table_is_read_as_it_was_meant(case: str, tmp_path: Path) -> None:
    assert spoken(read_batch_table(write(tmp_path, CASES[case]))) == EXPECTED


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_windows_letters_are_read(mark: str, tmp_path: Path) -> None:
    text = f"text{mark}voice\nZoë’s café – 5 €.{mark}ida\n".encode("cp1252")
    assert spoken(read_batch_table(write(tmp_path, text))) == [("Zoë’s café – 5 €.", "ida", "001")]


def test_line_breaks_and_quotes_in_a_text_are_kept(tmp_path: Path) -> None:
    table = write(tmp_path, f'text,voice\n"{FIRST}\n""{SECOND}""",ida\n')
    assert spoken(read_batch_table(table)) == [(f'{FIRST}\n"{SECOND}"', "ida", "001")]


def test_quotes_in_a_text_without_csv_quotes_are_letters(tmp_path: Path) -> None:
    table = write(tmp_path, f'text;voice\n"Wait," she said.;ida\n{FIRST};otto\n')
    assert [row[0] for row in spoken(read_batch_table(table))] == ['"Wait," she said.', FIRST]
    table = write(tmp_path, f'text\tvoice\n"Wait," she said.\tida\n{FIRST}\totto\n')
    assert [row[0] for row in spoken(read_batch_table(table))] == ['"Wait," she said.', FIRST]


def test_one_column_may_contain_commas(tmp_path: Path) -> None:
    table = write(tmp_path, f'text\n{SECOND}\n"{SECOND}"\n')
    assert [row[0] for row in spoken(read_batch_table(table))] == [SECOND, SECOND]


@pytest.mark.parametrize("name", ["lines.xlsx", "lines.csv"])
def test_a_workbook_is_read_whatever_its_suffix(name: str, tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["Text", None, "Voice", "Seed", "Name"])
    book.active.append([FIRST, None, "ida", 7, 1])
    book.active.append([])
    book.active.append([f" {SECOND}", None, None, 8.0, "two"])
    book.save(tmp_path / "book.xlsx")
    (tmp_path / "book.xlsx").rename(tmp_path / name)
    assert read_batch_table(tmp_path / name) == [
        BatchRow(number=1, text=FIRST, name="1", voice="ida", seed=7),
        BatchRow(number=2, text=SECOND, name="two", seed=8),
    ]


def test_seeds_of_pandas_are_read(tmp_path: Path) -> None:
    table = write(tmp_path, "text,seed\nHello.,7.0\nBye.,\n")
    assert [row.seed for row in read_batch_table(table) if isinstance(row, BatchRow)] == [7, None]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("text,voise\nHi.,ida\n", "Did you mean 'voice'"),
        ("clip,who\nHi.,ida\n", r"no column text.* and is: clip \| who.*Set columns"),
        ("script,sentence\nHi.,Ho.\n", "several columns of text: 'script' or 'sentence'"),
        (b"\xd0\xcf\x11\xe0old", "old Excel"),
        (b"PK\x03\x04broken", "not a workbook that can be read"),
        (b"RIFF\x00\x00WAVE", "not a text file"),
    ],
)
def test_what_is_not_clear_is_asked(text: str | bytes, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(AppError, match=complaint):
        read_batch_table(write(tmp_path, text))


def test_columns_answer_the_question(tmp_path: Path) -> None:
    table = write(tmp_path, f"{FIRST};ida\n{SECOND};otto\n")
    assert spoken(read_batch_table(table, "text=1,voice=2")) == [
        (FIRST, "ida", "001"),
        (SECOND, "otto", "002"),
    ]
    named = write(tmp_path, f"what;who\n{FIRST};ida\n")
    assert spoken(read_batch_table(named, "text=What, voice=2")) == [(FIRST, "ida", "001")]
    with pytest.raises(AppError, match=r"'words' is not what a column.*text, voice, seed"):
        read_batch_table(named, "words=1")


def test_a_preview_and_unused_columns_are_told(tmp_path: Path) -> None:
    table = read_batch_file(write(tmp_path, CASES["a column that is not used"]))
    assert table.preview.columns[3] == "column 4 (comment): not used"
    assert table.notes[-1:] == (
        "lines.csv: not used: 'comment'. Columns are: text, voice, seed, preset, name.",
    )


def test_the_command_shows_the_table_and_takes_columns(testudo: Run, tmp_path: Path) -> None:
    table = write(tmp_path, "Good day.;alice\n")
    arguments = ("speak", "--lines", str(table), "--out-dir", str(tmp_path / "out"))
    code, _, err = testudo(*arguments)
    assert code == 2 and "column 1: not used" in err and "Good day. | alice" in err
    code, _, err = testudo(*arguments, "--columns", "text=1,voice=2")
    assert code == 0 and "lines.csv: column 1: text, column 2: voice" in err
