"""The studio itself over HTTP: whether it runs, its settings, and what the doctor says."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from api.schemas import TYPES
from api.views import Served
from jobs.plain import to_plain
from studio.doctor import examine
from studio.layout import open_layout
from studio.report import report_text, system_facts
from studio.settings import fields_of_settings
from studio.system import look_at_system, without_private

router = APIRouter(prefix="/api", tags=["System"])


class Health(BaseModel):
    """That the studio runs; the one thing that is told without a login."""

    status: Literal["ok"] = "ok"


class SettingView(BaseModel):
    """A setting, where its value comes from, and whether it waits for a restart."""

    name: str
    label: str
    group: str
    help: str
    type: str
    value: Any  # Any: each setting has its own type
    default: Any
    choices: list[str]
    source: str
    restart: bool


class SettingList(BaseModel):
    """The settings that hold now."""

    settings: list[SettingView]


class FindingView(BaseModel):
    """What was found about one thing. fix: the one command that mends it."""

    name: str
    state: Literal["good", "note", "fault"]
    told: str
    cause: str
    fix: str


class SystemReport(BaseModel):
    """This machine and this installation. report: the same as text, fit to be passed on."""

    facts: dict[str, str]
    findings: list[FindingView]
    report: str


@router.get("/health")
def health() -> Health:
    """Say that the studio runs."""
    return Health()


@router.get("/system")
def system(studio: Served) -> SystemReport:
    """Look at this machine and this installation; takes seconds, since torch is asked."""
    root = studio.layout.root
    found = look_at_system(studio.layout)
    findings = examine(open_layout(root), found, port=False)
    facts = {name: without_private(told, root) for name, told in system_facts(found).items()}
    return SystemReport(
        facts=facts,
        findings=[
            FindingView.model_validate({**plain, "told": without_private(plain["told"], root)})
            for plain in map(to_plain, findings)
        ],
        report=report_text(found, findings, root),
    )


@router.get("/settings")
def settings(studio: Served) -> SettingList:
    """List the settings; they are changed on the page or in settings.yaml."""
    effective = studio.effective()
    return SettingList(
        settings=[
            SettingView(
                name=item.name,
                label=item.about.label,
                group=item.about.group,
                help=item.field.knob.help,
                type=TYPES[item.field.plain_type],
                value=getattr(studio.settings, item.name),
                default=item.field.default,
                choices=list(item.field.knob.choices),
                source=effective.source(item.name),
                restart=item.about.restart,
            )
            for item in fields_of_settings()
        ]
    )
