"""The doors open at once: what the page and the command line import loads no network code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src"
HEAVY = ("torch", "torchaudio", "transformers", "gradio", "scipy", "librosa")
SPARED_BY_SPEAK = (*HEAVY, "numpy", "soundfile", "fastapi", "uvicorn", "starlette", "httpx", "rich",
                   "ray", "huggingface_hub", "matplotlib")  # fmt: skip
SPARED_BY_HELP = ("pydantic", "yaml", "sqlite3", "asyncio", "filelock", "studio", "jobs", "engines")
TRAINING = ("studio.training_runs.service", "studio.encoders.service", "studio.sv2tts.service")
DOORS = ("cli.main", "studio.app.studio", "api.app", "webui.app")
SINGLE = (  # light modules inside packages that are not
    *("engines.protocols", "core.options", "engines.registry"),
    *("tortoise.generation.options", "sv2tts.options"),
    *(
        "training.finetuning.config.schema",
        "training.dataset_prep.manifest",
        "training.finetuning.config.suggest",
    ),
    *("speakers.dataset", "speakers.training.config", "speakers.training.launch"),
    *("runs.events", "runs.event_log_reader"),
    *("training.asr.availability", "training.asr.selection", "training.asr.transcripts.discovery"),
)


def light_modules() -> list[str]:
    whole = [
        path
        for name in ("core", "jobs", "studio", "cli", "api")
        for path in (SRC / name).rglob("*.py")
    ]
    doors = [path for path in whole if "workers" not in path.relative_to(SRC).parts]
    names = [".".join(path.relative_to(SRC).with_suffix("").parts) for path in doors]
    single = [name for name in SINGLE if (SRC / f"{name.replace('.', '/')}.py").exists()]
    return sorted(name for name in names + single if not name.endswith(("__init__", "__main__")))


def heavy_after(*modules: str) -> list[str]:
    """Import the modules in turn in a fresh interpreter; name each that brought in a heavy one."""
    code = f"""
import importlib, sys
sys.path.insert(0, {str(SRC)!r})
for name in {modules!r}:
    before = set(sys.modules)
    importlib.import_module(name)
    for heavy in sorted({set(HEAVY)!r} & (set(sys.modules) - before)):
        sys.stdout.write(f"{{name}} imports {{heavy}}\\n")
"""
    return output_of(code)


def output_of(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("door", [name for name in DOORS if name in light_modules()])
def test_a_door_opens_without_network_code(door: str) -> None:
    assert heavy_after(door) == []


def test_the_page_needs_gradio_but_no_network_code() -> None:
    assert heavy_after("webui.app") == ["webui.app imports gradio"]


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        ([], (*SPARED_BY_SPEAK, *SPARED_BY_HELP)),
        (["--help"], (*SPARED_BY_SPEAK, *SPARED_BY_HELP)),
        (["speak", "--help"], (*SPARED_BY_SPEAK, *TRAINING)),
        (["history", "--help"], (*SPARED_BY_SPEAK, *TRAINING)),
    ],
)
def test_the_help_imports_only_what_it_prints(
    arguments: list[str], spared: tuple[str, ...]
) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(SRC)!r})
from cli.main import main
output, sys.stdout = sys.stdout, sys.stderr
main({arguments!r})
output.write("\\n".join(sorted({set(spared)!r} & set(sys.modules))))
"""
    assert output_of(code) == []


def test_no_light_module_imports_network_code() -> None:
    assert len(light_modules()) > 10
    assert heavy_after(*light_modules()) == []


def test_the_registry_hands_out_options_without_network_code() -> None:
    code = f"""
import sys
sys.path.insert(0, {str(SRC)!r})
from engines.registry import ENGINES, get_options_class
for name in ENGINES:
    get_options_class(name)
sys.stdout.write("\\n".join(sorted({set(HEAVY)!r} & set(sys.modules))))
"""
    assert output_of(code) == []


def test_an_import_of_network_code_is_noticed() -> None:
    assert "audio.mel imports torch" in heavy_after("text.normalization.pipeline", "audio.mel")
