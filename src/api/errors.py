"""Refusals over HTTP: one JSON shape, the right status, never a trace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from studio.causes import cause_of, told
from studio.errors import StudioError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

BAD, MISSING, CONFLICT, UNFIT, FULL, BROKEN = 400, 404, 409, 422, 507, 500
STATUS_OF = {
    "no_disk": FULL,
    "name_taken": CONFLICT,
    "crashed": BROKEN,
}  # by cause; anything else is BAD
NAMES = {
    401: "login_needed",
    MISSING: "not_found",
    405: "wrong_method",
    CONFLICT: "conflict",
    413: "upload_too_large",
    429: "too_many_tries",
}


class Refused(HTTPException):
    """A refusal with its status; cause is a word that a program can act on."""

    def __init__(self, status: int, message: str, cause: str = "refused") -> None:
        super().__init__(status, message)
        self.cause = cause


def refusal(
    status: int, message: str, cause: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a refusal; `type` and `code` are what OpenAI's clients look at."""
    kind = "server_error" if status >= BROKEN else "invalid_request_error"
    error = {"message": message, "cause": cause, "type": kind, "code": cause}
    return JSONResponse({"error": error}, status, headers=dict(headers or {}))


def answer_refusals(app: FastAPI) -> None:
    """Let an app answer every refusal, its own and the studio's, in the one shape."""
    app.add_exception_handler(StudioError, _studio_refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(Exception, _broken)


def without_root(text: str, root: Path) -> str:
    """Take out of a text where the studio lies: that is nobody else's business."""
    return text.replace(f"{root}{os.sep}", "")


async def _studio_refused(request: Request, error: Exception) -> JSONResponse:
    cause = cause_of(error)
    message = without_root(told(error), request.app.state.studio.layout.root)
    return refusal(STATUS_OF.get(cause, BAD), message, cause)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    cause = getattr(error, "cause", NAMES.get(error.status_code, "refused"))
    message = error.detail
    if error.status_code == MISSING and message == "Not Found":
        message = "There is nothing at this address. See docs for what there is."
    sentence = without_root(str(message), request.app.state.studio.layout.root)
    sentence = f"{sentence.rstrip('.')}."  # those of the framework have no end
    return refusal(error.status_code, sentence, cause, error.headers)


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [_problem(item["loc"], item["msg"]) for item in error.errors()]
    return refusal(UNFIT, " ".join(problems[:5]), "unfit")


async def _broken(request: Request, error: Exception) -> JSONResponse:
    cause = cause_of(error)
    return refusal(STATUS_OF.get(cause, BROKEN), told(error), cause)


def _problem(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in place[1:]) or "The request"
    return f"{where}: {message[:1].lower()}{message[1:].rstrip('.')}."
