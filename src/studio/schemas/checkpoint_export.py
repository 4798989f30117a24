"""Making a model of a checkpoint: what is asked for, and what comes of it.

A run that ends publishes its best checkpoint by itself; this is for another one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCheckpointRequest:
    """A wish to speak with the checkpoint of a step.

    name: the model becomes finetunes/NAME; "" takes the place of what the run published.
    """

    dataset: str
    run: str
    step: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCheckpointResult:
    """A model that speaks. voice: whose it is."""

    bundle: str
    voice: str
    step: int


def make_finetune_name(dataset: str, run: str) -> str:
    """Name the model that a run publishes."""
    return dataset if run == dataset else f"{dataset}-{run}"
