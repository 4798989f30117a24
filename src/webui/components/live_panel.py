"""A part of the page that follows a state on the server, and the buttons inside it.

A browser is sent only the outputs that changed since it was last sent them. HTML is painted by
assets/studio.js, which touches only the nodes that changed: a player goes on playing, an open
`<details>` stays open and text that is being typed stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from webui.components.changes import ChangeSignal
from webui.components.messages import error_html
from webui.components.theme import ASSETS

# Any throughout: every component has a value of its own type.

EVENT_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
)
"""For events that answer at once: no queue, no spinner, no name in the API."""
Updates: TypeAlias = Mapping[Any, Any]
"""Component -> its new value or `gr.update(...)`, as Gradio's handlers may return."""
MAX_TEXT_LENGTH, MAX_LIST_LENGTH = 100_000, 10_000  # of what a browser sends

PAINT_JS = """\
const paint = () => window.testudo?.paint('{elem_id}-view', props.value || '');
watch('value', paint);
paint();
"""
CLICK_JS = """\
element.addEventListener('click', (event) => {
  const action = window.testudo?.readAction(event);
  if (action) trigger('click', {action});
});
"""
WATCH_JS = """\
window.testudo?.watch('{elem_id}', {interval_ms}, {only_visible},
  (token) => trigger('click', {token}));
"""
MAX_TOKEN_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class PanelAction:
    """The action of a button with data-act: its name, and data-* attributes and fields as text."""

    name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return a value as text; "" where there is none."""
        value = self.values.get(key)
        return value[:MAX_TEXT_LENGTH] if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; () where there is none."""
        given = self.values.get(key)
        found = given[:MAX_LIST_LENGTH] if isinstance(given, list) else ()
        return tuple(item[:MAX_TEXT_LENGTH] for item in found if isinstance(item, str))


def parse_action(event: gr.EventData) -> PanelAction:
    """Read the action that JavaScript sent with `trigger('click', {action: {act, ...}})`.

    Malformed data is ignored.
    """
    try:
        sent = event.action
    except (AttributeError, TypeError):
        sent = None
    values = sent if isinstance(sent, Mapping) else {}
    name = values.get("act")
    return PanelAction(name=name if isinstance(name, str) else "", values=values)


def create_live_html(elem_id: str, script: str = CLICK_JS, value: str = "") -> gr.HTML:
    """Create an HTML component that is repainted in place.

    Its element `{elem_id}-view` has the painted HTML. script: JavaScript that runs once after it
    was created; by default clicks on buttons with data-act trigger its click event.
    """
    return _create_view(elem_id, PAINT_JS.replace("{elem_id}", elem_id) + script, value)


def create_scripted_html(elem_id: str, asset: str) -> gr.HTML:
    """Create an HTML component whose element `{elem_id}-view` a script of assets/ paints."""
    return _create_view(elem_id, (ASSETS / asset).read_text(encoding="utf-8"))


def _create_view(elem_id: str, script: str, value: str | None = None) -> gr.HTML:
    template = f'<div id="{elem_id}-view"></div>'
    return gr.HTML(value, html_template=template, js_on_load=script, elem_id=elem_id)


def create_watcher(elem_id: str, interval_s: float, *, only_visible: bool = True) -> gr.HTML:
    """Create a component whose click is triggered when the state that a panel shows has changed.

    The first click comes at once. A hidden `elem_id` or window is not watched.
    """
    script = WATCH_JS.replace("{elem_id}", elem_id).replace(
        "{only_visible}", "true" if only_visible else "false"
    )
    return gr.HTML(
        "",
        html_template="<i></i>",
        js_on_load=script.replace("{interval_ms}", str(round(1000 * interval_s))),
        visible="hidden",
        elem_id=f"{elem_id}-watch",
    )


def _read_token(event: gr.EventData) -> str:
    """Return the token of a browser; "" for malformed data."""
    try:
        token = event.token
    except (AttributeError, TypeError):
        return ""
    return token[:MAX_TOKEN_LENGTH] if isinstance(token, str) else ""


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """The last values sent to a browser: the state, and each output by component id.

    token: the name of this panel in that browser, for the change signal.
    """

    state: Any = None
    token: str = ""
    values: Mapping[int, Any] = field(default_factory=dict)


