"""The fields of a training configuration as a form shows them."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from core.options import OptionField, list_option_fields
from core.serialization import to_dict
from core.yaml_io import get_docstring_summary, parse_yaml
from training.finetuning.config.schema import ConfigError, FinetuneConfig, parse_config

# Any: each field has its own type.

FieldKind = Literal["number", "whole", "bool", "text", "choice", "numbers", "texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigField:
    """One field: name, help, range and default."""

    key: str  # "optimizer.rate"
    section: str
    name: str
    label: str
    help: str
    kind: FieldKind
    default: Any  # plain; None where one has to be given
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSection:
    """A section of the file, and its fields in order."""

    name: str
    label: str
    help: str
    fields: tuple[ConfigField, ...]


def list_config_sections() -> tuple[ConfigSection, ...]:
    """Return all sections with all fields, in the order of the file."""
    hints = typing.get_type_hints(FinetuneConfig)
    return tuple(
        ConfigSection(
            name=section.name,
            label=section.name.capitalize(),
            help=get_docstring_summary(hints[section.name]),
            fields=tuple(
                _make_config_field(section.name, option)
                for option in list_option_fields(hints[section.name])
            ),
        )
        for section in fields(FinetuneConfig)
    )


def apply_overrides(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Return the configuration with some fields set, such as {"optimizer.rate": 1e-4}.

    Raises ConfigError for an unknown field, naming the nearest, and for an invalid value.
    """
    plain = to_dict(config)
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name and section in plain:
            plain[section][name] = value
        else:
            plain[key] = value  # refused by its name
    return parse_config(plain)


def parse_overrides(written: typing.Sequence[str]) -> dict[str, Any]:
    """Parse items such as `optimizer.rate=1e-4`; the values are YAML.

    Raises ConfigError for an item without `=` and for a value that is not YAML.
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


def _make_config_field(section: str, found: OptionField) -> ConfigField:
    info = found.info
    return ConfigField(
        key=f"{section}.{found.name}",
        section=section,
        name=found.name,
        label=found.label,
        help=info.help,
        kind=_get_field_kind(found),
        default=None if found.default is MISSING else to_dict(found.default),
        unit=info.unit,
        low=info.low,
        high=info.high,
        step=info.step,
        choices=info.choices,
    )


def _get_field_kind(found: OptionField) -> FieldKind:
    if found.info.choices:
        return "choice"
    if typing.get_origin(found.type) is tuple:
        return "numbers" if typing.get_args(found.type)[0] is float else "texts"
    kinds: dict[type, FieldKind] = {bool: "bool", int: "whole", float: "number", str: "text"}
    return kinds[found.plain_type]
