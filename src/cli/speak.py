"""testudo speak: synthesize a text or the rows of a table, or reproduce a clip."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from audio.formats import STREAM_FORMATS, STREAM_SAMPLE_RATE
from cli.options import add_command
from cli.output import create_reporter, emit
from core.errors import AppError, reraise_as_app_error
from core.formatting import format_bytes
from core.options import list_option_fields
from core.paths import parse_path
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.registry import get_options_class
from studio.app.studio import Studio
from studio.schemas.speech import OutputOptions, SpeechRequest, SpeechResult, get_presets
from studio.subtitles.script import LINE_DELIMITER, read_subtitle_script
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import LINES_DIR_SUFFIX
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    add_voice_effects,
    build_request,
    build_request_from_metadata,
)
from studio.voices.catalog import list_voices

Listener = Callable[[ProgressEvent], None]
REQUEST_FIELDS = ("engine", "bundle", "device", "threads", "embed", "sidecar", "embed_latents")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakFlags:
    """The arguments of `speak` beside the options of engine and output; None: not given."""

    text: Annotated[str | None, typer.Argument(help="Text to speak; - reads standard input.")] = (
        None
    )
    voice: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Voice under voices/, random, or a mix: alice:0.7+bob:0.3"
        ),
    ] = None
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Output file: wav, flac, ogg, opus, mp3.")
    ] = None
    like: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Reproduce this clip; other flags override its settings."
        ),
    ] = None
    lines: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="Synthesize each row of a CSV or .xlsx file: text, and optionally voice, seed, "
            "preset, name.",
        ),
    ] = None
    subtitles: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Speak an .srt or .vtt file: each cue lasts as long as its times say. Names in "
            "<v …> that are voices choose them.",
        ),
    ] = None
    speaker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VOICE",
            help="Voice of the lines that begin with NAME: in the text; may be repeated.",
        ),
    ] = None
    columns: Annotated[
        str,
        typer.Option(
            metavar="ROLE=COLUMN,…",
            help="Columns of --lines by number or name, where its header is not clear: "
            "text=2,voice=Speaker.",
        ),
    ] = ""
    out_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Output folder of --lines.")
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Synthesize --lines with the workers of a Ray cluster; local: on this machine.",
        ),
    ] = None
    play: Annotated[
        bool,
        typer.Option("--play", help="Play each line as soon as it is spoken; needs ffplay."),
    ] = False
    stream: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Also write each line to standard output as soon as it is spoken: "
            f"{', '.join(STREAM_FORMATS)}, at {STREAM_SAMPLE_RATE // 1000} kHz.",
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="Show warnings only.")] = False
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Quality vs. speed, as listed above, or a preset of your own."
        ),
    ] = None
    engine: Annotated[str | None, typer.Option(metavar="NAME", help="Speech synthesis engine.")] = (
        None
    )
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            "--model",
            metavar="NAME",
            help="Model, as in models/; auto: the best finetuned model of the voice.",
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, mps, …"),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=1024, help="CPU threads; 0: all cores."),
    ] = None
    embed: Annotated[
        bool | None,
        typer.Option("--embed/--no-embed", help="Embed the settings in the clip."),
    ] = None
    sidecar: Annotated[
        bool | None,
        typer.Option(
            "--sidecar/--no-sidecar", help="Write the settings to a JSON file beside the clip."
        ),
    ] = None
    embed_latents: Annotated[
        bool | None,
        typer.Option("--embed-latents/--no-embed-latents", help="Embed the voice in the clip."),
    ] = None


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `speak` to the program, with the options of the engine that the arguments name."""
    named = [after for flag, after in pairwise(arguments) if flag == "--engine"]
    with reraise_as_app_error(ValueError):
        engine = get_options_class(named[-1] if named else "tortoise")
    groups = {"engine_options": list_option_fields(engine),
              "output_options": list_option_fields(OutputOptions)}  # fmt: skip
    help_text = (
        f"{help}\n\ntestudo speak TEXT --voice NAME --out FILE\n\n"
        "testudo speak --lines TABLE --out-dir DIR --voice NAME\n\n"
        "testudo speak --subtitles FILE --voice NAME\n\n"
        "testudo speak --like FILE\n\n"
        "testudo speak TEXT --voice NAME --stream wav | ffplay -i -\n\n"
        "Without --out the clip goes to results/VOICE/.\n\n"
        f"\b\nPresets: {', '.join(get_presets(engine))}."
    )
    add_command(app, name, help_text, groups, short_help=help)(run)


def run(
    flags: SpeakFlags, engine_options: Mapping[str, Any], output_options: Mapping[str, Any]
) -> int:
    if flags.stream is not None:
        _check_stream_flags(flags)
        output_options = {"output_rate": STREAM_SAMPLE_RATE, **output_options}
        _check_stream_format(flags.stream, int(output_options["output_rate"]))
    studio = Studio.open()
    report = create_reporter(flags.quiet or flags.as_json)
    text = _read_text(flags.text)
    if flags.subtitles:
        text = _read_subtitles(studio, flags, report)
        output_options = {**output_options, "delimiter": LINE_DELIMITER}
    given = SpeechRequestInput(
        text=text,
        voice=flags.voice,
        preset=flags.preset,
        out=str(parse_path(flags.out)) if flags.out else flags.out,
        options=engine_options,
        delivery=output_options,
        request_fields=_get_request_fields(flags),
    )
    if flags.lines:
        return _synthesize_batch(studio, flags, given, report)
    if flags.cluster:
        raise AppError("--cluster belongs to --lines. Remove it.")
    if flags.out_dir:
        raise AppError("--out-dir belongs to --lines. For one clip give --out FILE.")
    if flags.like:
        record = read_metadata(parse_path(flags.like))
        request = build_request_from_metadata(studio.settings, record, given)
        request = add_voice_effects(studio.layout, request, record)
    else:
        request = build_request(studio.settings, given, studio.layout)
    if studio.runs.is_training:
        report.note("A training is running on this machine, so synthesis is slower.")
    with ExitStack() as listening:
        listeners = [listening.enter_context(sink) for sink in _list_sinks(flags, request, report)]
        result = _synthesize(studio, request, report, listeners)
    lines = _format_result(result)
    if flags.stream is None:
        return emit(result, lines, flags.as_json)
    for line in lines:
        report.note(line)
    return 0


