"""Packages import only what lies below them: the table of the house, held by `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src"

ENGINES = frozenset({"tortoise", "sv2tts"})
BELOW_ENGINES = frozenset({"jobs", "speech", "engines"})
BELOW_STUDIO = BELOW_ENGINES | ENGINES | {"training"}
DOORS = frozenset({"api", "webui"})
SCREENS = frozenset({"gradio", "fastapi", "uvicorn"})

OURS = BELOW_STUDIO | {"studio"} | DOORS

MAY_IMPORT = {  # of our own packages, besides itself
    "jobs": frozenset[str](),
    "speech": frozenset[str](),
    "engines": frozenset({"jobs", "speech"}),
    "tortoise": BELOW_ENGINES,
    "sv2tts": BELOW_ENGINES,
    "training": BELOW_ENGINES | ENGINES,
    "studio": BELOW_STUDIO,
    "api": frozenset({"jobs", "engines", "studio"}),
    "webui": frozenset({"jobs", "engines", "studio"}),
}
NEVER = {  # of other people's packages
    "jobs": SCREENS | {"torch", "numpy"},
    "speech": SCREENS,
    "engines": SCREENS,
    "tortoise": SCREENS,
    "sv2tts": SCREENS,
    "training": SCREENS,
    "studio": SCREENS,
    "api": frozenset({"torch", "gradio"}),
    "webui": frozenset({"torch"}),
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every absolute module name that the code imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def offences(package: str, source: str) -> set[str]:
    """What this source may not import when it lies in the package."""
    found = set()
    for name in imported(ast.parse(source)):
        top = name.split(".")[0]
        upwards = top in OURS and top != package and top not in MAY_IMPORT[package]
        if upwards or top in NEVER[package]:
            found.add(name)
    return found


def test_every_package_has_a_place_in_the_table() -> None:
    packages = {path.parent.name for path in SRC.glob("*/__init__.py")}
    assert packages <= OURS and set(MAY_IMPORT) == set(NEVER) == OURS
    assert not list(SRC.glob("*.py")), "modules belong in a package"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    package = path.relative_to(SRC).parts[0]
    assert offences(package, path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("jobs", "import torch"),
        ("jobs", "from speech.clip import Clip"),
        ("engines", "def f():\n    from tortoise.engine import TortoiseEngine"),
        ("tortoise", "import sv2tts.pipeline"),
        ("tortoise", "from studio import layout"),
        ("studio", "import gradio as gr"),
        ("webui", "from training.config import TrainConfig"),
    ],
)
def test_an_import_upwards_is_noticed(package: str, source: str) -> None:
    assert len(offences(package, source)) == 1


def test_every_folder_of_code_is_a_package_and_its_init_only_says_what_it_is() -> None:
    for folder in {path.parent for path in modules()}:
        init = folder / "__init__.py"
        body = ast.parse(init.read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{init}: a docstring only"
