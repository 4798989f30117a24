"""SV2TTS datasets and trainings of a studio: list, start, watch, stop and resume."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.files import write_json
from core.paths import ProjectPaths, quote_for_message, validate_name
from runs.launch import start_process
from studio.detached_runs import DetachedRuns, RunView, list_folders
from sv2tts.training.config import (
    SYNTHESIZER_FILE,
    VOCODER_FILE,
    SynthesizerTrainConfig,
    VocoderTrainConfig,
    apply_hparams,
    read_config,
    write_config,
)

SYNTHESIZER, VOCODER = "synthesizer", "vocoder"
TRAINER = ("-m", "sv2tts.training.trainer")
SOURCE_FILE = "dataset_path.json"  # which dataset a run was started with
TRAIN_LIST = "train.txt"


class Sv2ttsService(DetachedRuns):
    """The synthesizers and vocoders of one studio."""

    config_files = (SYNTHESIZER_FILE, VOCODER_FILE)
    noun = "training run"

    @staticmethod
    def get_folder(layout: ProjectPaths) -> Path:
        """Return the folder of the runs in a studio."""
        return layout.training / "sv2tts" / "runs"

    def list_datasets(self) -> list[str]:
        """List the preprocessed datasets by name."""
        folder = get_datasets_folder(self.layout)
        return [path.name for path in list_folders(folder) if (path / TRAIN_LIST).is_file()]

    def list_kind(self, kind: str) -> list[RunView]:
        """List the runs of SYNTHESIZER or VOCODER by name."""
        return [view for view in self.list_runs() if (view.folder / _FILES[kind]).is_file()]

    def build_config(
        self, kind: str, name: str, options: Mapping[str, Any], hparams: str = ""
    ) -> SynthesizerTrainConfig | VocoderTrainConfig:
        """Return the configuration of a run, or the defaults of a new one, changed by options.

        hparams: "name=value,…". Raises InvalidValueError for an option that cannot be used.
        """
        path = self.folder / name / _FILES[kind]
        cls: Any = SynthesizerTrainConfig if kind == SYNTHESIZER else VocoderTrainConfig
        before: Any = read_config(path, cls) if path.is_file() else cls()
        pairs = ",".join(f"{option}={value}" for option, value in options.items())
        config: SynthesizerTrainConfig | VocoderTrainConfig = apply_hparams(
            apply_hparams(before, pairs), hparams
        )
        return config

    def start(
        self,
        name: str,
        dataset: str,
        config: SynthesizerTrainConfig | VocoderTrainConfig,
        *,
        force_restart: bool = False,
    ) -> RunView:
        """Start a training, or resume it where a run of that name has a saved state."""
        run = self.folder / validate_name(name, "run")
        source = find_dataset(self.layout, dataset)
        self.make_room()
        command = [sys.executable, *TRAINER, str(run.absolute()), "--dataset", str(source)]
        if force_restart:
            command.append("--force-restart")
        is_synthesizer = isinstance(config, SynthesizerTrainConfig)
        other = run / (VOCODER_FILE if is_synthesizer else SYNTHESIZER_FILE)
        if other.is_file():
            raise AppError(f"{name} is a run of another kind. Choose another name.")

        def prepare() -> None:
            file = SYNTHESIZER_FILE if is_synthesizer else VOCODER_FILE
            write_config(run / file, config)
            write_json(run / SOURCE_FILE, {"dataset": str(source)})

        start_process(run, command, prepare, self.layout.training_lock)
        return self.view(name)


_FILES = {SYNTHESIZER: SYNTHESIZER_FILE, VOCODER: VOCODER_FILE}


def get_datasets_folder(layout: ProjectPaths) -> Path:
    """Return the folder of the preprocessed datasets."""
    return layout.training / "sv2tts" / "datasets"


def find_dataset(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a preprocessed dataset, by its name or path."""
    is_path = "/" in name or "\\" in name
    folder = Path(name).absolute() if is_path else get_datasets_folder(layout) / name
    if (folder / TRAIN_LIST).is_file():
        return folder
    raise AppError(
        f"There is no synthesizer dataset {quote_for_message(name)}.",
        code="missing_file",
        cli_hint="Create one: testudo synthesizer preprocess FOLDER "
        f"--name {quote_for_message(name)}",
    )
