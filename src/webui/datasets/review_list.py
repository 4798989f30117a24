"""The review list: one page of the clips of a data set, worst first, each with why it is there.

Everything that came from a recording or a person is escaped; buttons say in data-act what they
want.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path

from core.formatting import format_count
from core.paths import ProjectPaths
from studio.datasets.service import CLIP_REASONS, ClipRow
from webui.components.file_links import get_file_url

PAGE_SIZE = 25
LOW_CONFIDENCE = 0.6  # below this a transcriber's word is doubtful enough to be marked
EMPTY_HTML = (
    '<p class="hint" data-key="empty">Nothing to look through yet. Prepare a data set above, and '
    "its clips are listed here with the doubtful ones first.</p>"
)
NO_RESULTS_HTML = (
    '<p class="hint" data-key="empty">No clip fits. Use fewer words, or show all clips.</p>'
)
KEYBOARD_SHORTCUTS = (
    ("J or ↓", "next clip"),
    ("K or ↑", "clip before"),
    ("Space", "play, or pause"),
    ("Enter", "edit the text; Enter again saves, Escape leaves it as it was"),
    ("A", "accept it: right as it is"),
    ("D", "drop the clip"),
    ("R", "restore it"),
    ("M", "join with the next one"),
    ("S", "split"),
    ("?", "show or hide these keys"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewListing:
    """What is listed of a data set.

    rows: one page;  total: how many fit;  page: from 0;  all: clips in the data set.
    """

    rows: Sequence[ClipRow] = ()
    total: int = 0
    page: int = 0
    all: int = 0


def review_html(name: str, listed: ReviewListing, layout: ProjectPaths) -> str:
    """Draw the list with what stands around it."""
    inside = "".join(_render_sections(name, listed, layout))
    return f'<div class="review" data-key="review" data-name="{escape(name)}">{inside}</div>'


def _render_sections(name: str, listed: ReviewListing, layout: ProjectPaths) -> Iterator[str]:
    if not listed.all:
        yield EMPTY_HTML
        return
    told = format_count(listed.total, "clip")
    if listed.total != listed.all:
        told += f" of {listed.all:,}"
    yield (
        f'<div class="review-head" data-key="head"><p class="quiet counted" role="status">{told}, '
        f"the doubtful first</p>{_render_shortcuts()}</div>"
    )
    if not listed.rows:
        yield NO_RESULTS_HTML
        return
    folder = layout.training / name
    rows = "".join(_render_row(row, folder, layout) for row in listed.rows)
    yield f'<ol class="review-rows" data-key="rows" aria-label="Clips">{rows}</ol>'
    yield _render_pagination(listed)


def _render_shortcuts() -> str:
    rows = "".join(f"<dt><kbd>{key}</kbd></dt><dd>{does}</dd>" for key, does in KEYBOARD_SHORTCUTS)
    return (
        '<details class="review-keys" data-key="keys"><summary>Keys <kbd>?</kbd></summary>'
        f"<p>Click a clip, or reach it with Tab; then:</p><dl>{rows}</dl></details>"
    )


def _render_row(row: ClipRow, folder: Path, layout: ProjectPaths) -> str:
    ref = escape(row.id)
    link = escape(get_file_url(layout, str(folder / row.file)))
    state = "is-kept" if row.kept else "is-dropped"
    return (
        f'<li class="review-row {state}" data-key="{ref}" data-ref="{ref}" tabindex="-1">'
        f"{_render_play_button(ref, link)}"
        f'<div class="review-body">{_render_text_field(row, ref)}<p class="about">'
        f"{_render_tags(row)}"
        f'<span class="quiet">{escape(" · ".join(_get_facts(row)))}</span></p>'
        f"{_render_split_form(row, ref)}</div>"
        f'<div class="buttons">{_render_buttons(row, ref)}</div></li>'
    )


def _render_play_button(ref: str, link: str) -> str:
    if not link:
        return '<span class="play none" title="Its sound is not kept">—</span>'
    return (
        f'<button type="button" class="play" data-play="{link}" aria-label="Play {ref}" '
        'title="Play (Space)"><span aria-hidden="true">▶</span></button>'
    )


def _render_text_field(row: ClipRow, ref: str) -> str:
    """The text as a field. Another text is another field, so that typing is never painted over."""
    text = escape(row.text)
    version = sha256(row.text.encode()).hexdigest()[:8]
    lines = max(1, -(-len(row.text) // 70))
    return (
        f'<textarea data-key="{ref}-{version}" data-text="{ref}" data-was="{text}" rows="{lines}" '
        f'aria-label="Text of {ref}" spellcheck="true" maxlength="2000">{text}</textarea>'
    )


def _render_tags(row: ClipRow) -> str:
    return "".join(
        f'<span class="tag {kind}"><span aria-hidden="true">{sign}</span> {escape(words)}</span>'
        for kind, sign, words in _get_tags(row)
    )


def _is_doubtful(row: ClipRow) -> bool:
    """Whether a kept clip has something against it that a person may answer."""
    return bool(row.reason) or (
        not row.edited and row.confidence is not None and row.confidence < LOW_CONFIDENCE
    )


def _get_tags(row: ClipRow) -> Iterator[tuple[str, str, str]]:
    """What stands out: (kind, sign, words); a kept clip may have a reason to look at it too."""
    reason = CLIP_REASONS.get(row.reason, "")
    if not row.kept:
        yield "dropped", "✕", f"Dropped: {reason or 'left out'}"
    elif reason:
        yield "doubtful", "!", reason[:1].upper() + reason[1:]
    elif _is_doubtful(row):
        yield "doubtful", "!", "The transcriber was not sure"
    if row.edited:
        yield "edited", "✎", "Edited by you"


def _get_facts(row: ClipRow) -> Iterator[str]:
    yield f"{row.seconds:.1f} s"
    yield f"{row.words_per_s:.1f} words/s"
    if row.confidence is not None:
        yield f"{row.confidence:.0%} sure"
    if row.level_db is not None:
        yield f"level {_format_signed(row.level_db)} dB"
    if row.snr_db is not None:
        yield f"{_format_signed(row.snr_db)} dB over the noise"
    if row.clipped_share:
        yield f"{row.clipped_share:.2%} clipped"
    if row.kept and row.part:
        yield {"train": "to learn from", "validation": "to judge by"}[row.part]
    yield f"{Path(row.source).name} at {_format_time(row.start_s)}"


def _format_time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _format_signed(number: float) -> str:
    return f"{number:.0f}".replace("-", "−")


def _render_buttons(row: ClipRow, ref: str) -> str:
    """Drop or restore, and join; one that is too short comes back joined, not as it is."""
    join = _render_button("merge", ref, "Join with next", "M")
    if not row.kept:
        restore = _render_button("restore", ref, "Restore", "R")
        return join if row.reason == "too_short" else restore
    accept = _render_button("accept", ref, "Right as it is", "A") if _is_doubtful(row) else ""
    return accept + _render_button("drop", ref, "Drop", "D") + join


def _render_button(act: str, ref: str, label: str, key: str) -> str:
    return (
        f'<button type="button" class="small" data-act="{act}" data-ref="{ref}" '
        f'title="{label} ({key})">{label}</button>'
    )


def _render_split_form(row: ClipRow, ref: str) -> str:
    """Where a clip can be cut: before any word whose time is known, or at a second."""
    if len(row.text.split()) < 2:
        return ""
    words = "".join(
        f'<button type="button" class="word" data-act="split" data-ref="{ref}" '
        f'data-value="{before.stop_s:.3f} {word.start_s:.3f}" '
        f'aria-label="Cut before {escape(word.text)}, at {word.start_s:.1f} s">'
        f"{escape(word.text)}</button> "
        for before, word in zip(row.words, row.words[1:], strict=False)
    )
    if words:
        first = escape(row.words[0].text)
        words = f'<p class="quiet">Cut before a word:</p><p class="words">{first} {words}</p>'
    return (
        f'<details class="review-split" data-key="{ref}-split"><summary>Split</summary>{words}'
        f'<p class="at"><label>Cut at <input type="number" data-at="{ref}" min="0" '
        f'max="{row.seconds:.2f}" step="0.01" value="{row.seconds / 2:.2f}"> s</label> '
        f'<button type="button" class="small" data-take="{ref}">Where the player stands</button> '
        f'<button type="button" class="small" data-act="split" data-ref="{ref}">Cut</button></p>'
        "</details>"
    )


def _render_pagination(listed: ReviewListing) -> str:
    if listed.total <= PAGE_SIZE:
        return ""
    first, last = listed.page * PAGE_SIZE + 1, min(listed.total, (listed.page + 1) * PAGE_SIZE)
    before = "" if listed.page else " disabled"
    after = "" if last < listed.total else " disabled"
    return (
        '<nav class="pages" data-key="pages" aria-label="Pages">'
        '<button type="button" class="small" id="training-review-before" data-act="before"'
        f'{before}>Back</button><span class="quiet">{first:,} to {last:,} of {listed.total:,}'
        '</span><button type="button" class="small" id="training-review-after" data-act="after"'
        f"{after}>Further</button></nav>"
    )
