"""Every answer that a test sees is one that the OpenAPI document declares for its route, down to the problem's members."""

import re
from typing import Any

import httpx2

from imagejobs.web.api.answers import Problem
from imagejobs.web.server import create_app

DOCUMENT: dict[str, Any] = create_app(None).openapi()
_PATHS = [
    (re.compile(re.sub(r"\\{\w+\\}", "(.+)" if path.startswith("/files") else "([^/]+)", re.escape(path))), operations)
    for path, operations in DOCUMENT["paths"].items()
]
_PROBLEM = "application/problem+json"


async def require_declared(answer: httpx2.Response) -> None:
    """Fail where the route may not answer so; what is no route of ours, or another method, is nobody's to declare."""
    asked, media_type = answer.request, answer.headers.get("content-type", "").partition(";")[0]
    if media_type == _PROBLEM and asked.method != "HEAD":
        Problem.model_validate_json(await answer.aread())
    path = re.sub(r"\?.*", "", asked.url.raw_path.decode())
    for pattern, operations in _PATHS:
        if pattern.fullmatch(path) and asked.method.lower() in operations:
            declared = operations[asked.method.lower()]["responses"]
            where = f"{asked.method} {pattern.pattern} answered {answer.status_code}"
            assert str(answer.status_code) in declared, where
            if answer.status_code >= 400:
                content = declared[str(answer.status_code)].get("content")
                assert media_type in content if content else not await answer.aread(), where
            return
