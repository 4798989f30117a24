"""Actions on the runs of a tab that trains apart from the page: start, stop, resume, show."""

from __future__ import annotations

import gradio as gr

from core.errors import AppError
from studio.detached_runs import DetachedRuns
from webui.components.live_panel import LivePanel, PanelAction, Updates
from webui.components.messages import note_html
from webui.training.run_view import find_run_name, format_run_title


class RunActions:
    """A tab with runs.

    runs: the service; panel: shows them; selected: title of the run that is shown; start_label: of
    the button that starts one.
    """

    runs: DetachedRuns
    panel: LivePanel
    selected: gr.State
    start_label: str

    def stop_run(self, selected: str) -> Updates:
        """Stop the run that is shown; its state is saved."""
        return self._select(self.runs.stop(self._parse_selected(selected)).name)

    def resume_run(self, selected: str) -> Updates:
        """Resume the run that is shown."""
        return self._select(self.runs.resume(self._parse_selected(selected)).name)

    def show_run(self, action: PanelAction, selected: str) -> Updates:
        """Show another run."""
        return {self.selected: action.text("job")}

    def _require_new(self, run: str) -> str:
        """Return the name of a run. Raises AppError where there is one of that name."""
        if run in {row.name for row in self.runs.list_summaries()}:
            raise AppError(
                f"There is already a run {run}. Choose another name, or resume that one."
            )
        return run

    def _select(self, name: str) -> Updates:
        title = format_run_title(self.runs.get_status(name))
        return {self.selected: title, self.panel.message: note_html("")}

    def _parse_selected(self, selected: str) -> str:
        name = find_run_name(selected, self.runs.list_summaries())
        if not name:
            raise AppError(f"No run selected. Press {self.start_label}.")
        return name
