"""The tools of the Model Context Protocol speak through the API of a studio."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from cli.mcp import StudioTools, create_server
from core.errors import AppError
from studio.app.studio import Studio

NAMES = {"list_voices", "speak", "status", "cancel", "read_settings"}


@pytest.fixture
def tools(client: TestClient) -> StudioTools:
    return StudioTools(http=client)


def call(tools: StudioTools, name: str, **arguments: Any) -> Any:
    """Call a tool over the protocol; returns its result, or its error as text."""
    mcp = pytest.importorskip("mcp")

    async def ask() -> Any:
        async with mcp.Client(create_server(tools)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == NAMES
            return await client.call_tool(name, arguments)

    answer = asyncio.run(ask())
    texts = [json.loads(part.text) if not answer.is_error else part.text for part in answer.content]
    return texts if len(texts) > 1 or name in ("list_voices", "status") else texts[0]


def test_voices_are_listed(tools: StudioTools) -> None:
    voices = call(tools, "list_voices")
    assert [(voice["name"], voice["clips"]) for voice in voices] == [("alice", 2), ("bob", 2)]


def test_a_text_is_spoken_and_its_settings_are_read(tools: StudioTools, studio: Studio) -> None:
    job = call(tools, "speak", text="Good evening.", voice="alice", preset="fast", wait_s=30)
    assert job["state"] == "done" and job["error"] == "" and job["seconds"] > 0
    assert (studio.layout.results / job["clip"]).is_file()
    assert call(tools, "status", job=job["job"]) == [job]
    assert call(tools, "status")[0]["job"] == job["job"]
    read = call(tools, "read_settings", clip=job["clip"])
    assert read["settings"]["text"] == "Good evening." and read["settings"]["voice"] == "alice"


def test_a_job_that_waits_is_cancelled(tools: StudioTools, studio: Studio) -> None:
    studio.set_queue_paused(True)
    job = call(tools, "speak", text="Good evening.", voice="alice", wait_s=0)
    assert job["state"] == "waiting" and job["clip"] is None
    assert call(tools, "cancel", job=job["job"])["state"] == "stopped"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("speak", {"text": "Hello.", "voice": "nobody"}, "nobody"),
        ("speak", {"text": "Hello.", "voice": "alice", "preset": "slowest"}, "slowest"),
        ("status", {"job": "abc"}, "abc"),
        ("read_settings", {"clip": "alice/gone.wav"}, "gone"),
    ],
)
def test_errors_of_the_studio_reach_the_assistant(
    tools: StudioTools, name: str, arguments: dict[str, Any], message: str
) -> None:
    told = call(tools, name, **arguments)
    assert message in (told[0] if isinstance(told, list) else told)


def test_a_studio_that_does_not_run_is_named() -> None:
    with httpx.Client(base_url="http://127.0.0.1:9") as http:
        tools = StudioTools(http=http)
        with pytest.raises(AppError, match=r"No studio answers at http://127\.0\.0\.1:9"):
            tools.list_voices()
