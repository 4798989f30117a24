"""Asking again and again, but only while somebody looks: a hidden tab or window asks nothing."""

from __future__ import annotations

import gradio as gr

POLL_JS = """\
const look = () => {
  const place = document.getElementById('{place}');
  if (place && place.offsetParent !== null && !document.hidden) trigger('click');
};
setInterval(look, {every});
document.addEventListener('visibilitychange', look);
look();
"""


def create_visible_timer(place: str, every_s: float) -> gr.HTML:
    """Draw what triggers a click every so often while the element `place` can be seen."""
    beat = POLL_JS.replace("{place}", place).replace("{every}", str(round(1000 * every_s)))
    return gr.HTML(
        "",
        html_template="<i></i>",
        js_on_load=beat,
        visible="hidden",
        elem_id=f"{place}-pulse",
    )
