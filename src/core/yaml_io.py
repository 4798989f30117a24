"""Read YAML strictly; write dataclasses as YAML with their help as comments.

Repeated keys and aliases (*) are refused; `1e-4` is a number.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from core.options import OptionField, OptionInfo, list_option_fields
from core.serialization import to_dict

# Any: plain data, and dataclasses of any kind.

MAX_FILE_BYTES = 1_000_000  # bytes
COMMENT_WIDTH = 96


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses repeated keys and references."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, "uses an alias (*); write the value out", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"has {key.value!r} twice; keep one", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


_StrictLoader.add_implicit_resolver(  # YAML 1.1 takes 1e-4, without a dot, for a word
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


def read_yaml(path: Path) -> Any:
    """Return a YAML file as plain data; {} for an empty one.

    Raises ValueError with the error and its line; the caller adds the path.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(
                f"the file is larger than {MAX_FILE_BYTES:,} bytes. Check that it is the right "
                "file."
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise ValueError(f"cannot be read ({cause.strerror or cause}).") from cause
    except UnicodeDecodeError as cause:
        raise ValueError(
            f"is not text in UTF-8 (byte {cause.start + 1}). Save it as UTF-8, or create it again."
        ) from cause
    return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    """Return YAML text as plain data; {} for nothing. Raises ValueError with the line."""
    try:
        data = _StrictLoader(text).get_single_data()
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{cause.problem or cause.context}.") from cause
    except yaml.YAMLError as cause:
        first = str(cause).splitlines()[0]
        raise ValueError(f"is not YAML: {first}. Correct it, or create it again.") from cause
    except RecursionError as cause:
        raise ValueError("is nested too deeply. Create it again.") from cause
    return {} if data is None else data


def dump_yaml(data: Any) -> str:
    """Return plain data as YAML, in its own order."""
    text: str = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=COMMENT_WIDTH)
    return text


def format_commented_yaml(config: Any) -> str:
    """Return a dataclass of options, sections or both as YAML, each option below its help."""
    lines = [_format_comment(get_docstring_summary(type(config)), ""), *_format_options(config, "")]
    for section in fields(config):
        choice = getattr(config, section.name)
        if is_dataclass(choice):
            about = _format_comment(get_docstring_summary(type(choice)), "")
            lines += ["", about, f"{section.name}:", *_format_options(choice, "  ")]
    return "\n".join(lines) + "\n"


def format_field_help(field: OptionField) -> str:
    """Return the help, range and unit of a field in one line."""
    info = field.info
    parts = [part for part in (_format_range(info), info.unit) if part]
    return f"{info.help} ({' '.join(parts)})" if parts else info.help


def get_docstring_summary(cls: type[Any]) -> str:
    """Return the first line of the docstring of a dataclass."""
    return (cls.__doc__ or "").strip().splitlines()[0]


def _format_options(choice: Any, indent: str) -> list[str]:
    lines = []
    for option in list_option_fields(type(choice)):
        value = _format_scalar(to_dict(getattr(choice, option.name)))
        lines += [_format_comment(format_field_help(option), indent)]
        lines += [f"{indent}{option.name}: {value}"]
    return lines


def _format_range(info: OptionInfo) -> str:
    if info.choices or info.low is None:
        return ""
    low, high = (_format_number(bound) for bound in (info.low, info.high))
    return f"from {low}" if info.high is None else f"{low} to {high}"


def _format_number(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value or 0.0:g}"


def _format_comment(text: str, indent: str) -> str:
    lead = f"{indent}# "
    return textwrap.fill(text, COMMENT_WIDTH, initial_indent=lead, subsequent_indent=lead)


def _format_scalar(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**9, explicit_end=False
    )
    return text.removesuffix("\n").removesuffix("...").rstrip("\n")
