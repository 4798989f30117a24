"""A run as a piece of the page: in words first, safe whatever it holds, and complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from core.paths import ProjectPaths
from runs.launch import TrainingState
from studio.training_runs.run_status import (
    Curve,
    RunCheckpoint,
    RunSample,
    RunStatus,
    RunSummary,
)
from studio.training_runs.trash import DeletedRun
from support.html_reader import EVIL, Reader
from webui.training.run_view import (
    NO_EXPORT,
    RUN_STATE_LABELS,
    ModelExport,
    announcement_html,
    build_charts,
    checkpoints_html,
    runs_html,
)
from webui.training.run_view import run_html as run_head_html


def sample(folder: Path, step: int, wer: float | None = None) -> RunSample:
    path = folder / "samples" / f"{step:06d}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    return RunSample(step=step, path=path, text="Hello.", wer=wer, similarity=wer and 1 - wer)


def checkpoint(folder: Path, step: int, *, best: bool = False, there: bool = True) -> RunCheckpoint:
    return RunCheckpoint(
        step=step,
        path=folder / "checkpoints" / f"{step:06d}",
        size=40_000_000,
        loss=2.5,
        wer=None,
        similarity=None,
        there=there,
        best=best,
    )


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths.from_root(tmp_path)


@pytest.fixture
def run(layout: ProjectPaths) -> RunStatus:
    folder = layout.training / "anna" / "runs" / "first"
    curves = (
        Curve(stage="gpt", name="loss", points=((1, 4.0), (2, 3.0), (3, 3.5))),
        Curve(stage="gpt", name="smoothed", points=((1, 4.0), (2, 3.5), (3, 3.5))),
        Curve(stage="gpt", name="validation", points=((2, 3.4),)),
        Curve(stage="gpt", name="rate", points=((1, 0.0), (3, 1e-5))),
        Curve(stage="gpt", name="gradient", points=((1, 2.0), (3, 1.0))),
    )
    return RunStatus(
        dataset="anna",
        name="first",
        folder=folder,
        state="running",
        stage="gpt",
        step=3,
        steps=12,
        began=1_700_000_000.0,
        eta_s=40.0,
        seconds_per_step=0.5,
        memory=1_200_000_000,
        device="cpu",
        clips=20,
        validation_clips=4,
        curves=curves,
        samples=(sample(folder, 2, wer=0.25), sample(folder, 3)),
        checkpoints=(checkpoint(folder, 2, there=False), checkpoint(folder, 3, best=True)),
        best=3,
        why_best="Step 3 has the lowest validation loss.",
    )


def run_html(run: RunStatus, layout: ProjectPaths, export: ModelExport = NO_EXPORT) -> str:
    """All that is shown of a run, but for the charts."""
    return run_head_html(run) + checkpoints_html(run, layout, export)


def acts(html: str) -> list[tuple[str, str, str]]:
    return [
        (str(b["data-act"]), str(b["data-job"]), str(b["data-value"]))
        for b in Reader(html).all("button")
        if "data-act" in b
    ]


@pytest.mark.parametrize("state", get_args(TrainingState))
def test_every_state_is_reported_in_words(
    state: TrainingState, run: RunStatus, layout: ProjectPaths
) -> None:
    html = run_html(replace(run, state=state, message="Why.", details="lines"), layout)
    assert RUN_STATE_LABELS[state][0] in html
    Reader(html)


def test_a_run_tells_how_far_it_is_and_how_long_it_will_take(
    run: RunStatus, layout: ProjectPaths
) -> None:
    html = run_html(run, layout)
    for told in ("3 of 12", "0.5 s", "about 40 s", "1.2 GB", "cpu", "20 training, 4 validation"):
        assert told in html
    (bar,) = [a for a in Reader(html).all("div") if a.get("role") == "progressbar"]
    assert (bar["aria-valuenow"], bar["aria-valuetext"]) == ("25", "3 of 12 steps")


def test_the_curves_are_loss_with_its_trend_and_validation_then_rate_and_gradient(
    run: RunStatus, layout: ProjectPaths
) -> None:
    shown = [chart for chart in build_charts(run).values() if any(x.points for x in chart.lines)]
    assert [chart.title for chart in shown] == ["Loss", "Learning rate", "Gradient norm"]
    assert [line.name for line in shown[0].lines] == ["Each step", "Smoothed", "Validation"]
    text = run_html(run, layout)
    assert all(f"<p>{chart.title}: " in text for chart in shown)


def test_a_second_stage_gets_pictures_of_its_own(run: RunStatus, layout: ProjectPaths) -> None:
    later = Curve(stage="diffusion", name="loss", points=((4, 1.0), (5, 0.5)))
    both = replace(run, stage="diffusion", curves=(*run.curves, later))
    html = run_html(both, layout)
    assert "<p>Loss (diffusion): " in html and "<dt>Stage</dt><dd>diffusion</dd>" in html
    assert build_charts(both)["diffusion-loss"].lines[0].points == later.points


def test_only_a_checkpoint_that_is_kept_can_be_used(run: RunStatus, layout: ProjectPaths) -> None:
    assert acts(run_html(run, layout)) == [("use", "anna / first", "3")]
    assert "not kept" in run_html(run, layout)


def test_what_was_made_a_model_can_be_spoken_with_though_its_checkpoint_went(
    run: RunStatus, layout: ProjectPaths
) -> None:
    html = run_html(run, layout, ModelExport(bundles_by_step={2: "finetunes/anna-first"}))
    assert acts(html) == [("use", "anna / first", "3"), ("speak", "anna / first", "2")]
    assert "finetunes/anna-first" in html


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [("waiting", "", "waiting"), ("", "No room.", "No room."), ("", "", "")],
)
def test_a_model_in_the_making_is_reported(
    status: str, error: str, told: str, run: RunStatus, layout: ProjectPaths
) -> None:
    export = ModelExport(title="Export step 3", status=status, error=error)
    html = run_html(run, layout, export)
    assert told in html and ("Export step 3" in html) == bool(told)


def test_samples_are_played_by_the_names_of_dataset_run_and_step(
    run: RunStatus, layout: ProjectPaths
) -> None:
    html = run_html(run, layout)
    links = [str(player["src"]).split("?")[0] for player in Reader(html).all("audio")]
    assert links == [
        f"api/files/training/anna/runs/first/samples/{step:06d}.wav" for step in (3, 2)
    ]
    assert str(layout.root) not in html


def test_what_nobody_judged_is_reported_and_what_was_judged_is_in_percent(
    run: RunStatus, layout: ProjectPaths
) -> None:
    html = run_html(run, layout)
    assert "25 %" in html and "0.75" in html and html.count("not evaluated") == 2


def test_the_best_is_marked_and_overfitting_is_pointed_out(
    run: RunStatus, layout: ProjectPaths
) -> None:
    told = replace(run, overfitting="Since step 3 it overfits.", overfit_since=3)
    html = run_html(told, layout)
    assert html.count("★ Best") == 1 and html.count("! Overfitting") == 1
    assert "lowest validation loss" in html and "Since step 3 it overfits." in html


def test_a_failure_says_what_helps_and_keeps_the_console_behind_a_button(
    run: RunStatus, layout: ProjectPaths
) -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py"'
    failed = replace(
        run, state="failed", message="The disk is full.", cause="no_disk", details=trace
    )
    read = Reader(run_html(failed, layout))
    (copy,) = [b for b in read.all("button") if "data-copy" in b]
    assert copy["data-copy"] == trace
    visible = run_html(failed, layout).replace(str(copy["data-copy"]), "")
    assert "The disk is full." in visible
    assert not any("Traceback" in value for a in read.all("p") for value in a.values() if value)


def test_nothing_that_came_from_a_file_becomes_markup(run: RunStatus, layout: ProjectPaths) -> None:
    evil = replace(
        run,
        dataset=EVIL,
        name=EVIL,
        state="failed",
        stage=EVIL,
        message=EVIL,
        details=EVIL,
        device=EVIL,
        warnings=(EVIL,),
        notes=(EVIL,),
        why_best=EVIL,
        overfitting=EVIL,
        samples=(replace(run.samples[0], text=EVIL),),
        curves=(Curve(stage=EVIL, name="loss", points=((1, 1.0),)),),
    )
    for html in (
        run_html(evil, layout),
        runs_html([row(EVIL, "failed")], ""),
        announcement_html(evil),
    ):
        assert not {"script", "img"} & {tag for tag, _ in Reader(html).tags}


def test_a_run_before_its_first_step_is_drawn(run: RunStatus, layout: ProjectPaths) -> None:
    empty = RunStatus(dataset="anna", name="new", folder=run.folder, state="waiting")
    html = run_html(empty, layout)
    assert (
        "chart-text" not in html.replace('data-key="chart-text"></div>', "")
        and "<table" not in html
        and "Waiting" in html
    )


def row(name: str, state: TrainingState) -> RunSummary:
    return RunSummary(
        dataset="anna",
        name=name,
        state=state,
        step=3,
        steps=12,
        began=1_700_000_000.0,
        ended=None,
        eta_s=None,
        best=None,
    )


def test_runs_are_listed_and_only_those_that_are_over_can_be_deleted() -> None:
    html = runs_html([row("first", "running"), row("second", "done")], "anna / first")
    assert acts(html) == [
        ("show", "anna / first", ""),
        ("show", "anna / second", ""),
        ("delete", "anna / second", ""),
    ]
    assert [item.get("aria-current") for item in Reader(html).all("li")] == ["true", None]


def test_what_was_deleted_can_be_put_back() -> None:
    gone = DeletedRun(id="20260101-120000-abcdef", dataset="anna", name="old", when=1.0)
    assert acts(runs_html([], "", [gone])) == [("restore", "anna / old", gone.id)]
