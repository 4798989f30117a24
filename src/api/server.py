"""The server as a process: it takes its port, says where it is, and ends quickly when told to."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from api.app import AppConfig, create_app
from api.auth import API_KEY_ENV_VAR, LOGIN_ENV_VAR, AuthConfig, resolve_auth_config
from api.security_middleware import RequestLimits
from core.network_address import Address, open_socket
from studio.app.studio import Studio
from studio.voices.uploads import delete_stale_uploads

if TYPE_CHECKING:
    from fastapi import FastAPI

SHUTDOWN_TIMEOUT_S = 1  # for answers that are under way when the server ends
CLOSED_MESSAGE = "The studio is closed. What was not finished goes on next time."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How the studio is started.

    hosts: further names that it goes by;  draw: draws the page under a path;  tunnel: makes a
    public address for a port.
    """

    address: Address
    share: bool = False
    login: str = ""
    extra_hosts: tuple[str, ...] = ()
    open_browser: bool = True
    build_page: Callable[[str], FastAPI] | None = None
    open_tunnel: Callable[[int], str] | None = None


def serve(studio: Studio, start: ServerOptions) -> None:
    """Serve the studio until it is told to end.

    Raises StudioError where the port cannot be had, and whatever kept the page from being drawn.
    """
    exposed = start.share or not start.address.is_local
    state = studio.layout.state
    access = resolve_auth_config(
        exposed=exposed, login=start.login, environment=os.environ, state=state
    )
    taken, address = open_socket(start.address)
    with taken:
        studio.start()
        delete_stale_uploads(studio.layout)
        rules = RequestLimits(
            allowed_hosts=get_allowed_hosts(start), allow_any_ip=not address.is_local
        )
        _run_server(
            studio,
            start,
            _BoundServer(listen_socket=taken, address=address, access=access, rules=rules),
        )


def get_allowed_hosts(start: ServerOptions) -> set[str]:
    """Return the names by which the studio answers; a name of the network only if it is on it."""
    names = {"localhost", start.address.host.lower(), *(host.lower() for host in start.extra_hosts)}
    if not start.address.is_local:
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine.partition('.')[0]}.local"}
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class _BoundServer:
    listen_socket: socket.socket
    address: Address
    access: AuthConfig
    rules: RequestLimits


def _run_server(studio: Studio, start: ServerOptions, opened: _BoundServer) -> None:
    problems: list[BaseException] = []
    address, draw = opened.address, start.build_page

    def ready() -> None:
        write_stdout(f"The page is open: {address.url}\n")
        if start.open_browser and has_display(sys.platform, os.environ):
            threading.Thread(target=webbrowser.open, args=(address.url,), daemon=True).start()
        if start.share and start.open_tunnel is not None:
            threading.Thread(
                target=_open_share_tunnel, args=(start.open_tunnel, opened), daemon=True
            ).start()

    def broken(problem: BaseException) -> None:
        problems.append(problem)
        server.should_exit = True

    app = create_app(
        studio,
        AppConfig(
            path=address.path,
            access=opened.access,
            rules=opened.rules,
            build_page=(lambda: draw(address.path)) if draw is not None else None,
            on_page_ready=ready,
            on_page_error=broken,
        ),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            forwarded_allow_ips="127.0.0.1,::1",
        )
    )
    write_stdout(format_startup_message(opened.address, opened.access, start))
    logging.getLogger("uvicorn.error").addFilter(ErrorLogFilter(lambda: server.should_exit))
    try:
        with _SigtermAsExit():
            server.run(sockets=[opened.listen_socket])
    finally:
        write_stdout(f"\n{CLOSED_MESSAGE}\n")
    if problems:
        raise problems[0]


def format_startup_message(address: Address, access: AuthConfig, start: ServerOptions) -> str:
    """Say where the studio is, who can reach it, and how to end it."""
    lines = [f"Testudo is opening at {address.url}"]
    if not address.is_local:
        lines.append("Other machines on the network can reach it, over a connection that is not "
                     "encrypted.")  # fmt: skip
    if access.login is not None and access.login.is_generated:
        lines.append(
            f"Login: {access.login.user}   Password: {access.login.password}\n"
            f"(new at every start; choose your own with {LOGIN_ENV_VAR}=USER:PASSWORD)"
        )
    elif access.login is not None:
        lines.append(f"Login: {access.login.user}, with the password that you chose.")
    if access.key:
        lines.append(f"Programs may show the key from {API_KEY_ENV_VAR}.")
    if start.share:
        lines.append("A public address follows.")
    return "\n".join([*lines, "Ctrl-C ends it.\n"])


def has_display(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser could show anything here."""
    if not platform.startswith("linux"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def write_stdout(text: str) -> None:
    """Tell whoever started the studio, also where the output is kept in a file."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _open_share_tunnel(tunnel: Callable[[int], str], opened: _BoundServer) -> None:
    """Make the public address, and answer to its name from now on."""
    try:
        url = tunnel(opened.address.port)
    except (OSError, RuntimeError, ValueError) as cause:
        write_stdout(
            f"No public address could be made: {cause}. The studio is open here all the same.\n"
        )
        return
    opened.rules.allowed_hosts.add(url.split("://")[-1].partition("/")[0].partition(":")[0].lower())
    write_stdout(f"Everyone who knows the login can reach it at {url}{opened.address.path}/\n")


class ErrorLogFilter(logging.Filter):
    """Once the server ends: no word on the pages that were open, whose streams it breaks off."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        super().__init__()
        self._is_shutting_down = ending

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line of the server's log is worth reading."""
        kind = record.exc_info[0] if record.exc_info else None
        is_fault = kind is not None and not issubclass(kind, CancelledError)
        return is_fault or not self._is_shutting_down()


class _SigtermAsExit:
    """Let SIGTERM end the program like Ctrl-C: what has to be put in order is put in order."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._end)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)
