"""Speaker datasets and encoder trainings of a studio: list, start, watch, stop and resume.

service = EncoderService(layout)
service.start("english", dataset="librispeech", config=EncoderTrainConfig())
service.view("english").status.eta_s
service.get_status("english").curves                as the page shows finetunes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import AppError, InvalidValueError, reraise_as_app_error
from core.files import write_json
from core.paths import ProjectPaths, quote_for_message
from speakers.dataset import DATASET_FILE, SpeakerDatasetError, read_speaker_dataset
from speakers.modules.feature_config import FeatureConfig
from speakers.training.config import (
    CONFIG_FILE,
    PRESETS,
    EncoderTrainConfig,
    read_encoder_config,
)
from speakers.training.launch import start_training
from studio.detached_runs import (
    SOURCE_FILE,
    DetachedRuns,
    RunView,
    list_folders,
    read_dataset_path,
)

DONE_MESSAGE = "The encoder can be chosen under Utilities, Speaker lab."

# Any: of each option its own type.

__all__ = ["PRESETS", "EncoderTrainConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRecipe:
    """Features and training options that go together.  min_frames: of a recording."""

    label: str
    features: FeatureConfig
    config: EncoderTrainConfig
    min_frames: int = 160


RECIPES: Mapping[str, EncoderRecipe] = {
    "small": EncoderRecipe(
        label="Small (as the built-in encoder)",
        features=FeatureConfig(kind="singer_mel", normalization="schluter"),
        config=EncoderTrainConfig(
            hidden=128,
            layers=1,
            steps=600,
            learning_rate=0.003,
            lr_schedule="cosine",
            crop_frames=60,
            min_crop_frames=40,
            mask_frames=10,
            mask_bins=10,
            umap_every=0,
            save_every=100,
            backup_every=0,
        ),
        min_frames=60,
    ),
    "ge2e": EncoderRecipe(
        label="GE2E (published size)", features=FeatureConfig(), config=PRESETS["ge2e"]
    ),
    "singer": EncoderRecipe(
        label="Singer identity",
        features=FeatureConfig(kind="singer_mel", trim_silence=False),
        config=PRESETS["singer"],
        min_frames=128,
    ),
    "peewee": EncoderRecipe(
        label="Pee Wee",
        features=FeatureConfig(kind="peewee_mel", trim_silence=False),
        config=PRESETS["peewee"],
    ),
}


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
    done_message = DONE_MESSAGE

    @staticmethod
    def get_folder(layout: ProjectPaths) -> Path:
        """Return the folder of the encoder runs in a studio."""
        return layout.encoders / "runs"

    def resume(self, name: str) -> RunView:
        """Resume a run from its last saved state."""
        folder = self.find(name)
        with reraise_as_app_error(InvalidValueError):
            config = read_encoder_config(folder / CONFIG_FILE)
        return self.start(name, read_dataset_path(folder), config)

    def list_dataset_names(self) -> list[str]:
        """List the names of the preprocessed datasets, the latest first."""
        folders = list_folders(self.layout.encoders / "datasets")
        found = [folder for folder in folders if (folder / DATASET_FILE).is_file()]
        found.sort(key=lambda folder: (folder / DATASET_FILE).stat().st_mtime, reverse=True)
        return [folder.name for folder in found]

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
