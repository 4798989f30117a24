"""Proxy variables of the environment, reduced to what the HTTP libraries can use.

Gradio and the Hugging Face Hub create HTTP clients while they are imported; a variable that the
client cannot parse would end the program before it has sent anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

from core.errors import AppError

UNUSABLE_PROXY_ENV_VAR = "TESTUDO_UNUSABLE_PROXY"
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_SCHEMES = ("http", "https", "socks5", "socks5h")
_HOST = re.compile(r"\*|\*?\.?[A-Za-z0-9_-]+(\.([A-Za-z0-9_-]+|\*))*\.?(:\d{1,5})?(/\d{1,3})?")
_IPV6 = re.compile(r"\[?([0-9A-Fa-f]*:[0-9A-Fa-f:]+(?:\d+(?:\.\d+){3})?)(?:%\w+)?\]?(/\d{1,3})?")


def normalize_proxy_variables(environment: MutableMapping[str, str]) -> list[str]:
    """Correct or remove proxy variables that HTTP clients refuse; return messages for the user.

    The names of removed variables are kept in TESTUDO_UNUSABLE_PROXY, so that a download can refuse
    instead of going around the proxy.
    """
    removed: dict[str, list[str]] = {}
    for name in [one for one in environment if one.lower() in _PROXY_VARIABLES]:
        given = environment[name]
        usable = _normalize_proxy(given)
        if usable:
            environment[name] = usable
            continue
        del environment[name]
        if given.strip():
            removed.setdefault(given.strip(), []).append(name)
    if removed:
        names = [name for same in removed.values() for name in same]
        environment[UNUSABLE_PROXY_ENV_VAR] = ", ".join(names)
    for name in [one for one in environment if one.lower() == "no_proxy"]:
        environment[name] = ",".join(_list_direct_hosts(environment[name]))
    return [
        f"{' and '.join(names)} is not a proxy that can be used, so it is ignored: "
        f"{_hide_login(given)}. Give an address that begins with {', '.join(_SCHEMES)}, as in "
        "socks5h://127.0.0.1:1080. Downloads are off until then."
        for given, names in removed.items()
    ]


def check_proxy_usable(environment: Mapping[str, str]) -> None:
    """Raise AppError where a proxy was removed: a download would go around it."""
    names = environment.get(UNUSABLE_PROXY_ENV_VAR)
    if names:
        raise AppError(
            f"{names} names a proxy that cannot be used, so nothing is downloaded. Set an address "
            f"that begins with {', '.join(_SCHEMES)}, and start again.",
            code="bad_proxy",
        )


def _normalize_proxy(given: str) -> str:
    """Return the address of a proxy, "" for one that cannot be used."""
    address = given.strip().strip("\"'").strip()
    if "://" not in address:
        address = f"http://{address.removeprefix('//')}" if address else ""
    scheme, _, rest = address.partition("://")
    scheme = {"socks": "socks5"}.get(scheme.lower(), scheme.lower())
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        fits = scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return ""
    is_plain = parts.hostname is not None and re.fullmatch(r"[A-Za-z0-9._:-]+", parts.hostname)
    return f"{scheme}://{rest}" if fits and is_plain and "," not in rest else ""


def _list_direct_hosts(given: str) -> list[str]:
    """Return the hosts that need no proxy, without those that a client cannot parse."""
    hosts = []
    for host in re.split(r"[,;|\s]+", given.strip().strip("\"'")):
        plain = host.strip("<>\"'")
        address = _IPV6.fullmatch(plain)
        if address and not address[2]:
            hosts.append(address[1])
        elif plain and _HOST.fullmatch(plain) and not address:
            hosts.append(plain)
    return hosts


def _hide_login(address: str) -> str:
    """Return an address without user and password, which may have any characters, "@" too."""
    return re.sub(r"^(\w*://|//)?.*@", r"\1…@", address.strip(), flags=re.DOTALL)
