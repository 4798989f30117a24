"""The command line: testudo speak, voices, history and the rest. Loads no network by itself."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper

from jobs.report import Cancelled
from studio import (
    cli_configure,
    cli_doctor,
    cli_finetune,
    cli_history,
    cli_models,
    cli_prepare,
    cli_read,
    cli_settings,
    cli_speak,
    cli_tools,
    cli_train,
    cli_voices,
)
from studio.cli_flags import Parser
from studio.errors import StudioError, why

DONE, BUG, REFUSED, STOPPED = 0, 1, 2, 130  # exit codes


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
    except StudioError as refusal:
        return _complain(str(refusal), REFUSED)
    except (KeyboardInterrupt, Cancelled):
        return _complain("Stopped. What was finished is kept.", STOPPED)
    except BrokenPipeError:
        # whoever read our output has had enough; Python must not try to give them the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as cause:
        return _complain(f"Cannot use {cause.filename or 'a file'}: {why(cause)}", REFUSED)
    except Exception:  # the border of the process: a traceback helps whoever mends it
        traceback.print_exc()
        return _complain("That was a mistake in Testudo, not in what you asked.", BUG)


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
        return DONE
    parsed = parser.parse_all(arguments)
    code: int = parsed.run(parsed)
    return code


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(f"testudo: {sentence}\n")
    return code
