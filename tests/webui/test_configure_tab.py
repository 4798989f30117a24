"""Generate Configuration: the form, its findings and its plan agree with the configuration."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from jobs.models import Job, JobFailure
from studio.app.studio import Studio
from studio.diagnostics.system_info import DeviceInfo
from studio.training_runs.config_service import (
    PreflightFinding,
    config_from_values,
    config_to_values,
    list_config_sections,
    load_config,
    propose_config,
)
from studio.training_runs.machine_facts import save_devices
from support.html_reader import EVIL, Reader
from support.inline_worker import InlineStudio
from support.tiny_bundle import make_tiny_bundle
from support.tiny_dataset import make_tiny_dataset
from webui.components.messages import error_html
from webui.training.configure_actions import (
    check_form,
    find_fix,
    get_dataset_stamp,
    get_default_steps,
    get_trial_changes,
    list_dataset_names,
    list_model_names,
    load_config_form,
    load_suggested_form,
    save_form,
    submit_trial,
)
from webui.training.configure_form import (
    BOTH_STAGES,
    DIFFUSION_STAGE,
    GPT_STAGE,
    MAIN_FIELDS,
    ConfigForm,
    from_form_value,
    make_field_elem_id,
)
from webui.training.configure_view import (
    build_rate_chart,
    findings_html,
    saved_config_html,
    trial_html,
)

FIELDS = {field.key: field for section in list_config_sections() for field in section.fields}
FINDING = PreflightFinding(level="warn", kind="small", what="What.", why="Why.", fix="Fix.")
JOB = Job(id="j1", task="try_batch", request={}, title="Try", state="done", created=1.0)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a bundle and a dataset that suit each other."""
    root = tmp_path_factory.mktemp("planned")
    make_tiny_bundle(root / "models" / "starter")
    make_tiny_dataset(root / "training", "hum")
    studio = InlineStudio.open(root)
    cpu = DeviceInfo(name="cpu", label="CPU", memory=None)
    save_devices(studio.layout, (cpu,))  # torch need not be asked
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def form() -> ConfigForm:
    """The form, drawn."""
    with gr.Blocks():
        return ConfigForm(["hum"], ["starter"])


def fill(form: ConfigForm, values: dict[str, Any]) -> list[Any]:
    """What the controls hold once they are filled."""
    return [update["value"] for update in form.build_updates(values).values()]


@pytest.fixture
def values(planned: Studio) -> dict[str, Any]:
    """What is proposed, as a form holds it."""
    return config_to_values(propose_config(planned.layout, "hum").config)


def test_every_field_has_one_control_with_a_name_a_line_of_help_and_an_id(form: ConfigForm) -> None:
    assert list(form.controls) == list(FIELDS)
    for key, control in form.controls.items():
        assert (
            control.label
            and control.info.endswith(".")
            and control.elem_id == make_field_elem_id(key)
        )
    labels = [control.label for control in form.controls.values()]
    assert sorted(labels) == sorted(set(labels))


def test_what_the_form_is_filled_with_comes_back_as_the_same_configuration(
    form: ConfigForm, values: dict[str, Any]
) -> None:
    values = {**values, "weights.frozen": ["text", "layers 0-1"], "optimizer.rate": 3.5e-6}
    filled = fill(form, values)
    assert config_from_values(form.read_values(filled)) == config_from_values(values)


def test_a_reason_stands_beside_the_value_that_was_proposed(form: ConfigForm) -> None:
    updates = form.build_updates({"optimizer.batch": 4}, {"optimizer.batch": "Four fit."})
    batch = updates[form.controls["optimizer.batch"]]
    assert batch["value"] == 4 and batch["info"].endswith("Suggested: Four fit.")


@pytest.mark.parametrize(
    ("steps", "diffusion", "what", "shown"),
    [
        (5, 0, GPT_STAGE, (True, False)),
        (0, 5, DIFFUSION_STAGE, (False, True)),
        (5, 5, BOTH_STAGES, (True, True)),
        (None, 5, DIFFUSION_STAGE, (False, True)),
    ],
)
def test_what_learns_follows_from_the_steps_of_each_network(
    steps: Any, diffusion: Any, what: str, shown: tuple[bool, bool], form: ConfigForm
) -> None:
    updates = form.build_stage_updates(steps, diffusion)
    assert updates[form.stages] == what
    assert tuple(updates[row]["visible"] for row in form.rows) == shown


def test_where_nothing_learns_nothing_is_hidden(form: ConfigForm) -> None:
    assert form.build_stage_updates(0, None) == {form.stages: gr.skip()}


