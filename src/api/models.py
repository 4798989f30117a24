"""Bundles of weights over HTTP."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from api.views import Served
from studio.weights import list_bundles

router = APIRouter(prefix="/api/models", tags=["Models"])


class BundleView(BaseModel):
    """A bundle. missing: files it needs before it speaks;  problem: why it cannot be read."""

    name: str
    about: str
    networks: list[str]
    bytes: int
    weights_id: str
    speaks: bool
    missing: list[str]
    problem: str


class BundleList(BaseModel):
    """The bundles under models/."""

    models: list[BundleView]


@router.get("")
def models(studio: Served) -> BundleList:
    """List the bundles."""
    return BundleList(
        models=[
            BundleView(
                name=bundle.name,
                about=bundle.about,
                networks=list(bundle.networks),
                bytes=bundle.size,
                weights_id=bundle.weights_id,
                speaks=bundle.speaks,
                missing=list(bundle.missing),
                problem=bundle.problem,
            )
            for bundle in list_bundles(studio.layout)
        ]
    )
