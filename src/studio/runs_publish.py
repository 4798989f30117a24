"""Making a model of a checkpoint: what is asked for, and what comes of it.

A run that ends publishes its best checkpoint by itself; this is for another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from studio.layout import Layout, plain_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRun:
    """A wish to speak with the checkpoint of a step.

    name: the model becomes finetunes/NAME; "" takes the place of what the run published.
    """

    dataset: str
    run: str
    step: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """A model that speaks. voice: whose it is."""

    bundle: str
    voice: str
    step: int


def finetune_name(dataset: str, run: str) -> str:
    """Name the model that a run publishes."""
    return dataset if run == dataset else f"{dataset}-{run}"


def wish_to_publish(
    layout: Layout, dataset: str, run: str, step: int, name: str = ""
) -> PublishRun:
    """Return what to submit.  Raises StudioError for names that cannot be."""
    layout.run(dataset, run)
    plain_name(name or finetune_name(dataset, run), "fine-tune")
    return PublishRun(dataset=dataset, run=run, step=step, name=name)