def test_a_change_is_reported_by_the_names_on_the_page(form: ConfigForm) -> None:
    told = form.format_changes({"samples.text": "", "schedule.milestones": [0.5, 0.75]})
    assert told == "Sample text set to empty. Milestones set to 0.5, 0.75."


@pytest.mark.parametrize(
    ("key", "given", "told"),
    [
        ("optimizer.rate", "fast", "Learning rate is 'fast'; it must be a number"),
        ("optimizer.batch", None, "Batch size is empty"),
        ("optimizer.batch", 2.5, "Batch size is 2.5; it must be a whole number"),
        ("schedule.steps", "nan", "Steps is nan; it must be a whole number"),
        ("schedule.milestones", "0.5; 0.7", "must be a number"),
    ],
)
def test_a_control_that_is_wrong_is_named(key: str, given: Any, told: str) -> None:
    with pytest.raises(AppError, match=told):
        from_form_value(FIELDS[key], given)


def test_lists_are_typed_with_commas() -> None:
    assert from_form_value(FIELDS["schedule.milestones"], " 0.5 ,0.75,") == [0.5, 0.75]
    assert from_form_value(FIELDS["weights.frozen"], "text, layers 0-2") == ["text", "layers 0-2"]
    assert from_form_value(FIELDS["weights.frozen"], None) == []


def test_the_plan_tells_what_will_happen_and_draws_the_learning_rate(
    planned: Studio, values: dict[str, Any]
) -> None:
    values |= {"schedule.steps": 120, "optimizer.batch": 5, "diffusion.steps": 40}
    html, plan = check_form(planned, lambda: values | {"checkpoints.every": 40})
    for told in ("160 (120 GPT, 40 diffusion)", "60 GPT, ", " diffusion<", "4 × ", "up to"):
        assert told in html
    alone, _ = check_form(planned, lambda: values | {"diffusion.steps": 0})
    assert "120 (GPT)" in alone
    assert "60 of 2 steps each" in alone
    assert "Learning rate: GPT from" in html and plan is not None
    assert [line.name for line in build_rate_chart(plan).lines] == ["GPT", "Diffusion"]
    assert build_rate_chart(plan).lines[0].points == plan.curve


def test_a_plan_that_cannot_be_says_why_in_the_words_of_the_page(planned: Studio) -> None:
    def wrong() -> dict[str, Any]:
        raise AppError("Steps is empty.")

    html, plan = check_form(planned, wrong)
    assert "Steps is empty." in html and plan is None


def test_fix_it_mends_what_was_found(planned: Studio, values: dict[str, Any]) -> None:
    values |= {"optimizer.batch": 64}
    html, _ = check_form(planned, lambda: values)
    kinds = [str(b["data-value"]) for b in Reader(html).all("button") if b["data-act"] == "fix"]
    assert kinds
    for kind in kinds:
        values |= find_fix(planned, values, kind).changes
    left, _ = check_form(planned, lambda: values)
    assert not any(b["data-act"] == "fix" for b in Reader(left).all("button"))
    with pytest.raises(AppError, match="no longer exists"):
        find_fix(planned, values, kinds[0])


def test_a_finding_is_mended_here_or_says_where(planned: Studio) -> None:
    here = replace(FINDING, level="stop", changes={"optimizer.batch": 2})
    there = replace(FINDING, place="prepare")
    models = replace(FINDING, place="models")
    read_back = Reader(findings_html([FINDING, there, models, here]))
    asked = [(b["data-act"], b["data-value"]) for b in read_back.all("button")]
    assert asked == [("fix", "small"), ("go", "prepare"), ("go", "settings")]
    assert [item["class"] for item in read_back.all("li")] == ["fault", "note", "note", "note"]
    assert "No problems found" in findings_html([])


def test_saving_writes_train_yaml_says_where_and_shows_it(
    planned: Studio, values: dict[str, Any]
) -> None:
    html = save_form(planned, values | {"optimizer.rate": 0.002})
    path = planned.layout.training / "hum" / "train.yaml"
    assert "training/hum/train.yaml" in html and str(planned.layout.root) not in html
    (copy,) = [b for b in Reader(html).all("button") if "data-copy" in b]
    assert copy["data-copy"] == path.read_text(encoding="utf-8")
    assert load_config(planned.layout, "hum").optimizer.rate == 0.002
    again = load_config_form(planned, "hum", "starter")
    assert again.values["optimizer.rate"] == 0.002 and "saved configuration" in again.message
    path.write_text("nonsense: [", encoding="utf-8")
    mended = load_config_form(planned, "hum", "starter")
    assert "invalid" in mended.message and mended.reasons


