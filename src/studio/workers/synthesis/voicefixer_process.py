"""Runs voicefixer on one file, in a process of its own that cannot reach the network.

python -m studio.workers.synthesis.voicefixer_process IN.wav OUT.wav cpu|cuda
"""

from __future__ import annotations

import socket
import sys
from typing import NoReturn


def main() -> None:
    """Clean one file; whatever goes wrong ends the process with a trace on standard error."""
    source, target, device = sys.argv[1:]
    block_network()
    from voicefixer import VoiceFixer

    VoiceFixer().restore(input=source, output=target, cuda=device == "cuda", mode=0)


def block_network() -> None:
    """Refuse every connection that this process would open."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise ConnectionRefusedError("voicefixer has no network access")

    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, refuse)
    setattr(socket, "getaddrinfo", refuse)  # noqa: B010 mypy checks the signature


if __name__ == "__main__":
    main()
