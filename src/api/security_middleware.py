"""What stands before everything that is served: who may ask, from where, and how much at once.

Plain ASGI, so that it holds for the page's own routes, its websockets and its streams as well.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from api.errors import error_response
from core.network_address import parse_ip_address

Scope: TypeAlias = MutableMapping[str, Any]  # Any: ASGI's own
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_UPLOAD_BYTES = 500_000_000  # a voice's clips, a file dropped on the page
MAX_BODY_BYTES = 16_000_000  # of everything else: a long text, and what the page remembers
TOO_LARGE = 413
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
# Gradio's page needs inline scripts and styles; nothing may come from, or go to, another host.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(slots=True, kw_only=True)
class RequestLimits:
    """By which names the studio may be called, and how large a request may be.

    hosts: names, without ports; a shared studio learns one more while it runs;  any_ip: also every
    IP address, which no web page can make its own as it can a name;  upload_paths: what the paths
    of uploads end in.
    """

    allowed_hosts: set[str] = field(default_factory=lambda: {"localhost"})
    allow_any_ip: bool = False
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    max_body_bytes: int = MAX_BODY_BYTES
    upload_paths: tuple[str, ...] = ("/gradio_api/upload", "/clips")

    def is_allowed_host(self, host: str) -> bool:
        """Whether the studio answers to this Host header."""
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].strip("[]").lower().rstrip(".")
        address = parse_ip_address(name)
        if address is not None:
            return self.allow_any_ip or address.is_loopback or name in self.allowed_hosts
        return name in self.allowed_hosts or name.endswith(".localhost")

    def max_bytes_for(self, path: str) -> int:
        """Return how many bytes a request to this path may have."""
        is_upload = path.rstrip("/").endswith(self.upload_paths)
        return self.max_upload_bytes if is_upload else self.max_body_bytes


def add_security_middleware(app: ASGIApp, rules: RequestLimits) -> ASGIApp:
    """Put every guard before an app; the first to refuse answers."""
    return _add_security_headers(_check_host(_check_origin(_limit_body_size(app, rules)), rules))


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the host that is asked; a missing port is the usual one."""
    scheme, marked, place = origin.partition("://")
    theirs, ours = _HOST.fullmatch(place), _HOST.fullmatch(host)
    if not marked or scheme not in _DEFAULT_PORTS or not theirs or not ours:
        return False
    usual = _DEFAULT_PORTS[scheme]
    same_name = theirs[1].lower() == ours[1].lower()
    return same_name and (theirs[2] or usual) == (ours[2] or usual)


def _check_host(app: ASGIApp, rules: RequestLimits) -> ASGIApp:
    """Refuse a name that is not ours: a web page may have bent its own name to this machine."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1 or not rules.is_allowed_host(hosts[0]):
                await _send_error(
                    (400, "This studio does not go by that name. Open it by the address that it "
                     "printed when it started, or start it with --allow-host NAME.",
                     "unknown_host"),
                    scope, receive, send,
                )  # fmt: skip
                return
        await app(scope, receive, send)

    return guard


def _check_origin(app: ASGIApp) -> ASGIApp:
    """Refuse what another web page asks for: it may not act, or listen, in the user's name."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and _is_cross_origin(scope):
            await _send_error(
                (403, "Another web page asked for this, which it may not.", "foreign_origin"),
                scope, receive, send,
            )  # fmt: skip
            return
        await app(scope, receive, send)

    return guard


def _is_cross_origin(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    origins = headers.getlist("origin")
    if origins:
        return len(origins) > 1 or not is_same_origin(origins[0], headers.get("host", ""))
    acts = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
    return acts and headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _limit_body_size(app: ASGIApp, rules: RequestLimits) -> ASGIApp:
    """Refuse a body that is too large, told or not, before it fills memory or disk."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        largest = rules.max_bytes_for(scope["path"])
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > largest:
            await _send_error(
                (TOO_LARGE, _format_too_large(largest), "upload_too_large"), scope, receive, send
            )
            return
        limited = _BodySizeLimiter(receive, send, largest)
        try:
            await app(scope, limited.receive, limited.send)
        except HTTPException:
            if not limited.exceeded:
                raise
        if limited.exceeded and not limited.started:
            await _send_error(
                (TOO_LARGE, _format_too_large(largest), "upload_too_large"), scope, receive, send
            )

    return guard


class _BodySizeLimiter:
    """Counts what comes in; once it is too much, nothing the app still says goes out."""

    def __init__(self, receive: Receive, send: Send, largest: int) -> None:
        self._receive = receive
        self._send = send
        self._left = largest
        self._largest = largest
        self.exceeded = False
        self.started = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0 and not self.started:
            self.exceeded = True
            raise HTTPException(TOO_LARGE, _format_too_large(self._largest))
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded:
            return
        self.started = True
        await self._send(message)


def _format_too_large(largest: int) -> str:
    return (
        f"The request is too large; at most {largest / 1e6:,.0f} MB are taken. Send less at once."
    )


def _add_security_headers(app: ASGIApp) -> ASGIApp:
    """Tell browsers to load nothing from elsewhere, and to guess nothing."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                for name in ("access-control-allow-origin", "access-control-allow-credentials"):
                    del headers[name]
            await send(message)

        await app(scope, receive, told if scope["type"] == "http" else send)

    return guard


async def _send_error(
    why: tuple[int, str, str], scope: Scope, receive: Receive, send: Send
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why[2]})
        return
    status, message, cause = why
    response = error_response(status, message, cause)
    response.headers["connection"] = "close"  # whatever of the body is still to come is not read
    await response(scope, receive, send)
