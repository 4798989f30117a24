"""What the buttons and keys of the review list do. What a browser sends is words and clip ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from core.errors import AppError
from studio.datasets.service import Datasets

# Any: whatever a browser sends.

_SECOND_PATTERN = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
MAX_STRING_LENGTH = 4_000  # characters of a text, or of an id


def handle_review_action(datasets: Datasets, asked: Any) -> str:
    """Do what a button asks for; return what to say.  Raises StudioError for what cannot be."""
    told: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
    wanted = ACTION_HANDLERS.get(_parse_string(told.get("act")))
    if wanted is None:
        raise AppError("The page asked for something that is not known. Reload it.")
    return wanted(
        datasets, _parse_string(told.get("name")), _parse_string(told.get("ref")), told.get("value")
    )


def _parse_string(value: Any) -> str:
    return value[:MAX_STRING_LENGTH] if isinstance(value, str) else ""


def _edit(datasets: Datasets, name: str, clip: str, value: Any) -> str:
    datasets.edit_text(name, clip, _parse_string(value))
    return ""


def _drop(datasets: Datasets, name: str, clip: str, value: Any) -> str:
    datasets.drop(name, [clip])
    return ""


def _restore(datasets: Datasets, name: str, clip: str, value: Any) -> str:
    datasets.restore(name, [clip])
    return ""


def _accept(datasets: Datasets, name: str, clip: str, value: Any) -> str:
    datasets.accept(name, [clip])
    return ""


def _merge(datasets: Datasets, name: str, clip: str, value: Any) -> str:
    datasets.merge(name, clip)
    return "Two clips are one now. Split takes them apart again."


def _split(datasets: Datasets, name: str, clip: str, value: Any) -> str:
    datasets.split(name, clip, at_s=_parse_split_time(value))
    return "One clip is two now."


def _parse_split_time(value: Any) -> float:
    """Read a second, or the middle of a pause given as its ends: "3.20 3.54"."""
    ends = _parse_string(value).split()
    if not 1 <= len(ends) <= 2 or not all(map(_SECOND_PATTERN.fullmatch, ends)):
        raise AppError("Say at which second to cut, such as 2.5.")
    return sum(map(float, ends)) / len(ends)


ACTION_HANDLERS: Mapping[str, Callable[[Datasets, str, str, Any], str]] = MappingProxyType(
    {
        "edit": _edit,
        "drop": _drop,
        "restore": _restore,
        "accept": _accept,
        "merge": _merge,
        "split": _split,
    }
)
