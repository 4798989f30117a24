"""The address that the studio listens on, HOST:PORT/PATH, and the socket for it."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass, replace

from core.errors import AppError
from core.paths import quote_for_message

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7860
ADDRESS_EXAMPLES = "0.0.0.0:80, 10.0.0.1:8008/gradio, 8008 or /gradio"
MAX_PORT = 65_535
MAX_PORT_ATTEMPTS = 100  # after the one that is taken
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")
_PATH_PART = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address to listen on.

    host: a name or an IP address, without brackets;  port: 0 for any that is free;
    path: "" or a prefix of all pages, such as /gradio.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can reach it."""
        if self.host.lower().rstrip(".") == "localhost":
            return True
        address = parse_ip_address(self.host)
        return address is not None and address.is_loopback

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        everywhere = parse_ip_address(self.host)
        host = self.host
        if everywhere is not None and everywhere.is_unspecified:
            host = DEFAULT_HOST if everywhere.version == 4 else "::1"
        shown_host = f"[{host}]" if ":" in host else host
        port = "" if self.port == 80 else f":{self.port}"
        return f"http://{shown_host}{port}{self.path}/"


def parse_address(text: str) -> Address:
    """Read HOST:PORT/PATH, any part of which may be left out.

    Raises AppError naming the part that does not fit.
    """
    rest = re.sub(r"^https?://", "", text.strip())
    if not rest:
        raise AppError(f"No listen address was given. Write one like {ADDRESS_EXAMPLES}.")
    location, slash, path = rest.partition("/")
    host, port = _split_port(location, text)
    return Address(
        host=_validate_host(host, text) if host else DEFAULT_HOST,
        port=_validate_port(port, text) if port else DEFAULT_PORT,
        path=_validate_path(path, text) if slash else "",
    )


def parse_ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def open_socket(address: Address) -> tuple[socket.socket, Address]:
    """Bind the port and listen; return the socket and the address with its port number.

    Raises AppError where the port is taken (naming a free one) or the host is not this machine's.
    """
    try:
        listener = _bind_socket(address)
    except socket.gaierror as cause:
        raise AppError(
            f"{quote_for_message(address.host)} is not known on this network. Listen on "
            f"{DEFAULT_HOST} for this "
            "machine alone, or on 0.0.0.0 for all of its networks."
        ) from cause
    except OSError as cause:
        raise AppError(_describe_bind_error(address, cause), code=_get_error_code(cause)) from cause
    return listener, replace(address, port=int(listener.getsockname()[1]))


def _split_port(location: str, text: str) -> tuple[str, str]:
    if location.startswith("["):
        host, closed, port = location[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise AppError(f"{quote_for_message(text)} lacks a bracket. Write [::1]:8008.")
        return host, port[1:]
    if location.count(":") > 1 and parse_ip_address(location) is not None:
        return location, ""
    if location.isdecimal():
        return "", location
    host, colon, port = location.rpartition(":")
    return (host, port) if colon else (location, "")


def _validate_host(host: str, text: str) -> str:
    looks_numeric = bool(re.fullmatch(r"[\d.]+", host)) or ":" in host
    fits = parse_ip_address(host) is not None if looks_numeric else bool(_HOST_NAME.fullmatch(host))
    if not fits:
        raise AppError(
            f"{quote_for_message(host)} in {quote_for_message(text)} is neither a host name nor "
            f"an IP address. "
            f"Write an address like {ADDRESS_EXAMPLES}."
        )
    return host


def _validate_port(port: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", port) or int(port) > MAX_PORT:
        raise AppError(
            f"{quote_for_message(port)} in {quote_for_message(text)} is not a port. Write a "
            f"whole number from 0 to "
            f"{MAX_PORT}, such as {DEFAULT_PORT}; 0 selects a free port."
        )
    return int(port)


def _validate_path(path: str, text: str) -> str:
    parts = [part for part in path.split("/") if part]
    if not all(_PATH_PART.fullmatch(part) for part in parts):
        raise AppError(
            f"{quote_for_message('/' + path)} in {quote_for_message(text)} cannot be the path "
            f"of the page. Use letters, "
            "digits and - _ ~ . only, as in /gradio."
        )
    return "".join(f"/{part}" for part in parts)


def _bind_socket(address: Address) -> socket.socket:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, *_, target = found[0]
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server(target, family=family, backlog=128, dualstack_ipv6=both)


def _describe_bind_error(address: Address, cause: OSError) -> str:
    if cause.errno == errno.EADDRINUSE:
        free = _find_free_port(address)
        return (
            f"Port {address.port} is used by another program, possibly another Testudo. {free} "
            f"is free: add --listen {_format_address(address, free)}."
        )
    if cause.errno in (errno.EACCES, errno.EPERM):
        return (
            f"Port {address.port} needs administrator rights, as all ports below 1024. Choose a "
            "higher one, such as 8080."
        )
    if cause.errno == errno.EADDRNOTAVAIL:
        return (
            f"{address.host} is not an address of this machine. Listen on {DEFAULT_HOST} for "
            f"this machine "
            "alone, or on 0.0.0.0 for all of its networks."
        )
    return f"Cannot listen on {address.host}:{address.port}: {cause.strerror or cause}."


def _get_error_code(cause: OSError) -> str:
    return "port_taken" if cause.errno == errno.EADDRINUSE else ""


def _find_free_port(address: Address) -> int:
    following = range(address.port + 1, min(address.port + MAX_PORT_ATTEMPTS, MAX_PORT) + 1)
    for port in [*following, 0]:
        try:
            probe = _bind_socket(replace(address, port=port))
        except OSError:
            continue
        with probe:
            return int(probe.getsockname()[1])
    return 0


def _format_address(address: Address, port: int) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{port}{address.path}"
