"""The doors open at once: what the page and the command line import loads no network code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src"
HEAVY = ("torch", "torchaudio", "transformers", "gradio", "scipy", "librosa")
SINGLE = (  # light modules inside packages that are not
    *("engines.base", "engines.knobs", "engines.registry"),
    *("tortoise.options", "sv2tts.options"),
    *("training.config", "training.manifest", "training.suggest"),
)


def light_modules() -> list[str]:
    whole = [path for name in ("jobs", "studio", "api") for path in (SRC / name).rglob("*.py")]
    doors = [path for path in whole if "tasks" not in path.relative_to(SRC).parts]
    names = [".".join(path.relative_to(SRC).with_suffix("").parts) for path in doors]
    single = [name for name in SINGLE if (SRC / f"{name.replace('.', '/')}.py").exists()]
    return sorted(name for name in names + single if not name.endswith(("__init__", "__main__")))


def heavy_after(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after running the code."""
    tell = f"; import sys; sys.stdout.write(' '.join(n for n in {HEAVY} if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SRC)!r}); {code}{tell}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", light_modules())
def test_a_light_module_imports_no_network_code(name: str) -> None:
    assert heavy_after(f"import {name}") == []


def test_the_registry_hands_out_options_without_network_code() -> None:
    code = "import engines.registry as r; [r.options_class(n) for n in r.ENGINES]"
    assert heavy_after(code) == []


def test_an_import_of_network_code_is_noticed() -> None:
    assert "torch" in heavy_after("import speech.mel")
