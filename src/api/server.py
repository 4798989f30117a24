"""Run the server: bind the port, print the address, shut down quickly."""

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
from core.error_classifier import classify_error
from core.errors import AppError
from core.network_address import Address, open_socket
from studio.app.studio import Studio
from studio.diagnostics.log import LOGGER, start_log, stop_log
from studio.diagnostics.system_info import read_version
from studio.voices.uploads import delete_stale_uploads

if TYPE_CHECKING:
    from fastapi import FastAPI

SHUTDOWN_TIMEOUT_S = 1  # for open responses
MAX_CONNECTIONS = 500  # more are answered with 503: each takes a file handle that jobs need
RESTORE_ADVICE = (
    "Stop the server and run `testudo doctor --restore-jobs`, or send POST /api/jobs/restore."
)
CLOSED_MESSAGE = "Testudo has stopped. Unfinished jobs continue at the next start."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of the server.

    extra_hosts: further allowed host names;  trusted_proxies: addresses of proxies whose
    X-Forwarded-For and X-Forwarded-Proto are believed;  build_page: creates the page for a path
    prefix;
    open_tunnel: returns a public URL for a port.
    """

    address: Address
    share: bool = False
    login: str = ""
    extra_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    open_browser: bool = True
    build_page: Callable[[str], FastAPI] | None = None
    open_tunnel: Callable[[int], str] | None = None


def serve(studio: Studio, start: ServerOptions) -> None:
    """Serve the studio until it is stopped.

    Raises AppError where the port is not available, and the error that the page failed with.
    """
    exposed = start.share or not start.address.is_local
    state = studio.layout.state
    access = resolve_auth_config(
        exposed=exposed, login=start.login, environment=os.environ, state=state
    )
    listen_socket, address = open_socket(start.address)
    with listen_socket:
        _start_jobs(studio)
        delete_stale_uploads(studio.layout)
        rules = RequestLimits(
            allowed_hosts=get_allowed_hosts(start), allow_any_ip=not address.is_local
        )
        _run_server(
            studio,
            start,
            _BoundServer(listen_socket=listen_socket, address=address, access=access, rules=rules),
        )


def _start_jobs(studio: Studio) -> None:
    """Start the job queue; on a full disk say so and serve the page, where room can be made."""
    try:
        studio.start()
    except AppError as refusal:
        if classify_error(refusal) not in ("no_disk", "disk_failing"):
            raise
        write_stdout(f"{refusal} Jobs are refused until then.\n")
    for aside in studio.list_set_aside_jobs():
        advice = f" {RESTORE_ADVICE}" if aside.jobs else ""
        write_stdout(f"Job list: {aside.message}{advice}\n")


def get_allowed_hosts(start: ServerOptions) -> set[str]:
    """Return the allowed host names; those of the network only where it is reachable from there."""
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
    address, build = opened.address, start.build_page

    def on_ready() -> None:
        write_stdout(f"The page is ready: {address.url}\n")
        if start.open_browser and has_display(sys.platform, os.environ):
            threading.Thread(target=webbrowser.open, args=(address.url,), daemon=True).start()
        if start.share and start.open_tunnel is not None:
            threading.Thread(
                target=_open_share_tunnel, args=(start.open_tunnel, opened), daemon=True
            ).start()

    def on_error(problem: BaseException) -> None:
        problems.append(problem)
        server.should_exit = True

    app = create_app(
        studio,
        AppConfig(
            path=address.path,
            access=opened.access,
            rules=opened.rules,
            build_page=(lambda: build(address.path)) if build is not None else None,
            on_page_ready=on_ready,
            on_page_error=on_error,
        ),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            proxy_headers=bool(start.trusted_proxies),  # else anyone chooses an address
            forwarded_allow_ips=list(start.trusted_proxies),
        )
    )
    write_stdout(format_startup_message(opened.address, opened.access, start))
    _serve_until_stopped(server, studio, opened)
    if problems:
        raise problems[0]


def _serve_until_stopped(server: uvicorn.Server, studio: Studio, opened: _BoundServer) -> None:
    logging.getLogger("uvicorn.error").addFilter(ErrorLogFilter(lambda: server.should_exit))
    log = start_log(studio.layout)  # after uvicorn has set its own up
    LOGGER.info("Testudo %s starts on port %d", read_version(), opened.address.port)
    try:
        with _SigtermAsExit():
            server.run(sockets=[opened.listen_socket])
    finally:
        LOGGER.info("Testudo stops")
        stop_log(log)
        write_stdout(f"\n{CLOSED_MESSAGE}\n")


def format_startup_message(address: Address, access: AuthConfig, start: ServerOptions) -> str:
    """Return the text with the address, the login, and how to stop the server."""
    lines = [f"Testudo is starting at {address.url}"]
    if not address.is_local:
        lines.append("Other machines on the network can reach it. The connection is not encrypted.")
    if access.login is not None and access.login.is_generated:
        lines.append(
            f"Login: {access.login.user}   Password: {access.login.password}\n"
            f"(generated at every start; set your own with {LOGIN_ENV_VAR}=USER:PASSWORD)"
        )
    elif access.login is not None:
        lines.append(f"Login: {access.login.user}, with your password.")
    if access.key:
        lines.append(f"Programs can use the API key from {API_KEY_ENV_VAR}.")
    if start.share:
        lines.append("The public address follows.")
    return "\n".join([*lines, "Press Ctrl-C to stop.\n"])


def has_display(platform: str, environment: Mapping[str, str]) -> bool:
    """Return whether a browser can be opened on this machine."""
    if not platform.startswith("linux"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def write_stdout(text: str) -> None:
    """Print a text at once, also into a file or a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _open_share_tunnel(tunnel: Callable[[int], str], opened: _BoundServer) -> None:
    """Open the share tunnel and allow its host name."""
    try:
        url = tunnel(opened.address.port)
    except (OSError, RuntimeError, ValueError) as cause:
        write_stdout(
            f"The public address could not be created: {cause}. The local address still works.\n"
        )
        return
    opened.rules.allowed_hosts.add(url.split("://")[-1].partition("/")[0].partition(":")[0].lower())
    write_stdout(f"Public address: {url}{opened.address.path}/ (asks for the login)\n")


class ErrorLogFilter(logging.Filter):
    """Drop log lines about the streams that a shutdown cancels."""

    def __init__(self, is_shutting_down: Callable[[], bool]) -> None:
        super().__init__()
        self._is_shutting_down = is_shutting_down

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to keep a log record."""
        kind = record.exc_info[0] if record.exc_info else None
        is_fault = kind is not None and not issubclass(kind, CancelledError)
        return is_fault or not self._is_shutting_down()


class _SigtermAsExit:
    """Make SIGTERM exit like Ctrl-C, with cleanup."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._end)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)
