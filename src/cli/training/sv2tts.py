"""testudo synthesizer, testudo vocoder: preprocess, train and watch the networks of SV2TTS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit
from cli.training.run_progress import NowFlag, follow_run, format_left_out, print_runs, stop_run
from core.errors import InvalidValueError, reraise_as_app_error
from studio.app.studio import Studio
from studio.sv2tts.requests import (
    LAYOUTS,
    DatasetResult,
    EmbedRequest,
    PreprocessRequest,
    VocoderPreprocessRequest,
)
from studio.sv2tts.service import SYNTHESIZER, VOCODER, Sv2ttsService

WORKER = "studio.workers.sv2tts.datasets"

RunArgument = Annotated[str, typer.Argument(metavar="RUN_ID", help="Training run.")]
DatasetArgument = Annotated[str, typer.Argument(metavar="DATASET", help="Preprocessed dataset.")]
SkipFlag = Annotated[
    bool, typer.Option("--skip-existing", "--skip_existing", "-s", help="Keep what is there.")
]
ModelsDirOption = Annotated[
    Path | None,
    typer.Option("--models-dir", "-m", metavar="DIR", help="Folder of the runs."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessFlags:
    """The arguments of `synthesizer preprocess`."""

    source: Annotated[str, typer.Argument(metavar="FOLDER", help="Recordings with their texts.")]
    name: Annotated[str, typer.Option(help="Dataset; default the name of the folder.")] = ""
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            "--datasets-name",
            "--datasets_name",
            metavar="{" + ",".join(LAYOUTS) + "}",
            help="Layout of the recordings.",
        ),
    ] = "auto"
    subfolders: Annotated[str, typer.Option(help="Folders below, comma-separated.")] = ""
    no_alignments: Annotated[
        bool,
        typer.Option("--no-alignments", "--no_alignments", help="Do not split at silences."),
    ] = False
    no_trim: Annotated[
        bool, typer.Option("--no-trim", "--no_trim", help="Do not shorten pauses.")
    ] = False
    skip_existing: SkipFlag = False
    model: Annotated[
        str, typer.Option(help="SV2TTS model to finetune; default the published format.")
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFlags:
    """The arguments that both trainings share."""

    run_id: RunArgument
    dataset: DatasetArgument
    hparams: Annotated[
        str,
        typer.Option(
            metavar="NAME=VALUE,…", help="Options of the training, the original names too."
        ),
    ] = ""
    models_dir: ModelsDirOption = None
    save_every: Annotated[
        int | None, typer.Option("--save-every", "-s", metavar="N", help="Steps; 0: at the end.")
    ] = None
    backup_every: Annotated[
        int | None, typer.Option("--backup-every", "-b", metavar="N", help="Steps; 0: never.")
    ] = None
    force_restart: Annotated[
        bool, typer.Option("--force-restart", "-f", help="Start anew where a run exists.")
    ] = False
    follow: Annotated[
        bool, typer.Option(help="Show the progress; Ctrl-C does not stop the run.")
    ] = False


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `synthesizer` or `vocoder` to the program."""
    group = create_app(help)
    if name == SYNTHESIZER:
        rows: list[tuple[str, str, Callable[..., int]]] = [
            ("preprocess", "make waves, mels and a list of recordings with texts", run_preprocess),
            ("embeds", "embed each utterance of a dataset", run_embeds),
            ("train", "start or resume the training of a synthesizer", run_train_synthesizer),
        ]
    else:
        rows = [
            ("preprocess", "predict the mels of a dataset with a synthesizer", run_predict),
            ("train", "start or resume the training of a vocoder", run_train_vocoder),
        ]
    rows += [
        ("runs", "list the trainings", _make_list(name)),
        ("watch", "follow a training until it ends", _make_watch(name)),
        ("stop", "let a training save and end", run_stop),
    ]
    for action, text, function in rows:
        add_command(group, action, text)(function)
    app.add_typer(group, name=name, help=help)


def run_preprocess(flags: PreprocessFlags, as_json: JsonFlag = False) -> int:
    with reraise_as_app_error(InvalidValueError):
        request = PreprocessRequest(
            source=flags.source,
            dataset=flags.name or Path(flags.source).expanduser().absolute().name,
            layout=flags.layout.lower(),
            subfolders=tuple(filter(None, flags.subfolders.split(","))),
            alignments=not flags.no_alignments,
            trim=not flags.no_trim,
            skip_existing=flags.skip_existing,
            model=flags.model,
        )
    made = _call("preprocess_dataset", request, as_json)
    return emit(made, _format_made(made, f"testudo synthesizer embeds {made.name}"), as_json)


