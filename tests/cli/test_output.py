"""The terminal is not commanded by data, and the command line opens quickly."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import COMMANDS, main
from cli.options import create_app, run_app
from cli.output import TerminalProgress, emit, print_line, print_table
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressEvent

Run = Callable[..., tuple[int, str, str]]
SRC = Path(__file__).resolve().parents[2] / "src"
EVIL = "a\x1b]0;title\x07\x9b2J [bold]b[/bold]"
TAME = "a\\x1b]0;title\\x07\\x9b2J [bold]b[/bold]"


def test_control_characters_in_data_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(EVIL)
    print_table(["name", "text"], [(EVIL, EVIL)])
    TerminalProgress(interactive=False, quiet=False).show(
        ProgressEvent(kind="warning", stage="", message=EVIL)
    )
    out, err = capsys.readouterr()
    assert out == f"{TAME}\n{TAME}  {TAME}\n" and err == f"warning: {TAME}\n"


def test_json_keeps_the_data_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert emit({"text": EVIL}, "", True) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": EVIL} and "\x1b" not in out and "\x9b" not in out


def test_a_refusal_and_an_argument_are_escaped_too(testudo: Run) -> None:
    for arguments in (("\x1b[2J",), ("voices", "--\x1b[2J"), ("runs", "\x1b[2J/x")):
        code, out, err = testudo(*arguments)
        assert code == 2 and "\x1b" not in out + err and err.count("\n") == 1


def test_a_table_on_a_terminal_has_headers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(["voice", "contents"], [("[red]alice", "2 clips")])
    out = capsys.readouterr().out
    assert "voice" in out and "[red]alice" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"testudo {name}" in out and "--help" in out


def test_the_help_of_all_commands_imports_none_of_them() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SRC)!r})\n"
        "from cli.main import main; main(['--help'])\n"
        "sys.exit(any(name.startswith('studio') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_a_model_may_be_named_by_either_flag(testudo: Run, layout: ProjectPaths) -> None:
    for flag in ("--bundle", "--model"):
        code, _, err = testudo("speak", "hi", "--voice", "alice", flag, "none")
        assert code == 2 and "no model 'none'" in err


def test_an_interrupt_while_parsing_is_an_interrupt() -> None:
    app = create_app("")

    @app.command()
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_app(app, "testudo", [])
    with pytest.raises(AppError, match=r"Unknown option --x\. See testudo --help"):
        run_app(app, "testudo", ["--x"])


HOSTILE = "a\x1b]0;title\x07b\x00c\x9b31md\u202egnp.exe\u2066e\u200bf\u2028g\u061ch\U000e0041i\rj"


def test_no_character_of_a_text_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit({}, [HOSTILE], False)
    emit({HOSTILE: HOSTILE}, "", True)
    print_table(["clip"], [[HOSTILE]])
    printed = capsys.readouterr().out
    kinds = {unicodedata.category(character) for character in printed if character != "\n"}
    assert not kinds & {"Cc", "Cf", "Zl", "Zp"} and "\\u202egnp" in printed
    start = printed.index("{")
    told = json.loads(printed[start : printed.rindex("}") + 1])
    assert told == {HOSTILE: HOSTILE}
