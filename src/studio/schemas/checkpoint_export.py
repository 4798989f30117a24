"""Request and result of exporting a checkpoint as a model.

A finished run exports its best checkpoint by itself; this is for another one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCheckpointRequest:
    """Export the checkpoint of a step.

    name: the model becomes finetunes/NAME; "" replaces the model that the run exported.
    """

    dataset: str
    run: str
    step: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCheckpointResult:
    """The exported model, and the voice it was trained on."""

    bundle: str
    voice: str
    step: int


def make_finetune_name(dataset: str, run: str) -> str:
    """Return the name of the model that a run exports."""
    return dataset if run == dataset else f"{dataset}-{run}"
