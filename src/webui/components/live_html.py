"""A place on the page that changes often without disturbing who uses it.

What is to be shown travels in an unseen component; assets/studio.js paints it into the place and
touches only what changed, so that a player goes on playing and an open fold stays open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr

EVENT_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
)

RENDER_JS = """\
const show = () => window.testudo?.paint('{place}', props.value || '');
watch('value', show);
show();
"""
CLICK_JS = """\
element.addEventListener('click', (event) => {
  const asked = window.testudo?.wanted(event);
  if (asked) trigger('click', asked);
});
"""


@dataclass(frozen=True, kw_only=True)
class LiveHtml:
    """view: where it is painted, and what is pressed;  source: the output for what to paint."""

    view: gr.HTML
    source: gr.HTML


def create_live_html(elem_id: str) -> LiveHtml:
    """Draw the place; buttons in it with data-act trigger the click of the view."""
    place = f"{elem_id}-view"
    view = gr.HTML(
        "", html_template=f'<div id="{place}"></div>', js_on_load=CLICK_JS, elem_id=elem_id
    )
    source = gr.HTML(
        "",
        html_template="<i></i>",
        js_on_load=RENDER_JS.replace("{place}", place),
        visible="hidden",
        elem_id=f"{elem_id}-source",
    )
    return LiveHtml(view=view, source=source)


# Any: options of Gradio's events
