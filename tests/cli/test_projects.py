"""testudo projects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_projects_are_listed_renamed_exported_and_imported(testudo: Run, tmp_path: Path) -> None:
    assert "No projects yet." in testudo("projects", "list")[1]
    code, _, errors = testudo("speak", "One.\nTwo.", "--voice", "alice", "--delimiter", "\\n")
    assert code == 0, errors
    assert testudo("projects", "rename", "One. Two.", "Book")[0] == 0
    assert "Book" in testudo("projects", "list")[1]
    out = tmp_path / "book.zip"
    assert testudo("projects", "export", "book", "--out", str(out))[0] == 0 and out.is_file()
    code, printed, _ = testudo("projects", "import", str(out), "--json")
    assert code == 0 and json.loads(printed)["ref"].startswith("alice/")
    code, printed, _ = testudo("projects", "list", "--json")
    assert [one["name"] for one in json.loads(printed)] == ["Book", "Book"]
    code, _, errors = testudo("projects", "export", "Book")
    assert code == 2 and "2 projects are named" in errors
