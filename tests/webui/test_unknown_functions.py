"""Calls of functions that the page does not have end in a sentence."""

from __future__ import annotations

from typing import Any

import gradio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from webui.app import answer_unknown_functions


@pytest.fixture(scope="module")
def client() -> TestClient:
    with gradio.Blocks(analytics_enabled=False) as blocks:
        box = gradio.Textbox()
        box.change(lambda text: text, box, box, api_name="echo")
    server = gradio.mount_gradio_app(FastAPI(), blocks, "/", ssr_mode=False)
    answer_unknown_functions(server)
    return TestClient(server)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("run/predict", {"data": []}),
        ("run/predict", {"data": [1], "fn_index": 10**30}),
        ("run/predict", {"data": [1], "fn_index": 99}),
        ("run/nowhere", {"data": []}),
        ("api/predict", {"data": []}),
        ("call/nowhere", {"data": []}),
        ("queue/join", {"data": [1], "fn_index": 99, "session_hash": "x"}),
    ],
)
def test_a_function_that_the_page_lacks_is_answered_with_404(
    client: TestClient, path: str, body: Any
) -> None:
    answer = client.post(f"/gradio_api/{path}", json=body)
    assert answer.status_code == 404
    assert "The page has no such function" in answer.json()["error"]["message"]


def test_functions_of_the_page_work_and_their_bodies_are_checked(client: TestClient) -> None:
    assert client.post("/gradio_api/run/echo", json={"data": ["x"]}).json()["data"] == ["x"]
    assert client.post("/gradio_api/run/predict", json=[]).status_code == 422
