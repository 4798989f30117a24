"""Messages that every interface shows name no flags or commands of the command line.

Such advice goes into `cli_hint` of an error, which only the command line prints.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
SHARED = sorted(path.name for path in (ROOT / "src").iterdir() if path.name != "cli")
PROGRAMS = {  # what they say is read in a terminal only
    "src/training/finetuning/export.py",
    "src/training/finetuning/trainer.py",
    "src/api/auth.py",  # the start of the server
    "src/api/server.py",
    "src/core/network_address.py",
    "src/studio/diagnostics/checks.py",  # each finding has a command as its fix
}
ADVICE = re.compile(rf"\btestudo ({'|'.join(COMMANDS)})\b|[\s(`]--[a-z]")
ALLOWED = re.compile(
    r"Settings of Testudo: `testudo settings`|pip install|voicefixer==|ct2-transformers"
)


def is_cli_hint(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg == "cli_hint"
    if isinstance(node, ast.FunctionDef):
        return node.name.endswith("_hint")
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("IMPORT_HINT")


def list_messages(file: Path) -> Iterator[ast.Constant]:
    """Yield the string literals of a module but docstrings and the values of `cli_hint`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden.add(id(node.value))
        if is_cli_hint(node):
            hidden |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in hidden
        ):
            yield node


def test_no_message_that_page_and_api_show_names_a_flag_or_a_command() -> None:
    found = [
        f"{name}:{text.lineno}: {text.value}"
        for package in SHARED
        for file in sorted((ROOT / "src" / package).rglob("*.py"))
        if (name := file.relative_to(ROOT).as_posix()) not in PROGRAMS
        for text in list_messages(file)
        if ADVICE.search(str(text.value)) and not ALLOWED.search(str(text.value))
    ]
    assert not found, "\n".join(found)


def test_no_advice_of_the_error_catalogue_names_a_flag_or_a_command() -> None:
    catalog = yaml.safe_load((ROOT / "src/core/error_catalog.yaml").read_text(encoding="utf-8"))
    found = [
        f"{code}: {entry[part]}"
        for code, entry in catalog.items()
        for part in ("title", "why", "what_to_do")
        if ADVICE.search(entry[part])
    ]
    assert not found, "\n".join(found)
