"""Lists of transcripts as people keep them: columns in any order, speakers, separators."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import Workbook

from training.asr.base import TranscribeError
from training.asr.transcripts.discovery import find_existing_transcripts, search_transcripts

TEXTS = ("We leave at noon.", "Bring a coat, and a hat.", "The road is wet.")
NAMES = ("a_1", "a_2", "a_3")


def rows(*columns: tuple[str, ...] | str, mark: str = "|", header: str = "") -> str:
    """Lines of a list; a column that is one text is the same in every row."""
    wide = [column if isinstance(column, tuple) else (column,) * 3 for column in columns]
    lines = [mark.join(cells) for cells in zip(*wide, strict=True)]
    return "\n".join([header, *lines] if header else lines) + "\n"


WAVS = tuple(f"wavs/{name}.wav" for name in NAMES)
QUOTED = tuple(f'"{text}"' for text in TEXTS)
PLAIN = tuple(text.replace(",", "") for text in TEXTS)
UPPER = tuple(text.upper() for text in TEXTS)
SPEAKERS = ("ida", "otto", "ida")

CASES: dict[str, str] = {
    "LJSpeech": rows(NAMES, TEXTS, TEXTS),
    "two columns": rows(WAVS, TEXTS),
    "the text first": rows(TEXTS, WAVS),
    "the text first, with names": rows(TEXTS, WAVS, header="text|file"),
    "one speaker, with names": rows(WAVS, TEXTS, "ida", header="audio_file|text|speaker_name"),
    "two speakers, with names": rows(WAVS, TEXTS, SPEAKERS, header="audio_file|text|speaker_name"),
    "two speakers, no names": rows(WAVS, TEXTS, SPEAKERS),
    "the speaker in the middle": rows(WAVS, SPEAKERS, TEXTS),
    "a number for the speaker": rows(WAVS, ("0", "1", "0"), TEXTS),
    "the speaker in front": rows(SPEAKERS, WAVS, TEXTS, header="Speaker|Path|Sentence"),
    "the speaker in front, no names": rows(SPEAKERS, WAVS, TEXTS),
    "full names of speakers": rows(WAVS, TEXTS, ("Ida Moor", "Otto Venn", "Ida Moor")),
    "four columns": rows(WAVS, TEXTS, UPPER, SPEAKERS),
    "speaker and language": rows(WAVS, SPEAKERS, "EN", TEXTS),
    "four columns, with names": rows(
        WAVS, TEXTS, TEXTS, "ida", header="audio|text|normalized_text|speaker"),
    "four columns, in another order": rows(
        "ida", TEXTS, WAVS, "en", header="voice|transcript|clip|language"),
    "names that are capitals and words": rows(
        WAVS, TEXTS, "x", header="Audio File|Raw Transcription|Speaker ID"),
    "names in camel case": rows(WAVS, TEXTS, header="fileName|rawText"),
    "Common Voice": rows(
        "9f", WAVS, "77", TEXTS, "", "2", "0", mark="\t",
        header="client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes"),
    "DeepSpeech": rows(
        WAVS, "81244", QUOTED, mark=",", header="wav_filename,wav_filesize,transcript"),
    "durations": rows(WAVS, ("1.25", "2.5", "1.75"), TEXTS),
    "ids and paths": rows(("1", "2", "3"), WAVS, TEXTS, header="id|audio|text"),
    "an unknown name for the text": rows(
        WAVS, TEXTS, SPEAKERS, header="file|what she says|speaker"),
    "German names, from a spreadsheet": rows(WAVS, TEXTS, mark=";", header="Datei;Text"),
    "semicolons, no names": rows(WAVS, TEXTS, mark=";"),
    "tabs, no names": rows(WAVS, TEXTS, mark="\t"),
    "commas, no names": rows(WAVS, QUOTED, mark=","),
    "commas, quotes everywhere": rows(
        tuple(f'"{wav}"' for wav in WAVS), QUOTED, mark=",", header='"file_name","text"'),
    "spaces behind commas": rows(WAVS, QUOTED, mark=", ", header="file, text"),
    "a line that names the separator": "sep=;\n" + rows(WAVS, TEXTS, mark=";", header="file;text"),
    "quotes as in CSV around bars": rows(
        tuple(f'"{wav}"' for wav in WAVS), QUOTED, '"x|y"', header="file|text|speaker"),
    "a separator at the end of lines": rows(WAVS, QUOTED, "", mark=",", header="file,text,"),
    "a separator at the end of rows": rows(WAVS, QUOTED, "", mark=",", header="file,text"),
    "a column without a name": rows(
        ("0", "1", "2"), WAVS, QUOTED, mark=",", header=",audio,text"),
    "blank lines": rows(WAVS, TEXTS).replace("\n", "\n\n"),
    "old Mac line ends": rows(WAVS, TEXTS).replace("\n", "\r"),
    "paths of another machine": rows(tuple(f"C:\\data\\{name}.wav" for name in NAMES), TEXTS),
    "other suffixes": rows(tuple(f"{name}.MP3" for name in NAMES), TEXTS),
    "the list of a batch": rows(
        tuple(f"{name}.wav" for name in NAMES), QUOTED, "ida", mark=",", header="wav,text,voice"),
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / wav for wav in WAVS]
    (tmp_path / "wavs").mkdir()
    for file in found:
        file.write_bytes(b"sound")
    return found


@pytest.mark.parametrize("case", CASES)
def test_each_recording_gets_its_text(case: str, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(CASES[case], encoding="utf-8")
    found = find_existing_transcripts(tmp_path, files)
    texts = [found[file].text.lower().strip('"') for file in files]
    assert texts == [text.lower() for text in TEXTS]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("mark", ["|", ";", "\t"])
def test_lists_are_read_in_other_encodings(
    encoding: str, mark: str, files: list[Path], tmp_path: Path
) -> None:
    texts = tuple(f"Zoë’s café: {text}" for text in TEXTS)
    (tmp_path / "train.txt").write_bytes(rows(WAVS, texts, mark=mark).encode(encoding))
    found = find_existing_transcripts(tmp_path, files)
    assert [found[file].text for file in files] == [text.replace("’", "'") for text in texts]


def test_a_workbook_is_read(files: list[Path], tmp_path: Path) -> None:
    book = Workbook()
    book.active.append([])
    sheet = book.create_sheet("clips")
    sheet.append([None, "Speaker", "Text", "File"])
    for text, wav in zip(TEXTS, WAVS, strict=True):
        sheet.append([None, "ida", text, wav])
    book.save(tmp_path / "metadata.xlsx")
    found = find_existing_transcripts(tmp_path, files)
    assert [found[file].text for file in files] == list(TEXTS)


def test_quoted_line_breaks_belong_to_a_text(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(
        'file,text\na_1.wav,"We leave\nat noon."\na_2.wav,Bring a coat.\n', encoding="utf-8"
    )
    found = find_existing_transcripts(tmp_path, files)
    assert [found[file].text for file in files[:2]] == ["We leave at noon.", "Bring a coat."]
    assert found[files[1]].source == "metadata.csv, line 4"


NORMALIZED = ("We leave at 12.", "Bring 2 coats.", "The road is wet.")
SPELLED = ("We leave at twelve.", "Bring two coats.", "The road is wet.")


@pytest.mark.parametrize(
    "text",
    [
        rows(NAMES, NORMALIZED, SPELLED),
        rows(NAMES, NORMALIZED, SPELLED, SPEAKERS),
        rows(NAMES, SPELLED, NORMALIZED, header="id|normalized text|text"),
        rows(SPELLED, SPEAKERS, NAMES, NORMALIZED, header="text_norm|speaker|id|text"),
    ],
)
def test_a_normalized_text_is_preferred(text: str, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    found = find_existing_transcripts(tmp_path, files)
    assert [found[file].text for file in files] == list(SPELLED)


UNCLEAR: dict[str, tuple[str, str]] = {
    "two texts": (
        rows(WAVS, TEXTS, ("Oui, oui.", "Un manteau.", "Il pleut.")),
        "text could be column 2 or 3"),
    "two words": (rows(WAVS, ("yes", "no", "stop"), ("ida", "otto", "tilda")), "column 2 or 3"),
    "two names of texts": (
        rows(WAVS, TEXTS, QUOTED[::-1], header="file|sentence|text"),
        "'sentence' or 'text'|'text' or"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_not_clear_is_asked_and_columns_answer_it(
    case: str, files: list[Path], tmp_path: Path
) -> None:
    text, question = UNCLEAR[case]
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    with pytest.raises(TranscribeError, match=rf"metadata\.csv, line 1: .*{question}"):
        find_existing_transcripts(tmp_path, files)
    (preview,) = search_transcripts(tmp_path, files).lists
    assert preview.question and len(preview.rows) == 3
    found = find_existing_transcripts(tmp_path, files, {"audio": "1", "text": "2"})
    wanted = ("yes", "no", "stop") if case == "two words" else TEXTS
    assert [found[file].text for file in files] == list(wanted)


def test_a_preview_says_which_columns_are_used(files: list[Path], tmp_path: Path) -> None:
    text = rows(WAVS, TEXTS, SPEAKERS, header="file|text|speaker")
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    (preview,) = search_transcripts(tmp_path, files).lists
    assert preview.columns == (
        *("column 1 (file): audio", "column 2 (text): text", "column 3 (speaker): speaker"),
    )
    assert preview.rows[0] == (WAVS[0], TEXTS[0], "ida")


def test_several_speakers_are_told(files: list[Path], tmp_path: Path) -> None:
    text = rows(WAVS, TEXTS, SPEAKERS, header="file|text|speaker")
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    (note,) = search_transcripts(tmp_path, files).notes
    assert "metadata.csv names 2 speakers: ida, otto" in note


def test_columns_can_be_named(files: list[Path], tmp_path: Path) -> None:
    text = rows(WAVS, QUOTED, TEXTS[::-1], header="file|said|meant")
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    found = find_existing_transcripts(tmp_path, files, {"audio": "file", "text": "Meant"})
    assert [found[file].text for file in files] == list(TEXTS[::-1])
    with pytest.raises(TranscribeError, match=r"no column 'spoken'.*file, said, meant"):
        find_existing_transcripts(tmp_path, files, {"audio": "file", "text": "spoken"})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a_1|Hello | there.\na_2|Bye.\na_3|So.\n", r"line 1: 3 columns; the list has 2.*quotes"),
        ("a_1.wav;Hello.\na_2.wav\na_3.wav;Bye.\n", r"line 2: it has no ';'"),
        ('file,text\na_1,"Hello.\na_2,Bye.\n', r"not a table: unexpected end of data in line 3"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(
    text: str, complaint: str, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    with pytest.raises(TranscribeError, match=complaint):
        find_existing_transcripts(tmp_path, files)


def test_a_list_of_other_recordings_is_passed_over(files: list[Path], tmp_path: Path) -> None:
    text = "name,price,unit\napple,1.20,kg\npear,2,kg\n"
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    assert find_existing_transcripts(tmp_path, files) == {}


def test_names_are_the_same_in_composed_and_decomposed_letters(tmp_path: Path) -> None:
    file = tmp_path / "Zoe\u0308.wav"
    file.write_bytes(b"sound")
    (tmp_path / "metadata.csv").write_text("Zo\u00eb|Hello.\n", encoding="utf-8")
    assert find_existing_transcripts(tmp_path, [file])[file].text == "Hello."
    (tmp_path / "Zo\u00eb.txt").write_text("Good evening.", encoding="utf-8")
    assert find_existing_transcripts(tmp_path, [file])[file].text == "Good evening."
