"""The program `testudo`: one module per command, imported when its command is run."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from cli.options import create_app, run_app
from cli.output import escape_control_characters, print_line
from core.errors import AppError, CodedError, describe_os_error
from core.progress import Cancelled
from core.proxy_settings import normalize_proxy_variables

EXIT_OK, EXIT_INTERNAL_ERROR, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "speak": "synthesize speech",
    "voices": "list and tag voices, save a random one or a blend, import one",
    "read": "print the settings of a generated clip",
    "tokens": "show a text as a model tokenizes it",
    "pronounce": "show or change how words are pronounced",
    "check": "check the quality of a reference clip or voice",
    "clean": "denoise a recording into a new file",
    "effects": "apply effects to a clip: pitch, equalizer, compressor, reverb, telephone",
    "convert": "convert a recording to another voice",
    "detect": "run the AI-audio detector on a clip",
    "merge": "blend the weights of two models",
    "models": "list, download, verify and import models",
    "history": "search, star, rename, delete and export clips",
    "projects": "list, rename, export and import projects: clips of several lines",
    "settings": "show and change the settings",
    "presets": "list, import, export and delete presets of your own",
    "backup": "back up the whole studio into one file, and restore it",
    "benchmark": "measure words right, likeness and speed of a voice on this machine",
    "mcp": "offer the studio as tools of assistants (Model Context Protocol)",
    "doctor": "run diagnostics and suggest fixes",
    "prepare": "create a dataset from a voice or a folder of recordings",
    "datasets": "list, review and edit datasets",
    "synthesizer": "preprocess, train and watch SV2TTS synthesizers",
    "vocoder": "preprocess, train and watch SV2TTS vocoders",
    "demo": "clone a voice from one recording with an SV2TTS model, in a dialogue or at once",
    "dataset": "make a gold-standard dataset from a recording and its transcript",
    "configure": "create train.yaml for a dataset and show the plan of the training",
    "train": "start, watch, stop, resume or export a training run",
    "runs": "list training runs, or show one",
    "encoder": "train speaker encoders; embed, verify, tabulate and plot voices",
    "finetune": "prepare, configure and train in one command",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 refused, 130 interrupted, 1 a bug.

    A refusal is one sentence on standard error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack letters that a text has
            stream.reconfigure(errors="backslashreplace")
    for note in normalize_proxy_variables(os.environ):
        sys.stderr.write(f"testudo: {note}\n")
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except AppError as refusal:
        return _print_error(f"{refusal} {_find_hint(refusal)}".rstrip(), EXIT_USER_ERROR)
    except (KeyboardInterrupt, Cancelled):
        return _print_error("Stopped. Finished work is kept.", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output has closed it; Python must not flush the rest at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as cause:
        return _print_error(
            f"Cannot use {cause.filename or 'a file'}: {describe_os_error(cause)}", EXIT_USER_ERROR
        )
    except Exception:  # the border of the process: a traceback helps to report the bug
        sys.stderr.write(escape_control_characters(traceback.format_exc()))
        return _print_error("This is a bug in Testudo, not in your input.", EXIT_INTERNAL_ERROR)


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; without arguments, print the help."""
    app = create_app("A local voice-cloning studio.")
    app.callback(invoke_without_command=True)(_print_version)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    for name, help in COMMANDS.items():
        if name == command:
            _find_registration(name)(app, name, help, arguments)
        else:
            app.command(name, help=help)(_no_options)
    return run_app(app, "testudo", arguments or ["--help"])


def _find_registration(
    name: str,
) -> Callable[[typer.Typer, str, str, Sequence[str]], None]:
    """Import the module of a command; others are spared its imports."""
    if name == "speak":
        from cli.speak import register
    elif name == "voices":
        from cli.library.voices import register
    elif name in ("read", "tokens", "check", "clean", "effects", "convert", "detect", "merge"):
        from cli.tools import register
    elif name == "pronounce":
        from cli.library.pronounce import register
    elif name == "models":
        from cli.library.models import register
    elif name == "history":
        from cli.library.history import register
    elif name == "projects":
        from cli.library.projects import register
    elif name == "settings":
        from cli.library.settings import register
    elif name == "presets":
        from cli.library.presets import register
    elif name == "backup":
        from cli.library.backup import register
    elif name == "benchmark":
        from cli.benchmark import register
    elif name == "mcp":
        from cli.mcp import register
    elif name == "doctor":
        from cli.doctor import register
    elif name in ("prepare", "datasets"):
        from cli.training.datasets import register
    elif name in ("synthesizer", "vocoder"):
        from cli.training.sv2tts import register
    elif name == "demo":
        from cli.demo import register
    elif name == "dataset":
        from cli.training.gold import register
    elif name == "configure":
        from cli.training.configure import register
    elif name in ("train", "runs"):
        from cli.training.train import register
    elif name == "encoder":
        from cli.training.encoder import register
    else:
        from cli.training.finetune import register
    return register


def _no_options() -> None:
    pass


def _print_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from studio.diagnostics.system_info import read_version

        print_line(f"testudo {read_version()}")
        raise typer.Exit


def _find_hint(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, CodedError) and error.cli_hint:
            return error.cli_hint
        error = error.__cause__
    return ""


def _print_error(sentence: str, code: int) -> int:
    sys.stderr.write(f"testudo: {escape_control_characters(sentence)}\n")
    return code
