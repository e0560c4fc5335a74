"""The OpenAPI document says what the routes read and within which bounds, exactly."""

import re
from typing import Any

from tests.docs.test_shape import PACKAGE, ROOT
from tests.support.declared import DOCUMENT

PAGE = (ROOT / "docs/reference/http-api.md").read_text()
OF_HTTP = {"accept", "content-type", "range", "if-range"}  # said by other parts of the document, or by the status 206


def headers_of(method: str, path: str) -> set[str]:
    parameters: list[dict[str, Any]] = DOCUMENT["paths"][path][method].get("parameters", [])
    return {one["name"] for one in parameters if one["in"] == "header"}


def test_a7_a14_the_headers_that_a_route_reads_are_declared() -> None:
    job = "/api/images/jobs/{job_id}"
    assert headers_of("post", "/api/images/generate") == {"Idempotency-Key"}
    assert headers_of("get", job) == {"If-None-Match", "Prefer"}
    assert headers_of("get", "/api/images/jobs") == {"If-None-Match"}
    assert headers_of("get", f"{job}/events") == {"If-None-Match", "Last-Event-ID"}
    assert headers_of("get", "/files/{key}") == {"If-None-Match"}
    assert "last_event_id" in {one["name"] for one in DOCUMENT["paths"][f"{job}/events"]["get"]["parameters"]}


def test_no_header_is_read_that_no_route_declares() -> None:
    sources = "".join(
        path.read_text() for path in (PACKAGE / "web").rglob("*.py") if path.name not in ("cors.py", "rates.py")
    )
    read = {name.lower() for name in re.findall(r'request\.headers\.(?:get|getlist)\(\s*"([\w-]+)"', sources)}
    declared = {
        name.lower() for path, found in DOCUMENT["paths"].items() for method in found for name in headers_of(method, path)
    }
    assert read - OF_HTTP == declared


def test_a_bound_is_told_as_the_integer_that_it_is() -> None:
    (seed, _) = DOCUMENT["components"]["schemas"]["GenerateBody"]["properties"]["seed"]["anyOf"]
    assert (repr(seed["maximum"]), repr(seed["minimum"])) == (str(2**63 - 1), "0")
    assert str(2**63 - 1) in PAGE


def test_the_page_says_what_a_body_is_and_which_jobs_need_a_branch() -> None:
    assert "Body: ." not in PAGE
    assert "Body: `image/png`, `image/jpeg`, `image/webp`, `application/octet-stream`." in PAGE
    (branch,) = re.findall(r"^\| `branchId` \|.*\|.*\| (.+) \|$", PAGE.partition("### GenerateBody")[2], re.MULTILINE)[:1]
    assert "`generate` and `edit`" in branch
