"""ASGI middleware that checks host, origin and body size, and sets security headers."""

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
Error: TypeAlias = tuple[int, str, str]  # status, message, cause

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_UPLOAD_BYTES = 500_000_000  # clips of a voice, files dropped on the page
MAX_BODY_BYTES = 16_000_000  # other requests: a long text, the state of the page
TOO_LARGE = 413
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
UNKNOWN_HOST_ERROR = (
    400,
    "Host not allowed. Open the studio by the address that it printed when it started, or allow "
    "this name when you start it (see the README).",
    "unknown_host",
)
FOREIGN_ORIGIN_ERROR = (403, "Requests from other web pages are not allowed.", "foreign_origin")
# Gradio's page needs inline scripts and styles; other hosts are blocked.
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
    """Allowed hosts and body sizes.

    allowed_hosts: names without ports; a share tunnel adds one while the server runs;
    allow_any_ip: allow every IP address, which DNS rebinding cannot imitate;  upload_paths: endings
    of the paths of uploads.
    """

    allowed_hosts: set[str] = field(default_factory=lambda: {"localhost"})
    allow_any_ip: bool = False
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    max_body_bytes: int = MAX_BODY_BYTES
    upload_paths: tuple[str, ...] = ("/gradio_api/upload", "/clips")

    def is_allowed_host(self, host: str) -> bool:
        """Return whether a Host header is allowed."""
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].strip("[]").lower().rstrip(".")
        address = parse_ip_address(name)
        if address is not None:
            return self.allow_any_ip or address.is_loopback or name in self.allowed_hosts
        return name in self.allowed_hosts or name.endswith(".localhost")

    def max_bytes_for(self, path: str) -> int:
        """Return the body limit of a path."""
        is_upload = path.rstrip("/").endswith(self.upload_paths)
        return self.max_upload_bytes if is_upload else self.max_body_bytes


class SecurityMiddleware:
    """Refuse unknown hosts, foreign origins and too large bodies; add security headers.

    Plain ASGI, so that it covers the routes, websockets and streams of the page as well.
    """

    def __init__(self, app: ASGIApp, rules: RequestLimits) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        is_http = scope["type"] == "http"
        send = _add_security_headers(send) if is_http else send
        limit = self._rules.max_bytes_for(scope["path"])
        if error := self._find_error(scope, limit):
            await _send_error(error, scope, receive, send)
            return
        if not is_http:
            await self._app(scope, receive, send)
            return
        limited = _BodySizeLimiter(receive, send, limit)
        try:
            await self._app(scope, limited.receive, limited.send)
        except HTTPException:
            if not limited.exceeded:
                raise
        if limited.exceeded and not limited.started:
            await _send_error(_too_large_error(limit), scope, receive, send)

    def _find_error(self, scope: Scope, limit: int) -> Error | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._rules.is_allowed_host(hosts[0]):
            return UNKNOWN_HOST_ERROR
        if _is_cross_origin(scope):
            return FOREIGN_ORIGIN_ERROR
        length = headers.get("content-length", "0")
        if scope["type"] == "http" and (not length.isdecimal() or int(length) > limit):
            return _too_large_error(limit)
        return None


def is_same_origin(origin: str, host: str) -> bool:
    """Return whether an Origin header matches a Host header; a missing port is the default one."""
    scheme, separator, place = origin.partition("://")
    theirs, ours = _HOST.fullmatch(place), _HOST.fullmatch(host)
    if not separator or scheme not in _DEFAULT_PORTS or not theirs or not ours:
        return False
    port = _DEFAULT_PORTS[scheme]
    same_name = theirs[1].lower() == ours[1].lower()
    return same_name and (theirs[2] or port) == (ours[2] or port)


def _is_cross_origin(scope: Scope) -> bool:
    """Return whether another web page sent a request that it may not send."""
    headers = Headers(scope=scope)
    origins = headers.getlist("origin")
    if origins:
        return len(origins) > 1 or not is_same_origin(origins[0], headers.get("host", ""))
    has_effects = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
    return has_effects and headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


class _BodySizeLimiter:
    """Count the bytes of a body; once it exceeds the limit, drop what the app sends."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._left = self._limit = limit
        self.exceeded = False
        self.started = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0 and not self.started:
            self.exceeded = True
            raise HTTPException(TOO_LARGE, _too_large_error(self._limit)[1])
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded:
            return
        self.started = True
        await self._send(message)


def _too_large_error(limit: int) -> Error:
    message = f"The request is too large; the limit is {limit / 1e6:,.0f} MB. Send less at once."
    return TOO_LARGE, message, "upload_too_large"


def _add_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            for name in ("access-control-allow-origin", "access-control-allow-credentials"):
                del headers[name]
        await send(message)

    return send_with_headers


async def _send_error(error: Error, scope: Scope, receive: Receive, send: Send) -> None:
    status, message, cause = error
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": cause})
        return
    response = error_response(status, message, cause)
    response.headers["connection"] = "close"  # the rest of the body is not read
    await response(scope, receive, send)
