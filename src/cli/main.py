"""The command line: testudo speak, voices, history and the rest. Loads no network by itself."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper

from cli import configure as cli_configure
from cli import datasets as cli_prepare
from cli import doctor as cli_doctor
from cli import finetune as cli_finetune
from cli import history as cli_history
from cli import models as cli_models
from cli import read as cli_read
from cli import settings as cli_settings
from cli import speak as cli_speak
from cli import tools as cli_tools
from cli import train as cli_train
from cli import voices as cli_voices
from cli.options import Parser
from core.errors import AppError, describe_os_error
from core.progress import Cancelled

EXIT_OK, EXIT_INTERNAL_ERROR, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130  # exit codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 refused, 130 stopped, 1 a bug of ours.

    A refusal is one sentence on standard error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack letters that a text has
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except AppError as refusal:
        return _print_error(str(refusal), EXIT_USER_ERROR)
    except (KeyboardInterrupt, Cancelled):
        return _print_error("Stopped. What was finished is kept.", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has had enough; Python must not try to give them the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as cause:
        return _print_error(
            f"Cannot use {cause.filename or 'a file'}: {describe_os_error(cause)}", EXIT_USER_ERROR
        )
    except Exception:  # the border of the process: a traceback helps whoever mends it
        traceback.print_exc()
        return _print_error(
            "That was a mistake in Testudo, not in what you asked.", EXIT_INTERNAL_ERROR
        )


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command they name; with none, say which there are."""
    parser = Parser(prog="testudo", description="A local voice-cloning studio.", allow_abbrev=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parts = (
        *(cli_speak, cli_voices, cli_read, cli_tools),
        *(cli_models, cli_history, cli_settings, cli_doctor),
        *(cli_prepare, cli_configure, cli_train, cli_finetune),
    )
    for part in parts:
        part.add_command(commands, arguments)
    if not arguments:
        parser.print_help()
        return EXIT_OK
    parsed = parser.parse_all(arguments)
    code: int = parsed.run(parsed)
    return code


def _print_error(sentence: str, code: int) -> int:
    sys.stderr.write(f"testudo: {sentence}\n")
    return code
