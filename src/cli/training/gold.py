"""testudo dataset: gold-standard datasets from a recording and its transcript."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_line
from studio.app.studio import Studio
from studio.datasets.dataset_reports import DatasetReportRequest, DatasetReportResult
from studio.datasets.gold_finetune import GoldFinetuneRequest, GoldFinetuneResult
from studio.datasets.gold_request import (
    LAYOUTS,
    METHODS,
    STEP_HELP,
    STEPS,
    GoldExportRequest,
    GoldExportResult,
    GoldRequest,
    GoldResult,
)

WORKER = "studio.workers.datasets.gold_dataset"
FINETUNE_WORKER = "studio.workers.datasets.gold_finetune"
REPORT_WORKER = "studio.workers.datasets.dataset_report"
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Gold-standard project.")]
AnewFlag = Annotated[bool, typer.Option("--anew", help="Run the step in any case.")]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `dataset` to the program."""
    group = create_app(help)
    add_command(group, "gold", "run all steps for a recording with its transcript")(run_gold)
    for step in STEPS[:-1]:
        add_command(group, step, STEP_HELP[step])(_make_step(step))
    add_command(group, "report", "write one HTML page about any dataset")(run_report)
    add_command(group, "finetune", "train a synthesizer on the utterances of one speaker")(
        run_finetune
    )
    add_command(group, "export", "write the utterances in the layout of a trainer")(run_export)
    app.add_typer(group, name=name, help=help)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldFinetuneFlags:
    """The arguments of `dataset finetune`."""

    name: NameArgument
    model: Annotated[str, typer.Option(metavar="MODEL", help="SV2TTS model to start from.")]
    speaker: Annotated[str, typer.Option(help="Whose utterances; needed where several speak.")] = ""
    run: Annotated[str, typer.Option(help="Training and new model; default NAME-SPEAKER.")] = ""
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 30.0
    learning_rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-4
    batch_size: Annotated[int, typer.Option(help="Utterances in a batch.")] = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldFlags:
    """The arguments of `dataset gold`."""

    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="Audio or video file.")]
    transcript: Annotated[
        str, typer.Argument(metavar="TRANSCRIPT", help="html, txt, vtt, srt, docx or json.")
    ]
    speaker: Annotated[str, typer.Option(help="Keep this speaker only; default all.")] = ""
    speakers: Annotated[
        int, typer.Option(help="How many speak; 0: as many as the transcript names.")
    ] = 0
    method: Annotated[
        str, typer.Option(metavar="{" + ",".join(METHODS) + "}", help="How voices are clustered.")
    ] = METHODS[0]
    encoder: Annotated[str, typer.Option(help="Speaker encoder: resemblyzer, a run or a file.")] = (
        "resemblyzer"
    )
    name: Annotated[str, typer.Option(help="Project; default the name of the recording.")] = ""
    anew: AnewFlag = False


def run_gold(flags: GoldFlags, as_json: JsonFlag = False) -> int:
    values = {field.name: getattr(flags, field.name) for field in fields(flags)}
    return _run(GoldRequest(**values), as_json)


def run_report(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="Any dataset; gold/NAME, prepared/NAME, … where names clash."
        ),
    ],
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    write: Any = import_module(REPORT_WORKER).write_dataset_report  # Any: imports torch, only here
    request = DatasetReportRequest(name=dataset)
    made: DatasetReportResult = write(studio.layout, request, create_reporter(as_json))
    return emit(made, f"{made.rows} utterances ({made.kind}): {made.path}", as_json)


def run_finetune(flags: GoldFinetuneFlags, as_json: JsonFlag = False) -> int:
    studio = Studio.open()
    finetune: Any = import_module(FINETUNE_WORKER).finetune_on_gold  # Any: imports torch, only here
    values = {field.name: getattr(flags, field.name) for field in fields(flags)}
    request = GoldFinetuneRequest(**values)
    made: GoldFinetuneResult = finetune(studio.layout, request, create_reporter(as_json))
    if as_json:
        return emit(made, "", True)
    print_line(f"{made.message} {made.utterances} utterances of {made.speaker}.")
    print_line(f"Model: {made.run}. Speak with it: testudo speak TEXT --model {made.run}")
    for clip in made.clips:
        print_line(
            f"similarity {clip.similarity_before:.2f} -> {clip.similarity_after:.2f}: "
            f"{made.folder}/{clip.before}, {made.folder}/{clip.after}"
        )
    return 0


def run_export(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="New folder.")],
    layout: Annotated[
        str, typer.Option(metavar="{" + ",".join(LAYOUTS) + "}", help="Layout of the files.")
    ] = LAYOUTS[0],
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    export: Any = import_module(WORKER).export_gold_dataset  # Any: imports torch, only here
    request = GoldExportRequest(name=name, layout=layout, target=str(out.expanduser()))
    made: GoldExportResult = export(studio.layout, request, create_reporter(as_json))
    return emit(made, f"{made.utterances} utterances in {made.folder}", as_json)


def _make_step(step: str) -> Callable[..., int]:
    def run(name: NameArgument, anew: AnewFlag = False, as_json: JsonFlag = False) -> int:
        return _run(GoldRequest(name=name, steps=(step,), anew=anew), as_json)

    return run


def _run(request: GoldRequest, as_json: bool) -> int:
    studio = Studio.open()
    make: Any = import_module(WORKER).make_gold_dataset  # Any: imports torch, only here
    made: GoldResult = make(studio.layout, request, create_reporter(as_json))
    if as_json:
        return emit(made, "", True)
    print_line(f"Steps: {', '.join(made.ran) or 'nothing has changed since the last run'}")
    if made.turns:
        print_line(f"{made.flagged} of {made.turns} turns are to be looked at; see 3-check.csv")
    if made.utterances or made.left_out:
        print_line(
            f"{made.utterances} utterances, {made.seconds / 60:.1f} minutes; "
            f"{made.left_out} are left out; see 5-utterances.csv"
        )
    print_line(f"{made.folder}. Edit a file there, and run again: later steps follow.")
    return 0
