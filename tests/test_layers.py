"""Packages import only what lies below them: the contracts of pyproject.toml, and small folders."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC, RECIPES = ROOT / "src", ROOT / "recipes"
MAX_MODULES = 17  # in one folder
RUN = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def packages() -> list[Path]:
    return sorted({path.parent for top in (SRC, RECIPES) for path in top.rglob("*.py")})


def lint(config: Path, *places: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages in these folders."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    return subprocess.run(
        [sys.executable, "-c", RUN, "--config", str(config), "--no-cache"],
        cwd=config.parent,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_the_import_contracts_are_kept() -> None:
    done = lint(ROOT / "pyproject.toml", SRC, ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_an_import_of_a_higher_layer_breaks_a_contract(tmp_path: Path) -> None:
    for name, source in (("low", "import high\n"), ("high", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
    config = tmp_path / "pyproject.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["low", "high"]\n'
        '[[tool.importlinter.contracts]]\nname = "layers"\ntype = "layers"\n'
        'layers = ["high", "low"]\n'
    )
    done = lint(config, tmp_path)
    assert done.returncode == 1 and "low is not allowed to import high" in done.stdout


def test_a_folder_holds_few_modules() -> None:
    full = {str(folder): len(list(folder.glob("[!_]*.py"))) for folder in packages()}
    assert {name: count for name, count in full.items() if count > MAX_MODULES} == {}


@pytest.mark.parametrize("folder", packages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_folder_of_code_is_a_package_that_says_what_lives_in_it(folder: Path) -> None:
    body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{folder}: a docstring only"
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert "May import" in text, f"{folder}/__init__.py says what the package may import"


def test_modules_belong_in_a_package() -> None:
    assert not list(SRC.glob("*.py"))
