"""The studio itself over HTTP: whether it runs, and its settings."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from api.schemas import TYPES
from api.views import Served
from studio.settings import fields_of_settings

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


@router.get("/health")
def health() -> Health:
    """Say that the studio runs."""
    return Health()


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
