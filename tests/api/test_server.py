"""The studio as a program: where it opens, what it says, what it refuses, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from asyncio import CancelledError
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import ModuleType

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import ROUTE_MODULES
from api.auth import AuthConfig, Login
from api.server import (
    CLOSED_MESSAGE,
    ErrorLogFilter,
    ServerOptions,
    format_startup_message,
    get_allowed_hosts,
    has_display,
)
from api.server import (
    serve as run_server,
)
from core.network_address import Address, open_socket, parse_address
from core.paths import ADDRESS_WORDS
from studio.app.studio import Studio
from support.api_helpers import Serve, until

APP = Path(__file__).resolve().parents[2] / "app.py"
PATIENCE_S = 120  # a loaded machine imports Gradio slowly


def program(root: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(APP), "--no-browser", *arguments],
        env={**os.environ, "TESTUDO_ROOT": str(root), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    taken, address = open_socket(Address(port=0))
    taken.close()
    return address.port


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(url_of(port) + path, timeout=20) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def health(port: int) -> bool:
    return answers(port, "api/health")


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def running(root: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The program, answering."""
    port = free_port()
    started = program(root, "--listen", f"{port}")
    until(lambda: health(port), PATIENCE_S)
    yield started, port
    started.kill()
    started.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quickly_with_its_worker_on_a_signal(
    running: tuple[subprocess.Popen[str], int], how: signal.Signals
) -> None:
    started, port = running
    until(lambda: answers(port, ""), PATIENCE_S)
    open_page = urllib.request.urlopen(f"http://127.0.0.1:{port}/gradio_api/heartbeat/anna")
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(started.pid)], capture_output=True, text=True
    )
    children = [int(word) for word in listed.stdout.split()]
    started.send_signal(how)
    out, err = started.communicate(timeout=PATIENCE_S)
    open_page.close()
    assert started.returncode == 0 and err == ""
    assert out.endswith(f"{url_of(port)}\n\n{CLOSED_MESSAGE}\n"), out  # told once, and nothing else
    until(lambda: all(is_gone(child) for child in children))
    assert not health(port)


def test_what_goes_wrong_at_the_end_is_reported_but_not_that_pages_were_open() -> None:
    quiet = ErrorLogFilter(lambda: True)
    assert not quiet.filter(record("Cancel 2 running task(s)"))
    assert not quiet.filter(record("Exception in ASGI application", CancelledError()))
    assert quiet.filter(record("Exception in lifespan", OSError("the disk is full")))
    assert ErrorLogFilter(lambda: False).filter(record("said while it runs"))


