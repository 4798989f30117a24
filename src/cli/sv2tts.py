"""testudo synthesizer, testudo vocoder: preprocess, train and watch the networks of SV2TTS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_line, print_table
from cli.run_progress import follow_run, format_progress, format_stopped
from core.errors import InvalidValueError, reraise_as_app_error
from studio.app.studio import Studio
from studio.sv2tts.requests import (
    LAYOUTS,
    DatasetResult,
    EmbedRequest,
    PreprocessRequest,
    VocoderPreprocessRequest,
)
from studio.sv2tts.service import Sv2ttsService
from sv2tts.training.config import (
    SYNTHESIZER_FILE,
    VOCODER_FILE,
    SynthesizerTrainConfig,
    VocoderTrainConfig,
    apply_hparams,
    read_config,
)

WORKER = "studio.workers.sv2tts"
SYNTHESIZER, VOCODER = "synthesizer", "vocoder"
SHOWN_FILES = 10
KILL_AFTER_S = 30.0

RunArgument = Annotated[str, typer.Argument(metavar="RUN_ID", help="Training run.")]
DatasetArgument = Annotated[str, typer.Argument(metavar="DATASET", help="Preprocessed dataset.")]
SkipFlag = Annotated[
    bool, typer.Option("--skip-existing", "--skip_existing", "-s", help="Keep what is there.")
]
HparamsOption = Annotated[
    str,
    typer.Option(metavar="NAME=VALUE,…", help="Options of the training, the original names too."),
]
ModelsDirOption = Annotated[
    Path | None,
    typer.Option("--models-dir", "-m", metavar="DIR", help="Folder of the runs."),
]
SaveOption = Annotated[
    int | None, typer.Option("--save-every", "-s", metavar="N", help="Steps; 0: at the end.")
]
BackupOption = Annotated[
    int | None, typer.Option("--backup-every", "-b", metavar="N", help="Steps; 0: never.")
]
RestartFlag = Annotated[
    bool, typer.Option("--force-restart", "-f", help="Start anew where a run exists.")
]
FollowFlag = Annotated[bool, typer.Option(help="Show the progress; Ctrl-C does not stop the run.")]


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


def run_preprocess(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="Recordings with their texts.")],
    name: Annotated[str, typer.Option(help="Dataset; default the name of the folder.")] = "",
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            "--datasets-name",
            "--datasets_name",
            metavar="{" + ",".join(LAYOUTS) + "}",
            help="Layout of the recordings.",
        ),
    ] = "auto",
    subfolders: Annotated[str, typer.Option(help="Folders below, comma-separated.")] = "",
    no_alignments: Annotated[
        bool,
        typer.Option("--no-alignments", "--no_alignments", help="Do not split at silences."),
    ] = False,
    no_trim: Annotated[
        bool, typer.Option("--no-trim", "--no_trim", help="Do not shorten pauses.")
    ] = False,
    skip_existing: SkipFlag = False,
    as_json: JsonFlag = False,
) -> int:
    with reraise_as_app_error(InvalidValueError):
        request = PreprocessRequest(
            source=source,
            dataset=name or Path(source).expanduser().absolute().name,
            layout=layout.lower(),
            subfolders=tuple(filter(None, subfolders.split(","))),
            alignments=not no_alignments,
            trim=not no_trim,
            skip_existing=skip_existing,
        )
    made = _call("preprocess_dataset", request, as_json)
    return emit(made, _format_made(made, f"testudo synthesizer embeds {made.name}"), as_json)


def run_embeds(
    dataset: DatasetArgument,
    encoder: Annotated[
        str, typer.Option("--encoder", "-e", help="A run, a file, or resemblyzer.")
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


def run_train_synthesizer(
    run_id: RunArgument,
    dataset: DatasetArgument,
    hparams: HparamsOption = "",
    models_dir: ModelsDirOption = None,
    save_every: SaveOption = None,
    backup_every: BackupOption = None,
    force_restart: RestartFlag = False,
    follow: FollowFlag = False,
    as_json: JsonFlag = False,
) -> int:
    service = _open(models_dir)
    config = _build_config(service, run_id, SYNTHESIZER_FILE, SynthesizerTrainConfig)
    config = _change(config, hparams, save_every=save_every, backup_every=backup_every)
    run = service.start(run_id, dataset, config, force_restart=force_restart)
    return _report_started(service, run.name, SYNTHESIZER, follow and not as_json, as_json)


def run_train_vocoder(
    run_id: RunArgument,
    dataset: DatasetArgument,
    ground_truth: Annotated[
        bool,
        typer.Option("--ground-truth", "--ground_truth", "-g", help="Train on true mels."),
    ] = False,
    hparams: HparamsOption = "",
    models_dir: ModelsDirOption = None,
    save_every: SaveOption = None,
    backup_every: BackupOption = None,
    force_restart: RestartFlag = False,
    follow: FollowFlag = False,
    as_json: JsonFlag = False,
) -> int:
    service = _open(models_dir)
    config = _build_config(service, run_id, VOCODER_FILE, VocoderTrainConfig)
    config = _change(
        config,
        hparams,
        save_every=save_every,
        backup_every=backup_every,
        ground_truth=ground_truth,
    )
    run = service.start(run_id, dataset, config, force_restart=force_restart)
    return _report_started(service, run.name, VOCODER, follow and not as_json, as_json)


def run_stop(
    run_id: RunArgument,
    now: Annotated[
        bool, typer.Option("--now", help="Kill the run if it does not stop in 30 seconds.")
    ] = False,
    models_dir: ModelsDirOption = None,
    as_json: JsonFlag = False,
) -> int:
    view = _open(models_dir).stop(run_id, KILL_AFTER_S if now else None)
    return emit(view, format_stopped(view), as_json)


def _make_watch(command: str) -> Callable[..., int]:
    def run(run_id: RunArgument, models_dir: ModelsDirOption = None) -> int:
        service = _open(models_dir)
        return follow_run(lambda: service.view(run_id), command)

    return run


def _make_list(command: str) -> Callable[..., int]:
    file = SYNTHESIZER_FILE if command == SYNTHESIZER else VOCODER_FILE

    def run(models_dir: ModelsDirOption = None, as_json: JsonFlag = False) -> int:
        found = [view for view in _open(models_dir).list_runs() if (view.folder / file).is_file()]
        if as_json:
            return emit(found, "", True)
        if not found:
            print_line(f"There are no trainings yet. `testudo {command} train` starts one.")
        print_table(["run", "state"], [(view.name, format_progress(view)) for view in found])
        return 0

    return run


def _build_config(service: Sv2ttsService, name: str, file: str, kind: Any) -> Any:
    """Return the configuration of a run that exists, else the defaults; Any: either kind."""
    known = {view.name: view.folder for view in service.list_runs()}
    with reraise_as_app_error(InvalidValueError, ValueError):
        path = known[name] / file if name in known else None
        return read_config(path, kind) if path is not None and path.is_file() else kind()


def _change(config: Any, hparams: str, **given: Any) -> Any:  # Any: either kind of configuration
    """Return the configuration with the options that were given."""
    pairs = [f"{name}={value}" for name, value in given.items() if value is not None]
    with reraise_as_app_error(InvalidValueError, ValueError):
        return apply_hparams(apply_hparams(config, ",".join(pairs)), hparams)


def _report_started(
    service: Sv2ttsService, name: str, command: str, follow: bool, as_json: bool
) -> int:
    if follow:
        return follow_run(lambda: service.view(name), command)
    text = (
        f"{name} runs in the background. Watch it: testudo {command} watch {name}; stop it: "
        f"testudo {command} stop {name}"
    )
    return emit(service.view(name), text, as_json)


def _call(function: str, request: object, as_json: bool) -> DatasetResult:
    task: Any = getattr(import_module(WORKER), function)  # Any: imports torch, only here
    made: DatasetResult = task(Studio.open().layout, request, create_reporter(as_json))
    return made


def _format_made(made: DatasetResult, following: str) -> Iterator[str]:
    left_out = list(made.left_out.items())
    yield from (f"left out: {path}: {reason}" for path, reason in left_out[:SHOWN_FILES])
    if len(left_out) > SHOWN_FILES:
        yield f"… {len(left_out)} files are left out"
    yield f"{made.folder}: {made.utterances} utterances, {made.hours:.2f} h"
    yield f"Next: {following}"


def _open(models_dir: Path | None) -> Sv2ttsService:
    return Sv2ttsService(Studio.open().layout, models_dir=models_dir and models_dir.absolute())
