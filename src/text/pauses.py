"""Pauses between spoken pieces: their kinds, and tags that ask for one. Light."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

PauseKind = Literal["none", "comma", "sentence", "paragraph", "section"]
MAX_PAUSE_S = 60.0

_STRENGTHS: dict[str, PauseKind] = {
    "none": "none", "x-weak": "none", "weak": "comma", "medium": "sentence",
    "strong": "paragraph", "x-strong": "section",
}  # fmt: skip
_TAG = re.compile(
    r"\[\s*(?:pause|break|silence)\s*(?:[:= ]\s*(?P<bracket>[^\[\]\n]*))?\]"
    r"|<\s*break\b(?P<attributes>[^<>]*)>(?:\s*</\s*break\s*>)?"
    r"|<#\s*(?P<hashed>[\d.]+)\s*#>|\[\[\s*slnc\s+(?P<slnc>\d+)\s*\]\]"
    r"|(?P<paragraph></?\s*p(?:\s[^<>]*)?>)|(?P<line><\s*br\s*/?>)"
    r"|(?P<sentence></?\s*s(?:\s[^<>]*)?>)"
    r"|(?P<ssml><[/?!]?\s*(?:speak|voice|prosody|emphasis|say-as|phoneme|sub|audio|mark|lang|w|"
    r"token|desc|lexicon|lookup|meta|metadata|seq|par|media|bookmark|xml|doctype|"
    r"(?:amazon|mstts|google|ms|apple|ibm)[:-][\w-]+)(?:[\s/?:][^<>]*)?>)",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"(\d+(?:[.,]\d+)?|[.,]\d+)\s*(ms|msecs?|milliseconds?|s|secs?|seconds?|)\.?", re.IGNORECASE
)
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*[\"'“”]?([^\s\"'“”/>]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The silence behind a piece: of a kind, or of exactly `seconds`."""

    kind: PauseKind = "sentence"
    seconds: float | None = None


SENTENCE_PAUSE = Pause()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextNotice:
    """Something in a text that is left out or not supported.

    line: lines before it in the text.
    """

    line: int
    message: str


@dataclass(slots=True, kw_only=True)
class PausedText:
    """A text without tags: parts, and the pause between each two of them."""

    parts: list[str] = field(default_factory=lambda: [""])
    pauses: list[Pause] = field(default_factory=list)
    notices: list[TextNotice] = field(default_factory=list)


def split_at_pauses(text: str) -> PausedText:
    """Cut a text at its pause tags, and take out SSML tags that are not supported.

    Supported are [pause:0.8s], <break time="800ms"/>, <break strength="strong"/>, <p> and <br>.
    The parts keep all line breaks of the text.
    """
    result, place = PausedText(), 0
    for found in _TAG.finditer(text):
        result.parts[-1] += text[place : found.start()]
        place = found.end()
        line = text.count("\n", 0, found.start())
        if found["ssml"]:
            result.parts[-1] += " "
            result.notices += _describe_unsupported(found[0], line)
        elif found["sentence"]:
            result.parts[-1] += " "
        elif found["paragraph"] or found["line"]:
            result.parts[-1] += "\n\n" if found["paragraph"] else "\n"
        else:
            pause = _read_pause(found)
            result.notices += _check_pause(found[0], pause, line)
            if pause is not None:
                result.pauses.append(_limit(pause))
                result.parts.append("")
    result.parts[-1] += text[place:]
    return result


def _read_pause(found: re.Match[str]) -> Pause | None:
    """Return the pause that a tag asks for; None where its duration cannot be read."""
    if found["hashed"] or found["slnc"]:
        seconds = found["hashed"] or f"{found['slnc']}ms"
        return _parse_duration(seconds)
    if found["attributes"] is None:
        asked = (found["bracket"] or "").strip(" \"'")
        return _parse_duration(asked) if asked else Pause(kind="paragraph")
    attributes = {name.lower(): value for name, value in _ATTRIBUTE.findall(found["attributes"])}
    if "time" in attributes:
        return _parse_duration(attributes["time"])
    strength = attributes.get("strength", "medium").lower()
    return Pause(kind=_STRENGTHS[strength]) if strength in _STRENGTHS else None


def _parse_duration(text: str) -> Pause | None:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    number = float(found[1].replace(",", "."))
    return Pause(seconds=number / 1000 if found[2].lower().startswith("m") else number)


def _limit(pause: Pause) -> Pause:
    if pause.seconds is None or pause.seconds <= MAX_PAUSE_S:
        return pause
    return Pause(kind=pause.kind, seconds=MAX_PAUSE_S)


def _check_pause(tag: str, pause: Pause | None, line: int) -> Iterator[TextNotice]:
    if pause is None:
        yield TextNotice(
            line=line,
            message=f"{tag} has no duration that can be read, so there is no pause; write it like "
            '[pause:0.8s] or <break time="800ms"/>',
        )
    elif (pause.seconds or 0) > MAX_PAUSE_S:
        yield TextNotice(
            line=line, message=f"{tag} is longer than {MAX_PAUSE_S:g} s, so it is {MAX_PAUSE_S:g} s"
        )


def _describe_unsupported(tag: str, line: int) -> Iterator[TextNotice]:
    if not tag.startswith(("</", "<?", "<!")) and not tag.lower().startswith("<speak"):
        yield TextNotice(
            line=line,
            message=f"the SSML tag {' '.join(tag.split())} is not supported; it is left out, and "
            "the text inside it is spoken as usual",
        )
