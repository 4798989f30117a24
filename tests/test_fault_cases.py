"""Texts, captions and tables as people paste and drop them, read through the public interfaces.

The cases are JSON lines in the folder that FAULT_CASES_DIR names; the kind of a case is the class
of faults it stands for. `pytest -s` prints one line per kind: the cases that pass, and all.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from cli.main import main
from core.paths import ProjectPaths
from studio.schemas.speech import OutputOptions
from studio.synthesis.batch_csv import BatchRow, read_batch_table
from studio.synthesis.preview import PreviewRequest, preview
from support.golden_cases import ROOT
from text.segmentation import split_sentences
from training.asr.transcripts.discovery import ExistingTranscript, find_existing_transcripts

FOLDER = Path(os.environ.get("FAULT_CASES_DIR", ROOT.parent / "shared" / "faults"))
GROUPS = ("reader", "splitter", "pieces", "breaks", "captions", "tables")
REQUIRED_SHARE = 0.95  # of the cases of each kind
CUE_TOLERANCE_S = 0.15

Case: TypeAlias = dict[str, Any]  # Any: JSON


@lru_cache
def cases_by_kind() -> dict[str, list[tuple[str, Case]]]:
    """The cases of each kind, each with the name of its file."""
    kinds: dict[str, list[tuple[str, Case]]] = {}
    for group in GROUPS:
        path = FOLDER / f"{group}.jsonl"
        lines = path.read_text("utf-8").split("\n") if path.is_file() else []
        for case in (json.loads(line) for line in lines if line):
            kinds.setdefault(case["kind"], []).append((group, case))
    return kinds


def parameters() -> list[Any]:  # Any: pytest's own type
    return [pytest.param(kind) for kind in cases_by_kind()] or [
        pytest.param("", marks=pytest.mark.skip(f"{FOLDER} has no cases; see FAULT_CASES_DIR"))
    ]


@pytest.fixture(scope="module", autouse=True)
def studio_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A studio with the shipped voices and models, so that nothing is written to the checkout."""
    root = tmp_path_factory.mktemp("studio")
    for name in ("voices", "models"):
        (root / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTUDO_ROOT", str(root))
        yield root


@pytest.mark.parametrize("kind", parameters())
def test_the_cases_of_a_kind_are_read(kind: str, studio_root: Path, tmp_path: Path) -> None:
    checks: dict[str, Callable[[Case], object]] = {
        "reader": check_reading,
        "splitter": check_sentences,
        "pieces": partial(check_pieces, studio_root),
        "breaks": partial(check_breaks, studio_root),
        "captions": partial(check_captions, tmp_path),
        "tables": partial(check_table, tmp_path),
    }
    cases = cases_by_kind()[kind]
    failed = []
    for group, case in cases:
        try:
            checks[group](case)
        except (Exception, SystemExit) as error:  # a program that ends has failed, too
            failed.append(f"{case['id']}: {case.get('input', case.get('file'))!r}: {error}")
    passed = len(cases) - len(failed)
    print(f"\n{kind} {passed}/{len(cases)}")  # noqa: T201
    assert passed >= REQUIRED_SHARE * len(cases), "\n".join(failed)


# What is read aloud


def check_reading(case: Case) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main(["tokens", "--json", "--", case["input"]])
    assert status == 0, printed.getvalue()
    check_spoken(case, json.loads(printed.getvalue())["spoken"])


def check_pieces(root: Path, case: Case) -> None:
    check_spoken(case, " ".join(piece.said for piece in preview_pieces(root, case["input"])))


def check_spoken(case: Case, spoken: str) -> None:
    """The words are those of an accepted answer; letters and numbers may be joined or apart.

    A full stop inside a sentence would be heard, and so would the s of a plural on its own.
    """
    words = list_words(spoken)
    assert "\n" in case["input"] or not re.search(r"[a-z]{2}\. +[a-z]", spoken), spoken
    assert not re.search(r"\w{3} s\b", " ".join(words)), spoken
    joint = " " if case.get("exact_words") else ""
    accepted = [joint.join(list_words(answer)) for answer in case["accept"]]
    assert joint.join(words) in accepted, spoken


def list_words(text: str) -> list[str]:
    """The words in lower case, without accents, apostrophes and the word "and"."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign) and sign not in "'’‘")
    plain = re.sub(r"\b(?:[a-z]\.)+", lambda found: found[0].replace(".", ""), plain)
    return [word for word in re.findall(r"[^\W_]+", plain) if word != "and"]


# Where sentences, chunks and pauses are


def check_sentences(case: Case) -> None:
    found = [simplify(sentence) for sentence in split_sentences(case["input"])]
    assert found in [list(map(simplify, answer)) for answer in case["accept"]], found


def check_breaks(root: Path, case: Case) -> None:
    """Each judged pair of words has a pause of an accepted class between them."""
    pieces = preview_pieces(root, case["input"])
    words = [re.findall(r"[^\W_]+", piece.text) for piece in pieces]
    piece_of_word = [place for place, piece in enumerate(words) for _ in piece]
    assert [word for piece in words for word in piece] == re.findall(r"[^\W_]+", case["input"]), (
        "words are lost"
    )
    for judged in case["accept"]:
        first, second = (piece_of_word[place] for place in judged["places"])
        found = (
            classify_inner_pause(pieces[first], judged["words"])
            if first == second
            else classify_silence(max(get_pause_s(piece) for piece in pieces[first:second]))
        )
        assert found in judged["accept"], f"{found} between {judged['words']}"


def preview_pieces(root: Path, text: str) -> Sequence[Any]:
    request = PreviewRequest(text=text, voice="clara", options={"seed": 1})
    shown = preview(request, ProjectPaths.from_root(root))
    assert not shown.problems, shown.problems
    return shown.pieces


def get_pause_s(piece: Any) -> float:
    return float(getattr(piece, "pause_s", OutputOptions().pause_s))


def classify_silence(seconds: float) -> str:
    usual = OutputOptions().pause_s
    if seconds > 1.15 * usual:
        return "paragraph"
    if seconds > 0.6 * usual:
        return "sentence"
    return "comma" if seconds > 0.02 else "none"


def classify_inner_pause(piece: Any, words: Sequence[str]) -> str:
    """The class of the marks between two words of one piece; a list number may be between them."""
    before, after = map(re.escape, words)
    pattern = rf"\b{before}\b(\W*(?:\b\w+\b\W+)?)\b{after}\b"
    for text in (piece.said, piece.text):
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            marks = re.sub(r"\w+[.)]?", "", found[1])
            sentence = "sentence" if re.search(r"[.!?…]", marks) else ""
            return sentence or ("comma" if re.search(r"[,;:–—-]", marks) else "none")
    return "none"


# What lies beside recordings


def check_captions(folder: Path, case: Case) -> None:
    recording = folder / "clip.wav"
    recording.write_bytes(b"sound")
    copy = shutil.copy(FOLDER / case["file"], recording.with_suffix(Path(case["file"]).suffix))
    try:
        found = find_existing_transcripts(folder, [recording])[recording]
    finally:
        Path(copy).unlink()
    assert found.timed_transcript is not None, f"read as text without times: {found.text!r}"
    cues = [(one.start_s, one.stop_s, one.text) for one in found.timed_transcript.segments]
    assert any(is_same_cues(cues, answer) for answer in case["accept"]), cues


def is_same_cues(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    if len(found) != len(wanted):
        return False
    return all(
        simplify(one[2]) == simplify(other[2])
        and max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= CUE_TOLERANCE_S
        for one, other in zip(found, wanted, strict=True)
    )


def check_table(folder: Path, case: Case) -> None:
    rows = read_job_table(case) if "recordings" not in case else read_list(folder, case)
    assert any(is_same_rows(rows, answer) for answer in case["accept"]), rows


def read_list(folder: Path, case: Case) -> list[dict[str, Any]]:
    place = folder / case["id"]
    files = {name: place / name for name in case["recordings"]}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound")
    shutil.copy(FOLDER / case["file"], place / case["named"])
    found: dict[Path, ExistingTranscript] = find_existing_transcripts(place, list(files.values()))
    return [
        {"audio": name, "text": found[file].text} for name, file in files.items() if file in found
    ]


def read_job_table(case: Case) -> list[dict[str, Any]]:
    columns = ("text", "voice", "seed", "preset", "name")
    rows = [row for row in read_batch_table(FOLDER / case["file"]) if isinstance(row, BatchRow)]
    cells = [{column: getattr(row, column) for column in columns} for row in rows]
    return [{name: value for name, value in row.items() if value is not None} for row in cells]


def is_same_rows(found: Sequence[Case], wanted: Sequence[Case]) -> bool:
    """The same rows with the same cells; a row without a name may have got one."""
    if len(found) != len(wanted):
        return False
    return all(
        {name: simplify(str(row[name])) for name in row if name in answer or name != "name"}
        == {name: simplify(str(value)) for name, value in answer.items()}
        for row, answer in zip(found, wanted, strict=True)
    )


def simplify(text: str) -> str:
    """One line with plain quotes."""
    quotes = str.maketrans("“”‘’", "\"\"''")
    return " ".join(unicodedata.normalize("NFC", text).translate(quotes).split())
