"""Who may come in: one login for the page and the API, and a key for programs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import quote_for_message

LOGIN_ENV_VAR, API_KEY_ENV_VAR = "TESTUDO_LOGIN", "TESTUDO_API_KEY"
DEFAULT_USER = "testudo"
MIN_PASSWORD_LENGTH, MIN_API_KEY_LENGTH = 8, 16  # characters
SESSION_COOKIE = "testudo_session"
SESSION_MAX_AGE_S = 30 * 24 * 3600
MAX_LOGIN_FAILURES = 8  # of one caller
FAILURE_WINDOW_S = 60.0  # after which a failure no longer counts
MAX_TRACKED_CLIENTS = 10_000  # remembered at once
SESSION_SECRET_FILE = "session.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A name and a password; made_up: nobody chose it, so it has to be printed."""

    user: str
    password: str = field(repr=False)
    is_generated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """What opens the studio.

    login: None where only this machine can reach it and none was wanted;  key: what programs may
    show instead, "" for none;  secret: what sessions are signed with.
    """

    login: Login | None = None
    key: str = field(default="", repr=False)
    secret: bytes = field(default=b"", repr=False)

    def create_session(self, now: float | None = None) -> str:
        """Return a new session for whoever has logged in."""
        until = f"{int((time.time() if now is None else now) + SESSION_MAX_AGE_S)}"
        return f"{until}.{self._signature(until)}"

    def is_valid_session(self, session: str, now: float | None = None) -> bool:
        """Whether the session was given out here, for this login, and has not ended."""
        until, _, signature = session.partition(".")
        genuine = constant_time_equal(signature, self._signature(until))
        lasts = until.isdecimal() and len(until) < 20
        return genuine and lasts and int(until) > (time.time() if now is None else now)

    def is_valid_login(self, user: str, password: str) -> bool:
        """Whether the name and the password are right; takes as long for any that are wrong."""
        if self.login is None:
            return False
        right_user, right_password = (
            constant_time_equal(user, self.login.user),
            constant_time_equal(password, self.login.password),
        )
        return right_user and right_password

    def is_valid_api_key(self, key: str) -> bool:
        """Whether a program showed the key."""
        return bool(self.key) and constant_time_equal(key, self.key)

    def _signature(self, until: str) -> str:
        login = self.login or Login(user="", password="")
        signed = hmac.new(
            self.secret, f"{until}\n{login.user}\n{login.password}".encode(), "sha256"
        )
        return signed.hexdigest()


class LoginThrottle:
    """Counts wrong tries, so that guessing takes years."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, deque[float]] = {}

    def add(self, caller: str) -> None:
        """Remember a wrong try."""
        if len(self._tries) >= MAX_TRACKED_CLIENTS:
            self._tries.pop(next(iter(self._tries)))
        self._tries.setdefault(caller, deque(maxlen=MAX_LOGIN_FAILURES)).append(self._clock())

    def retry_after_s(self, caller: str) -> float:
        """Return how long this caller has to wait before the next try; mostly 0."""
        tries = self._tries.get(caller)
        if tries is None or len(tries) < MAX_LOGIN_FAILURES:
            return 0.0
        return max(0.0, tries[0] + FAILURE_WINDOW_S - self._clock())


def constant_time_equal(given: str, right: str) -> bool:
    """Compare without telling by the time it takes how much of it is right."""
    hashed = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, right))
    return hmac.compare_digest(*hashed)


def resolve_auth_config(
    *, exposed: bool, login: str, environment: Mapping[str, str], state: Path
) -> AuthConfig:
    """Decide what opens the studio; where others can reach it, a login is made up if none is given.

    login: USER:PASSWORD of the command line, "" for none, which leaves the environment to say.
    Raises StudioError for one that is not a login, or too easily guessed.
    """
    given = login or environment.get(LOGIN_ENV_VAR, "")
    key = environment.get(API_KEY_ENV_VAR, "").strip()
    if key and len(key) < MIN_API_KEY_LENGTH:
        raise AppError(
            f"{API_KEY_ENV_VAR} has {len(key)} characters; at least {MIN_API_KEY_LENGTH} are "
            f"needed. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    chosen = parse_login(given) if given else None
    if chosen is None and exposed:
        chosen = Login(user=DEFAULT_USER, password=secrets.token_urlsafe(12), is_generated=True)
    secret = load_or_create_secret(state) if chosen is not None else b""
    return AuthConfig(login=chosen, key=key, secret=secret)


def parse_login(text: str) -> Login:
    """Read USER:PASSWORD; the password may hold colons."""
    user, colon, password = text.partition(":")
    if not colon or not user.strip() or not password:
        raise AppError(
            f"{quote_for_message(user)} is not a login. Write USER:PASSWORD, as in --login "
            f"anna:long-password, "
            f"or set {LOGIN_ENV_VAR}, which other programs cannot read."
        )
    if len(password) < MIN_PASSWORD_LENGTH:
        raise AppError(
            f"The password has {len(password)} characters; at least {MIN_PASSWORD_LENGTH} are "
            "needed, since anyone on the network may try. Choose a longer one."
        )
    return Login(user=user.strip(), password=password)


def load_or_create_secret(state: Path) -> bytes:
    """Return the secret that sessions are signed with; kept, so that they outlive a restart."""
    path = state / SESSION_SECRET_FILE
    with translate_write_errors(path):
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = b""
        if len(secret) < 32:
            secret = secrets.token_bytes(32)
            state.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
            part.touch(mode=0o600)
            part.write_bytes(secret)
            part.replace(path)
    return secret


def parse_basic_auth(header: str) -> tuple[str, str] | None:
    """Return the name and password of an `Authorization: Basic` header; None for anything else."""
    kind, _, coded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def parse_bearer_token(header: str) -> str:
    """Return the key of an `Authorization: Bearer` header, "" where there is none."""
    kind, _, key = header.partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""
