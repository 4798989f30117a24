"""testudo encoder: preprocess recordings, train speaker encoders, embed, verify, tabulate, plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import (
    create_reporter,
    emit,
    print_line,
    print_table,
)
from cli.training.run_progress import (
    SHOWN_FILES,
    NowFlag,
    follow_run,
    format_left_out,
    format_progress,
    print_runs,
    stop_run,
)
from core.errors import InvalidValueError, reraise_as_app_error
from core.options import list_option_fields
from studio.app.studio import Studio
from studio.encoders.requests import (
    PLOT_LEVELS,
    PLOT_METHODS,
    AugmentationOptions,
    EvaluateRequest,
    EvaluateResult,
    FeatureConfig,
    PreprocessOptions,
    PreprocessRequest,
)
from studio.encoders.service import (
    EncoderService,
    EncoderTrainConfig,
    build_train_config,
)

# Any: of each option its own type.

CONFIG_ERRORS = (InvalidValueError, ValueError)
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Training run of an encoder.")]
FollowFlag = Annotated[bool, typer.Option(help="Show the progress; Ctrl-C does not stop the run.")]
ModelsDirOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the runs; default encoders/runs.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateFlags:
    """The arguments that embed, verify, table and plot share."""

    encoder: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER",
            help="A run, resemblyzer, a checkpoint file, or models:/NAME/VERSION of MLflow.",
        ),
    ]
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A preprocessed dataset, a folder of recordings, or a CSV file."
        ),
    ]
    layout: Annotated[str, typer.Option(help="Layout of the recordings.")] = "auto"
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="File to write.")] = ""
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, …")] = "auto"
    max_per_speaker: Annotated[
        int, typer.Option(metavar="N", help="Utterances in a mean embedding; 0: all.")
    ] = 0


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `encoder` to the program."""
    group = create_app(help)
    groups = {
        "features": list_option_fields(FeatureConfig),
        "options": list_option_fields(PreprocessOptions),
        "augmentation": list_option_fields(AugmentationOptions),
    }
    aliases = {"kind": ["--features"], "layout": ["-l"]}
    add_command(
        group,
        "preprocess",
        "compute the features of recordings, and say why files are left out",
        groups,
        lambda field: aliases.get(field, ()),
    )(run_preprocess)
    add_command(
        group,
        "train",
        "start or resume the training of an encoder in the background",
        {"options": list_option_fields(EncoderTrainConfig)},
    )(run_train)
    for action, help_text, function in (
        ("datasets", "list the preprocessed datasets", run_datasets),
        ("runs", "list the trainings, or show one", run_runs),
        ("watch", "follow a training until it ends", run_watch),
        ("stop", "let a training save and end", run_stop),
        ("embed", "write the embedding of every utterance (.csv, .parquet, .npy)", run_embed),
        ("verify", "measure the equal error rate, and draw the DET curve", run_verify),
        ("table", "write the mean embedding of every speaker (.csv, .parquet)", run_table),
        ("plot", "draw embeddings by speaker and gender, or similarities", run_plot),
    ):
        add_command(group, action, help_text)(function)
    app.add_typer(group, name=name, help=help)


def run_preprocess(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Folders of recordings, or CSV files."),
    ],
    features: Mapping[str, Any],
    options: Mapping[str, Any],
    augmentation: Mapping[str, Any],
    name: Annotated[str, typer.Option(help="Dataset; default the name of the first source.")] = "",
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    with reraise_as_app_error(*CONFIG_ERRORS):
        request = PreprocessRequest(
            sources=tuple(sources),
            name=name or Path(sources[0]).absolute().stem,
            features=FeatureConfig(**features),
            options=PreprocessOptions(**options),
            augmentation=AugmentationOptions(**augmentation),
        )
    made = _call("preprocess_dataset", studio, request, as_json)
    return emit(made, _format_preprocessed(made, request.name), as_json)


