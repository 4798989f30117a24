"""ASGI middleware that requires a login or an API key for the page and the API."""

from __future__ import annotations

import asyncio
import html
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from urllib.parse import quote, unquote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.auth import (
    DEVICE_COOKIE,
    DEVICE_MAX_AGE_S,
    SESSION_COOKIE,
    SESSION_MAX_AGE_S,
    AuthConfig,
    LoginThrottle,
    parse_basic_auth,
    parse_bearer_token,
)
from api.errors import error_response
from api.security_middleware import ASGIApp, Receive, Scope, Send

FAILED_LOGIN_DELAY_S = 0.5
LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"
MAX_LOGIN_BODY_BYTES = 4_096
PUBLIC_PATHS = frozenset({"/api/health"})


class AuthMiddleware:
    """Pass authenticated requests on; send others to the login page or answer with 401.

    path: the prefix of all addresses.
    """

    def __init__(
        self, app: ASGIApp, access: AuthConfig, path: str, delay_s: float = FAILED_LOGIN_DELAY_S
    ) -> None:
        self._app = app
        self._access = access
        self._path = path
        self._delay_s = delay_s
        self._throttle = LoginThrottle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response | None = None
        if scope["type"] in ("http", "websocket"):
            place = scope["path"].removeprefix(self._path)
            if (
                self._access.login is not None
                and scope["type"] == "http"
                and place in (LOGIN_PATH, LOGOUT_PATH)
            ):
                response = await self._handle_login_page(Request(scope, receive), place)
            else:
                response = await self._check_auth(Headers(scope=scope), scope, place)
        if response is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "login_needed"})
        else:
            await response(scope, receive, send)

    async def _check_auth(self, headers: Headers, scope: Scope, place: str) -> Response | None:
        """Return the response for a request that may not pass, or None."""
        if place in PUBLIC_PATHS or not self._requires_auth(place):
            return None
        access, client = self._access, _get_client_host(scope)
        if access.login is not None and access.is_valid_session(
            _get_cookie(headers, SESSION_COOKIE)
        ):
            return None
        authorization = headers.get("authorization", "")
        login, key = parse_basic_auth(authorization), parse_bearer_token(authorization)
        # A key is too long to be guessed, so it is accepted however often others guessed wrong.
        if access.is_valid_api_key(key):
            return None
        if authorization and (wait := self._throttle.retry_after_s(client)):
            return _too_many_requests_response(wait)
        if login and access.is_valid_login(*login):
            return None
        if login or key:
            await self._note_failure(client)
        return self._unauthenticated_response(headers, scope, place)

    def _requires_auth(self, place: str) -> bool:
        """Return whether an address needs a login or, where only a key is set, the key.

        Without a login the page is open, and so are the clips that it plays.
        """
        if self._access.login is not None:
            return True
        is_api = place.startswith(("/api/", "/v1/")) and not place.startswith("/api/files/")
        return bool(self._access.key) and is_api

    def _unauthenticated_response(self, headers: Headers, scope: Scope, place: str) -> Response:
        wants_page = "text/html" in headers.get("accept", "") and scope.get("method") == "GET"
        if wants_page and self._access.login is not None:
            target = scope["path"] + (f"?{query}" if (query := _get_query_string(scope)) else "")
            return RedirectResponse(f"{self._path}{LOGIN_PATH}?next={quote(target, safe='/')}", 303)
        message = "Log in first, or send the API key: Authorization: Bearer KEY."
        scheme = {"www-authenticate": "Bearer"}  # Basic would open the browser's login dialog
        return error_response(401, message, "login_needed", scheme)

    async def _note_failure(self, caller: str) -> None:
        self._throttle.add(caller)
        await asyncio.sleep(self._delay_s)

    async def _handle_login_page(self, request: Request, place: str) -> Response:
        if place == LOGOUT_PATH:
            answer: Response = RedirectResponse(f"{self._path}{LOGIN_PATH}", 303)
            answer.delete_cookie(SESSION_COOKIE, path=self._path or "/")
            return answer
        goal = self._get_safe_redirect(request.query_params.get("next", ""))
        if request.method in ("GET", "HEAD"):
            return _render_login_page(goal, "")
        if request.method != "POST":
            return error_response(405, "Log in with POST.", "wrong_method", {"allow": "GET, POST"})
        size = int(request.headers.get("content-length", MAX_LOGIN_BODY_BYTES + 1))
        if size > MAX_LOGIN_BODY_BYTES:
            return error_response(413, "The login form is too large.", "upload_too_large")
        return await self._try_login(request, goal)

    async def _try_login(self, request: Request, goal: str) -> Response:
        device = _get_cookie(request.headers, DEVICE_COOKIE)
        is_known = self._access.is_known_device(device)
        caller = device if is_known else _get_client_host(request.scope)
        if wait := self._throttle.retry_after_s(caller, is_known=is_known):
            return _render_login_page(goal, _format_wait(wait), 429)
        form = await request.form(max_files=0, max_fields=4)
        user, password = str(form.get("user", "")), str(form.get("password", ""))
        # Others may have failed while the body was read. From here to the count of the failure
        # nothing is awaited, so that no two attempts pass the limit together.
        if wait := self._throttle.retry_after_s(caller, is_known=is_known):
            return _render_login_page(goal, _format_wait(wait), 429)
        if not self._access.is_valid_login(user, password):
            await self._note_failure(caller)
            return _render_login_page(goal, "Wrong user name or password.", 401)
        answer = RedirectResponse(goal, 303)
        cookies = [(SESSION_COOKIE, self._access.create_session(), SESSION_MAX_AGE_S)]
        if not is_known:
            cookies.append((DEVICE_COOKIE, self._access.create_device(), DEVICE_MAX_AGE_S))
        for name, value, max_age_s in cookies:
            answer.set_cookie(
                name,
                value,
                max_age=max_age_s,
                path=self._path or "/",
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="lax",
            )
        return answer

    def _get_safe_redirect(self, wanted: str) -> str:
        path = wanted.partition("?")[0].partition("#")[0]
        while (decoded := unquote(path)) != path:  # browsers take %2e for a dot
            path = decoded
        is_ours = wanted.startswith(f"{self._path}/") and "//" not in path
        is_plain = wanted.isprintable() and path.isprintable() and "\\" not in wanted + path
        has_dots = not {".", ".."}.isdisjoint(path.split("/"))
        return wanted if is_ours and is_plain and not has_dots else f"{self._path}/"


def _render_login_page(goal: str, problem: str, status: int = 200) -> HTMLResponse:
    text = files("api").joinpath("login.html").read_text(encoding="utf-8")
    alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    text = text.replace("{next}", html.escape(quote(goal, safe="/"))).replace("{problem}", alert)
    return HTMLResponse(text, status, {"cache-control": "no-store"})


def _too_many_requests_response(seconds: float) -> Response:
    whole = f"{int(seconds) + 1}"
    message = (
        f"Too many failed attempts. Wait {whole} seconds. The API key and browsers that are logged "
        "in are accepted meanwhile."
    )
    return error_response(429, message, "too_many_tries", {"retry-after": whole})


def _format_wait(seconds: float) -> str:
    return (
        f"Too many attempts. Wait {int(seconds) + 1} seconds, or log in with a browser that was "
        "logged in before."
    )


def _get_cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _get_query_string(scope: Scope) -> str:
    query: bytes = scope.get("query_string", b"")
    return query.decode("latin-1")


def _get_client_host(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
