"""A histogram as SVG: kept and dropped clips stacked, and the same numbers for a screen reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360.0, 150.0  # of the drawing
MARGIN_LEFT, MARGIN_BOTTOM, MARGIN_TOP = 30.0, 22.0, 8.0  # room for the words
BAR_GAP = 2.0  # between two bars
MAX_LABELS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How many clips lie from `low` up to `high`."""

    low: float
    high: float
    kept: int
    dropped: int = 0

    @property
    def all(self) -> int:
        """Kept and dropped together."""
        return self.kept + self.dropped


def histogram_html(title: str, unit: str, bars: Sequence[Bar], about: str = "") -> str:
    """Draw a histogram; nothing where nothing was counted.  about: a line under the title."""
    if not any(bar.all for bar in bars):
        return ""
    top = max(bar.all for bar in bars)
    drawing = "".join(_render_bars(bars, top))
    words = "".join(f"<li>{escape(_format_bar(bar, unit))}</li>" for bar in bars if bar.all)
    note = f'<span class="quiet">{escape(about)}</span>' if about else ""
    return (
        f'<figure data-key="{escape(title)}"><figcaption>{escape(title)} ({escape(unit)}){note}'
        f'</figcaption><svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" aria-hidden="true">{drawing}</svg>'
        f'<div class="told"><ul>{words}</ul></div></figure>'
    )


def _render_bars(bars: Sequence[Bar], top: int) -> Iterator[str]:
    floor, room = HEIGHT - MARGIN_BOTTOM, HEIGHT - MARGIN_BOTTOM - MARGIN_TOP
    step = (WIDTH - MARGIN_LEFT) / len(bars)
    yield f'<line x1="{MARGIN_LEFT:g}" y1="{floor:g}" x2="{WIDTH:g}" y2="{floor:g}"/>'
    yield f'<text x="{MARGIN_LEFT - 5:g}" y="{MARGIN_TOP + 8:g}" text-anchor="end">{top:,}</text>'
    yield f'<text x="{MARGIN_LEFT - 5:g}" y="{floor:g}" text-anchor="end">0</text>'
    for number, bar in enumerate(bars):
        x, width = MARGIN_LEFT + number * step + BAR_GAP / 2, max(1.0, step - BAR_GAP)
        kept, dropped = (room * count / top for count in (bar.kept, bar.dropped))
        yield f"<g><title>{escape(_format_bar(bar, ''))}</title>"
        if bar.kept:
            yield _render_rect("kept", x, floor - kept, width, kept)
        if bar.dropped:
            yield _render_rect("dropped", x, floor - kept - dropped, width, dropped)
        yield "</g>"
    every = max(1, -(-len(bars) // MAX_LABELS))
    for number, bar in enumerate(bars):
        if number % every == 0:
            x, low = MARGIN_LEFT + number * step, _format_signed(bar.low)
            yield f'<text x="{x:.1f}" y="{HEIGHT - 6:g}" text-anchor="middle">{low}</text>'


def _render_rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="bar-{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{max(1.0, height):.1f}"/>'
    )


def _format_bar(bar: Bar, unit: str) -> str:
    words = (
        f"{_format_signed(bar.low)} to {_format_signed(bar.high)} {unit}".rstrip()
        + f": {bar.kept:,} kept"
    )
    return f"{words}, {bar.dropped:,} dropped" if bar.dropped else words


def _format_signed(number: float) -> str:
    return f"{number:g}".replace("-", "−")