def test_contradictions_are_refused_before_anything_is_written(
    planned: Studio, values: dict[str, Any], tmp_path: Path
) -> None:
    wrong = values | {"schedule.shape": "multistep", "schedule.milestones": []}
    with pytest.raises(AppError, match="milestones is empty"):
        save_form(planned, wrong)
    with pytest.raises(AppError, match="is not a valid dataset name"):
        save_form(planned, values | {"dataset.name": "../../etc"})


def test_datasets_and_models_are_listed(planned: Studio) -> None:
    assert list_dataset_names(planned.layout) == ["hum"]
    assert list_model_names(planned) == ["starter"]
    with pytest.raises(AppError, match="No dataset selected"):
        load_suggested_form(planned, "", "starter")
    assert get_default_steps(planned, "hum", "starter") > 0


def test_a_plan_is_made_anew_when_the_dataset_was_mended(planned: Studio, tmp_path: Path) -> None:
    before = get_dataset_stamp(planned.layout, "hum")
    path = planned.layout.training / "hum" / "train.txt"
    os.utime(path, (1.0, 1.0))
    assert before and get_dataset_stamp(planned.layout, "hum") not in ("", before)
    for nothing in (None, "gone", "../hum"):
        assert get_dataset_stamp(planned.layout, nothing) == ""
    nobody = InlineStudio.open(tmp_path)
    assert "No datasets yet" in check_form(nobody, dict)[0]


def test_whatever_is_typed_is_planned_or_refused_in_words(
    planned: Studio, form: ConfigForm, values: dict[str, Any]
) -> None:
    odd = [
        None,
        "",
        "nan",
        "-inf",
        1e308,
        -999_999,
        0,
        2.5,
        "../../x",
        'Odd "<b>" \u202e 日本 {0} %s',
    ]
    draw = random.Random(8)
    good = fill(form, values)
    for number in range(150):
        given = list(good)
        at = number % len(FIELDS)
        given[at] = draw.choice(odd)
        given[draw.randrange(len(FIELDS))] = draw.choice(odd)
        read_form = partial(form.read_values, given)
        try:
            saved = save_form(planned, read_form())
        except AppError as cause:
            saved = error_html(cause)
        for html in (check_form(planned, read_form)[0], saved):
            assert html.startswith("<") and "<b>" not in html


def test_the_few_fields_are_fields() -> None:
    assert {key for keys in MAIN_FIELDS for key in keys} <= set(FIELDS)


def test_a_dry_step_tells_what_fits_and_offers_it() -> None:
    result = {
        "batch": 4,
        "diffusion_batch": 0,
        "gpt_s": 0.51,
        "diffusion_s": 0.0,
        "memory": 2_000_000_000,
        "device": "cuda:0",
        "seconds": 600.0,
        "changes": {"optimizer.batch": 4},
    }
    html = trial_html(replace(JOB, result=result))
    for told in ("0.51 s", "2.0 GB", "cuda:0", "about 10 min", "Use the batch size that fits"):
        assert told in html
    assert "The batch size fits." in trial_html(replace(JOB, result={**result, "changes": {}}))
    assert trial_html(None) == ""


@pytest.mark.parametrize("state", ["waiting", "running", "failed", "stopped"])
def test_a_dry_step_is_reported_in_every_state(state: Any) -> None:
    failure = JobFailure(cause="crashed", message=EVIL, details="lines")
    job = replace(JOB, state=state, title=EVIL, failure=failure if state == "failed" else None)
    html = trial_html(job)
    assert not {"script", "img"} & {tag for tag, _ in Reader(html).tags}


def test_nothing_that_came_from_a_file_becomes_markup() -> None:
    evil = replace(FINDING, kind=EVIL, what=EVIL, why=EVIL, fix=EVIL, changes={"a": 1})
    for html in (findings_html([evil]), saved_config_html(EVIL, EVIL, EVIL)):
        assert not {"script", "img"} & {tag for tag, _ in Reader(html).tags}


def test_a_dry_step_goes_through_the_queue(
    planned: Studio, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AppError, match="Nothing to change"):
        get_trial_changes(planned)
    asked: list[Any] = []
    monkeypatch.setattr(planned, "submit", lambda request, title: asked.append((request, title)))
    submit_trial(planned, values)
    ((request, title),) = asked
    assert (
        config_from_values(request.values) == config_from_values(values)
        and title == "Test run with hum"
    )
