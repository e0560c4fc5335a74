"""Errors as HTTP: the only place that knows statuses. Problem documents are RFC 9457, with the contract's members (A16)."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from imagejobs import errors
from imagejobs.errors import ImageJobsError

logger = logging.getLogger(__name__)

STATUSES: Mapping[type[ImageJobsError], int] = {
    errors.MalformedRequest: 400,
    errors.Unauthenticated: 401,
    errors.BudgetExhausted: 402,
    errors.PermissionDenied: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.RequestTooSlow: 408,
    errors.InvalidTransition: 409,
    errors.InputsFull: 409,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.AddressUnreachable: 503,
    errors.RequestError: 422,
    errors.TooManyRequests: 429,
    errors.DatabaseUnavailable: 503,
    errors.SignInUnavailable: 503,
    errors.StorageError: 503,
    errors.ImageJobsError: 500,
}


def status_of(error: type[ImageJobsError]) -> int:
    """The status of the nearest ancestor that has one."""
    return next(STATUSES[ancestor] for ancestor in error.__mro__ if ancestor in STATUSES)


def problem(error: ImageJobsError) -> Response:
    """The error as a problem document; `error` inside repeats it for the pages that read that member."""
    status = status_of(type(error))
    document: dict[str, Any] = {
        "type": f"urn:imagejobs:error:{error.reason}",
        "title": error.reason.replace("_", " ").capitalize(),
        "status": status,
        "detail": error.detail,
        "code": error.code.value,
        "reason": error.reason,
    }
    if isinstance(error, errors.InvalidField):
        document["field"] = error.field
    document["error"] = {
        "code": error.code.value,
        "message": error.detail,
        "failureStage": None,
        "reason": error.reason,
        "billed": error.billed.value,
        "retryable": error.retryable,
    }
    body = json.dumps(document, ensure_ascii=True).encode()
    return Response(body, status, headers=_headers(error, status), media_type="application/problem+json")


def _headers(error: ImageJobsError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="imagejobs"'
    if isinstance(error, errors.MethodNotAllowed):
        headers["allow"] = error.allow
    if isinstance(error, errors.TooManyRequests):
        headers["retry-after"] = str(max(1, round(error.retry_after_seconds or 0)))
    elif status == 408:
        headers["connection"] = "close"
    elif status == 503:
        headers["retry-after"] = "2"
    return headers


def install_handlers(app: FastAPI) -> None:
    """Make every way a request can fail end in a problem document."""

    @app.exception_handler(ImageJobsError)
    async def on_known(_: Request, error: ImageJobsError) -> Response:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return problem(_explain(request, error.errors()))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return problem(_from_http(request, error))


def _from_http(request: Request, error: HTTPException) -> ImageJobsError:
    match error.status_code:
        case 404:
            return errors.NotFound("There is nothing at this address.")
        case 405:
            # Not what the error says: the router names the methods of one route of the address only.
            scopes = [{**request.scope, "method": one} for one in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")]
            taken = (one for one in scopes if any(route.matches(one)[0] is Match.FULL for route in request.app.routes))
            allow = ", ".join(one["method"] for one in taken)
            return errors.MethodNotAllowed(f"This address does not take {request.method}; it takes {allow}.", allow)
        case 408:
            return errors.RequestTooSlow(error.detail)
        case 413:
            return errors.BodyTooLarge(error.detail)
        case _:
            return errors.MalformedRequest("The request could not be read; send a JSON object in UTF-8.")


def _explain(request: Request, found: Sequence[Mapping[str, Any]]) -> ImageJobsError:
    """One error for what validation found: the field by the name the caller used, and the limit."""
    first = found[0]
    if first["type"] == "json_invalid":
        return errors.MalformedRequest(f"The body is not JSON: {first.get('ctx', {}).get('error', 'it does not parse')}.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if first["loc"] == ("body",) and media_type != "application/json":
        return errors.UnsupportedMediaType("Send the body as application/json.")
    if first["loc"] == ("body",) and first["type"] in ("model_attributes_type", "missing", "model_type"):
        return errors.MalformedRequest("The body must be a JSON object.")
    field, *others = list(dict.fromkeys(".".join(map(str, one["loc"][1:])) or str(one["loc"][0]) for one in found))
    unnamed = len(others) - _MOST_NAMED
    named = ", ".join(name[:100] for name in others[:_MOST_NAMED]) + (f" and {unnamed} more" if unnamed > 0 else "")
    return errors.InvalidField(field, _sentence(first) + (f" Wrong too: {named}." if others else ""))


_MOST_NAMED = 4

_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text, a string",
    "too_short": "must not be empty: at least {min_length} character",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "too_long": "must have at most {max_length} {parts}",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
}


def _sentence(found: Mapping[str, Any]) -> str:
    """What is wrong in plain words, with the limit; the validator's own words where we have none."""
    template = _SENTENCES.get(found["type"])
    if template is not None:
        parts = "characters" if isinstance(found["input"], str) else "items"
        return template.format(**found.get("ctx", {}), parts=parts) + "."
    message = str(found["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:] + "."