def record(message: str, problem: BaseException | None = None) -> logging.LogRecord:
    info = (type(problem), problem, None) if problem is not None else None
    return logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, message, (), info)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--listen", "nowhere:x"), "is not a port"),
        (("--listen", "256.1.1.1"), "neither a host name nor an IP"),
        (("--login", "anna"), "is not a login"),
        (("--lisen", "80"), "Did you mean '--listen'?"),
        (("--low-vram", "--sample-batch-size", "x"), "is not a whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    app: ModuleType, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main([*arguments, "--no-browser"]) == 2
    out, err = capsys.readouterr()
    assert told in err and err.count("\n") == 1 and not out


def test_a_taken_port_names_a_free_one(app: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    taken, address = open_socket(Address(port=0))
    with taken:
        assert app.main(["--listen", f"{address.port}", "--no-browser"]) == 2
    err = capsys.readouterr().err
    assert "is used by another program" in err and "is free: add --listen" in err


def test_the_command_line_wins_over_the_settings(
    app: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "settings.yaml").write_text("listen: 127.0.0.1:1234/x\nvoice: alice\nvolume: 2\n")
    served: list[tuple[Studio, ServerOptions]] = []
    monkeypatch.setattr(app, "serve", lambda studio, start: served.append((studio, start)))
    login, port = "anna:long-password", "8008"
    app.main(["--volume", "1.5", "--listen", port, "--login", login, "--allow-host", "a.b"])
    app.main(["--no-browser", "--share", "--trust-proxy", "127.0.0.1"])
    studio, start = served[0]
    assert start.address == Address(port=8008) and start.login == login and start.open_browser
    assert start.trusted_proxies == () and served[1][1].trusted_proxies == ("127.0.0.1",)
    assert start.extra_hosts == ("a.b",) and studio.settings.volume == 1.5 and not start.share
    assert (
        studio.settings.voice == "alice"
        and studio.resolve_settings().source("volume") == "command line"
    )
    assert served[1][1].address == Address(port=1234, path="/x")
    assert served[1][1].share and not served[1][1].open_browser


def test_the_login_is_printed_where_the_network_can_connect() -> None:
    wide = Address(host="0.0.0.0")
    made_up = AuthConfig(login=Login(user="testudo", password="made-up-one", is_generated=True))
    told = format_startup_message(wide, made_up, ServerOptions(address=wide))
    assert "made-up-one" in told and "not encrypted" in told.replace("\n", " ")
    chosen = AuthConfig(login=Login(user="anna", password="chosen-one"), key="k" * 20)
    told = format_startup_message(wide, chosen, ServerOptions(address=wide, share=True))
    assert "chosen-one" not in told and "k" * 20 not in told and "public address" in told


def test_only_on_a_network_it_goes_by_the_name_of_the_machine() -> None:
    assert get_allowed_hosts(ServerOptions(address=Address())) == {"localhost", "127.0.0.1"}
    names = get_allowed_hosts(
        ServerOptions(address=parse_address("0.0.0.0"), extra_hosts=("Studio.Example",))
    )
    assert {socket.gethostname().lower(), "studio.example"} <= names


def test_a_browser_is_opened_only_where_it_can_be_seen() -> None:
    assert not has_display("linux", {}) and has_display("linux", {"DISPLAY": ":0"})
    assert has_display("linux", {"WAYLAND_DISPLAY": "wayland-0"}) and has_display("darwin", {})


# the page within the server


def test_the_api_answers_while_the_page_is_still_drawn(serve: Serve) -> None:
    drawn = Event()

    def draw() -> FastAPI:
        drawn.wait(20)
        page = FastAPI()
        page.get("/")(lambda: "the page")
        return page

    ready = Event()
    client = serve(build_page=draw, on_page_ready=ready.set)
    assert client.get("/api/health").status_code == 200
    opening = client.get("/", headers={"accept": "text/html"})
    assert opening.status_code == 503 and "is starting" in opening.text
    assert opening.headers["retry-after"] == "1"
    drawn.set()
    assert ready.wait(20) and client.get("/").json() == "the page"


def test_a_page_that_cannot_be_drawn_is_reported(serve: Serve) -> None:
    problems: list[BaseException] = []

    def draw() -> FastAPI:
        raise RuntimeError("no page today")

    client = serve(build_page=draw, on_page_error=problems.append)
    until(lambda: bool(problems))
    assert "no page today" in str(problems[0]) and client.get("/").status_code == 503


def test_everything_lies_under_the_path(serve: Serve) -> None:
    client = serve(path="/studio")
    assert client.get("/studio/api/health").status_code == 200
    assert client.get("/api/health").status_code in (404, 503)
    for icon in ("/favicon.ico", "/studio/favicon.ico"):  # browsers ask for it by themselves
        assert client.get(icon).status_code == 204
    for short in ("/", "/studio"):
        answer = client.get(short, follow_redirects=False)
        assert answer.status_code == 307 and answer.headers["location"] == "/studio/"
    url = client.get("/studio/api/voices/alice").json()["clips"][0]["url"]
    assert url.startswith("/studio/api/files/") and client.get(url).status_code == 200
    assert "/studio/v1/audio/speech" in client.get("/studio/docs").text
    assert "/studio/v1/audio/speech" in client.get("/studio/openapi.json").json()["paths"]


def test_a_login_leads_back_under_the_path(serve: Serve) -> None:
    login = Login(user="anna", password="long-password")
    client = serve(path="/studio", access=AuthConfig(login=login, secret=b"s" * 32))
    sent = client.get("/studio/docs", headers={"accept": "text/html"}, follow_redirects=False)
    assert sent.headers["location"] == "/studio/login?next=/studio/docs"
    answer = client.post(
        sent.headers["location"],
        data={"user": "anna", "password": "long-password"},
        follow_redirects=False,
    )
    assert answer.headers["location"] == "/studio/docs"
    assert "path=/studio" in answer.headers["set-cookie"].lower()
    assert client.get("/studio/docs").status_code == 200


def test_connections_are_limited_so_that_file_handles_remain_for_jobs(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[uvicorn.Config] = []

    class Server:
        should_exit = True

        def __init__(self, config: uvicorn.Config) -> None:
            configs.append(config)

        def run(self, sockets: list[socket.socket]) -> None:
            assert len(sockets) == 1

    monkeypatch.setattr("uvicorn.Server", Server)
    run_server(
        studio,
        ServerOptions(
            address=Address(host="127.0.0.1", port=free_port(), path=""), open_browser=False
        ),
    )
    (config,) = configs
    assert config.limit_concurrency is not None and 100 <= config.limit_concurrency <= 800


def test_names_that_stand_in_addresses_are_refused_as_names() -> None:
    kinds = {"/api/voices/{name}": "voice", "/api/models/{name:path}": "model",
             "/api/runs/{dataset}/{name}": "run"}  # fmt: skip
    paths = {route.path for module in ROUTE_MODULES for route in module.router.routes}
    found = {
        (kinds[named], fixed.split("/")[-1])
        for named in kinds
        for fixed in paths
        if fixed.rpartition("/")[0] == named.rpartition("/")[0] and "{" not in fixed.split("/")[-1]
    }
    assert found == {(kind, word) for kind, words in ADDRESS_WORDS.items() for word in words}


def test_the_documentation_names_every_route_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "<script" not in page and "src=" not in page and "https://" not in page
    assert "temperature" in page and "pause_s" in page and "{about}" not in page