def run_embeds(
    dataset: DatasetArgument,
    encoder: Annotated[
        str, typer.Option("--encoder", "-e", help="A run, a model, a file, or resemblyzer.")
    ] = "resemblyzer",
    skip_existing: SkipFlag = False,
    as_json: JsonFlag = False,
) -> int:
    request = EmbedRequest(dataset=dataset, encoder=encoder, skip_existing=skip_existing)
    made = _call("embed_utterances", request, as_json)
    return emit(made, _format_made(made, f"testudo synthesizer train RUN_ID {made.name}"), as_json)


def run_predict(
    dataset: DatasetArgument,
    synthesizer: Annotated[
        str, typer.Option("--synthesizer", help="A run of a synthesizer, or its file.")
    ],
    as_json: JsonFlag = False,
) -> int:
    request = VocoderPreprocessRequest(dataset=dataset, synthesizer=synthesizer)
    made = _call("predict_dataset_mels", request, as_json)
    return emit(made, _format_made(made, f"testudo vocoder train RUN_ID {made.name}"), as_json)


def run_train_synthesizer(flags: TrainFlags, as_json: JsonFlag = False) -> int:
    return _train(flags, SYNTHESIZER, {}, as_json)


def run_train_vocoder(
    flags: TrainFlags,
    ground_truth: Annotated[
        bool,
        typer.Option("--ground-truth", "--ground_truth", "-g", help="Train on true mels."),
    ] = False,
    as_json: JsonFlag = False,
) -> int:
    return _train(flags, VOCODER, {"ground_truth": ground_truth}, as_json)


def run_stop(
    run_id: RunArgument,
    now: NowFlag = False,
    models_dir: ModelsDirOption = None,
    as_json: JsonFlag = False,
) -> int:
    return stop_run(_open(models_dir).stop, run_id, now, as_json)


def _make_watch(command: str) -> Callable[..., int]:
    def run(run_id: RunArgument, models_dir: ModelsDirOption = None) -> int:
        service = _open(models_dir)
        return follow_run(lambda: service.view(run_id), command)

    return run


def _make_list(kind: str) -> Callable[..., int]:
    def run(models_dir: ModelsDirOption = None, as_json: JsonFlag = False) -> int:
        if_none = f"There are no trainings yet. `testudo {kind} train` starts one."
        return print_runs(_open(models_dir).list_kind(kind), if_none, as_json)

    return run


def _train(flags: TrainFlags, kind: str, given: Mapping[str, Any], as_json: bool) -> int:
    """Start a training with the options of the run where it exists, changed by those given."""
    service = _open(flags.models_dir)
    options = {"save_every": flags.save_every, "backup_every": flags.backup_every, **given}
    with reraise_as_app_error(InvalidValueError, ValueError):
        config = service.build_config(
            kind,
            flags.run_id,
            {name: value for name, value in options.items() if value is not None},
            flags.hparams,
        )
    run = service.start(flags.run_id, flags.dataset, config, force_restart=flags.force_restart)
    if flags.follow and not as_json:
        return follow_run(lambda: service.view(run.name), kind)
    text = (
        f"{run.name} runs in the background. Watch it: testudo {kind} watch {run.name}; stop "
        f"it: testudo {kind} stop {run.name}"
    )
    return emit(run, text, as_json)


def _call(function: str, request: object, as_json: bool) -> DatasetResult:
    task: Any = getattr(import_module(WORKER), function)  # Any: imports torch, only here
    made: DatasetResult = task(Studio.open().layout, request, create_reporter(as_json))
    return made


def _format_made(made: DatasetResult, following: str) -> Iterator[str]:
    yield from format_left_out(made.left_out.items())
    yield f"{made.folder}: {made.utterances} utterances, {made.hours:.2f} h"
    yield f"Next: {following}"


def _open(models_dir: Path | None) -> Sv2ttsService:
    return Sv2ttsService(Studio.open().layout, models_dir=models_dir and models_dir.absolute())
