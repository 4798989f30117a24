"""Command line flags made from knobs, and a parser whose refusals are one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from core.errors import AppError
from core.options import OptionField
from core.serialization import suggest_similar


class Parser(argparse.ArgumentParser):
    """A parser that raises StudioError instead of printing its usage, and knows near misses."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line with one sentence."""
        end = "" if message.endswith("?") else "."
        raise AppError(f"{message[:1].upper()}{message[1:]}{end} See {self.prog} --help.")

    def parse_all(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse every argument; an unknown flag is refused with the nearest known one."""
        parsed, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(f"{unknown[0]} means nothing here.{suggest_flag(self, unknown[0])}")
        return parsed


def suggest_flag(parser: argparse.ArgumentParser, flag: str) -> str:
    """Return ' Did you mean ...?' for a flag that the parser, or one under it, knows."""
    known: list[str] = []
    for action in parser._actions:
        known += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                known += command._option_string_actions
    name = flag.split("=")[0]
    return suggest_similar(name, [other for other in known if other != name])


def add_option_flags(
    parser: argparse.ArgumentParser, title: str, knobs: Sequence[OptionField]
) -> None:
    """Add one flag per knob; a flag that is not given leaves no trace in the parsed result."""
    group = parser.add_argument_group(title)
    for field in knobs:
        if field.plain_type is bool:
            group.add_argument(
                field.flag,
                dest=field.name,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=_format_help(field),
            )
        else:
            group.add_argument(
                field.flag,
                dest=field.name,
                type=_make_value_parser(field),
                default=argparse.SUPPRESS,
                metavar=_format_metavar(field),
                help=_format_help(field),
            )


def collect_given_options(
    parsed: argparse.Namespace, knobs: Sequence[OptionField]
) -> Mapping[str, Any]:
    """Return the knobs that were turned on the command line.  Any: each has its own type."""
    values = vars(parsed)
    return {field.name: values[field.name] for field in knobs if field.name in values}


def _make_value_parser(field: OptionField) -> Callable[[str], Any]:
    kind = field.plain_type
    wanted = {int: "a whole number", float: "a number"}.get(kind, "text")

    def read(word: str) -> Any:
        if field.optional and word.lower() in ("none", "auto"):
            return None
        try:
            return kind(word)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{word!r} is not {wanted}") from None

    return read


def _format_metavar(field: OptionField) -> str:
    if field.info.choices:
        return "{" + ",".join(field.info.choices) + "}"
    return {int: "N", float: "X"}.get(field.plain_type, "TEXT")


def _format_help(field: OptionField) -> str:
    knob = field.info
    facts = []
    if knob.low is not None and knob.high is not None:
        facts.append(f"{_format_number(knob.low)} to {_format_number(knob.high)}")
    if knob.unit:
        facts.append(knob.unit)
    facts.append(f"default {_format_default(field)}")
    return f"{knob.help} ({', '.join(facts)})".replace("%", "%%")


def _format_number(value: float) -> str:
    return f"{int(value)}" if float(value).is_integer() else f"{value:g}"


def _format_default(field: OptionField) -> str:
    if field.default is None:
        return "chosen anew" if field.name == "seed" else "as fits"
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return repr(field.default) if field.default == "" else f"{field.default}"