def _get_request_fields(flags: SpeakFlags) -> dict[str, Any]:
    """Return the fields of a request that were given. Any: each has its own type."""
    given = {name: getattr(flags, name) for name in REQUEST_FIELDS}
    if flags.speaker:
        pairs = [pair.partition("=") for pair in flags.speaker]
        if odd := next((name for name, sign, voice in pairs if not (sign and name.strip())), None):
            raise AppError(f"--speaker is {odd!r}; write NAME=VOICE, as in --speaker Anna=clara.")
        given["speaker_voices"] = {name.strip(): voice.strip() for name, _, voice in pairs}
    return {name: value for name, value in given.items() if value is not None}


def _check_stream_flags(flags: SpeakFlags) -> None:
    for flag, value in (("--json", flags.as_json), ("--lines", flags.lines)):
        if value:
            raise AppError(f"--stream cannot be combined with {flag}. Remove one of them.")


def _check_stream_format(format: str, rate: int) -> None:
    from studio.synthesis.stream_mixer import check_stream_format  # imports numpy, as below

    check_stream_format(format, rate or STREAM_SAMPLE_RATE)


def _list_sinks(
    flags: SpeakFlags, request: SpeechRequest, report: ProgressReporter
) -> list[AbstractContextManager[Listener]]:
    """Return what hears each line as soon as it is spoken."""
    if flags.stream is None and not flags.play:
        return []
    from cli.line_stream import play_lines, stream_to_stdout

    sinks: list[AbstractContextManager[Listener]] = []
    if flags.stream is not None:
        sinks.append(stream_to_stdout(flags.stream, request.delivery))
    if flags.play:
        sinks.append(play_lines(request.delivery, report))
    return sinks


def _synthesize(
    studio: Studio,
    request: SpeechRequest,
    report: ProgressReporter,
    listeners: Sequence[Listener],
) -> SpeechResult:
    """Synthesize; when interrupted between two chunks, print how to resume."""
    kept: list[Path] = []

    def listen(event: ProgressEvent) -> None:
        if event.kind == "take":
            kept.append(Path(str(event.data["path"])))
        report.emit(event)
        for listener in listeners:
            listener(event)

    try:
        return studio.speak(request, ProgressReporter(listen))
    except (KeyboardInterrupt, Cancelled):
        lines = kept[-1].parent if kept else Path()
        if lines.name.endswith(LINES_DIR_SUFFIX):
            name = lines.name.removesuffix(LINES_DIR_SUFFIX) + f".{request.delivery.format}"
            clip = lines.with_name(name)
            report.note(f"To resume: the same command with --seed {request.seed} --out '{clip}'")
        raise


def _read_text(word: str | None) -> str | None:
    if word != "-":
        return word
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as cause:
        raise AppError("Standard input is not UTF-8 text. Convert it to UTF-8.") from cause


def _read_subtitles(studio: Studio, flags: SpeakFlags, report: ProgressReporter) -> str:
    for flag, value in (("a text", flags.text), ("--lines", flags.lines), ("--like", flags.like)):
        if value:
            raise AppError(f"--subtitles cannot be combined with {flag}. Remove one of them.")
    voices = [voice.name for voice in list_voices(studio.layout)]
    script = read_subtitle_script(parse_path(flags.subtitles or ""), voices)
    for note in script.notes:
        report.note(note)
    return script.text


def _synthesize_batch(
    studio: Studio, flags: SpeakFlags, given: SpeechRequestInput, report: ProgressReporter
) -> int:
    for flag, value in (
        ("a text", flags.text),
        ("--out", flags.out),
        ("--like", flags.like),
        ("--play", flags.play),
    ):
        if value:
            raise AppError(f"--lines cannot be combined with {flag}. Remove one of them.")
    if not flags.out_dir:
        raise AppError("--lines needs a folder for its clips: add --out-dir DIR.")
    given = replace(given, text=None, out=None)
    table = studio.synthesize_batch(
        parse_path(flags.lines or ""),
        parse_path(flags.out_dir),
        given,
        report,
        flags.columns,
        flags.cluster or "",
    )
    text = (
        f"{table.items}: {table.spoken} spoken, {table.kept} already done, {len(table.failed)} "
        "failed."
    )
    emit(table, text, flags.as_json)
    return 2 if table.failed else 0


def _format_result(result: SpeechResult) -> list[str]:
    took = sum(result.stages.values())
    summary = f"{result.seconds:.1f} s, seed {result.seed}, generated in {took:.1f} s"
    if result.peak_bytes:
        summary += f", memory {format_bytes(result.peak_bytes)} at most"
    candidates = enumerate(result.candidates[1:], start=2)
    return [
        f"{result.path}: {summary}",
        *(f"{take.path}: candidate {number}" for number, take in candidates),
        *result.checks,
    ]
