"""Requests on speaker datasets and encoders, and their results. Light."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import InvalidValueError
from core.paths import validate_name
from speakers.data.options import AugmentationOptions, PreprocessOptions
from speakers.modules.feature_config import FeatureConfig

PLOT_METHODS = ("tsne", "umap", "pca", "similarity", "det")
PLOT_LEVELS = ("utterance", "speaker")

__all__ = ["AugmentationOptions", "FeatureConfig", "PreprocessOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessRequest:
    """Compute the features of recordings for the training of an encoder.

    sources: folders of datasets or CSV files;  name: of the dataset that is made.
    """

    sources: tuple[str, ...]
    name: str
    features: FeatureConfig = field(default_factory=FeatureConfig)
    options: PreprocessOptions = field(default_factory=PreprocessOptions)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)

    def __post_init__(self) -> None:
        if not self.sources:
            raise InvalidValueError("Give at least one folder of recordings, or a CSV file.")
        validate_name(self.name, "dataset")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """Evaluate an encoder on recordings of several speakers.

    encoder: a run, "auto", "resemblyzer", "built-in", a checkpoint file, or a registered model
    (models:/NAME/2);  data: a preprocessed dataset, a folder in one of the known layouts, a CSV
    file, or a voice folder;
    out: the file to write;  method: of a plot;  level: what a point of a plot stands for.
    """

    encoder: str
    data: str
    layout: str = "auto"
    out: str = ""
    method: str = "tsne"
    level: str = "utterance"
    max_per_speaker: int = 0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("method", self.method, PLOT_METHODS),
            ("level", self.level, PLOT_LEVELS),
        ):
            if value not in allowed:
                raise InvalidValueError(
                    f"{name} is {value!r}; it must be one of {', '.join(allowed)}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateResult:
    """What was evaluated, and the file that was written.

    eer to different: as in speakers.evaluation.verification, None where it was not asked for;
    left_out: file to the reason.
    """

    encoder: str
    speakers: int
    utterances: int
    path: str = ""
    eer: float | None = None
    threshold: float | None = None
    same: float | None = None
    different: float | None = None
    left_out: dict[str, str] = field(default_factory=dict)
