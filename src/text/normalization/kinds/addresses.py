"""E-mail and web addresses."""

from __future__ import annotations

import re
from functools import partial

from text.normalization.rules import Kind, Rule

_DOMAINS = (
    "com|org|net|edu|gov|int|info|biz|dev|app|blog|shop|online|site|io|ai|co|me|tv|uk|us|eu|de|fr|"
    "es|it|nl|be|at|ch|se|no|dk|fi|pl|pt|ie|ca|au|nz|jp|cn|in|br|mx|ru|za"
)
_HOST = rf"(?:[A-Za-z0-9-]{{1,63}}\.){{1,8}}(?:{_DOMAINS})"
_EMAIL = re.compile(
    rf"(?<![\w.+-])(?P<user>[\w.+-]{{1,64}})@(?P<host>{_HOST})(?![\w-])", re.ASCII | re.IGNORECASE
)
_URL = re.compile(
    r"(?<![\w.@-])(?:(?:https?|ftp)://(?P<full>[^\s<>\"]+)"
    rf"|(?P<bare>{_HOST}(?![\w-])(?:/[^\s<>\"]*)?))",
    re.ASCII | re.IGNORECASE,
)
_SPOKEN = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", ":": "colon", "~": "tilde", "+": "plus", "%": "percent", "@": "at",
}  # fmt: skip
_PART = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]", re.ASCII)
_SENTENCE_MARKS = ".,;:!?)'\""


def _verbalize_email(found: re.Match[str]) -> str:
    return f"{_verbalize_address(found['user'])} at {_verbalize_address(found['host'])}"


def _verbalize_url(found: re.Match[str]) -> str:
    address = found["full"] or found["bare"]
    kept = address.rstrip(_SENTENCE_MARKS)
    spoken = _verbalize_address(kept.removesuffix("/"))
    return f"{spoken}{address[len(kept) :]}"


def _verbalize_address(address: str) -> str:
    """Every part by name; two letters after a dot are spelled, since they name a country."""
    parts = _PART.findall(address)
    spoken: list[str] = []
    for before, part in zip(["", *parts], parts, strict=False):
        country = before == "." and len(part) == 2 and part.lower() != "co"
        spelled = part.isalpha() and (country or part.lower() == "www")
        spoken.append(" ".join(part) if spelled else _SPOKEN.get(part, part))
    return " ".join(spoken)


KIND = Kind(
    name="addresses",
    rules=(
        Rule(
            read=partial(_EMAIL.sub, _verbalize_email),
            examples=(("me@example.com", "me at example dot com"),),
        ),
        Rule(
            read=partial(_URL.sub, _verbalize_url),
            examples=(("https://example.org/a1.", "example dot org slash a one."),),
        ),
    ),
)
