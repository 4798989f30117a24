"""The door with the lock: whoever is not known is sent to the login page, or told what is missing.

It stands before the page and the API alike, in plain ASGI, so that no route can be forgotten.
"""

from __future__ import annotations

import asyncio
import html
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.access import COOKIE, SESSION_S, Access, Failures, basic_login, bearer_key
from api.errors import refusal
from api.guards import App, Receive, Scope, Send

DELAY_S = 0.5  # after a wrong try
LOGIN, LOGOUT = "/login", "/logout"
LOGIN_BYTES = 4_096
OPEN = frozenset({"/api/health"})  # tells nothing but that something runs


class Gate:
    """Lets in who is known; path is what all addresses begin with."""

    def __init__(self, app: App, access: Access, path: str, delay_s: float = DELAY_S) -> None:
        self._app = app
        self._access = access
        self._path = path
        self._delay_s = delay_s
        self._failures = Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        place = scope["path"].removeprefix(self._path)
        if self._access.login is not None and scope["type"] == "http" and place in (LOGIN, LOGOUT):
            answer = await self._login_page(Request(scope, receive), place)
            await answer(scope, receive, send)
            return
        answered = await self._stopped(Headers(scope=scope), scope, place)
        if answered is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "login_needed"})
        else:
            await answered(scope, receive, send)

    async def _stopped(self, headers: Headers, scope: Scope, place: str) -> Response | None:
        """Answer who may not come in; None for who may."""
        if place in OPEN or not self._is_locked(place):
            return None
        access, caller = self._access, _caller(scope)
        if access.login is not None and access.is_session(_session(headers)):
            return None
        shown = headers.get("authorization", "")
        if shown:
            if wait := self._failures.wait_s(caller):
                return _wait(wait)
            named = basic_login(shown)
            if access.is_key(bearer_key(shown)) or (named and access.is_login(*named)):
                return None
            if named or bearer_key(shown):
                await self._note_failure(caller)
        return self._sent_away(headers, scope, place)

    def _is_locked(self, place: str) -> bool:
        """Whether this address needs a login, or, where only a key was set, the key.

        Without a login the page is open, and with it the clips that it plays.
        """
        if self._access.login is not None:
            return True
        is_api = place.startswith(("/api/", "/v1/")) and not place.startswith("/api/files/")
        return bool(self._access.key) and is_api

    def _sent_away(self, headers: Headers, scope: Scope, place: str) -> Response:
        wants_page = "text/html" in headers.get("accept", "") and scope.get("method") == "GET"
        if wants_page and self._access.login is not None:
            asked = scope["path"] + (f"?{query}" if (query := _query(scope)) else "")
            return RedirectResponse(f"{self._path}{LOGIN}?next={quote(asked, safe='/')}", 303)
        message = "Log in first, or show the key: Authorization: Bearer KEY."
        scheme = {"www-authenticate": "Bearer"}  # Basic would open the browser's own window
        return refusal(401, message, "login_needed", scheme)

    async def _note_failure(self, caller: str) -> None:
        self._failures.add(caller)
        await asyncio.sleep(self._delay_s)

    async def _login_page(self, request: Request, place: str) -> Response:
        if place == LOGOUT:
            answer: Response = RedirectResponse(f"{self._path}{LOGIN}", 303)
            answer.delete_cookie(COOKIE, path=self._path or "/")
            return answer
        goal = self._goal(request.query_params.get("next", ""))
        if request.method in ("GET", "HEAD"):
            return _page(goal, "")
        if request.method != "POST":
            return refusal(405, "Log in with POST.", "wrong_method", {"allow": "GET, POST"})
        if int(request.headers.get("content-length", LOGIN_BYTES + 1)) > LOGIN_BYTES:
            return refusal(413, "That is no login.", "upload_too_large")
        return await self._try_login(request, goal)

    async def _try_login(self, request: Request, goal: str) -> Response:
        caller = _caller(request.scope)
        if wait := self._failures.wait_s(caller):
            return _page(goal, f"Too many tries. Wait {wait:.0f} seconds.", 429)
        form = await request.form(max_files=0, max_fields=4)
        user, password = str(form.get("user", "")), str(form.get("password", ""))
        if not self._access.is_login(user, password):
            await self._note_failure(caller)
            return _page(goal, "The name or the password is wrong.", 401)
        answer = RedirectResponse(goal, 303)
        answer.set_cookie(
            COOKIE,
            self._access.session(),
            max_age=SESSION_S,
            path=self._path or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _goal(self, wanted: str) -> str:
        """Return where to go after the login: within this studio, whatever the address says."""
        is_ours = wanted.startswith(f"{self._path}/") and not wanted.startswith("//")
        is_plain = wanted.isprintable() and "\\" not in wanted
        return wanted if is_ours and is_plain else f"{self._path}/"


def _page(goal: str, problem: str, status: int = 200) -> HTMLResponse:
    text = files("api").joinpath("login.html").read_text(encoding="utf-8")
    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    text = text.replace("{next}", html.escape(quote(goal, safe="/"))).replace("{problem}", told)
    return HTMLResponse(text, status, {"cache-control": "no-store"})


def _wait(seconds: float) -> Response:
    whole = f"{int(seconds) + 1}"
    message = f"Too many wrong tries. Wait {whole} seconds."
    return refusal(429, message, "too_many_tries", {"retry-after": whole})


def _session(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _query(scope: Scope) -> str:
    query: bytes = scope.get("query_string", b"")
    return query.decode("latin-1")


def _caller(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