class LivePanel:
    """HTML and controls that show a state on the server.

    state_fn(*inputs): reads the state; it is called at each poll, so it is cheap. States are
        compared with ==.
    render_fn(state): returns the updates that show it: {component: value}, or only the value of
        `html`. It is called only where the state differs from the one this browser saw last.
    actions: name in data-act -> handler(action, *inputs), which returns further updates or None.
    message: where errors are shown; an action that succeeds clears it.
    inputs: components whose values the functions are given;  outputs: what render_fn updates
        beside `html`;  action_outputs: what actions update beside these, the inputs and `message`.
    """

    def __init__(
        self,
        html: gr.HTML,
        state_fn: Callable[..., Any],
        render_fn: Callable[[Any], Updates | str],
        actions: Mapping[str, Callable[..., Updates | None]] | None = None,
        *,
        message: gr.HTML | None = None,
        inputs: Sequence[Component] = (),
        outputs: Sequence[Any] = (),
        action_outputs: Sequence[Any] = (),
    ) -> None:
        self.html, self.message = html, message
        self.state_fn, self.render_fn, self.actions = state_fn, render_fn, dict(actions or {})
        self.sent = gr.State(_Sent())
        self.signal: ChangeSignal | None = None
        self.inputs = [self.sent, *inputs]
        self.outputs = [self.sent, html, *outputs]
        also = [*inputs, *action_outputs, *([message] if message else [])]
        self.action_outputs = list(dict.fromkeys([*self.outputs, *also]))
        if actions:
            self.listen(html)

    def follow(
        self,
        signal: ChangeSignal,
        interval_s: float,
        *,
        only_visible: bool = True,
        place: str = "",
    ) -> None:
        """Refresh at first, and when the state has changed, while the page is open or visible.

        interval_s: between two checks;  place: the id of the element whose visibility counts; by
        default that of `html`.
        """
        self.signal = signal
        place = place or str(self.html.elem_id)
        watcher: Any = create_watcher(place, interval_s, only_visible=only_visible)

        def answer(event: gr.EventData, sent: _Sent, *inputs: Any) -> Updates:
            return self.refresh(replace(sent, token=_read_token(event)), *inputs)

        watcher.click(answer, self.inputs, self.outputs, **EVENT_OPTIONS)

    def listen(self, html: gr.HTML, **options: Any) -> None:
        """Connect the buttons with data-act in an HTML component to the panel's actions.

        options: of the Gradio event.
        """

        def press(event: gr.EventData, sent: _Sent, *inputs: Any) -> Updates:
            action = parse_action(event)
            return self._run(lambda: self._dispatch(action, inputs), sent, inputs)

        html.click(press, self.inputs, self.action_outputs, **{**EVENT_OPTIONS, **options})

    def bind(
        self,
        trigger: Any,
        handler: Callable[..., Updates | None],
        inputs: Sequence[Component] = (),
        **options: Any,
    ) -> Any:
        """Call handler(*inputs) on an event, then refresh. It returns further updates or None.

        An AppError is shown in `message`.  options: of the Gradio event.  Returns the event.
        """
        count = len(self.inputs)

        def run(sent: _Sent, *given: Any) -> Updates:
            own, extra = given[: count - 1], given[count - 1 :]
            return self._run(lambda: handler(*extra), sent, own)

        options = {**EVENT_OPTIONS, **options}
        return trigger(run, [*self.inputs, *inputs], self.action_outputs, **options)

    def refresh(self, sent: _Sent, *inputs: Any) -> Updates:
        """Return the updates for what this browser has not been sent yet."""
        try:
            state = self.state_fn(*inputs)
            if sent.values and state == sent.state:
                self._watch(sent, inputs)
                return {self.sent: gr.skip()}
            rendered = self.render_fn(state)
        except AppError as error:
            state, rendered = None, error_html(error)
        updates = {self.html: rendered} if isinstance(rendered, str) else dict(rendered)
        values = {component._id: value for component, value in updates.items()}
        news = {
            component: value
            for component, value in updates.items()
            if component._id not in sent.values or not _is_same(value, sent.values[component._id])
        }
        now = replace(sent, state=state, values={**sent.values, **values})
        self._watch(now, inputs)
        return {self.sent: now, **news}

    def _watch(self, sent: _Sent, inputs: Sequence[Any]) -> None:
        if self.signal is not None and sent.token:
            self.signal.watch(sent.token, partial(self._has_changed, sent.state, inputs))

    def _has_changed(self, shown: Any, inputs: Sequence[Any]) -> bool:
        try:
            return bool(self.state_fn(*inputs) != shown)
        except AppError:
            return shown is not None

    def _dispatch(self, action: PanelAction, inputs: Sequence[Any]) -> Updates | None:
        handler = self.actions.get(action.name)
        if handler is None:
            raise AppError("Unknown action. Reload the page.")
        return handler(action, *inputs)

    def _run(
        self, handle: Callable[[], Updates | None], sent: _Sent, inputs: Sequence[Any]
    ) -> Updates:
        updates: dict[Any, Any] = {} if self.message is None else {self.message: ""}
        try:
            updates |= handle() or {}
        except AppError as error:
            if self.message is None:
                raise
            updates[self.message] = error_html(error)
        now = [
            _apply_update(updates.get(component, value), value)
            for component, value in zip(self.inputs[1:], inputs, strict=True)
        ]
        return {**self.refresh(sent, *now), **updates}


def _apply_update(update: Any, value: Any) -> Any:
    """Return the value that a component has after an update."""
    is_update = isinstance(update, dict) and "__type__" in update
    return update.get("value", value) if is_update else update


def _is_same(value: Any, other: Any) -> bool:
    """Compare two updates; a table in one is compared as a whole."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(_is_same(value[k], other[k]) for k in value)
    if hasattr(value, "equals"):  # pandas
        return bool(value.equals(other))
    return bool(value == other)
