"""The HTML report of any dataset of the studio: where it is, and the request to write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message, validate_name
from studio.datasets.gold_request import GOLD_DIR

REPORT_FILE = "report.html"
GOLD, PREPARED, SYNTHESIZER, SPEAKERS = "gold", "prepared", "synthesizer", "speakers"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReportRequest:
    """Write the report of a dataset. name: of any dataset, or KIND/NAME where two share a name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReportResult:
    """The report that was written. kind: of the dataset;  rows: its utterances."""

    name: str
    kind: str
    path: str
    rows: int


_PLACES: Mapping[str, tuple[Callable[[ProjectPaths], Path], str]] = MappingProxyType(
    {  # kind -> the folder of its datasets, and the file that each of them has
        GOLD: (lambda layout: layout.training / GOLD_DIR, "project.json"),
        PREPARED: (lambda layout: layout.training, "dataset.json"),
        SYNTHESIZER: (lambda layout: layout.training / "sv2tts" / "datasets", "train.txt"),
        SPEAKERS: (lambda layout: layout.encoders / "datasets", "dataset.json"),
    }
)


def find_dataset(layout: ProjectPaths, name: str) -> tuple[str, Path]:
    """Return kind and folder of a dataset. Raises AppError where there is none of that name."""
    kind, _, rest = name.partition("/")
    kinds = (kind,) if rest and kind in _PLACES else tuple(_PLACES)
    plain = validate_name(rest if len(kinds) == 1 else name, "dataset")
    for one in kinds:
        get_folder, file = _PLACES[one]
        folder = get_folder(layout) / plain
        if (folder / file).is_file():
            return one, folder
    known = sorted(
        path.parent.name
        for get_folder, file in _PLACES.values()
        for path in get_folder(layout).glob(f"*/{file}")
    )
    listed = f" There are: {', '.join(known[:10])}." if known else " There are none yet."
    raise AppError(f"There is no dataset {quote_for_message(plain)}.{listed}", code="missing_file")


def find_report(layout: ProjectPaths, name: str) -> Path | None:
    """Return the report of a dataset, None before it was written.

    Raises AppError where there is no dataset of that name.
    """
    path = find_dataset(layout, name)[1] / REPORT_FILE
    return path if path.is_file() and not path.is_symlink() else None
