"""The lock: one login before the page and the API alike, a key for programs, and no guessing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.auth import (
    DEVICE_COOKIE,
    MAX_ACCOUNT_FAILURES,
    MAX_LOGIN_FAILURES,
    SESSION_COOKIE,
    SESSION_MAX_AGE_S,
    AuthConfig,
    Login,
    LoginThrottle,
    parse_login,
    resolve_auth_config,
)
from api.auth_middleware import FAILED_LOGIN_DELAY_S, AuthMiddleware
from core.errors import AppError
from support.api_helpers import Serve, refused

ANNA = Login(user="anna", password="long:password ü")
KEY = "k" * 20
LOCKED = AuthConfig(login=ANNA, key=KEY, secret=b"s" * 32)
EVERYWHERE = ("/", "/api/jobs", "/api/files/voices/alice/one.wav", "/v1/models", "/docs",
              "/openapi.json", "/gradio_api/info", "/config", "/nowhere")  # fmt: skip


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong tries cost nothing here."""
    assert FAILED_LOGIN_DELAY_S >= 0.3
    monkeypatch.setattr("api.auth_middleware.FAILED_LOGIN_DELAY_S", 0.0)


@pytest.fixture
def locked(serve: Serve) -> TestClient:
    """A studio that asks for a login and takes a key."""
    return serve(access=LOCKED)


def log_in(client: TestClient, **form: str) -> Any:
    form = {"user": ANNA.user, "password": ANNA.password, **form}
    return client.post("/login", data=form, follow_redirects=False)


def basic_auth(login: Login) -> dict[str, str]:
    coded = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    return {"authorization": f"Basic {coded}"}


