"""The table of features: 84 rows, and every test that it names exists."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "features.md"


def read_rows() -> list[list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in cells if row[0].isdigit()]


def test_every_feature_has_a_row_with_its_state() -> None:
    rows = read_rows()
    assert [int(row[0]) for row in rows] == list(range(1, 85))
    assert {row[1] for row in rows} <= {"Y", "p", "-"}


def test_what_is_here_names_a_test_that_exists() -> None:
    for number, state, _, named in read_rows():
        assert bool(named) == (state != "-"), number
        if named:
            path, _, test = named.strip("`").partition("::")
            code = (ROOT / path).read_text(encoding="utf-8")
            assert f"def {test}(" in code, named
