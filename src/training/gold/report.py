"""One self-contained HTML page about a dataset: figures, plots, the worst utterances with sound."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from audio.clip import Clip
from core.errors import AppError
from core.files import write_text
from training.gold.diary import Turn, read_diary
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    REPORT_FILE,
    CheckRow,
    read_rows,
)
from training.gold.row_conversion import (
    read_utterances,
)
from training.gold.utterances import Utterance

WORST = 20
SOUND_RATE = 24_000

CutClip = Callable[[float, float], Clip]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot as SVG text. title: what it shows."""

    title: str
    svg: str


def write_report(folder: Path, cut: CutClip) -> Path:
    """Write the report of a gold-standard project. Needs matplotlib; raises AppError without."""
    utterances = read_utterances(folder)
    checks = read_rows(folder / CHECK_FILE, CheckRow)
    diary = read_diary(folder / DIARY_FILE)
    page = render_report(folder.name, utterances, checks, diary, cut)
    path = folder / REPORT_FILE
    write_text(path, page)
    return path


def render_report(
    title: str,
    utterances: Sequence[Utterance],
    checks: Sequence[CheckRow],
    diary: Sequence[Turn],
    cut: CutClip,
) -> str:
    """Return the page. checks, diary: () for a dataset that was not made from one recording."""
    used = [one for one in utterances if not one.problems]
    worst = sorted(utterances, key=lambda one: one.score)[:WORST]
    environment = Environment(
        loader=PackageLoader("training.gold", ""),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html").render(
        title=title,
        speakers=_summarize_speakers(utterances),
        flagged=[row for row in checks if row.status != "agrees" or row.written],
        plots=_draw_plots(used, diary),
        worst=[(one, _encode_sound(cut(one.start, one.stop))) for one in worst],
        kept=len(used),
        minutes=sum(one.duration for one in used) / 60,
        left_out=len(utterances) - len(used),
    )


def _summarize_speakers(utterances: Sequence[Utterance]) -> list[tuple[str, int, float, float]]:
    """Return name, utterances, minutes and words a minute of each speaker."""
    rows = []
    for name in sorted({one.speaker for one in utterances}):
        own = [one for one in utterances if one.speaker == name and not one.problems]
        minutes = sum(one.duration for one in own) / 60
        words = sum(len(one.text.split()) for one in own)
        rows.append((name, len(own), minutes, words / minutes if minutes else 0.0))
    return rows


def _draw_plots(utterances: Sequence[Utterance], diary: Sequence[Turn]) -> list[Plot]:
    rates = [60 * len(one.text.split()) / max(one.duration, 0.1) for one in utterances]
    plots = [
        _draw_histogram("Duration", "seconds", [one.duration for one in utterances]),
        _draw_histogram("Rate", "words a minute", rates),
        _draw_histogram("Score", "agreement with what is heard", [one.score for one in utterances]),
    ]
    if diary:
        plots.append(_draw_timeline(diary))
    return plots


def _draw_histogram(title: str, label: str, values: Sequence[float]) -> Plot:
    figure, axes = _create_figure(5, 2.6)
    axes.hist(list(values), bins=24)
    axes.set_xlabel(label)
    axes.set_ylabel("utterances")
    return Plot(title=title, svg=_to_svg(figure))


def _draw_timeline(diary: Sequence[Turn]) -> Plot:
    names = sorted({turn.speaker for turn in diary})
    figure, axes = _create_figure(10, 0.5 + 0.4 * len(names))
    for row, name in enumerate(names):
        spans = [(turn.start, turn.duration) for turn in diary if turn.speaker == name]
        axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=f"C{row % 10}")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("seconds")
    return Plot(title="Who speaks when", svg=_to_svg(figure))


def _create_figure(width: float, height: float) -> tuple[Any, Any]:  # Any: matplotlib's
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise AppError(
            "The report needs matplotlib, which is not installed. See requirements-extra.txt."
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _to_svg(figure: Any) -> str:  # Any: matplotlib's
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _encode_sound(clip: Clip) -> str:
    """Return a clip as a data address, in Opus."""
    buffer = io.BytesIO()
    wave = clip.resample(SOUND_RATE).wave.numpy()
    soundfile.write(buffer, wave, SOUND_RATE, format="OGG", subtype="OPUS")
    return "data:audio/ogg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
