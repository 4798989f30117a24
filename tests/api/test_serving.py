"""Where the studio listens: every way to write it, and what is said when it cannot be."""

from __future__ import annotations

import re
import socket

import pytest

from core.errors import AppError
from core.network_address import Address, open_socket, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("0.0.0.0:80", "0.0.0.0", 80, ""),
        ("10.0.0.1:8008/gradio", "10.0.0.1", 8008, "/gradio"),
        ("0.0.0.0", "0.0.0.0", 7860, ""),
        ("8008", "127.0.0.1", 8008, ""),
        (":8008", "127.0.0.1", 8008, ""),
        ("/gradio", "127.0.0.1", 7860, "/gradio"),
        ("/a/b/", "127.0.0.1", 7860, "/a/b"),
        ("/", "127.0.0.1", 7860, ""),
        ("localhost/x", "localhost", 7860, "/x"),
        ("[::1]:9000", "::1", 9000, ""),
        ("::1", "::1", 7860, ""),
        ("http://studio.local:81/", "studio.local", 81, ""),
        (" 127.0.0.1:0 ", "127.0.0.1", 0, ""),
    ],
)
def test_any_part_of_an_address_may_be_left_out(text: str, host: str, port: int, path: str) -> None:
    assert parse_address(text) == Address(host=host, port=port, path=path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "No listen address"),
        ("0.0.0.0:eighty", "not a port"),
        ("0.0.0.0:70000", "not a port"),
        ("0.0.0.0:-1", "not a port"),
        ("256.0.0.1", "neither a host name nor an IP"),
        ("1.2.3", "neither a host name nor an IP"),
        ("my host:80", "neither a host name nor an IP"),
        ("a:b:c", "neither a host name nor an IP"),
        ("[::1:80", "bracket"),
        ("/a/../b", "cannot be the path"),
        ("/a b", "cannot be the path"),
        ("/<script>", "cannot be the path"),
        ("host:80/%2e%2e", "cannot be the path"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_words(text: str, told: str) -> None:
    with pytest.raises(AppError, match=re.escape(told)):
        parse_address(text)


def test_only_loopback_is_local() -> None:
    local = ["127.0.0.1", "127.9.9.9", "localhost", "[::1]:80"]
    wide = ["0.0.0.0", "[::]:80", "10.0.0.1", "studio.local", "192.168.1.4:80"]
    assert all(parse_address(text).is_local for text in local)
    assert not any(parse_address(text).is_local for text in wide)


def test_a_browser_is_sent_to_an_address_that_it_can_open() -> None:
    assert parse_address("0.0.0.0:81/x").url == "http://127.0.0.1:81/x/"
    assert parse_address("[::]:81").url == "http://[::1]:81/"
    assert parse_address("80").url == "http://127.0.0.1/"


def test_a_taken_port_is_refused_and_a_free_one_is_named() -> None:
    first, address = open_socket(Address(port=0))
    with first:
        with pytest.raises(AppError, match="is used by another program") as refusal:
            open_socket(address)
        named = re.search(r"(\d+) is free: add --listen 127.0.0.1:(\d+)\.", str(refusal.value))
        assert named and int(named[1]) != address.port
        second, _ = open_socket(Address(port=int(named[1])))
        second.close()


def test_a_host_of_another_machine_is_refused() -> None:
    with pytest.raises(AppError, match=r"203\.0\.113\.7 is not an address of this machine"):
        open_socket(Address(host="203.0.113.7", port=0))


def test_a_name_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AppError, match="is not known on this network"):
        open_socket(Address(host="no.such.host", port=0))
