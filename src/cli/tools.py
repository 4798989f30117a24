"""testudo read, tokens, check, clean, effects, convert, detect, merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from audio.effects.options import EFFECT_PRESETS, EffectOptions
from cli.options import JsonFlag, add_command
from cli.output import create_reporter, emit
from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import parse_path, quote_for_message
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.schemas.clip_tools import (
    ApplyEffectsRequest,
    CheckResult,
    ConvertClipRequest,
    DenoiseClipRequest,
    MergeModelsRequest,
    merge_effects,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import is_marked_synthetic, read_metadata
from studio.synthesis.token_preview import list_token_options, preview_tokens
from studio.voices.catalog import get_results_folder_name
from studio.voices.effects import format_voice_effects

SYNTHETIC_LABELS = {True: "yes, by its comment tag", False: "made here; its tag does not say so"}
RATING_LABELS = {"good": "good", "fair": "fair", "poor": "POOR"}
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="An audio file.", parser=parse_path)
]
ModelOption = Annotated[
    str, typer.Option("--bundle", "--model", metavar="NAME", help="Model; default: automatic.")
]
# Any: modules that import torch and are therefore imported when they are needed; findings as dicts.


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add one of the commands to the program."""
    functions: Mapping[str, Callable[..., int]] = {
        **{"read": run_read, "tokens": run_tokens, "check": run_check},
        "effects": run_effects,
        **{"clean": run_clean, "detect": run_detect, "merge": run_merge, "convert": run_convert},
    }
    fields = {
        "clean": lambda: list_option_fields(DenoiseClipRequest),
        "effects": lambda: list_option_fields(EffectOptions),
        "convert": lambda: list_option_fields(ConvertClipRequest),
        "tokens": list_token_options,
    }
    groups = {"options": fields[name]()} if name in fields else None
    add_command(app, name, help, groups)(functions[name])


def run_read(file: FileArgument, as_json: JsonFlag = False) -> int:
    is_synthetic = is_marked_synthetic(file)
    try:
        record = read_metadata(file)
    except AppError as refusal:
        if not is_synthetic:
            raise
        raise AppError(
            f"{refusal} Its comment tag says that it is synthetic speech.", code=refusal.code
        ) from refusal
    line = f"synthetic    {SYNTHETIC_LABELS[is_synthetic]}"
    result = {**to_dict(record), "synthetic": is_synthetic}
    return emit(result, [*format_metadata_lines(record), line], as_json)