def run_train(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A preprocessed dataset.")],
    options: Mapping[str, Any],
    name: Annotated[
        str, typer.Option("--name", "--run-id", help="Run; default the name of the dataset.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="encoder.yaml with the options.")
    ] = None,
    models_dir: ModelsDirOption = None,
    force_restart: Annotated[
        bool, typer.Option("--force-restart", "-f", help="Start anew where a run exists.")
    ] = False,
    follow: FollowFlag = False,
    as_json: JsonFlag = False,
) -> int:
    service = _open(models_dir)
    with reraise_as_app_error(*CONFIG_ERRORS):
        chosen = build_train_config(config, options)
    run = service.start(name or Path(dataset).name, dataset, chosen, force_restart=force_restart)
    if follow and not as_json:
        return follow_run(
            lambda: service.view(run.name),
            "encoder",
            f"Try it: testudo encoder verify {run.name} DATA",
        )
    text = (
        f"{run.name} runs in the background. Watch it: testudo encoder watch {run.name}; stop it: "
        f"testudo encoder stop {run.name}"
    )
    return emit(run, text, as_json)


def run_datasets(as_json: JsonFlag = False) -> int:
    found = _open(None).list_datasets()
    if as_json:
        return emit(found, "", True)
    if not found:
        print_line("There are no datasets yet. `testudo encoder preprocess FOLDER` creates one.")
    rows = [
        (
            info.name,
            info.problem
            or f"{info.speakers} speakers, {info.files} files, {info.hours:.2f} h, {info.kind}",
        )
        for info in found
    ]
    print_table(["dataset", "contents"], rows)
    return 0


def run_runs(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Default all.")] = "",
    models_dir: ModelsDirOption = None,
    as_json: JsonFlag = False,
) -> int:
    service = _open(models_dir)
    if run:
        view = service.view(run)
        return emit(view, [format_progress(view), *view.status.notes], as_json)
    if_none = "There are no encoders yet. `testudo encoder train DATASET` trains one."
    return print_runs(service.list_runs(), if_none, as_json)


def run_watch(run: RunArgument, models_dir: ModelsDirOption = None) -> int:
    return _follow(_open(models_dir), run)


def run_stop(
    run: RunArgument,
    now: NowFlag = False,
    models_dir: ModelsDirOption = None,
    as_json: JsonFlag = False,
) -> int:
    return stop_run(_open(models_dir).stop, run, now, as_json)


def run_embed(flags: EvaluateFlags, as_json: JsonFlag = False) -> int:
    return _evaluate("embed_recordings", flags, "embeddings.csv", as_json)


def run_verify(flags: EvaluateFlags, as_json: JsonFlag = False) -> int:
    return _evaluate("verify_encoder", flags, "", as_json)


def run_table(flags: EvaluateFlags, as_json: JsonFlag = False) -> int:
    return _evaluate("tabulate_speakers", flags, "speakers.csv", as_json)


def run_plot(
    flags: EvaluateFlags,
    method: Annotated[
        str, typer.Option(metavar="{" + ",".join(PLOT_METHODS) + "}", help="What to draw.")
    ] = "tsne",
    level: Annotated[
        str, typer.Option(metavar="{" + ",".join(PLOT_LEVELS) + "}", help="What a point is.")
    ] = "utterance",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the projection.")] = 0,
    as_json: JsonFlag = False,
) -> int:
    extra = {"method": method, "level": level, "seed": seed}
    return _evaluate("plot_embeddings", flags, f"{method}.png", as_json, extra)


def _evaluate(
    task: str,
    flags: EvaluateFlags,
    default_out: str,
    as_json: bool,
    extra: Mapping[str, Any] | None = None,
) -> int:
    with reraise_as_app_error(*CONFIG_ERRORS):
        request = EvaluateRequest(
            encoder=flags.encoder,
            data=flags.data,
            layout=flags.layout,
            out=flags.out or default_out,
            device=flags.device,
            max_per_speaker=flags.max_per_speaker,
            **(extra or {}),
        )
    made = _call(task, Studio.open(), request, as_json)
    return emit(made, _format_evaluated(made), as_json)


def _call(function: str, studio: Studio, request: object, as_json: bool) -> Any:
    task = getattr(import_module("studio.workers.encoders"), function)
    return task(studio.layout, request, create_reporter(as_json))


def _open(models_dir: Path | None) -> EncoderService:
    return EncoderService(Studio.open().layout, models_dir=models_dir and models_dir.absolute())


def _format_preprocessed(made: Any, name: str) -> Iterator[str]:
    left_out = [(item.path, item.reason) for item in made.left_out]
    yield from format_left_out(left_out, f"; all of them: {made.folder}/left_out.csv")
    for item in made.remarks[:SHOWN_FILES]:
        yield f"remark: {item.path}: {item.reason}"
    yield from (f"warning: {warning}" for warning in made.warnings)
    yield (
        f"{made.folder}: {made.speakers} speakers, {made.recordings} recordings, "
        f"{made.feature_files} feature files, {made.hours:.2f} h ({made.layout}). "
        f"Batches of {made.speakers_per_batch} speakers x {made.utterances_per_batch} utterances "
        "suit it."
    )
    yield f"Train an encoder: testudo encoder train {name}"


def _format_evaluated(made: EvaluateResult) -> Iterator[str]:
    yield from format_left_out(made.left_out.items())
    if made.eer is not None:
        yield (
            f"{made.encoder}: equal error rate {made.eer:.2%} at similarity {made.threshold:.3f}; "
            f"mean similarity {made.same:.3f} within a speaker, {made.different:.3f} between two"
        )
    yield f"{made.speakers} speakers, {made.utterances} utterances"
    if made.path:
        yield f"written: {made.path}"


def _follow(service: EncoderService, name: str) -> int:
    hint = f"Try it: testudo encoder verify {name} DATA"
    return follow_run(lambda: service.view(name), "encoder", hint)
