"""The change signal of the page: one small request tells which panels have something new.

A Gradio event makes the browser walk every component of the page. So assets/studio.js asks this
signal instead, and sends the event of a panel only when its state differs from the one shown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from fastapi import FastAPI

CHANGES_PATH = "changes"
MAX_WATCHES = 500  # about 15 panels of each open page; the oldest are forgotten
MAX_TOKENS, MAX_TOKEN_LENGTH = 50, 40  # of one request


class ChangeSignal:
    """Checks, by a token of the browser, whether the state that a panel shows has changed."""

    def __init__(self) -> None:
        self._checks: OrderedDict[str, Callable[[], bool]] = OrderedDict()
        self._lock = Lock()

    def watch(self, token: str, has_changed: Callable[[], bool]) -> None:
        """Use a new check for a token."""
        with self._lock:
            self._checks[token[:MAX_TOKEN_LENGTH]] = has_changed
            self._checks.move_to_end(token[:MAX_TOKEN_LENGTH])
            while len(self._checks) > MAX_WATCHES:
                self._checks.popitem(last=False)

    def list_changed(self, tokens: Sequence[str]) -> list[str]:
        """Return the tokens whose state has changed; unknown ones count as changed."""
        with self._lock:
            checks = {token: self._checks.get(token) for token in tokens[:MAX_TOKENS]}
            for token in checks:
                if token in self._checks:
                    self._checks.move_to_end(token)
        return [token for token, check in checks.items() if check is None or check()]


def add_changes_route(server: FastAPI, signal: ChangeSignal, path: str) -> None:
    """Serve the signal under the path of the page."""

    def read_changes(tokens: str = "") -> JSONResponse:
        changed = signal.list_changed(tokens.split(",")) if tokens else []
        return JSONResponse({"changed": changed}, headers={"cache-control": "no-store"})

    address = f"{path.rstrip('/')}/{CHANGES_PATH}"
    server.add_api_route(address, read_changes, methods=["GET"], include_in_schema=False)
