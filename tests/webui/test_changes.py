"""The change signal: which panels of an open page have something new."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.testclient import TestClient

from core.errors import AppError
from webui.components.changes import MAX_WATCHES, ChangeSignal, add_changes_route
from webui.components.live_panel import LivePanel, create_live_html


def test_a_panel_has_changed_when_its_state_differs_from_the_one_sent() -> None:
    signal, states = ChangeSignal(), ["one"]
    with gr.Blocks():
        panel = LivePanel(create_live_html("panel"), lambda: states[-1], str)
        panel.follow(signal, 1.0)
    first = panel.refresh(panel.sent.value)
    assert signal.list_changed(["tab"]) == ["tab"], "it is not known yet"
    sent = first[panel.sent].__class__(state="one", token="tab", values=first[panel.sent].values)
    panel.refresh(sent)
    assert signal.list_changed(["tab"]) == []
    states.append("two")
    assert signal.list_changed(["tab"]) == ["tab"]
    panel.refresh(sent)
    assert signal.list_changed(["tab"]) == []


def test_a_state_that_cannot_be_read_is_reported_once() -> None:
    signal, answers = ChangeSignal(), [True]

    def read() -> str:
        if answers[-1]:
            return "fine"
        raise AppError("The disk is gone.")

    with gr.Blocks():
        panel = LivePanel(create_live_html("panel"), read, str)
        panel.follow(signal, 1.0)
    sent: Any = panel.sent.value.__class__(token="tab")
    sent = panel.refresh(sent)[panel.sent]
    answers.append(False)
    assert signal.list_changed(["tab"]) == ["tab"]
    panel.refresh(sent)
    assert signal.list_changed(["tab"]) == []


def test_the_signal_forgets_the_oldest_and_answers_many_at_once() -> None:
    signal = ChangeSignal()
    for number in range(MAX_WATCHES + 1):
        signal.watch(f"t{number}", lambda: False)
    assert signal.list_changed(["t0", "t1", f"t{MAX_WATCHES}"]) == ["t0"]


def test_the_route_lies_under_the_path_of_the_page() -> None:
    server, signal = FastAPI(), ChangeSignal()
    signal.watch("a", lambda: False)
    signal.watch("b", lambda: True)
    add_changes_route(server, signal, "/studio")
    answer = TestClient(server).get("/studio/changes?tokens=a,b")
    assert answer.json() == {"changed": ["b"]} and answer.headers["cache-control"] == "no-store"
    assert TestClient(server).get("/studio/changes").json() == {"changed": []}
