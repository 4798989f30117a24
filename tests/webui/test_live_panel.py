"""The live panel: a browser is sent only what changed, and actions come from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from webui.components.live_panel import LivePanel, PanelAction, create_live_html, parse_action


class Counter:
    """A state with two outputs, and how often it was rendered."""

    def __init__(self) -> None:
        self.count, self.parity, self.rendered = 1, "odd", 0
        with gr.Blocks():
            self.message, self.button = gr.HTML(), gr.Button()
            self.chosen = gr.State("")
            self.panel = LivePanel(
                create_live_html("counter"),
                lambda chosen: (chosen, self.count, self.parity),
                self.render,
                {"add": self.add, "choose": lambda action, _: {self.chosen: action.text("value")}},
                message=self.message,
                inputs=[self.chosen],
                outputs=[self.button],
            )

    def render(self, state: tuple[str, int, str]) -> dict[Any, Any]:
        self.rendered += 1
        chosen, count, parity = state
        return {
            self.panel.html: f"{chosen}{count}",
            self.button: gr.update(interactive=parity == "odd"),
        }

    def add_one(self) -> None:
        self.count += 1

    def add(self, action: PanelAction, chosen: str) -> None:
        if action.text("value") != "1":
            raise AppError("Only 1 can be added.")
        self.count += 1


@pytest.fixture
def counter() -> Iterator[Counter]:
    yield Counter()


def press(counter: Counter, data: Any, sent: Any, *inputs: Any) -> dict[Any, Any]:
    """Press a button of the panel as a browser does."""
    event = gr.EventData(None, data)
    action = parse_action(event)
    panel = counter.panel
    return dict(panel._run(lambda: panel._dispatch(action, inputs), sent, inputs))


def test_a_browser_is_sent_everything_once_and_then_only_what_changed(counter: Counter) -> None:
    panel = counter.panel
    first = panel.refresh(panel.sent.value, "")
    assert first[panel.html] == "1" and first[counter.button]["interactive"]
    sent = first[panel.sent]
    assert panel.refresh(sent, "") == {panel.sent: gr.skip()} and counter.rendered == 1
    counter.count = 3
    second = panel.refresh(sent, "")
    assert second[panel.html] == "3" and counter.button not in second
    counter.parity = "even"
    assert panel.html not in panel.refresh(second[panel.sent], "")


def test_an_action_changes_the_state_and_the_change_is_sent_with_it(counter: Counter) -> None:
    panel = counter.panel
    sent = panel.refresh(panel.sent.value, "")[panel.sent]
    updates = press(counter, {"action": {"act": "add", "value": "1"}}, sent, "")
    assert updates[panel.html] == "2" and updates[counter.message] == ""


def test_an_input_that_an_action_changes_is_used_at_once(counter: Counter) -> None:
    panel = counter.panel
    updates = press(counter, {"action": {"act": "choose", "value": "a"}}, panel.sent.value, "")
    assert updates[panel.html] == "a1" and updates[counter.chosen] == "a"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "action",
        {"action": None},
        {"action": []},
        {"action": {"act": ["add"]}},
        {"action": {"act": "drop table"}},
    ],
)
def test_a_malformed_action_is_an_error_message(counter: Counter, data: Any) -> None:
    updates = press(counter, data, counter.panel.sent.value, "")
    assert "Unknown action" in updates[counter.message] and counter.count == 1


def test_an_error_of_an_action_is_shown(counter: Counter) -> None:
    data = {"action": {"act": "add", "value": {"a": 1}}}
    updates = press(counter, data, counter.panel.sent.value, "")
    assert "Only 1 can be added." in updates[counter.message]


def test_values_of_an_action_are_text_or_nothing() -> None:
    action = PanelAction(name="x", values={"a": 1, "b": ["c", 2, "d"], "e": "f"})
    assert (action.text("a"), action.text("e"), action.text("z")) == ("", "f", "")
    assert (action.texts("b"), action.texts("e")) == (("c", "d"), ())


def test_an_error_of_the_state_is_shown_in_the_panel() -> None:
    def fail() -> str:
        raise AppError("The disk is gone.")

    with gr.Blocks():
        panel = LivePanel(create_live_html("broken"), fail, str)
    assert "The disk is gone." in panel.refresh(panel.sent.value)[panel.html]


def test_handlers_of_other_events_refresh_the_panel(counter: Counter) -> None:
    heard: list[Callable[..., Any]] = []
    counter.panel.bind(lambda run, *rest, **options: heard.append(run), counter.add_one, [])
    updates = heard[0](counter.panel.sent.value, "")
    assert updates[counter.panel.html] == "2"
