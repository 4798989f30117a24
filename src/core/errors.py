"""The exceptions of the program, each with a code of the error catalogue."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class CodedError(Exception):
    """An exception with an entry in core/error_catalog.yaml.

    A subclass sets the default of `code`; `code=` at a raise site overrides it. "": the code of its
    cause.  cli_hint: advice that only the command line adds to the message.
    """

    code: str = ""
    cli_hint: str = ""

    def __init__(self, *args: object, code: str = "", cli_hint: str = "") -> None:
        super().__init__(*args)
        if code:
            self.code = code
        self.cli_hint = cli_hint


class AppError(CodedError):
    """An error for the user: what was given, what is allowed, what to do, in a sentence or two."""


class UnrecoverableError(AppError):
    """An error that the next request would meet as well: no weights, no device, a full disk."""


class InvalidValueError(CodedError, ValueError):
    """A value of the wrong kind, out of range, or unknown."""

    code = "bad_request"


@contextmanager
def reraise_as_app_error(*causes: type[Exception], about: str = "") -> Iterator[None]:
    """Raise an AppError with the message of the named exceptions.

    about: what the message is about, put before it.
    """
    try:
        yield
    except causes as cause:
        raise AppError(f"{about}: {cause}" if about else str(cause)) from cause


@contextmanager
def translate_write_errors(path: object) -> Iterator[None]:
    """Raise an AppError that names the path and what to do where a write fails."""
    try:
        yield
    except OSError as cause:
        kind = UnrecoverableError if cause.errno in DISK_FULL_ERRNOS else AppError
        raise kind(f"Cannot write {path}: {describe_os_error(cause)}") from cause


@contextmanager
def suppress_full_disk() -> Iterator[None]:
    """Ignore that a disk is full, for a file that can be done without."""
    try:
        yield
    except OSError as cause:
        if cause.errno not in DISK_FULL_ERRNOS:
            raise


def describe_sqlite_error(cause: Exception) -> str:
    """Return what SQLite reported, as a clause that a user understands."""
    text = str(cause)
    for sign, meaning in (
        ("disk is full", "the disk is full"),
        ("disk I/O error", "the disk reports an error, or is full"),
        ("unable to open", "the file cannot be opened or created"),
        ("readonly", "the file may not be written"),
        ("locked", "another program uses it"),
        ("malformed", "the file is damaged"),
        ("not a database", "the file is damaged"),
    ):
        if sign in text:
            return meaning
    return text


def describe_os_error(cause: OSError) -> str:
    """Return what the operating system reported, and what to do about it, as a clause."""
    if cause.errno in DISK_FULL_ERRNOS:
        return "the disk is full. Free some space or choose another folder."
    if cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "permission denied. Choose a folder that you may write to."
    if cause.errno == errno.ENAMETOOLONG:
        return "the name is too long for this disk. Choose a shorter one."
    if cause.errno == errno.ENOTDIR:
        return "part of the path is a file, not a folder. Choose another path."
    if cause.errno == errno.EISDIR:
        return "it is a folder. Give the name of a file in it."
    return f"{cause.strerror or cause}. Choose another folder."
