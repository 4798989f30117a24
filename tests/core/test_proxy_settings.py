"""Proxy variables: whatever stands there, HTTP clients can be made, and nothing is hidden."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import httpx2
import pytest

from core.errors import AppError
from core.proxy_settings import (
    UNUSABLE_PROXY_ENV_VAR,
    check_proxy_usable,
    normalize_proxy_variables,
)

CERTIFICATES = ssl.create_default_context()  # loaded once
ROOT = Path(__file__).resolve().parents[2]
PROXIES = {
    "socks5h://127.0.0.1:1080": "socks5h://127.0.0.1:1080",
    "SOCKS5://proxy:1080": "socks5://proxy:1080",
    "socks://127.0.0.1:9050/": "socks5://127.0.0.1:9050/",
    " http://proxy:3128 ": "http://proxy:3128",
    "'http://proxy:3128'": "http://proxy:3128",
    "proxy:3128": "http://proxy:3128",
    "//proxy:3128": "http://proxy:3128",
    "http://user:p@ss@proxy:3128": "http://user:p@ss@proxy:3128",
    "http://[::1]:3128": "http://[::1]:3128",
    "socks4://127.0.0.1:1080": None,
    "socks4a://127.0.0.1:1080": None,
    "ftp://proxy:21": None,
    "DIRECT://": None,
    "http://proxy:port": None,
    "http://a:80,http://b:80": None,
    "http://": None,
    "http://proxy:99999": None,
    "http://[::1:80": None,
    "": None,
}
DIRECT = {
    "localhost,127.0.0.1": "localhost,127.0.0.1",
    "localhost, .local , *.corp": "localhost,.local,*.corp",
    "localhost;127.*|10.0.0.0/8": "localhost,127.*,10.0.0.0/8",
    "::1,[::1],[fe80::1%eth0]": "::1,::1,fe80::1",
    "::1/128,fe80::/10,localhost": "localhost",
    "[::1]:8080,host:port,http://localhost": "",
    "<local>,exämple.de": "local",
    "*": "*",
    "'localhost'": "localhost",
    "my_host:8080": "my_host:8080",
    "..,-,%,user@host": "-",
}


@pytest.mark.parametrize("given", PROXIES)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_is_kept_corrected_or_removed_and_told(
    name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {name: given, "HOME": "/"}
    notes = normalize_proxy_variables(environment)
    assert environment.get(name) == PROXIES[given]
    assert bool(notes) == (PROXIES[given] is None and given != "")
    assert environment.get(UNUSABLE_PROXY_ENV_VAR) == (name if notes else None)
    check_clients(environment, monkeypatch)


@pytest.mark.parametrize("given", DIRECT)
def test_hosts_without_a_proxy_are_those_that_a_client_can_parse(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"no_proxy": given, "HTTP_PROXY": "http://127.0.0.1:1"}
    assert normalize_proxy_variables(environment) == []
    assert environment["no_proxy"] == DIRECT[given]
    check_clients(environment, monkeypatch)


def check_clients(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    httpx.Client(verify=CERTIFICATES).close()
    httpx2.Client(verify=CERTIFICATES).close()


def test_a_password_is_not_shown() -> None:
    (note,) = normalize_proxy_variables({"ALL_PROXY": "socks4://me:secret@proxy:1080"})
    assert "secret" not in note and "proxy:1080" in note and "socks5h" in note


@pytest.mark.parametrize("login", ["me:p@secret", "me:a/secret", "me:a secret", "secret"])
@pytest.mark.parametrize("scheme", ["socks4://", "socks4:", "//", ""])
def test_an_unusual_password_is_not_shown(scheme: str, login: str) -> None:
    (note,) = normalize_proxy_variables({"ALL_PROXY": f"{scheme}{login}@proxy:no-port"})
    assert "secret" not in note and "@proxy:no-port" in note


def test_the_page_is_drawn_behind_a_proxy_that_cannot_be_used() -> None:
    code = "import app, sys; app.prepare_environment(); import gradio; sys.stdout.write('drawn')"
    environment = {
        **os.environ,
        "ALL_PROXY": "socks4://127.0.0.1:1080",
        "no_proxy": "[::1],::1/128,host:port",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert done.stdout == "drawn", done.stderr
    assert "ALL_PROXY is not a proxy that can be used" in done.stderr


def test_nothing_is_downloaded_around_a_proxy_that_was_ignored() -> None:
    environment = {"ALL_PROXY": "socks4://127.0.0.1:1080"}
    normalize_proxy_variables(environment)
    with pytest.raises(AppError, match=r"ALL_PROXY names a proxy.*nothing is downloaded"):
        check_proxy_usable(environment)
    check_proxy_usable({"ALL_PROXY": "socks5h://127.0.0.1:1080"})
