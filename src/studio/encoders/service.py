"""Speaker datasets and encoder trainings of a studio: list, start, watch, stop and resume.

service = EncoderService(layout)
service.start("english", dataset="librispeech", config=EncoderTrainConfig())
service.view("english").status.eta_s
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import AppError, reraise_as_app_error
from core.files import write_json
from core.paths import ProjectPaths, quote_for_message
from speakers.dataset import SpeakerDatasetError, read_speaker_dataset
from speakers.training.config import (
    CONFIG_FILE,
    PRESETS,
    EncoderTrainConfig,
    read_encoder_config,
)
from speakers.training.launch import start_training
from studio.detached_runs import DetachedRuns, RunView, list_folders

SOURCE_FILE = "dataset_path.json"  # which dataset a run was started with

# Any: of each option its own type.

__all__ = ["PRESETS", "EncoderTrainConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerDatasetInfo:
    """A preprocessed dataset in a list; problem: why it cannot be used, or ""."""

    name: str
    folder: Path
    kind: str = ""
    speakers: int = 0
    files: int = 0
    hours: float = 0.0
    problem: str = ""


class EncoderService(DetachedRuns):
    """The encoders of one studio."""

    config_files = (CONFIG_FILE,)
    noun = "encoder run"

    @staticmethod
    def get_folder(layout: ProjectPaths) -> Path:
        """Return the folder of the encoder runs in a studio."""
        return layout.encoders / "runs"

    def list_datasets(self) -> list[SpeakerDatasetInfo]:
        """List the preprocessed datasets by name."""
        return [
            describe_dataset(folder) for folder in list_folders(self.layout.encoders / "datasets")
        ]

    def start(
        self, name: str, dataset: str, config: EncoderTrainConfig, *, force_restart: bool = False
    ) -> RunView:
        """Start a training, or resume it where a run of that name has a saved state."""
        folder = self.folder / self.layout.encoder_run(name).name
        source = self.find_dataset(dataset)
        self.make_room()
        with reraise_as_app_error(SpeakerDatasetError):
            start_training(
                folder,
                source,
                config,
                force_restart=force_restart,
                turn=self.layout.training_lock,
            )
        write_json(folder / SOURCE_FILE, {"dataset": str(source)})
        return self.view(name)

    def find_dataset(self, name: str) -> Path:
        """Return the folder of a preprocessed dataset, by its name or path."""
        folder = Path(name) if "/" in name or "\\" in name else self.layout.encoder_dataset(name)
        if folder.is_dir():
            return folder
        there = ", ".join(info.name for info in self.list_datasets()) or "none"
        raise AppError(
            f"There is no speaker dataset {quote_for_message(name)} (there: {there}).",
            code="missing_file",
            cli_hint="Create one: testudo encoder preprocess FOLDER "
            f"--name {quote_for_message(name)}",
        )


def build_train_config(path: Path | None, options: Mapping[str, Any]) -> EncoderTrainConfig:
    """Return the options of a training: those given, of a file, of the preset of their kind.

    Raises InvalidValueError or ValidationError for one that cannot be used.
    """
    if path is not None:
        return replace(read_encoder_config(path), **options)
    return replace(PRESETS.get(options.get("kind", "ge2e"), PRESETS["ge2e"]), **options)


def describe_dataset(folder: Path) -> SpeakerDatasetInfo:
    """Return what a preprocessed dataset contains."""
    try:
        content = read_speaker_dataset(folder)
    except SpeakerDatasetError as error:
        return SpeakerDatasetInfo(name=folder.name, folder=folder, problem=str(error))
    files = [file for speaker in content.speakers for file in speaker.files]
    seconds = content.features.hop / content.features.sample_rate
    return SpeakerDatasetInfo(
        name=folder.name,
        folder=folder,
        kind=content.features.kind + (" + pitch" if content.features.pitch_condition else ""),
        speakers=len(content.speakers),
        files=len(files),
        hours=sum(file.frames for file in files) * seconds / 3600,
    )
