"""Finetuning of a synthesizer on the utterances of a gold-standard project: request and result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from core.errors import AppError
from core.paths import ProjectPaths, slugify
from core.serialization import ValidationError, from_dict
from engines.model_files import ModelFileError, read_json
from studio.datasets.gold_request import find_gold_project
from studio.model_store.bundles import list_models

SV2TTS = "sv2tts"
COMPARISON_FILE = "comparison.json"
FINETUNE_DIR = "finetune"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldFinetuneRequest:
    """Finetune the synthesizer of an SV2TTS model on the kept utterances of one speaker.

    name: of the project;  model: to start from;  speaker: "" where the project has one only;
    run: name of the training and of the new model, "" for PROJECT-SPEAKER;  minutes: of training;
    learning_rate, batch_size: of its only phase.
    """

    name: str
    model: str
    speaker: str = ""
    run: str = ""
    minutes: float = 30.0
    learning_rate: float = 1e-4
    batch_size: int = 12

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 100_000:
            raise AppError(f"minutes is {self.minutes:g}; it must be above 0.")

    @property
    def run_name(self) -> str:
        """The name of the training and of the new model."""
        return self.run or slugify(f"{self.name}-{self.speaker}".strip("-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedClip:
    """A text that was not trained on: recorded, and spoken by the model before and after.

    recording, before, after: files below the project;  similarity: to the speaker, -1 to 1;
    wer: word error rate, None where no recognizer is installed.
    """

    text: str
    recording: str
    before: str
    after: str
    similarity_before: float
    similarity_after: float
    wer_before: float | None = None
    wer_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldFinetuneResult:
    """The finetuned model beside the one it started from. folder: of the project."""

    name: str
    run: str
    model: str
    speaker: str
    folder: str
    utterances: int
    message: str
    clips: tuple[ComparedClip, ...] = ()

    @property
    def similarity(self) -> tuple[float, float]:
        """Mean similarity before and after."""
        return (
            mean(clip.similarity_before for clip in self.clips),
            mean(clip.similarity_after for clip in self.clips),
        )

    @property
    def wer(self) -> tuple[float, float] | None:
        """Mean word error rate before and after."""
        before = [clip.wer_before for clip in self.clips if clip.wer_before is not None]
        after = [clip.wer_after for clip in self.clips if clip.wer_after is not None]
        return (mean(before), mean(after)) if before and after else None


def list_finetunable_models(layout: ProjectPaths) -> list[str]:
    """List the models whose synthesizer can be finetuned."""
    return [one.name for one in list_models(layout) if one.engine == SV2TTS and one.speaks]


def find_finetunable_model(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a model whose synthesizer can be finetuned. Raises AppError."""
    if name not in list_finetunable_models(layout):
        raise AppError(
            f"{name} is not a model whose synthesizer can be finetuned. Import one of SV2TTS, or "
            "train one.",
            code="missing_file",
        )
    return layout.model(name)


def read_comparisons(layout: ProjectPaths, name: str) -> list[GoldFinetuneResult]:
    """Read the comparisons of the models that were finetuned on a project, the newest first."""
    folder = find_gold_project(layout, name) / FINETUNE_DIR
    found = sorted(folder.glob(f"*/{COMPARISON_FILE}"), key=lambda path: -path.stat().st_mtime)
    results = []
    for path in found:
        try:
            results.append(from_dict(GoldFinetuneResult, read_json(path)))
        except (ModelFileError, ValidationError) as error:
            raise AppError(f"{path} is damaged: {error}. Delete it.") from error
    return results


def get_comparison_path(folder: Path, run: str) -> Path:
    """Return where the comparison of a run lies in a project."""
    return folder / FINETUNE_DIR / run / COMPARISON_FILE
