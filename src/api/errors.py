"""Errors as JSON responses with a status, a cause and a message."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core.error_classifier import classify_error, format_user_message
from core.errors import AppError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

BAD_REQUEST, NOT_FOUND, METHOD_NOT_ALLOWED, CONFLICT, UNPROCESSABLE = 400, 404, 405, 409, 422
TOO_MANY_REQUESTS, SERVER_ERROR, INSUFFICIENT_STORAGE = 429, 500, 507
STATUS_BY_CAUSE = {  # BAD_REQUEST for all others
    "no_disk": INSUFFICIENT_STORAGE,
    "name_taken": CONFLICT,
    "queue_full": TOO_MANY_REQUESTS,
    "crashed": SERVER_ERROR,
}
CAUSE_BY_STATUS = {
    401: "login_needed",
    NOT_FOUND: "not_found",
    METHOD_NOT_ALLOWED: "wrong_method",
    CONFLICT: "conflict",
    413: "upload_too_large",
    429: "too_many_tries",
}


EXPECTED_OBJECT = "input should be an object"


class ApiError(HTTPException):
    """An error response. cause: a word for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        cause: str = "refused",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.cause = cause


@contextmanager
def translate_errors(status: int, cause: str) -> Iterator[None]:
    """Answer an AppError with this status and cause; a taken name or full disk stays what it is."""
    try:
        yield
    except AppError as error:
        if classify_error(error) in STATUS_BY_CAUSE:
            raise
        raise ApiError(status, str(error), cause) from error


def missing_as_404(cause: str = "not_found") -> AbstractContextManager[None]:
    """Answer an AppError about a missing resource with 404."""
    return translate_errors(NOT_FOUND, cause)


def error_response(
    status: int, message: str, cause: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error response; OpenAI's clients read `type` and `code`."""
    kind = "server_error" if status >= SERVER_ERROR else "invalid_request_error"
    error = {"message": message, "cause": cause, "type": kind, "code": cause}
    return JSONResponse({"error": error}, status, headers=dict(headers or {}))


def register_exception_handlers(app: FastAPI) -> None:
    """Register handlers that return all errors in the format of `error_response`."""
    app.add_exception_handler(AppError, _handle_app_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(Exception, _handle_unexpected_error)


def strip_root_path(text: str, root: Path) -> str:
    """Remove the path of the studio from a text."""
    return text.replace(f"{root}{os.sep}", "")


async def _handle_app_error(request: Request, error: Exception) -> JSONResponse:
    cause = classify_error(error)
    message = strip_root_path(format_user_message(error), request.app.state.studio.layout.root)
    return error_response(STATUS_BY_CAUSE.get(cause, BAD_REQUEST), message, cause)


async def _handle_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    cause = getattr(error, "cause", CAUSE_BY_STATUS.get(error.status_code, "refused"))
    message = error.detail
    if error.status_code == NOT_FOUND and message == "Not Found":
        message = "There is nothing at this address. See /docs for all addresses."
    sentence = strip_root_path(str(message), request.app.state.studio.layout.root)
    sentence = f"{sentence.rstrip('.')}."  # those of the framework end without a full stop
    return error_response(error.status_code, sentence, cause, error.headers)


async def _handle_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems: dict[str, list[str]] = {}  # what may stand at a place of the request
    for item in error.errors():
        place = _locate(item, error.body)
        problems.setdefault(place, []).append(_describe_validation_error(item))
    sentences = [
        f"{place}: {' or '.join(dict.fromkeys(x)).replace(' or input should be ', ' or ')}."
        for place, x in problems.items()
    ]
    return error_response(UNPROCESSABLE, " ".join(sentences[:5]), "unfit")


async def _handle_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    cause = classify_error(error)
    return error_response(
        STATUS_BY_CAUSE.get(cause, SERVER_ERROR), format_user_message(error), cause
    )


def _locate(item: Mapping[str, Any], body: Any) -> str:
    """Return the dotted path of an invalid field, without pydantic's names of union members."""
    source, *place = item["loc"]
    if item["type"] == "json_invalid":
        return f"The request, character {place[-1]}"
    if source != "body":
        return ".".join(map(str, place)) or "The request"
    steps: list[str] = []
    value = body
    for step in place:
        is_missing = item["type"] == "missing" and step == place[-1]
        if isinstance(value, (Mapping, list)):
            known = step in value if isinstance(value, Mapping) else isinstance(step, int)
            if known or is_missing:
                steps.append(str(step))
                value = value[step] if known else None
    return ".".join(steps) or "The request"


def _describe_validation_error(item: Mapping[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return f"not valid JSON, {item['ctx']['error'].lower()}"
    message = EXPECTED_OBJECT if item["type"].startswith("model_") else str(item["msg"])
    return f"{message[:1].lower()}{message[1:].rstrip('.')}"
