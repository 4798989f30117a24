"""Command line flags made from knobs, and a parser whose refusals are one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from engines.knobs import KnobField
from jobs.plain import nearest
from studio.errors import StudioError


class Parser(argparse.ArgumentParser):
    """A parser that raises StudioError instead of printing its usage, and knows near misses."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line with one sentence."""
        end = "" if message.endswith("?") else "."
        raise StudioError(f"{message[:1].upper()}{message[1:]}{end} See {self.prog} --help.")

    def parse_all(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse every argument; an unknown flag is refused with the nearest known one."""
        parsed, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(f"{unknown[0]} means nothing here.{nearest_flag(self, unknown[0])}")
        return parsed


def nearest_flag(parser: argparse.ArgumentParser, flag: str) -> str:
    """Return ' Did you mean ...?' for a flag that the parser, or one under it, knows."""
    known: list[str] = []
    for action in parser._actions:
        known += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                known += command._option_string_actions
    name = flag.split("=")[0]
    return nearest(name, [other for other in known if other != name])


def add_knobs(parser: argparse.ArgumentParser, title: str, knobs: Sequence[KnobField]) -> None:
    """Add one flag per knob; a flag that is not given leaves no trace in the parsed result."""
    group = parser.add_argument_group(title)
    for field in knobs:
        if field.plain_type is bool:
            group.add_argument(
                field.flag,
                dest=field.name,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=_help(field),
            )
        else:
            group.add_argument(
                field.flag,
                dest=field.name,
                type=_reader(field),
                default=argparse.SUPPRESS,
                metavar=_metavar(field),
                help=_help(field),
            )


def given(parsed: argparse.Namespace, knobs: Sequence[KnobField]) -> Mapping[str, Any]:
    """Return the knobs that were turned on the command line.  Any: each has its own type."""
    values = vars(parsed)
    return {field.name: values[field.name] for field in knobs if field.name in values}


def _reader(field: KnobField) -> Callable[[str], Any]:
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


def _metavar(field: KnobField) -> str:
    if field.knob.choices:
        return "{" + ",".join(field.knob.choices) + "}"
    return {int: "N", float: "X"}.get(field.plain_type, "TEXT")


def _help(field: KnobField) -> str:
    knob = field.knob
    facts = []
    if knob.low is not None and knob.high is not None:
        facts.append(f"{_number(knob.low)} to {_number(knob.high)}")
    if knob.unit:
        facts.append(knob.unit)
    facts.append(f"default {_default(field)}")
    return f"{knob.help} ({', '.join(facts)})".replace("%", "%%")


def _number(value: float) -> str:
    return f"{int(value)}" if float(value).is_integer() else f"{value:g}"


def _default(field: KnobField) -> str:
    if field.default is None:
        return "chosen anew" if field.name == "seed" else "as fits"
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return repr(field.default) if field.default == "" else f"{field.default}"
