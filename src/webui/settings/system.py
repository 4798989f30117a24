"""This machine on the page: what it has, what is wrong with it, and a report to copy."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr

from core.formatting import format_count
from core.paths import get_project_paths
from studio.app.studio import Studio
from studio.diagnostics.checks import HealthCheckResult, run_checks
from studio.diagnostics.report import collect_system_facts, format_report
from studio.diagnostics.system_info import DeviceInfo, SystemInfo, collect_system_info
from webui.components.page_context import PageContext

LOADING_HTML = '<p class="hint" role="status">Looking at this machine; this takes some seconds.</p>'
CONCURRENCY_ID = "look"  # of Gradio's queue
FINDING_ICONS = {"good": ("✓", "Good"), "note": ("i", "Note"), "fault": ("✕", "Fault")}
SECTION = "Settings"


@dataclass
class SystemInfoCache:
    """What was seen of the machine last; it seldom changes, and torch takes seconds to ask."""

    systems: list[SystemInfo] = field(default_factory=list)

    @property
    def devices(self) -> tuple[DeviceInfo, ...]:
        """The devices that torch found, none before anybody looked."""
        return self.systems[-1].torch.devices if self.systems else ()


def build_system_panel(
    page: PageContext, seen: SystemInfoCache
) -> list[Any]:  # Any: Gradio's events have no type
    """Draw the panel and wire it; return the events when the machine was seen.

    It is looked at when the tab is first opened, and again when somebody asks for it.
    """
    gr.Markdown("## This machine", elem_classes="setting-section")
    view = gr.HTML(LOADING_HTML, elem_id="settings-system")
    look = gr.Button("Look again", elem_id="settings-look")
    is_shown = gr.State(False)

    def show() -> tuple[str, bool]:
        seen.systems[:] = [collect_system_info(page.studio.layout)]
        return system_panel_html(page.studio, seen.systems[-1]), True

    def show_first(is_shown: bool) -> tuple[Any, Any]:
        if is_shown:
            return gr.skip(), gr.skip()
        return (system_panel_html(page.studio, seen.systems[-1]), True) if seen.systems else show()

    asked: dict[str, Any] = {  # Any: options of Gradio's events
        "show_progress": "minimal",
        "api_visibility": "private",
        "concurrency_limit": 1,
        "concurrency_id": CONCURRENCY_ID,
    }
    opened: Any = page.tab  # Any: Gradio adds the events at run time
    return [
        opened.select(show_first, [is_shown], [view, is_shown], **asked),
        look.click(show, None, [view, is_shown], **asked),
    ]


def system_panel_html(studio: Studio, system: SystemInfo) -> str:
    """Draw the facts, the findings and the button that copies the report."""
    findings = run_checks(get_project_paths(studio.layout.root), system, port=False)
    report = format_report(system, findings, studio.layout.root)
    facts = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(told)}</td></tr>"
        for name, told in collect_system_facts(system).items()
    )
    told = {
        state: [finding_html(one) for one in findings if one.state == state]
        for state in FINDING_ICONS
    }
    said = f"{len(told['fault'])} to mend" if told["fault"] else "Nothing is wrong"
    return (
        f"<p role='status'><strong>{said}.</strong></p>"
        f"<ul class='findings'>{''.join(told['fault'] + told['note'])}</ul>"
        f"<details><summary>{format_count(len(told['good']), 'thing')} looked at and good</summary>"
        f"<ul class='findings'>{''.join(told['good'])}</ul></details>"
        "<div class='table' tabindex='0' role='region' aria-label='This machine'>"
        f"<table><tbody>{facts}</tbody></table></div>"
        f"<div class='buttons'><button class='small' data-copy='{escape(report)}'>Copy report"
        "</button><span class='quiet'>Without your name and the places of your folders.</span>"
        "</div>"
    )


def finding_html(finding: HealthCheckResult) -> str:
    """Draw one finding: a sign and a word, what was found, and the command that mends it."""
    sign, word = FINDING_ICONS[finding.state]
    fix = ""
    if finding.fix:
        fix = (
            f"<div class='fix'><code>{escape(finding.fix)}</code> "
            f"<button class='small' data-copy='{escape(finding.fix)}'>Copy</button></div>"
        )
    return (
        f"<li class='{finding.state}'><span class='sign' aria-hidden='true'>{sign}</span> "
        f"<strong>{word}: {escape(finding.name)}.</strong> {escape(finding.told)}{fix}</li>"
    )