def run_tokens(
    text: Annotated[str, typer.Argument()],
    bundle: ModelOption = "",
    options: Mapping[str, Any] = MappingProxyType({}),
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    chosen = {**studio.settings.engine_options, **options}
    view = preview_tokens(studio.layout, bundle or studio.settings.bundle, text, chosen)
    lines = [
        f"read as      {view.spoken}",
        "pieces       " + " ".join(token.piece for token in view.tokens),
        "ids          " + " ".join(str(token.id) for token in view.tokens),
        f"count        {len(view.tokens)} of {view.limit}{'' if view.fits else ', too long'}",
    ]
    lines += [f"unknown      {' '.join(view.strange)}"] if view.strange else []
    return emit(view, lines, as_json)


def run_check(
    what: Annotated[
        str, typer.Argument(metavar="FILE|VOICE", help="Recording, or name of a voice.")
    ],
    as_json: JsonFlag = False,
) -> int:
    """Return 2 where the quality is poor."""
    studio, tools = Studio.open(), _load_clip_tools()
    if parse_path(what).is_file():
        found: CheckResult = tools.build_check_result(tools.check_audio_file(parse_path(what)))
    else:
        report = create_reporter(as_json)
        found = tools.build_check_result(tools.check_voice_clips(studio.layout, what, report))
    emit(found, _format_check(found), as_json)
    return 2 if found.light == "poor" else 0


def run_clean(
    file: FileArgument,
    options: Mapping[str, Any],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Output file; default FILE-cleaned.wav.", parser=parse_path
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    target = out or _get_path_beside(file, "cleaned")
    if target.exists():
        raise AppError(f"{target} already exists. Choose another file with --out.")
    with reraise_as_app_error(ValueError):
        request = DenoiseClipRequest(clip=str(file), **options)
    device = studio.settings.voice_fixer_device
    made = _load_clip_tools().denoise_file(
        file,
        target,
        request,
        device,
        create_reporter(as_json),
        can_download=not studio.settings.offline,
    )
    before, after = made.noise_db
    return emit(made, f"{target}: SNR {before:g} dB before, {after:g} dB now", as_json)


def _get_path_beside(file: Path, ending: str) -> Path:
    if not file.name:  # as of "." and "/"
        raise AppError(f"{file} is not a file. Give an audio file, such as clip.wav.")
    return file.with_name(f"{file.stem}-{ending}.wav")


def run_effects(
    file: FileArgument,
    options: Mapping[str, Any],
    preset: Annotated[
        str, typer.Option(metavar="NAME", help=f"One of {', '.join(EFFECT_PRESETS)}.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Output file; default FILE-NAME.wav.", parser=parse_path),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    target = out or _get_path_beside(file, preset or "effects")
    if target.exists():
        raise AppError(f"{target} already exists. Choose another file with --out.")
    with reraise_as_app_error(ValueError):
        request = ApplyEffectsRequest(clip=str(file), options=merge_effects(preset, options))
    worker = import_module("studio.workers.apply_effects")
    made = worker.apply_effects_to_file(
        studio.layout, file, target, request, create_reporter(as_json)
    )
    return emit(made, f"{target}: {made.duration_s:g} s with effects", as_json)


def run_convert(
    file: FileArgument,
    voice: Annotated[str, typer.Option(metavar="NAME", help="Voice to convert to.")],
    options: Mapping[str, Any],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Output file; default FILE-VOICE.wav.", parser=parse_path
        ),
    ] = None,
    bundle: ModelOption = "",
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    folder = get_results_folder_name(voice)
    target = out or _get_path_beside(file, folder)
    if target.exists():
        raise AppError(f"{target} already exists. Choose another file with --out.")
    with reraise_as_app_error(ValueError):
        request = ConvertClipRequest(clip=str(file), voice=voice, bundle=bundle, **options)
    worker = import_module("studio.workers.convert_clip")
    made = worker.convert_file(
        studio.layout, file, target, request, studio.settings.device, create_reporter(as_json)
    )
    text = f"{target}: {made.duration_s:g} s in the voice of {voice}, in {made.seconds:g} s"
    if made.transcriber:
        text += f"\nWords transcribed by {made.transcriber}: {made.words}"
    return emit(made, text, as_json)


def run_detect(
    file: FileArgument,
    bundle: ModelOption = "",
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    judged = _load_clip_tools().detect_synthetic_speech(
        studio.layout, file, bundle, create_reporter(as_json)
    )
    text = (
        f"{file.name}: {judged.likely:.0%} probability of being generated by TorToiSe's "
        "published models (an estimate; other programs are not detected)"
    )
    return emit(judged, text, as_json)


def run_merge(
    first: Annotated[str, typer.Argument()],
    second: Annotated[str, typer.Argument()],
    name: Annotated[str, typer.Option(help="Name of the new model: finetunes/NAME.")],
    weight: Annotated[float, typer.Option(help="Weight of SECOND, 0 to 1.")] = 0.5,
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    with reraise_as_app_error(ValueError):
        request = MergeModelsRequest(first=first, second=second, name=name, share=weight)
    merge = import_module("studio.workers.merge_models")
    made = merge.merge_two_models(studio, request, create_reporter(as_json))
    text = (
        f"{made.name}: {made.weights_id}, mixed {', '.join(made.mixed) or 'nothing'}. "
        f"Use it with --model {quote_for_message(made.name)}."
    )
    return emit(made, text, as_json)


def format_metadata_lines(record: TakeMetadata) -> list[str]:
    """Return the metadata of a clip as lines of name and value."""
    times = {name: f"{took:.2f} s" for name, took in record.took.items()}
    lines = [
        f"text         {record.text}",
        f"voice        {record.voice}",
        f"engine       {record.engine}, {record.bundle} ({record.weights_id})",
        f"seed         {record.seed}",
        f"generated    {record.created}, {record.duration_s:.1f} s long",
        f"machine      {record.machine.device}, {record.machine.threads} threads, "
        f"torch {record.machine.torch}",
        f"options      {_format_pairs(record.options)}",
        f"output       {_format_pairs(record.delivery)}",
        f"times        {_format_pairs(times)}",
    ]
    if record.score is not None:
        lines.append(f"candidate    {record.candidate}, score {record.score:.4g}")
    if record.latents is not None:
        lines.append("latents      embedded (anyone with this file can use the voice)")
    lines += [f"check        {check}" for check in record.checks]
    lines += [f"effects      {_format_pairs(chain)}" for chain in record.effects]
    lines += [f"voice effects  {text}" for text in format_voice_effects(record.voice_effects)]
    if record.source:
        lines.append(f"made from    {record.source}")
    return lines + [f"warning      {warning}" for warning in record.warnings]


def _format_pairs(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value if value != '' else repr('')}" for name, value in values.items()
    )


def _format_check(found: CheckResult) -> Iterator[str]:
    yield f"{found.name}: {RATING_LABELS[found.light]}"
    yield from _format_findings(found.findings, "  ")
    for clip in found.clips:
        yield f"  {clip['name']}: {RATING_LABELS[clip['light']]}"
        yield from _format_findings(
            [item for item in clip["findings"] if item["light"] != "good"], "    "
        )


def _format_findings(findings: Sequence[Any], indent: str) -> Iterator[str]:
    for item in findings:
        measured = f" ({item['measured']})" if item["measured"] else ""
        yield f"{indent}{RATING_LABELS[item['light']]}  {item['topic']}: {item['words']}{measured}"
        if item["advice"]:
            yield f"{indent}      {item['advice']}"


def _load_clip_tools() -> Any:
    return import_module("studio.workers.clip_tools")
