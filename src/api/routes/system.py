"""HTTP routes of the server: health, system report, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.schemas import StudioDep
from core.errors import AppError
from core.paths import get_project_paths, quote_for_message
from core.serialization import to_dict
from studio.diagnostics.checks import run_checks
from studio.diagnostics.report import collect_system_facts, format_report
from studio.diagnostics.system_info import collect_system_info, redact_private_data
from studio.schemas.settings import list_setting_fields
from studio.settings.pronunciations import read_pronunciations, write_pronunciations

router = APIRouter(prefix="/api", tags=["System"])


class Health(BaseModel):
    """The server is running; answered without a login."""

    status: Literal["ok"] = "ok"


class SettingView(BaseModel):
    """A setting. source: where its value comes from;  restart: changes need a restart."""

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
    """The effective settings."""

    settings: list[SettingView]


class Pronunciations(BaseModel):
    """How words are pronounced: word -> respelling, or ARPAbet phonemes in braces."""

    model_config = ConfigDict(extra="forbid", strict=True)

    words: dict[str, str]


class FindingView(BaseModel):
    """The result of a check. fix: the command that fixes it."""

    name: str
    state: Literal["good", "note", "fault"]
    message: str
    told: str = Field(description="former name of message", deprecated=True)
    cause: str
    fix: str


class SystemReport(BaseModel):
    """Facts and checks of this installation. report: the same as text without private data."""

    facts: dict[str, str]
    findings: list[FindingView]
    report: str


@router.get("/health")
def read_health() -> Health:
    """Return that the server is running."""
    return Health()


@router.get("/system")
def read_system(studio: StudioDep) -> SystemReport:
    """Check this installation; takes seconds, since it imports torch in a subprocess."""
    root = studio.layout.root
    found = collect_system_info(studio.layout)
    findings = run_checks(get_project_paths(root), found, port=False)
    facts = {
        name: redact_private_data(value, root)
        for name, value in collect_system_facts(found).items()
    }
    return SystemReport(
        facts=facts,
        findings=[_build_finding(plain, root) for plain in map(to_dict, findings)],
        report=format_report(found, findings, root),
    )


@router.get("/settings")
def read_settings(studio: StudioDep) -> SettingList:
    """List the settings; change them on the page or in settings.yaml."""
    effective = studio.resolve_settings()
    return SettingList(
        settings=[
            SettingView(
                name=item.name,
                label=item.ui_info.label,
                group=item.ui_info.group,
                help=item.field.info.help,
                type=item.field.json_type,
                value=getattr(studio.settings, item.name),
                default=item.field.default,
                choices=list(item.field.info.choices),
                source=effective.source(item.name),
                restart=item.ui_info.restart,
            )
            for item in list_setting_fields()
        ]
    )


def _build_finding(plain: dict[str, Any], root: Path) -> FindingView:
    message = redact_private_data(plain["message"], root)
    return FindingView.model_validate({**plain, "message": message, "told": message})


@router.get("/pronunciations")
def get_pronunciations(studio: StudioDep) -> Pronunciations:
    """Return the user's list of pronunciations."""
    return Pronunciations(words=dict(read_pronunciations(studio.layout)))


@router.put("/pronunciations")
def put_pronunciations(body: Pronunciations, studio: StudioDep) -> Pronunciations:
    """Replace the user's list of pronunciations; it applies to the next text."""
    odd = [word for word in body.words if "=" in word or "\n" in word]
    if odd:
        raise AppError(f"{quote_for_message(odd[0])} is not a word. Write letters only.")
    text = "\n".join(f"{word} = {' '.join(said.split())}" for word, said in body.words.items())
    return Pronunciations(words=dict(write_pronunciations(studio.layout, text)))
