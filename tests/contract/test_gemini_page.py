"""The tables of the gemini page, row by row: what each error and each answer without a picture becomes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from google.genai import types
from google.genai.interactions import InteractionStatus

from imagejobs.errors import Billed, ContentRefused, OutcomeUnknown, ProviderThrottled
from imagejobs.ports import Submitted
from imagejobs.providers.gemini.adapter import Gemini
from tests.support.gemini_calls import WEB_PAGE, a_call, error_of, generation, submitted
from tests.support.gemini_server import GeminiServer, Reply, refusal

PAGE = (Path(__file__).parents[2] / "docs/reference/providers/gemini.md").read_text()


def rows(header: str) -> list[list[str]]:
    """The rows of the page's table with that first column; code marks removed."""
    table = PAGE.partition(f"| {header} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table]


def words(cell: str) -> list[str]:
    """The values that a row is about, one of our own for “any new one”."""
    return [re.sub(r"any new one", "SOMETHING_NEW", one.strip()) for one in cell.partition(":")[0].split(",")]


def quota(**violation: str) -> Mapping[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def info(reason: str) -> Mapping[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


LATER = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "57.238747106s"}
THROTTLED = refusal(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.")
ERRORS: dict[tuple[str, str], Reply] = {
    ("400", "INVALID_ARGUMENT"): refusal(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    ("400", "INVALID_ARGUMENT, detail API_KEY_INVALID"): refusal(400, "INVALID_ARGUMENT", "Bad.", info("API_KEY_INVALID")),
    ("400", "FAILED_PRECONDITION: no billing, or a region that is not served"): refusal(
        400, "FAILED_PRECONDITION", "User location is not supported for the API use."
    ),
    ("401", "UNAUTHENTICATED"): refusal(401, "UNAUTHENTICATED"),
    ("403", "PERMISSION_DENIED"): refusal(403, "PERMISSION_DENIED"),
    ("404", "NOT_FOUND"): refusal(404, "NOT_FOUND", "models/x is not found."),
    ("408", "DEADLINE_EXCEEDED"): refusal(408, "DEADLINE_EXCEEDED"),
    ("413", "a web page"): Reply(status=413, **WEB_PAGE),
    ("429", "RESOURCE_EXHAUSTED, without details"): THROTTLED,
    ("429", "RESOURCE_EXHAUSTED, retryDelay 57.2 s"): refusal(429, "RESOURCE_EXHAUSTED", "Wait.", LATER),
    ("429", "RESOURCE_EXHAUSTED, a quota PerDay: waits until midnight in California"): refusal(
        429,
        "RESOURCE_EXHAUSTED",
        "Wait.",
        quota(quotaId="GenerateRequestsPerDayPerProjectPerModel", quotaValue="250"),
        LATER,
    ),
    ("429", "RESOURCE_EXHAUSTED, a quota of 0: none for this model"): refusal(
        429, "RESOURCE_EXHAUSTED", "Wait.", quota(quotaId="X", quotaValue="0"), LATER
    ),
    ("429", "RESOURCE_EXHAUSTED, a quota FreeTier: none for this model"): refusal(
        429, "RESOURCE_EXHAUSTED", "", quota(quotaId="GenerateRequestsPerDayPerProjectPerModel-FreeTier", quotaValue="10")
    ),
    ("429", "detail MODEL_CAPACITY_EXHAUSTED"): refusal(429, "RESOURCE_EXHAUSTED", "", info("MODEL_CAPACITY_EXHAUSTED")),
    ("429", "in a list of one"): Reply(status=429, document=[THROTTLED.document]),
    ("499", "CANCELLED"): refusal(499, "CANCELLED"),
    ("499", "a web page"): Reply(status=499, **WEB_PAGE),
    ("500", "INTERNAL"): refusal(500, "INTERNAL", "An internal error has occurred."),
    ("502", "a web page"): Reply(status=502, **WEB_PAGE),
    ("503", "UNAVAILABLE"): refusal(503, "UNAVAILABLE", "The model is overloaded."),
    ("503", "a web page"): Reply(status=503, **WEB_PAGE),
    ("504", "DEADLINE_EXCEEDED"): refusal(504, "DEADLINE_EXCEEDED"),
    ("200", "a web page"): Reply(status=200, **WEB_PAGE),
}
MEANT = {(row[0], row[1]): (row[2], row[3]) for row in rows("HTTP")}


def test_the_page_has_every_row_and_no_other() -> None:
    assert set(MEANT) == set(ERRORS)
    reasons = {word for row in rows("`finishReason`") for word in words(row[0])}
    blocks = {word for row in rows("`blockReason`") for word in words(row[0])}
    statuses = {word for row in rows("status of an interaction") for word in words(row[0])}
    assert reasons - {"SOMETHING_NEW"} == {reason.value for reason in types.FinishReason}
    assert blocks - {"SOMETHING_NEW"} == {reason.value for reason in types.BlockedReason}
    assert statuses - {"SOMETHING_NEW"} == set(get_args(get_args(InteractionStatus)[0]))


@pytest.mark.parametrize("row", ERRORS, ids="-".join)
async def test_an_error_of_generate_content_is_what_the_page_says(
    google: GeminiServer, plain: Gemini, row: tuple[str, str]
) -> None:
    google.next.append(ERRORS[row])
    error = await error_of(plain.submit(a_call()))
    assert (error.reason, error.billed.value) == MEANT[row]
    assert len(google.asked) == 1
    assert not google.bill


@pytest.mark.parametrize("row", ERRORS, ids="-".join)
async def test_an_error_of_interactions_is_the_same(google: GeminiServer, gemini: Gemini, row: tuple[str, str]) -> None:
    google.next.append(ERRORS[row])
    error = await error_of(gemini.submit(a_call()))
    assert (error.reason, error.billed.value) == MEANT[row]
    assert len(google.asked) == 1


@pytest.mark.parametrize(
    ("row", "least", "most"),
    [
        ("RESOURCE_EXHAUSTED, without details", None, None),
        ("RESOURCE_EXHAUSTED, retryDelay 57.2 s", 57.2, 57.3),
        ("RESOURCE_EXHAUSTED, a quota PerDay: waits until midnight in California", 12 * 3600, 12 * 3600),
    ],
)
async def test_the_stated_wait_is_in_the_body(
    google: GeminiServer, plain: Gemini, row: str, least: float | None, most: float | None
) -> None:
    google.next.append(ERRORS["429", row])
    error = await error_of(plain.submit(a_call()))
    assert isinstance(error, ProviderThrottled)
    wait = error.retry_after_seconds
    assert wait is None if least is None or most is None else (wait is not None and least <= wait <= most)


REASONS = [(word, row[1]) for row in rows("`finishReason`") for word in words(row[0])]
BLOCKS = [(word, row[1]) for row in rows("`blockReason`") for word in words(row[0])]
STATUSES = [(word, row[1]) for row in rows("status of an interaction") for word in words(row[0])]


@pytest.mark.parametrize(("reason", "meant"), REASONS)
async def test_a_finish_reason_without_a_picture(google: GeminiServer, plain: Gemini, reason: str, meant: str) -> None:
    google.next.append(generation(reason))
    error = await error_of(plain.submit(a_call()))
    assert (error.reason, error.billed) == (meant, Billed.UNKNOWN)
    assert reason in error.detail


@pytest.mark.parametrize(("reason", "meant"), BLOCKS)
async def test_a_blocked_prompt(google: GeminiServer, plain: Gemini, reason: str, meant: str) -> None:
    google.next.append(generation(None, promptFeedback={"blockReason": reason, "blockReasonMessage": "no"}))
    error = await error_of(plain.submit(a_call()))
    assert (error.reason, error.billed) == (meant, Billed.UNKNOWN)


@pytest.mark.parametrize(("status", "meant"), STATUSES)
async def test_a_status_of_an_interaction(google: GeminiServer, gemini: Gemini, status: str, meant: str) -> None:
    remote_id = await submitted(gemini)
    google.on_poll.append(Reply(document={"id": remote_id, "status": status}))
    if meant == "asked again":
        assert isinstance(await gemini.poll(remote_id, a_call()), Submitted)
        return
    error = await error_of(gemini.poll(remote_id, a_call()))
    assert (error.reason, error.billed) == (meant.partition(";")[0], Billed.UNKNOWN)
    usage = {"total_output_tokens": 5}
    google.on_poll.append(Reply(document={"id": remote_id, "status": status, "usage": usage}))
    error = await error_of(gemini.poll(remote_id, a_call()))
    assert error.billed is Billed.YES
    assert not isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize(
    ("usage", "billed"),
    [
        ({"promptTokenCount": 8, "candidatesTokenCount": 1120}, Billed.YES),
        ({"promptTokenCount": 8, "thoughtsTokenCount": 3}, Billed.YES),
        ({"promptTokenCount": 8}, Billed.UNKNOWN),
        ({"promptTokenCount": 0, "totalTokenCount": 0}, Billed.UNKNOWN),
        ({"promptTokenCount": "many", "candidatesTokenCount": -1}, Billed.UNKNOWN),
    ],
)
async def test_whether_a_refusal_was_charged_is_told_by_the_usage(
    google: GeminiServer, plain: Gemini, usage: Mapping[str, Any], billed: Billed
) -> None:
    google.next.append(generation("IMAGE_SAFETY", usageMetadata=usage))
    error = await error_of(plain.submit(a_call()))
    assert (type(error), error.billed) == (ContentRefused, billed)


@pytest.mark.parametrize(
    "trouble",
    [
        {"errors": [{"code": "https://ai.google.dev/errors/image_safety", "message": "Blocked by policy."}]},
        {"steps": [{"type": "model_output", "error": {"code": 3, "message": "PROHIBITED_CONTENT"}}]},
    ],
)
@pytest.mark.parametrize("status", ["completed", "failed", "incomplete"])
async def test_a_refused_interaction_is_content_refused(
    google: GeminiServer, gemini: Gemini, status: str, trouble: Mapping[str, Any]
) -> None:
    remote_id = await submitted(gemini)
    google.on_poll.append(Reply(document={"id": remote_id, "status": status, **trouble}))
    assert isinstance(await error_of(gemini.poll(remote_id, a_call())), ContentRefused)
