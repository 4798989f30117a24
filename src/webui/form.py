"""The form of the tab Generate: its controls, filled from a clip or from what was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from studio.takes import TakeRecord


@dataclass(frozen=True, kw_only=True)
class GenerateForm:
    """The controls in the order in which handlers take and give their values."""

    components: Sequence[Component]

    def filled_from(self, record: TakeRecord) -> list[Any]:  # Any: what each control takes
        """One update per component that shows how a take was spoken."""
        return [record.text]
