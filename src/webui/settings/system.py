"""This computer on the page: facts, checks, and a report to copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.paths import get_project_paths
from studio.app.studio import Studio
from studio.diagnostics.checks import run_checks
from studio.diagnostics.report import collect_system_facts, format_report
from studio.diagnostics.system_info import DeviceInfo, SystemInfo, collect_system_info
from webui.components.page_context import PageContext
from webui.components.templates import render

LOADING_HTML = '<p class="hint" role="status">Checking this computer…</p>'
EVENT_OPTIONS: dict[str, Any] = {  # Any: options of Gradio's events
    "show_progress": "minimal",
    "api_visibility": "private",
    "concurrency_limit": 1,
    "concurrency_id": "system",
}


@dataclass
class SystemInfoCache:
    """The system information that was read last; it seldom changes, and torch takes seconds."""

    info: SystemInfo | None = None

    @property
    def devices(self) -> tuple[DeviceInfo, ...]:
        """The devices that torch found; none before it was read."""
        return self.info.torch.devices if self.info else ()


def build_system_panel(page: PageContext, cache: SystemInfoCache) -> list[Any]:
    """Create the panel; returns the events after which the system information is known.

    It is read when the tab is first opened, and when the button is pressed.
    """
    gr.Markdown("## System", elem_classes="setting-section")
    view = gr.HTML(LOADING_HTML, elem_id="settings-system")
    check = gr.Button("Re-check", elem_id="settings-look")
    is_shown = gr.State(False)

    def show() -> dict[Any, Any]:
        cache.info = collect_system_info(page.studio.layout)
        return {view: system_panel_html(page.studio, cache.info), is_shown: True}

    def show_first(is_shown_already: bool) -> dict[Any, Any]:
        if is_shown_already:
            return {view: gr.skip()}
        if cache.info is None:
            return show()
        return {view: system_panel_html(page.studio, cache.info), is_shown: True}

    tab: Any = page.tab  # Any: Gradio adds the events at run time
    return [
        tab.select(show_first, [is_shown], [view, is_shown], **EVENT_OPTIONS),
        check.click(show, None, [view, is_shown], **EVENT_OPTIONS),
    ]


def system_panel_html(studio: Studio, system: SystemInfo) -> Markup:
    """Render the checks, the facts and the button that copies the report."""
    checks = run_checks(get_project_paths(studio.layout.root), system, port=False)
    return render(
        "system_panel.html",
        problems=[check for check in checks if check.state == "fault"],
        notes=[check for check in checks if check.state == "note"],
        passed=[check for check in checks if check.state == "good"],
        facts=collect_system_facts(system),
        report=format_report(system, checks, studio.layout.root),
    )