@pytest.mark.parametrize("path", EVERYWHERE)
def test_nothing_is_served_to_a_stranger(locked: TestClient, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer "}, {"cookie": f"{SESSION_COOKIE}=x"}):
        refused(locked.get(path, headers=headers), 401)
    page = locked.get(path, headers={"accept": "text/html"}, follow_redirects=False)
    assert page.status_code == 303 and page.headers["location"].startswith("/login?next=/")


def test_only_the_health_is_returned_without_a_login(locked: TestClient) -> None:
    assert locked.get("/api/health").json() == {"status": "ok"}


def test_a_login_opens_everything_until_it_is_given_back(locked: TestClient) -> None:
    answer = log_in(locked)
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
    assert locked.get("/api/jobs").status_code == 200
    locked.get("/logout", follow_redirects=False)
    assert locked.get("/api/jobs").status_code == 401


def test_programs_show_the_login_or_the_key(locked: TestClient) -> None:
    assert locked.get("/v1/models", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    user, password = ANNA.user, ANNA.password
    assert locked.get("/v1/models", auth=(user, password)).status_code == 200
    assert locked.get("/v1/models", auth=(user, "wrong")).status_code == 401
    assert locked.get("/v1/models", headers={"authorization": "Bearer no"}).status_code == 401
    assert locked.get("/v1/models", headers={"authorization": "Basic %%"}).status_code == 401


@pytest.mark.parametrize(
    "form", [{"password": "wrong"}, {"user": "bob"}, {"password": ""}, {"user": ANNA.password}]
)
def test_a_wrong_login_is_reported_on_the_page(locked: TestClient, form: dict[str, str]) -> None:
    answer = log_in(locked, **form)
    assert answer.status_code == 401 and "Wrong user name or password" in answer.text
    assert "set-cookie" not in answer.headers


def test_guessing_is_stopped_but_whoever_is_in_stays_in(locked: TestClient) -> None:
    log_in(locked)
    cookies = dict(locked.cookies)
    locked.cookies.clear()
    for _ in range(MAX_LOGIN_FAILURES):
        assert log_in(locked, password="guess").status_code == 401
    assert log_in(locked).status_code == 429
    answer = locked.get("/api/jobs", headers={"authorization": "Bearer guess"})
    assert (
        "Too many failed attempts" in refused(answer, 429)
        and int(answer.headers["retry-after"]) > 0
    )
    locked.cookies.update(cookies)
    assert locked.get("/api/jobs").status_code == 200


def test_a_valid_key_is_accepted_while_a_guesser_at_the_same_address_is_throttled(
    locked: TestClient,
) -> None:
    for _ in range(MAX_LOGIN_FAILURES):
        refused(locked.get("/api/jobs", headers={"authorization": "Bearer guess"}), 401)
    refused(locked.get("/api/jobs", headers={"authorization": "Bearer guess"}), 429)
    refused(locked.get("/api/jobs", headers=basic_auth(ANNA)), 429)
    assert locked.get("/api/jobs", headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def test_a_browser_that_was_logged_in_can_log_in_while_others_at_its_address_guess(
    locked: TestClient,
) -> None:
    log_in(locked)
    locked.get("/logout", follow_redirects=False)
    device = locked.cookies[DEVICE_COOKIE]
    locked.cookies.clear()
    for _ in range(MAX_LOGIN_FAILURES):
        log_in(locked, password="guess")
    locked.cookies.set(DEVICE_COOKIE, f"x{device}")
    assert log_in(locked).status_code == 429
    locked.cookies.set(DEVICE_COOKIE, device)
    assert log_in(locked).status_code == 303
    for _ in range(MAX_LOGIN_FAILURES):
        assert log_in(locked, password="guess").status_code == 401
    assert log_in(locked).status_code == 429  # a stolen cookie is no way to guess


def test_all_addresses_together_may_not_guess_without_a_limit() -> None:
    failures = LoginThrottle(clock=lambda: 0.0)
    for number in range(MAX_ACCOUNT_FAILURES):
        assert failures.retry_after_s(f"10.0.0.{number}") == 0
        failures.add(f"10.0.0.{number}")
    assert failures.retry_after_s("10.1.0.1") == 60
    assert failures.retry_after_s("device", is_known=True) == 0


def test_attempts_that_are_held_open_together_are_limited_like_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[str] = []
    held, attempts = anyio.Event(), 50

    def check(self: AuthConfig, user: str, password: str) -> bool:
        checked.append(password)
        return False

    async def attempt(middleware: AuthMiddleware, number: int) -> None:
        async def receive() -> dict[str, Any]:
            await held.wait()
            return {"type": "http.request", "body": f"user=anna&password={number}".encode()}

        async def send(message: Any) -> None:
            pass

        kind = (b"content-type", b"application/x-www-form-urlencoded")
        scope = {"type": "http", "method": "POST", "path": "/login", "query_string": b"",
                 "headers": [kind, (b"content-length", b"30")], "client": ("10.0.0.1", 1),
                 "scheme": "http", "server": ("localhost", 80)}  # fmt: skip
        await middleware(scope, receive, send)

    async def guess() -> None:
        async def nothing(scope: Any, receive: Any, send: Any) -> None:
            pass

        middleware = AuthMiddleware(nothing, LOCKED, "", delay_s=0.0)
        async with anyio.create_task_group() as group:
            for number in range(attempts):
                group.start_soon(attempt, middleware, number)
            await anyio.wait_all_tasks_blocked()
            held.set()

    monkeypatch.setattr(AuthConfig, "is_valid_login", check)
    anyio.run(guess)
    assert len(checked) == MAX_LOGIN_FAILURES


def test_failures_are_forgotten_after_a_while() -> None:
    now = [0.0]
    failures = LoginThrottle(clock=lambda: now[0])
    for _ in range(MAX_LOGIN_FAILURES):
        assert failures.retry_after_s("10.0.0.1") == 0
        failures.add("10.0.0.1")
    assert failures.retry_after_s("10.0.0.1") == 60 and failures.retry_after_s("10.0.0.2") == 0
    now[0] = 61.0
    assert failures.retry_after_s("10.0.0.1") == 0


@pytest.mark.parametrize(
    ("wanted", "goal"),
    [
        ("/docs", "/docs"),
        ("//evil.com", "/"),
        ("https://evil.com", "/"),
        ("/\\evil.com", "/"),
        ("/a%0d%0aset-cookie:x", "/"),
        ("javascript:alert(1)", "/"),
        ("/..//evil.com", "/"),
        ("/.//evil.com", "/"),
        ("/%252e%252e//evil.com", "/"),
        ("/%252e%252e/%252fevil.com", "/"),
        ("/a//evil.com", "/"),
        ("/%255cevil.com", "/"),
        ("/docs?next=//evil.com", "/docs?next=//evil.com"),
    ],
)
def test_a_login_leads_nowhere_else(locked: TestClient, wanted: str, goal: str) -> None:
    form = {"user": ANNA.user, "password": ANNA.password}
    answer = locked.post(f"/login?next={wanted}", data=form, follow_redirects=False)
    assert answer.headers["location"] == goal


def test_the_login_page_repeats_nothing_unescaped(locked: TestClient) -> None:
    answer = locked.get('/login?next=/"><script>alert(1)</script>')
    assert answer.status_code == 200 and "<script" not in answer.text


@pytest.mark.parametrize(
    "content", [b"x" * 5000, b"user=" + b"a" * 10, b"%ff%fe=%00&password=\xff", b""]
)
def test_a_login_that_is_no_form_is_refused(locked: TestClient, content: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert locked.post("/login", content=content, headers=kind).status_code in (401, 413)


def test_another_page_cannot_log_in(locked: TestClient) -> None:
    answer = locked.post("/login", data={}, headers={"origin": "http://evil.com"})
    refused(answer, 403)


def test_a_session_ends_and_cannot_be_made_up() -> None:
    session = LOCKED.create_session(now=1000.0)
    until, _, signature = session.partition(".")
    assert LOCKED.is_valid_session(session, now=1000.0)
    assert not LOCKED.is_valid_session(session, now=1001.0 + SESSION_MAX_AGE_S)
    assert not LOCKED.is_valid_session(f"{int(until) + 1}.{signature}", now=1000.0)
    for made_up in ("", ".", "x", f"{until}.", f"-1.{signature}", f"{'9' * 30}.{signature}"):
        assert not LOCKED.is_valid_session(made_up, now=1000.0)
    other = AuthConfig(login=Login(user="anna", password="another-one"), secret=LOCKED.secret)
    assert not other.is_valid_session(session, now=1000.0)


def test_a_key_alone_locks_the_api_and_leaves_the_page_open(serve: Serve) -> None:
    client = serve(access=AuthConfig(key=KEY))
    for path in ("/api/jobs", "/v1/models", "/api/voices"):
        refused(client.get(path), 401)
        assert client.get(path, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    assert client.get("/api/files/voices/alice/one.wav").status_code == 200
    assert client.get("/docs").status_code == 200


def test_the_page_itself_is_behind_the_lock(serve: Serve) -> None:
    def draw() -> FastAPI:
        page = FastAPI()
        page.get("/")(lambda: "the page")
        page.post("/gradio_api/upload")(lambda: "stored")
        return page

    client = serve(access=LOCKED, build_page=draw)
    refused(client.get("/"), 401)
    refused(client.post("/gradio_api/upload", files={"files": b"x"}), 401)


def test_a_wide_address_gets_a_login_that_is_different_every_time(tmp_path: Path) -> None:
    made = [
        resolve_auth_config(exposed=True, login="", environment={}, state=tmp_path)
        for _ in range(2)
    ]
    logins = [access.login for access in made]
    assert all(login and login.is_generated and len(login.password) >= 16 for login in logins)
    assert logins[0] != logins[1] and made[0].secret == made[1].secret
    assert (tmp_path / "session.key").stat().st_mode & 0o077 == 0
    assert (
        resolve_auth_config(exposed=False, login="", environment={}, state=tmp_path).login is None
    )


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"TESTUDO_LOGIN": "eve:from-outside", "TESTUDO_API_KEY": KEY}
    from_there = resolve_auth_config(
        exposed=False, login="", environment=environment, state=tmp_path
    )
    assert from_there.is_valid_login("eve", "from-outside") and from_there.is_valid_api_key(KEY)
    given = resolve_auth_config(
        exposed=True, login="anna:long-password", environment=environment, state=tmp_path
    )
    assert given.is_valid_login("anna", "long-password") and not given.is_valid_login(
        "eve", "from-outside"
    )


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("anna", "is not a login"),
        (":long-password", "is not a login"),
        ("anna:", "is not a login"),
        ("anna:short", "at least 8"),
    ],
)
def test_a_login_that_is_none_is_refused(login: str, told: str) -> None:
    with pytest.raises(AppError, match=told):
        parse_login(login)


def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="at least 16"):
        resolve_auth_config(
            exposed=False, login="", environment={"TESTUDO_API_KEY": "short"}, state=tmp_path
        )
