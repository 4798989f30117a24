"""What the program says when it cannot do what was asked."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class AppError(Exception):
    """A refusal for the user: what came, what is allowed, what to do, in a sentence or two.

    cause: its key in the catalogue of studio/causes.py, where whoever refuses knows it.
    """

    def __init__(self, *told: object, cause: str = "") -> None:
        super().__init__(*told)
        self.cause = cause


class UnrecoverableError(AppError):
    """A refusal that the next request would meet as well: no weights, no device, a full disk."""


@contextmanager
def reraise_as_app_error(*causes: type[Exception], about: str = "") -> Iterator[None]:
    """Turn the named exceptions, whose messages are already for people, into a refusal.

    about: who or what is spoken of, put before the message.
    """
    try:
        yield
    except causes as cause:
        raise AppError(f"{about}: {cause}" if about else str(cause)) from cause


@contextmanager
def translate_write_errors(place: object) -> Iterator[None]:
    """Turn a failed write into a refusal that names the place and the way out."""
    try:
        yield
    except OSError as cause:
        kind = UnrecoverableError if cause.errno in DISK_FULL_ERRNOS else AppError
        raise kind(f"Cannot write {place}: {describe_os_error(cause)}") from cause


def describe_os_error(cause: OSError) -> str:
    """Say in words what the operating system refused, and what helps."""
    if cause.errno in DISK_FULL_ERRNOS:
        return "the disk is full. Free some space or choose another folder."
    if cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "permission denied. Choose a folder that you may write to."
    if cause.errno == errno.ENAMETOOLONG:
        return "the name is too long for this disk. Choose a shorter one."
    if cause.errno == errno.ENOTDIR:
        return "a part of the path is a file, not a folder. Choose another path."
    if cause.errno == errno.EISDIR:
        return "it is a folder. Give the name of a file in it."
    return f"{cause.strerror or cause}. Choose another place."
