"""The OpenAPI document: how each route fails, of which the framework knows nothing and would promise another body."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from imagejobs.web.api.answers import Problem
from imagejobs.web.api.requests import GenerateBody, reads

_PLACE = "#/components/schemas/{model}"
_BODY = {"application/problem+json": {"schema": {"$ref": _PLACE.format(model="Problem")}}}


class DescribedApi(FastAPI):
    """An application that describes its problem documents. What only one route fails with, that route says."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        schemas = document["components"]["schemas"]
        for body in (Problem, GenerateBody):  # of which the framework knows nothing, and the bounds as floats only
            schemas[body.__name__] = body.model_json_schema(ref_template=_PLACE)
            schemas |= schemas[body.__name__].pop("$defs")
        for name in ("HTTPValidationError", "ValidationError"):
            del schemas[name]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _describe_failures(path, operation)
        return document


def _describe_failures(path: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    if "304" in answers:
        known = reads(If_None_Match="The `ETag` of an earlier answer: 304 while it holds.")["parameters"]
        operation.setdefault("parameters", []).extend(known)
    own = {int(status) for status in answers if int(status) >= 400 and "security" in operation}
    for status in sorted({*own, *_failures(path, operation)}):
        answers.setdefault(str(status), {"description": HTTPStatus(status).phrase})["content"] = _BODY


def _failures(path: str, operation: Mapping[str, Any]) -> Iterator[int]:
    """The statuses that follow from what the route takes."""
    has_body = "requestBody" in operation
    if "security" in operation:
        yield from (400, 401, 403, 429, 500, 503)
        yield from (422,) if has_body or "parameters" in operation else ()
    if "{" in path or has_body:
        yield from (404, 500, 503)
    if has_body:
        yield from (408, 413, 415)
