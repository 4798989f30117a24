"""Typer commands whose flags come from dataclasses, with usage errors of one sentence."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand
from typer.main import get_command

from core.errors import AppError

if TYPE_CHECKING:
    from core.options import OptionField

# Any: each option has its own type.

NONE = object()  # what "none" on the command line stands for until the values are collected
WORDS_FOR_NONE = ("none", "auto")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


FLAG = re.compile(r"-[A-Za-z]|--[A-Za-z][\w-]*(=.*)?", re.DOTALL)
"""A flag; another word that begins with a minus is text, as in `testudo tokens "-5 degrees"`."""


class Command(TyperCommand):
    """A command whose arguments may begin with a minus."""

    def make_parser(self, ctx: Any) -> Any:
        """Return a parser that takes what is no flag for an argument."""
        parser: Any = super().make_parser(ctx)
        process_option = parser._process_opts

        def process(word: str, state: Any) -> None:
            if FLAG.fullmatch(word):
                process_option(word, state)
            else:
                state.largs.append(word)

        parser._process_opts = process
        return parser


def create_app(help: str) -> typer.Typer:
    """Return an app or command group whose help never truncates a flag, as rich's would."""
    return typer.Typer(
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def add_command(
    app: typer.Typer,
    name: str,
    help: str,
    groups: Mapping[str, Sequence[OptionField]] | None = None,
    find_aliases: Callable[[str], Sequence[str]] = lambda name: (),
    **settings: Any,
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Register a function as a command.

    A parameter whose type is a dataclass becomes one flag per field and is passed as an instance.
    groups: parameter name -> options; each option becomes a flag, and the function gets a mapping
    of the values that were given.  find_aliases: returns further flags of an option by its name.
    """

    def register(function: Callable[..., int]) -> Callable[..., int]:
        flags = [
            make_parameter(field, find_aliases(field.name))
            for options in (groups or {}).values()
            for field in options
        ]
        call = _expand(function, groups or {}, flags)
        app.command(name, cls=Command, help=help, **settings)(call)
        return function

    return register


def run_app(app: typer.Typer, program: str, arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command they name; raise AppError for a usage error."""
    try:
        with get_command(app).make_context(program, list(arguments)) as context:
            return int(context.command.invoke(context) or 0)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort as stopped:
        raise KeyboardInterrupt from stopped
    except typer.TyperException as cause:
        raise AppError(_describe_usage_error(cause, program)) from cause


def make_parameter(field: OptionField, aliases: Sequence[str] = ()) -> inspect.Parameter:
    """Return the flag of an option; without a value given it is None."""
    names = [field.flag, *aliases]
    help = _format_help(field)
    if field.plain_type is bool:
        pairs = [f"{name}/--no-{name[2:]}" for name in names]
        option = typer.Option(*pairs, help=help)
    else:
        option = typer.Option(
            *names,
            help=help,
            parser=_make_value_parser(field),
            metavar=_format_metavar(field),
        )
    kind = bool | None if field.plain_type is bool else str | None
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def pop_given(values: dict[str, Any], options: Sequence[OptionField]) -> Mapping[str, Any]:
    """Return the options that were given on the command line."""
    taken = {field.name: values.pop(field.name, None) for field in options}
    given = {name: value for name, value in taken.items() if value is not None}
    return {name: None if value is NONE else value for name, value in given.items()}


def with_signature(
    call: Callable[..., int], parameters: Sequence[inspect.Parameter]
) -> Callable[..., int]:
    """Give the function these parameters for Typer."""
    keyword = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in parameters]
    call.__dict__["__signature__"] = inspect.Signature(keyword)
    call.__annotations__ = {item.name: item.annotation for item in keyword}
    return call


def _expand(
    function: Callable[..., int],
    groups: Mapping[str, Sequence[OptionField]],
    flags: Sequence[inspect.Parameter],
) -> Callable[..., int]:
    parameters: list[inspect.Parameter] = []
    built: dict[str, type[Any]] = {}
    for item in inspect.signature(function, eval_str=True).parameters.values():
        if is_dataclass(item.annotation):
            built[item.name] = item.annotation  # type: ignore[assignment]
            parameters += _list_field_parameters(item.annotation)  # type: ignore[arg-type]
        elif item.name not in groups:
            parameters.append(item)
    parameters += flags

    @wraps(function)
    def call(**values: Any) -> int:
        for name, cls in built.items():
            values[name] = cls(**{item.name: values.pop(item.name) for item in fields(cls)})
        for name, options in groups.items():
            values[name] = pop_given(values, options)
        return function(**values)

    return with_signature(call, parameters)


def _list_field_parameters(cls: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(cls, include_extras=True)
    found = []
    for field in fields(cls):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        found.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is MISSING else default,
                annotation=hints[field.name],
            )
        )
    return found


def _describe_usage_error(cause: typer.TyperException, program: str) -> str:
    flag = getattr(cause, "option_name", "")
    near = [name for name in getattr(cause, "possibilities", None) or () if name != flag]
    if flag and hasattr(cause, "possibilities"):
        message = f"Unknown option {flag}."
        message += f" Did you mean {near[0]!r}?" if near else ""
    else:
        message = str(getattr(cause, "format_message", cause.__str__)()).replace("\n", " ")
    context = getattr(cause, "ctx", None)
    where = context.command_path if context is not None else program
    end = "" if message.endswith(("?", ".")) else "."
    return f"{message}{end} See {where} --help."


def _make_value_parser(field: OptionField) -> Callable[[str], Any]:
    kind = field.plain_type
    expected = {int: "a whole number", float: "a number"}.get(kind, "text")

    def parse(word: str) -> Any:
        if field.optional and word.lower() in WORDS_FOR_NONE:
            return NONE
        try:
            return kind(word)
        except ValueError:
            raise typer.BadParameter(f"{word!r} is not {expected}") from None

    return parse


def _format_metavar(field: OptionField) -> str:
    if field.info.choices:
        return "{" + ",".join(field.info.choices) + "}"
    return {int: "N", float: "X"}.get(field.plain_type, "TEXT")


def _format_help(field: OptionField) -> str:
    info = field.info
    facts = []
    if info.low is not None and info.high is not None:
        facts.append(f"{_format_number(info.low)} to {_format_number(info.high)}")
    if info.unit:
        facts.append(info.unit)
    facts.append(f"default {_format_default(field)}")
    return f"{info.help} ({', '.join(facts)})"


def _format_number(value: float) -> str:
    return f"{int(value)}" if float(value).is_integer() else f"{value:g}"


def _format_default(field: OptionField) -> str:
    if field.default is None:
        return "random" if field.name == "seed" else "automatic"
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return repr(field.default) if field.default == "" else f"{field.default}"
