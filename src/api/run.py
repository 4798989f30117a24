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

from api.access import KEY_VARIABLE, LOGIN_VARIABLE, Access, choose_access
from api.guards import Rules
from api.server import Serving, build_server
from studio.bringing import sweep_uploads
from studio.serving import Address, open_socket
from studio.studio import Studio

if TYPE_CHECKING:
    from fastapi import FastAPI

GRACE_S = 1  # for answers that are under way when the server ends
CLOSED = "The studio is closed. What was not finished goes on next time."


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How the studio is started.

    hosts: further names that it goes by;  draw: draws the page under a path;  tunnel: makes a
    public address for a port.
    """

    address: Address
    share: bool = False
    login: str = ""
    hosts: tuple[str, ...] = ()
    browser: bool = True
    draw: Callable[[str], FastAPI] | None = None
    tunnel: Callable[[int], str] | None = None


def serve(studio: Studio, start: Start) -> None:
    """Serve the studio until it is told to end.

    Raises StudioError where the port cannot be had, and whatever kept the page from being drawn.
    """
    exposed = start.share or not start.address.is_local
    state = studio.layout.state
    access = choose_access(exposed=exposed, login=start.login, environment=os.environ, state=state)
    taken, address = open_socket(start.address)
    with taken:
        studio.start()
        sweep_uploads(studio.layout)
        rules = Rules(hosts=own_names(start), any_ip=not address.is_local)
        _run(studio, start, _Opened(taken=taken, address=address, access=access, rules=rules))


def own_names(start: Start) -> set[str]:
    """Return the names by which the studio answers; a name of the network only if it is on it."""
    names = {"localhost", start.address.host.lower(), *(host.lower() for host in start.hosts)}
    if not start.address.is_local:
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine.partition('.')[0]}.local"}
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    taken: socket.socket
    address: Address
    access: Access
    rules: Rules


def _run(studio: Studio, start: Start, opened: _Opened) -> None:
    problems: list[BaseException] = []
    address, draw = opened.address, start.draw

    def ready() -> None:
        say(f"The page is open: {address.url}\n")
        if start.browser and has_display(sys.platform, os.environ):
            threading.Thread(target=webbrowser.open, args=(address.url,), daemon=True).start()
        if start.share and start.tunnel is not None:
            threading.Thread(target=_share, args=(start.tunnel, opened), daemon=True).start()

    def broken(problem: BaseException) -> None:
        problems.append(problem)
        server.should_exit = True

    app = build_server(
        studio,
        Serving(
            path=address.path,
            access=opened.access,
            rules=opened.rules,
            draw=(lambda: draw(address.path)) if draw is not None else None,
            ready=ready,
            broken=broken,
        ),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            forwarded_allow_ips="127.0.0.1,::1",
        )
    )
    say(announcement(opened.address, opened.access, start))
    logging.getLogger("uvicorn.error").addFilter(OnlyFaults(lambda: server.should_exit))
    try:
        with _EndingCleanly():
            server.run(sockets=[opened.taken])
    finally:
        say(f"\n{CLOSED}\n")
    if problems:
        raise problems[0]


def announcement(address: Address, access: Access, start: Start) -> str:
    """Say where the studio is, who can reach it, and how to end it."""
    lines = [f"Testudo is opening at {address.url}"]
    if not address.is_local:
        lines.append("Other machines on the network can reach it, over a connection that is not "
                     "encrypted.")  # fmt: skip
    if access.login is not None and access.login.made_up:
        lines.append(
            f"Login: {access.login.user}   Password: {access.login.password}\n"
            f"(new at every start; choose your own with {LOGIN_VARIABLE}=USER:PASSWORD)"
        )
    elif access.login is not None:
        lines.append(f"Login: {access.login.user}, with the password that you chose.")
    if access.key:
        lines.append(f"Programs may show the key from {KEY_VARIABLE}.")
    if start.share:
        lines.append("A public address follows.")
    return "\n".join([*lines, "Ctrl-C ends it.\n"])


def has_display(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser could show anything here."""
    if not platform.startswith("linux"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def say(text: str) -> None:
    """Tell whoever started the studio, also where the output is kept in a file."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _share(tunnel: Callable[[int], str], opened: _Opened) -> None:
    """Make the public address, and answer to its name from now on."""
    try:
        url = tunnel(opened.address.port)
    except (OSError, RuntimeError, ValueError) as cause:
        say(f"No public address could be made: {cause}. The studio is open here all the same.\n")
        return
    opened.rules.hosts.add(url.split("://")[-1].partition("/")[0].partition(":")[0].lower())
    say(f"Everyone who knows the login can reach it at {url}{opened.address.path}/\n")


class OnlyFaults(logging.Filter):
    """Once the server ends: no word on the pages that were open, whose streams it breaks off."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        super().__init__()
        self._ending = ending

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line of the server's log is worth reading."""
        kind = record.exc_info[0] if record.exc_info else None
        is_fault = kind is not None and not issubclass(kind, CancelledError)
        return is_fault or not self._ending()


class _EndingCleanly:
    """Let SIGTERM end the program like Ctrl-C: what has to be put in order is put in order."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._end)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)
