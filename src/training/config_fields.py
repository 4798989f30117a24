"""Every field of a training configuration as a form can draw it. Light."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from engines.knobs import KnobField, knobs_of
from jobs.plain import to_plain
from training.config import ConfigError, FinetuneConfig, config_of
from training.config_yaml import first_sentence, parse_yaml

# Any: each field has its own type.

Kind = Literal["number", "whole", "bool", "text", "choice", "numbers", "texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigField:
    """One field: what it is called, what it means, what may stand in it."""

    key: str  # "optimizer.rate"
    section: str
    name: str
    label: str
    help: str
    kind: Kind
    default: Any  # plain; None where it has to be said
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSection:
    """The fields that belong together, in their order."""

    name: str
    label: str
    help: str
    fields: tuple[ConfigField, ...]


def config_sections() -> tuple[ConfigSection, ...]:
    """Return all sections with all fields, in the order of the file."""
    hints = typing.get_type_hints(FinetuneConfig)
    return tuple(
        ConfigSection(
            name=section.name,
            label=section.name.capitalize(),
            help=first_sentence(hints[section.name]),
            fields=tuple(_field(section.name, knob) for knob in knobs_of(hints[section.name])),
        )
        for section in fields(FinetuneConfig)
    )


def with_changes(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Return the configuration with some fields set, such as {"optimizer.rate": 1e-4}.

    Raises ConfigError for an unknown field, naming the nearest, and for what does not fit.
    """
    plain = to_plain(config)
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name and section in plain:
            plain[section][name] = value
        else:
            plain[key] = value  # refused by its name
    return config_of(plain)


def changes_of(written: typing.Sequence[str]) -> dict[str, Any]:
    """Read `optimizer.rate=1e-4` as somebody typed it; the values are YAML.

    Raises ConfigError for what has no `=` and for a value that is not YAML.
    """
    changes: dict[str, Any] = {}
    for item in written:
        key, sign, value = item.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"{item!r} sets nothing; write it as optimizer.rate=1e-4.")
        try:
            changes[key.strip()] = parse_yaml(value) if value.strip() else ""
        except ValueError as cause:
            raise ConfigError(f"{key.strip()}: {value!r} cannot be read ({cause})") from cause
    return changes


def _field(section: str, found: KnobField) -> ConfigField:
    knob = found.knob
    return ConfigField(
        key=f"{section}.{found.name}",
        section=section,
        name=found.name,
        label=found.label,
        help=knob.help,
        kind=_kind(found),
        default=None if found.default is MISSING else to_plain(found.default),
        unit=knob.unit,
        low=knob.low,
        high=knob.high,
        step=knob.step,
        choices=knob.choices,
    )


def _kind(found: KnobField) -> Kind:
    if found.knob.choices:
        return "choice"
    if typing.get_origin(found.type) is tuple:
        return "numbers" if typing.get_args(found.type)[0] is float else "texts"
    kinds: dict[type, Kind] = {bool: "bool", int: "whole", float: "number", str: "text"}
    return kinds[found.plain_type]
