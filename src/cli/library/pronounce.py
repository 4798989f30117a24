"""testudo pronounce: the list of how words are pronounced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command
from cli.output import emit
from core.errors import AppError
from core.paths import get_project_paths, parse_path, quote_for_message
from studio.settings.pronunciations import read_pronunciations, write_pronunciations
from text.pronunciations import format_pronunciations


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `pronounce` to the program."""
    text = (
        f"{help}\n\n\b\ntestudo pronounce                              list all words\n"
        "testudo pronounce quinoa 'keen wah'            a respelling\n"
        "testudo pronounce quinoa '{K IY1 N W AA0}'     ARPAbet phonemes\n"
        "testudo pronounce quinoa --remove\n\n"
        "A list for --import has a line `word = respelling` for each word."
    )
    add_command(app, name, text, short_help=help)(run)


def run(
    word: Annotated[str, typer.Argument(metavar="[WORD]")] = "",
    spoken: Annotated[str, typer.Argument(metavar="[SPOKEN]")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the word.")] = False,
    imported: Annotated[
        Path | None,
        typer.Option(
            "--import", metavar="FILE", help="Add the words of a list.", parser=parse_path
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """List the words, or change the list and print it."""
    layout = get_project_paths()
    words = dict(read_pronunciations(layout))
    if imported is not None:
        words = _save(words, _read_list(imported))
    elif remove:
        if words.pop(" ".join(word.lower().split()), None) is None:
            raise AppError(f"{quote_for_message(word)} is not in the list.")
        words = dict(write_pronunciations(layout, format_pronunciations(words)))
    elif spoken:
        words = _save(words, f"{word} = {spoken}")
    elif word:
        key = " ".join(word.lower().split())
        words = {key: words[key]} if key in words else {}
    lines = [f"{name} = {said}" for name, said in sorted(words.items())]
    return emit(words, lines or ["No pronunciation is listed."], as_json)


def _save(words: dict[str, str], text: str) -> dict[str, str]:
    return dict(write_pronunciations(get_project_paths(), format_pronunciations(words) + text))


def _read_list(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:
        raise AppError(f"Cannot read {path}: {cause}.") from cause
