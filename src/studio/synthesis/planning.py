"""Plan a request: its lines, each with voice and options. Light: no torch at import time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import ProjectPaths
from core.serialization import from_dict
from engines.registry import get_options_class
from studio.model_store.finetunes import fit_lora_strength
from studio.schemas.speech import SpeechRequest
from studio.voices.catalog import check_voices, resolve_random_seed
from text.pronunciations import show_phonemes
from text.script import (
    DURATION,
    VOICE,
    ScriptError,
    ScriptLine,
    ScriptNotice,
    parse_lines,
    parse_script,
)
from text.segmentation import is_speakable
from text.sentences import split_sentences

CHUNK_SEED_LIMIT = 2**53  # a browser keeps whole numbers below it exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpan:
    """A part of a text: spoken, or prompt only."""

    text: str
    audible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlan:
    """One line of the script with its voice and options."""

    line: ScriptLine
    voice: str
    options: Any  # the engine's own, checked
    option_values: Mapping[str, Any]


def plan_lines(request: SpeechRequest, layout: ProjectPaths) -> list[LinePlan]:
    """Read the script of a request and check every line of it.

    Raises AppError naming the line: for an override that does not fit, a voice that is missing.
    """
    cls = get_options_class(request.engine)
    known = [option.name for option in list_option_fields(cls)]
    delivery = request.delivery
    with reraise_as_app_error(ScriptError):
        lines = parse_script(
            request.text,
            delivery.delimiter,
            known=known,
            steering=delivery.prompt_prefix,
            speakers=request.speaker_voices,
        )
    if not lines:
        raise AppError(
            "There is nothing to speak in the text: no line has a letter or digit.",
            code="unspeakable",
        )
    plan: list[LinePlan] = []
    for line in lines:
        plan.append(plan_line(line, request, cls, layout, plan[-1] if plan else None))
    return plan


def select_first_sentence(request: SpeechRequest, layout: ProjectPaths) -> SpeechRequest:
    """Return the request of the first sentence alone, with its voice, options and seed.

    Raises AppError as plan_lines.
    """
    planned = plan_lines(request, layout)[0]
    line = planned.line
    body = show_phonemes(line.text[len(f"[{line.steering}] ") if line.steering else 0 :])
    spoken = [part for part in split_sentences(body) if is_speakable(part)]
    return replace(
        request,
        text=spoken[0] if spoken and "[" not in body else body,
        voice=planned.voice,
        options=planned.option_values,
        delivery=replace(request.delivery, delimiter="", duration=0.0),
        out=None,
        like=None,
        speaker_voices={},
    )


def list_text_notices(request: SpeechRequest) -> list[str]:
    """Return what of the text is left out or not supported, in a sentence each."""
    known = [option.name for option in list_option_fields(get_options_class(request.engine))]
    delimiter, speakers = request.delivery.delimiter, request.speaker_voices
    items = parse_lines(request.text, delimiter, known=known, speakers=speakers)
    return [item.message for item in items if isinstance(item, ScriptNotice)]


def plan_line(
    line: ScriptLine,
    request: SpeechRequest,
    cls: type[Any],
    layout: ProjectPaths,
    previous: LinePlan | None = None,
) -> LinePlan:
    """Check one line: its override and its voice.

    cls: the engine's options;  previous: the plan of the line before, which is used again for lines
    with the same override. Raises AppError naming the line where it differs from the others.
    """
    if previous is not None and previous.line.override == line.override:
        return replace(previous, line=line)
    turned = {key: value for key, value in line.override.items() if key not in (DURATION, VOICE)}
    about = f"Line {line.number}"
    plain = {**request.options, **turned}
    voice = resolve_random_seed(str(line.override.get(VOICE, request.voice)), request.seed)
    try:
        check_voices(layout, voice)
        fit_lora_strength(layout, request.bundle, plain, is_stated=True)
        with reraise_as_app_error(ValueError):
            options = from_dict(cls, plain)
    except AppError as refusal:
        message = f"{about}: {refusal}" if line.override else str(refusal)
        raise AppError(message) from refusal
    return LinePlan(line=line, voice=voice, options=options, option_values=plain)


def split_text_spans(line: ScriptLine) -> list[TextSpan]:
    """Return the parts of a line in order; brackets are gone, blank parts left out."""
    passages, place = [], 0
    for start, end in [*line.spans, (len(line.text), len(line.text))]:
        passages.append(TextSpan(text=line.text[place:start].strip()))
        passages.append(TextSpan(text=line.text[start:end].strip("[] \n"), audible=False))
        place = end
    return [passage for passage in passages if passage.text]


def derive_chunk_seed(seed: int, index: int) -> int:
    """Return the seed of a chunk: that of the request for the first, then hashes of both numbers.

    Hashed, so that chunk i of seed s does not draw the numbers of chunk i - 1 of seed s + 1. What
    candidates of one chunk draw differs by their index, see tortoise.generation.pipeline.
    """
    if index == 0:
        return seed
    return _hash_seed(f"{seed}/chunk/{index}")


def derive_take_seed(seed: int, number: int) -> int:
    """Return the seed of a retake of a chunk.

    seed: of the chunk;  number: of the take, from 1, which has the seed of the chunk.
    """
    return seed if number == 1 else _hash_seed(f"{seed}/take/{number}")


def _hash_seed(text: str) -> int:
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % CHUNK_SEED_LIMIT
