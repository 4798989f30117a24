"""testudo mcp: the studio as tools of assistants, over the Model Context Protocol.

The assistant starts the program and talks to it on its standard streams; nothing listens. The tools
use the HTTP API of a studio that runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import httpx
import typer

from cli.options import add_command
from core.errors import AppError
from core.network_address import DEFAULT_HOST, DEFAULT_PORT

if TYPE_CHECKING:
    from mcp.server import MCPServer

URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
API_KEY_ENV_VAR = "TESTUDO_API_KEY"
TIMEOUT_S, POLL_S, MAX_WAIT_S = 30.0, 0.5, 600.0
INSTRUCTIONS = (
    "Speak texts in the voices of a local studio. `speak` returns a job; where it has not ended, "
    "ask `status` again."
)
Fields = dict[str, Any]  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioTools:
    """The tools. Errors of the studio are raised as AppError. http: a client of its address."""

    http: httpx.Client
    wait: Callable[[float], None] = time.sleep

    def list_voices(self) -> list[Fields]:
        """List the voices, with their tags, number of clips and note of consent."""
        return [
            {
                "name": voice["name"],
                "tags": voice["tags"],
                "clips": len(voice["clips"]),
                "consent": voice["consent"],
            }
            for voice in self._call("GET", "/api/voices")["voices"]
        ]

    def speak(
        self, text: str, voice: str, preset: str = "", model: str = "", wait_s: float = 60.0
    ) -> Fields:
        """Speak a text and wait up to wait_s seconds, at most 600. Returns the job with the clip.

        voice: one of list_voices, or random. preset: ultra_fast, fast, standard or high_quality;
        model: a name of a model; both empty for what the studio uses.
        """
        asked = {"text": text, "voice": voice, "preset": preset, "bundle": model}
        job = self._call(
            "POST", "/api/jobs/speak", {key: value for key, value in asked.items() if value}
        )
        until = time.monotonic() + min(max(wait_s, 0.0), MAX_WAIT_S)
        while job["ended"] is None and time.monotonic() < until:
            self.wait(POLL_S)
            job = self._call("GET", f"/api/jobs/{job['id']}")
        return summarize_job(job)

    def status(self, job: str = "") -> list[Fields]:
        """Return a job by its id, or the newest jobs."""
        if job:
            return [summarize_job(self._call("GET", f"/api/jobs/{quote(job, safe='')}"))]
        return [summarize_job(each) for each in self._call("GET", "/api/jobs?limit=20")["jobs"]]

    def cancel(self, job: str) -> Fields:
        """Cancel a job that runs or waits; finished lines are kept."""
        return summarize_job(self._call("DELETE", f"/api/jobs/{quote(job, safe='')}"))

    def read_settings(self, clip: str) -> Fields:
        """Return the settings with which a clip was generated. clip: as a job names it."""
        found: Fields = self._call("GET", f"/api/results/{quote(clip)}")
        return {"clip": clip, "settings": found["record"]}

    def _call(self, method: str, address: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self.http.request(method, address, json=body)
        except httpx.HTTPError as cause:
            raise AppError(
                f"No studio answers at {self.http.base_url} ({cause}). Start it with ./start.sh, "
                "or give its address with --url."
            ) from cause
        try:
            content = answer.json()
        except ValueError:
            content = {}
        if answer.is_success:
            return content
        told = content.get("error", {}).get("message", "") if isinstance(content, dict) else ""
        raise AppError(told or f"The studio answered with status {answer.status_code}.")


def summarize_job(job: Mapping[str, Any]) -> Fields:
    """Return what an assistant needs of a job of the API."""
    failure, result = job["failure"] or {}, job["result"] or {}
    return {
        "job": job["id"],
        "title": job["title"],
        "state": job["state"],
        "clip": result.get("path"),
        "url": result.get("url"),
        "seconds": result.get("seconds"),
        "warnings": job["warnings"],
        "error": failure.get("message", ""),
    }


def create_server(tools: StudioTools) -> MCPServer:
    """Return the server of the tools. Raises AppError where the package mcp is not installed."""
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
    except ImportError as cause:
        raise AppError(
            "testudo mcp needs the package mcp. Install it with: "
            "pip install -r requirements-extra.txt"
        ) from cause
    server = MCPServer("testudo", instructions=INSTRUCTIONS, log_level="WARNING")
    for tool in (
        tools.list_voices, tools.speak, tools.status, tools.cancel, tools.read_settings,
    ):  # fmt: skip
        server.tool()(_raise_as(ToolError, tool))
    return server


def _raise_as(error: type[Exception], tool: Callable[..., Any]) -> Callable[..., Any]:
    """Return the tool with its signature; an AppError becomes `error`, with its text."""

    @wraps(tool)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except AppError as cause:
            raise error(str(cause)) from cause

    return call


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `mcp` to the program."""
    help_text = (
        f"{help}\n\nAn assistant starts it as: testudo mcp. The studio has to run; the key of a "
        f"protected one is read from {API_KEY_ENV_VAR}."
    )
    add_command(app, name, help_text, short_help=help)(run)


def run(
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the studio.")] = URL,
) -> int:
    key = os.environ.get(API_KEY_ENV_VAR, "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.InvalidURL, ValueError) as cause:
        raise AppError(f"{url!r} is not an address ({cause}). Write it like {URL}.") from cause
    with http:
        create_server(StudioTools(http=http)).run("stdio")
    return 0
