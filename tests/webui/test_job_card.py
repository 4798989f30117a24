from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.formatting import format_clock, format_duration
from core.paths import ProjectPaths
from jobs.models import Job, JobFailure, JobProgress
from studio.app.studio import Studio
from studio.schemas.take_metadata import TakeCheck
from studio.synthesis.line_takes import read_line_takes, write_line_takes
from studio.synthesis.output_paths import OutputPath, get_clip_name
from webui.components.job_card import (
    format_page_title,
    format_progress,
    format_settings_line,
    job_panel_html,
)
from webui.generate.tab import GenerateTab

EVIL = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>"
JOB = Job(
    id="j1",
    task="speak",
    request={"text": "Good evening.", "voice": "Anna", "options": {"samples": 4}},
    title="",
    state="running",
    created=1000.0,
    started=1000.0,
)
VOID = {"input", "img", "br"}


class Reader(HTMLParser):
    """Collects every start tag, and fails where one is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def drawn(layout: ProjectPaths, *jobs: Job) -> Reader:
    return Reader(job_panel_html(jobs, layout))


def acts(reader: Reader) -> list[str | None]:
    return [button.get("data-act") for button in reader.all("button") if "data-act" in button]


def test_nothing_that_a_user_typed_becomes_markup(studio: Studio) -> None:
    take = {"index": 0, "text": EVIL, "path": f"/x/{EVIL}.wav", "score": 0.5}
    hostile = {"title": EVIL, "warnings": (EVIL,), "takes": (take,)}
    failure = JobFailure(cause="crashed", message=EVIL, details=EVIL)
    jobs = [
        replace(JOB, **hostile),
        replace(JOB, **hostile, id="j2", state="failed", failure=failure),
        replace(JOB, **hostile, id=EVIL, state="waiting", place=1),
    ]
    reader = drawn(studio.layout, *jobs)
    assert not reader.all("script") and not reader.all("img")
    assert not [name for _, attributes in reader.tags for name in attributes if name[:2] == "on"]


def test_a_running_job_tells_its_stage_its_count_and_the_time_left(studio: Studio) -> None:
    progress = JobProgress(stage="draft", done=32, total=96, fraction=0.25, eta_s=21.0)
    running = replace(JOB, progress=progress)
    told = format_progress(running, now=1065.0)
    assert told == "Sampling candidates · 32 of 96 · about 20 s left · 1:05 so far"
    (bar,) = [div for div in drawn(studio.layout, running).all("div") if "role" in div]
    assert bar["aria-valuenow"] == "25" and bar["aria-label"]
    assert format_page_title([running], []) == "25 % · Testudo"


def test_every_state_is_shown_in_words_and_offers_what_fits(studio: Studio) -> None:
    wanted = {"waiting": ["cancel"], "running": ["cancel"], "stopped": ["resume"]}
    for state, offered in wanted.items():
        reader = drawn(studio.layout, replace(JOB, state=state, place=1))
        assert acts(reader) == offered
        (article,) = reader.all("article")
        assert str(article["aria-label"]).startswith(("Waiting", "Running", "Stopped"))


def test_a_failure_says_why_and_what_to_do_and_hides_its_trace_behind_a_copy(
    studio: Studio,
) -> None:
    failure = JobFailure(
        cause="no_disk", message="Cannot write a.wav.", details="Traceback: line 1"
    )
    html = job_panel_html([replace(JOB, state="failed", failure=failure)], studio.layout)
    assert "Why:" in html and "What to do:" in html and "Cannot write a.wav." in html
    copies = [button["data-copy"] for button in Reader(html).all("button") if "data-copy" in button]
    assert "Traceback: line 1" in str(copies)
    assert "Traceback" not in html.replace(str(copies[0]), "")


def test_lines_are_there_to_hear_while_the_job_still_runs(
    studio: Studio, spoken: Callable[..., Job]
) -> None:
    done = spoken("One.\nTwo.\nThree.", delimiter="\\n")
    running = replace(done, state="running", result=None, takes=done.takes[:2])
    reader = drawn(studio.layout, running)
    links = [audio["src"] for audio in reader.all("audio")]
    assert len(links) == 2 and all(str(link).startswith("api/files/results/") for link in links)
    assert len(set(links)) == 2 and all(audio["aria-label"] for audio in reader.all("audio"))


def test_a_finished_job_has_its_candidates_lines_voice_seed_and_settings(
    studio: Studio, spoken: Callable[..., Job]
) -> None:
    job = spoken("One.\nTwo.", delimiter="\\n")
    html = job_panel_html([job], studio.layout)
    for words in ("Clip", "Lines (2)", "Reference clip", "seed 5", "Copy settings"):
        assert words in html
    first = ["redo", "split", "add", "join", "move", "remove"]
    last = ["redo", "split", "add", "move", "remove"]
    assert acts(Reader(html)) == [*first, *last, "seed", "settings", "star", "grid"]
    assert len({link["href"] for link in Reader(html).all("a")}) == 1
    rows = [row for row in Reader(html).all("li") if "data-line" in row]
    assert rows[0]["data-start"] == "0.0"
    assert float(str(rows[0]["data-end"])) < float(str(rows[1]["data-start"]))


def test_takes_of_a_line_are_compared_in_a_table(
    studio: Studio, spoken: Callable[..., Job]
) -> None:
    job = spoken("One.\nTwo.", delimiter="\\n")
    assert job.result is not None
    destination = OutputPath(clip_path=Path(str(job.result["path"])))
    lines = read_line_takes(destination)
    assert lines is not None
    check = TakeCheck(recognizer="r", words=4, word_errors=1, faults=("'two' was missing",))
    first = replace(lines.lines[1].takes[0], check=check, likeness=0.812)
    takes = (first, replace(first, file="002.candidate-2.wav", check=None))
    changed = (lines.lines[0], replace(lines.lines[1], takes=takes))
    write_line_takes(destination, replace(lines, lines=changed))
    html = job_panel_html([job], studio.layout)
    for words in ("Compare 2 takes", "3 of 4", "was missing", "0.81", "In use"):
        assert words in html
    uses = [
        item["data-value"] for item in Reader(html).all("button") if item.get("data-act") == "use"
    ]
    assert uses.count(f"1/{takes[1].file}") == 2  # a button and a row of the table


def test_a_card_says_which_take_was_kept_and_why(
    studio: Studio, spoken: Callable[..., Job]
) -> None:
    job = spoken("Hello there.")
    assert job.result is not None
    checks = (
        "Line 1, take 2: 'there' was missing in take 1.",
        "Line 2, take 1, which did not pass",
    )
    html = job_panel_html([replace(job, result={**job.result, "checks": checks})], studio.layout)
    texts = [item["class"] for item in Reader(html).all("p") if "class" in item]
    assert "take 2: &#39;there&#39; was missing in take 1." in html and "warning" in texts


def test_an_edit_of_a_clip_is_shown_in_its_card_and_adds_no_other(
    studio: Studio, spoken: Callable[..., Job]
) -> None:
    job = spoken("One.\nTwo.", delimiter="\\n")
    assert job.result is not None
    clip = get_clip_name(studio.layout, Path(str(job.result["path"])))
    redo = replace(JOB, task="redo", request={"clip": clip, "line": 1}, title="Regenerate line 2")
    reader = drawn(studio.layout, redo, job)
    assert len(reader.all("article")) == 1 and acts(reader)[0] == "cancel"
    assert "regenerating" in job_panel_html([redo, job], studio.layout)
    done = replace(redo, state="done", result={**job.result, "seconds": 9.5}, ended=1001.0)
    html = job_panel_html([done, job], studio.layout)
    assert len(Reader(html).all("article")) == 1 and "9.5 s" in html and f'"{job.id}"' in html


def test_a_clip_that_is_gone_has_no_player(studio: Studio, spoken: Callable[..., Job]) -> None:
    job = spoken("Hello there.")
    assert job.result is not None
    (studio.layout.results / "Anna" / str(job.result["path"]).split("/")[-1]).unlink()
    html = job_panel_html([job], studio.layout)
    assert "was renamed, moved or deleted" in html and "Download" not in html


def test_what_was_seen_is_not_sent_again(studio: Studio, spoken: Callable[..., Job]) -> None:
    with gr.Blocks():
        tab = GenerateTab(studio)
    panel = tab.panel
    first = panel.refresh(panel.sent.value)
    assert "Generate" in first[panel.html] and first[tab.last_done] == ""
    sent = first[panel.sent]
    assert panel.refresh(sent) == {panel.sent: gr.skip()}
    job = spoken("Good evening.")
    assert panel.refresh(sent)[tab.last_done] == job.id  # the preview estimates the time anew


def test_the_settings_line_tells_every_knob() -> None:
    line = format_settings_line(
        {"voice": "Anna", "bundle": "b", "options": {"seed": 5, "top_p": 0.8}}
    )
    assert line == "voice Anna, model b, seed 5, top_p 0.8"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.3, "about 1 s"),
        (13.4, "about 13 s"),
        (47.0, "about 45 s"),
        (59.9, "about 1 min"),
        (130.0, "about 2 min 10 s"),
        (3000.0, "about 50 min"),
        (9000.0, "about 2.5 h"),
    ],
)
def test_times_are_reported_as_exactly_as_they_are_known(seconds: float, told: str) -> None:
    assert format_duration(seconds) == told


def test_a_clock_shows_hours_only_where_there_are_some() -> None:
    times: list[Any] = [format_clock(7.2), format_clock(750), format_clock(3723)]
    assert times == ["0:07", "12:30", "1:02:03"]
