"""Authentication: one login for the page and the API, and an API key for programs."""

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

from core.errors import AppError, suppress_full_disk, translate_write_errors
from core.files import atomic_path, create_private_file, make_private_folder
from core.paths import quote_for_message

LOGIN_ENV_VAR, API_KEY_ENV_VAR = "TESTUDO_LOGIN", "TESTUDO_API_KEY"
DEFAULT_USER = "testudo"
MIN_PASSWORD_LENGTH, MIN_API_KEY_LENGTH = 8, 16  # characters
SESSION_COOKIE = "testudo_session"
SESSION_MAX_AGE_S = 30 * 24 * 3600
DEVICE_COOKIE = "testudo_device"
DEVICE_MAX_AGE_S = 365 * 24 * 3600
MAX_LOGIN_FAILURES = 8  # per client within FAILURE_WINDOW_S
MAX_ACCOUNT_FAILURES = 40  # of all clients together within FAILURE_WINDOW_S
FAILURE_WINDOW_S = 60.0
MAX_TRACKED_CLIENTS = 10_000
SESSION_SECRET_FILE = "session.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user name and a password. is_generated: not chosen by the user, so it is printed."""

    user: str
    password: str = field(repr=False)
    is_generated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """The credentials that the server accepts.

    login: None where only this machine can reach the server;  key: the API key, "" for none;
    secret: signs the session cookies.
    """

    login: Login | None = None
    key: str = field(default="", repr=False)
    secret: bytes = field(default=b"", repr=False)

    def create_session(self, now: float | None = None) -> str:
        """Return a signed session cookie: EXPIRY.SIGNATURE."""
        until = f"{int((time.time() if now is None else now) + SESSION_MAX_AGE_S)}"
        return f"{until}.{self._signature(until)}"

    def is_valid_session(self, session: str, now: float | None = None) -> bool:
        """Return whether a cookie was signed by this server for this login and has not expired."""
        until, _, signature = session.partition(".")
        is_signed = constant_time_equal(signature, self._signature(until))
        is_number = until.isdecimal() and len(until) < 20
        return is_signed and is_number and int(until) > (time.time() if now is None else now)

    def create_device(self) -> str:
        """Return a signed cookie of a browser that logged in once: ID.SIGNATURE."""
        id = secrets.token_urlsafe(16)
        return f"{id}.{self._signature(f'device {id}')}"

    def is_known_device(self, device: str) -> bool:
        """Return whether this server signed the cookie of a browser for this login."""
        id, _, signature = device.rpartition(".")
        return bool(id) and constant_time_equal(signature, self._signature(f"device {id}"))

    def is_valid_login(self, user: str, password: str) -> bool:
        """Return whether user name and password are right, in constant time."""
        if self.login is None:
            return False
        is_user = constant_time_equal(user, self.login.user)
        is_password = constant_time_equal(password, self.login.password)
        return is_user and is_password

    def is_valid_api_key(self, key: str) -> bool:
        """Return whether this is the API key; never for an empty one."""
        return bool(self.key) and constant_time_equal(key, self.key)

    def _signature(self, until: str) -> str:
        login = self.login or Login(user="", password="")
        signed = hmac.new(
            self.secret, f"{until}\n{login.user}\n{login.password}".encode(), "sha256"
        )
        return signed.hexdigest()


class LoginThrottle:
    """Count failed logins per client, and of all clients together, and limit their rate.

    A client is an address, or the device cookie of a browser that logged in before: it can do so
    again while others guess, and counts by itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._account_failures: deque[float] = deque(maxlen=MAX_ACCOUNT_FAILURES)

    def add(self, client: str) -> None:
        """Count a failed login."""
        if len(self._failures) >= MAX_TRACKED_CLIENTS:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(client, deque(maxlen=MAX_LOGIN_FAILURES)).append(self._clock())
        self._account_failures.append(self._clock())

    def retry_after_s(self, client: str, *, is_known: bool = False) -> float:
        """Return the seconds that a client has to wait before its next attempt; 0 for none.

        is_known: it logged in before, so that failures of others do not count.
        """
        waits = [self._get_wait_s(self._failures.get(client))]
        if not is_known:
            waits.append(self._get_wait_s(self._account_failures))
        return max(waits)

    def _get_wait_s(self, failures: deque[float] | None) -> float:
        if failures is None or len(failures) < (failures.maxlen or 0):
            return 0.0
        return max(0.0, failures[0] + FAILURE_WINDOW_S - self._clock())


def constant_time_equal(given: str, right: str) -> bool:
    """Compare two texts of any length in constant time."""
    hashed = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, right))
    return hmac.compare_digest(*hashed)


def resolve_auth_config(
    *, exposed: bool, login: str, environment: Mapping[str, str], state: Path
) -> AuthConfig:
    """Return the credentials from the command line and the environment.

    Generates a login where other machines can reach the server and none was given.
    login: USER:PASSWORD of the command line, which wins over the environment; "" for none.
    Raises AppError for a malformed login and for too short credentials.
    """
    given = login or environment.get(LOGIN_ENV_VAR, "")
    key = environment.get(API_KEY_ENV_VAR, "").strip()
    if key and len(key) < MIN_API_KEY_LENGTH:
        raise AppError(
            f"{API_KEY_ENV_VAR} has {len(key)} characters; at least {MIN_API_KEY_LENGTH} are "
            "needed. Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    chosen = parse_login(given) if given else None
    if chosen is None and exposed:
        chosen = Login(user=DEFAULT_USER, password=secrets.token_urlsafe(12), is_generated=True)
    secret = load_or_create_secret(state) if chosen is not None else b""
    return AuthConfig(login=chosen, key=key, secret=secret)


def parse_login(text: str) -> Login:
    """Parse USER:PASSWORD; the password may contain colons."""
    user, colon, password = text.partition(":")
    if not colon or not user.strip() or not password:
        raise AppError(
            f"{quote_for_message(user)} is not a login. Write USER:PASSWORD, as in "
            f"--login anna:long-password, or set {LOGIN_ENV_VAR}, which other programs cannot read."
        )
    if len(password) < MIN_PASSWORD_LENGTH:
        raise AppError(
            f"The password has {len(password)} characters; at least {MIN_PASSWORD_LENGTH} are "
            "needed. Choose a longer one."
        )
    return Login(user=user.strip(), password=password)


def load_or_create_secret(state: Path) -> bytes:
    """Return the key that signs sessions; it is stored, so that sessions survive a restart.

    On a full disk it is not: sessions end with the server then.
    """
    path = state / SESSION_SECRET_FILE
    with translate_write_errors(path):
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = b""
        if len(secret) < 32:
            secret = secrets.token_bytes(32)
            make_private_folder(state)
            with suppress_full_disk(), atomic_path(path) as part:
                create_private_file(part)
                part.write_bytes(secret)
    return secret


def parse_basic_auth(header: str) -> tuple[str, str] | None:
    """Return user name and password of an `Authorization: Basic` header; None for any other."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def parse_bearer_token(header: str) -> str:
    """Return the token of an `Authorization: Bearer` header; "" for any other."""
    kind, _, key = header.partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""
