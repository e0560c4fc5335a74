"""The adapter `gemini` against a fake of Google: what each answer becomes, and that the bill agrees."""

import asyncio
import base64
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from google.genai import types
from google.genai.interactions import InteractionStatus
from PIL import Image

from imagejobs.domain.jobs import JobType, ResumeClass
from imagejobs.domain.requests import GenerationRequest, Picture
from imagejobs.errors import (
    Billed,
    ContentRefused,
    ModelUnavailable,
    NoImageReturned,
    OutcomeUnknown,
    ProviderError,
    ProviderKeyRejected,
    ProviderRejected,
    ProviderThrottled,
)
from imagejobs.net.http import Outbound
from imagejobs.ports import Answer, Call, Submitted
from imagejobs.providers.gemini.adapter import Gemini
from imagejobs.providers.gemini.catalogue import load_catalogue
from tests.support.gemini_server import KEY, MODEL, GeminiServer, Reply, refusal, running_gemini

PAGE = (Path(__file__).parents[2] / "docs/reference/providers/gemini.md").read_text()
NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
CATALOGUE = load_catalogue()
TINY = "aGVsbG8="
WEB_PAGE: dict[str, Any] = {"content": b"<html>Error</html>", "headers": {"content-type": "text/html"}}


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
    ("429", "RESOURCE_EXHAUSTED, a quota of 0"): refusal(
        429, "RESOURCE_EXHAUSTED", "Wait.", quota(quotaId="X", quotaValue="0"), LATER
    ),
    ("429", "RESOURCE_EXHAUSTED, a quota FreeTier"): refusal(
        429, "RESOURCE_EXHAUSTED", "", quota(quotaId="GenerateRequestsPerDayPerProjectPerModel-FreeTier", quotaValue="10")
    ),
    ("429", "detail MODEL_CAPACITY_EXHAUSTED"): refusal(429, "RESOURCE_EXHAUSTED", "", info("MODEL_CAPACITY_EXHAUSTED")),
    ("429", "in a list of one"): Reply(status=429, document=[THROTTLED.document]),
    ("499", "CANCELLED"): refusal(499, "CANCELLED"),
    ("500", "INTERNAL"): refusal(500, "INTERNAL", "An internal error has occurred."),
    ("502", "a web page"): Reply(status=502, **WEB_PAGE),
    ("503", "UNAVAILABLE"): refusal(503, "UNAVAILABLE", "The model is overloaded."),
    ("503", "a web page"): Reply(status=503, **WEB_PAGE),
    ("504", "DEADLINE_EXCEEDED"): refusal(504, "DEADLINE_EXCEEDED"),
    ("200", "a web page"): Reply(status=200, **WEB_PAGE),
}
MEANT = {(row[0], row[1]): (row[2], row[3]) for row in rows("HTTP")}
BAD_POLLS = [
    *(refusal(status, "X", "said") for status in (408, 429, 499, 500, 503, 504)),
    Reply(status=502, **WEB_PAGE),
    Reply(status=200, **WEB_PAGE),
    Reply(document=[]),
    Reply(document={"status": "something_new"}),
    Reply(hang_up=True),
]


@pytest.fixture
async def google() -> AsyncIterator[GeminiServer]:
    async with running_gemini() as service:
        yield service


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """One for all: its TLS takes longer to set up than a test."""
    made = Outbound()
    yield made
    await made.close()


@pytest.fixture
def gemini(google: GeminiServer, outbound: Outbound) -> Gemini:
    return Gemini(
        outbound=outbound, base_url=google.url, api_key=KEY, timeout_seconds=None, catalogue=CATALOGUE, now=lambda: NOW
    )


@pytest.fixture
async def plain(google: GeminiServer, gemini: Gemini) -> Gemini:
    """The adapter once it knows that there is no background."""
    google.refuses_background = True
    await gemini.submit(a_call())
    google.bill.clear()
    google.asked.clear()
    return gemini


def a_call(seconds: float = 5.0, **changes: Any) -> Call:
    wanted = {"prompt": "a red fox", "width": 1024, "height": 1024, "model": MODEL, **changes}
    return Call(
        request=GenerationRequest(job_type=JobType.GENERATE, **wanted), idempotency_key="k", deadline_seconds=seconds
    )


async def error_of(asked: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await asked
    return raised.value


async def submitted(gemini: Gemini) -> str:
    answer = await gemini.submit(a_call())
    assert isinstance(answer, Submitted)
    return answer.remote_id


async def polled(gemini: Gemini, remote_id: str) -> Answer:
    while True:
        answer = await gemini.poll(remote_id, a_call())
        if isinstance(answer, Answer):
            return answer


# The page's tables.


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


def generation(reason: str | None, **more: Any) -> Reply:
    candidates = [] if reason is None else [{"index": 0, "finishReason": reason, "finishMessage": "because"}]
    return Reply(document={"candidates": candidates, **more})


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
        ({"promptTokenCount": 0, "totalTokenCount": 0}, Billed.NO),
        ({"promptTokenCount": "many", "candidatesTokenCount": -1}, Billed.NO),
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


# Pictures.


async def test_a_picture_of_the_exact_size_at_the_price_of_its_tokens(google: GeminiServer, plain: Gemini) -> None:
    answer = await plain.submit(a_call(width=1920, height=1080))
    assert isinstance(answer, Answer)
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert picture.size == (2752, 1536)
    assert (answer.media_type, answer.remote_id) == ("image/png", "made-0")
    assert (answer.cost.micros, answer.cost.estimated) == (google.billed_micros, False)


async def test_the_same_in_the_background(google: GeminiServer, gemini: Gemini) -> None:
    remote_id = await submitted(gemini)
    waiting = await gemini.poll(remote_id, a_call())
    assert waiting == Submitted(remote_id=remote_id, poll_after_seconds=2.0)
    first, second = await polled(gemini, remote_id), await polled(gemini, remote_id)
    assert first == second
    assert (first.cost.micros, first.cost.estimated, first.remote_id) == (google.billed_micros, False, remote_id)
    assert len(google.bill) == 1


def parts(*found: Mapping[str, Any], reason: str = "STOP", **more: Any) -> Reply:
    candidate = {"finishReason": reason, "content": {"role": "model", "parts": list(found)}}
    return Reply(document={"candidates": [candidate], **more})


DRAFT = {"thought": True, "inlineData": {"mimeType": "image/png", "data": "ZHJhZnQ="}}


@pytest.mark.parametrize(
    "reply",
    [
        parts(DRAFT, {"text": "Here:"}, {"inlineData": {"mimeType": "image/jpeg", "data": TINY}}, DRAFT),
        parts({"inline_data": {"mime_type": "image/jpeg", "data": TINY}}),
        parts({"inlineData": {"mimeType": "image/jpeg", "data": TINY}}, reason="MAX_TOKENS"),
        parts({"inlineData": {"mimeType": "image/jpeg", "data": TINY}}, usageMetadata={"candidatesTokenCount": 1120}),
    ],
)
async def test_drafts_are_skipped_the_type_is_the_stated_one_and_a_picture_is_taken_whatever_else_is_said(
    google: GeminiServer, plain: Gemini, reply: Reply
) -> None:
    google.next.append(reply)
    answer = await plain.submit(a_call())
    assert isinstance(answer, Answer)
    assert (answer.data, answer.media_type) == (b"hello", "image/jpeg")
    assert (answer.cost.micros, answer.cost.estimated) == (33_600, True)


@pytest.mark.parametrize(
    "reply",
    [
        parts(DRAFT),
        parts({"text": "I cannot."}),
        parts({"inlineData": {"mimeType": "image/png", "data": ""}}),
        parts({"inlineData": "?"}),
        Reply(document={"candidates": "?"}),
        Reply(document={"candidates": [None, {"content": 7}]}),
        Reply(document={}),
    ],
)
async def test_a_success_without_a_picture_is_an_error(google: GeminiServer, plain: Gemini, reply: Reply) -> None:
    google.next.append(reply)
    assert isinstance(await error_of(plain.submit(a_call())), NoImageReturned)


async def test_a_lost_answer_is_unknown_and_was_billed(google: GeminiServer, plain: Gemini) -> None:
    google.next.append(Reply(hang_up=True, makes=True))
    assert isinstance(await error_of(plain.submit(a_call())), OutcomeUnknown)
    google.next.append(Reply(delay_seconds=60, makes=True))
    assert isinstance(await error_of(plain.submit(a_call(seconds=0.2))), OutcomeUnknown)
    assert len(google.bill) == 2


async def test_no_text_of_google_carries_our_key(google: GeminiServer, plain: Gemini) -> None:
    for reply in (
        refusal(400, "INVALID_ARGUMENT", f"Key {KEY} at https://x.example/a?key={KEY}\r\n"),
        refusal(500, f"INTERNAL {KEY}", KEY),
        generation("SAFETY", promptFeedback={"blockReason": "SAFETY", "blockReasonMessage": KEY}),
    ):
        google.next.append(reply)
        error = await error_of(plain.submit(a_call()))
        assert KEY not in error.detail
        assert "\n" not in error.detail


# The fallback.


async def test_refused_background_falls_back_once_and_is_remembered(google: GeminiServer, gemini: Gemini) -> None:
    google.refuses_background = True
    assert gemini.plan(a_call().request).resume_class is ResumeClass.LOOKUP
    assert isinstance(await gemini.submit(a_call()), Answer)
    assert gemini.plan(a_call().request).resume_class is ResumeClass.NONE
    assert gemini.plan(a_call(model="gemini-3-pro-image").request).resume_class is ResumeClass.LOOKUP
    assert isinstance(await gemini.submit(a_call()), Answer)
    paths = [asked.path for asked in google.asked]
    assert paths == ["/v1/interactions", *[f"/v1/models/{MODEL}:generateContent"] * 2]
    assert len(google.bill) == 2


async def test_an_address_without_interactions_counts_as_refused(google: GeminiServer, gemini: Gemini) -> None:
    google.next.append(Reply(status=404, **WEB_PAGE))
    assert isinstance(await gemini.submit(a_call()), Answer)
    assert len(google.bill) == 1


async def test_an_answer_lost_after_the_fallback_is_unknown_and_not_sent_again(google: GeminiServer, gemini: Gemini) -> None:
    google.refuses_background = True
    google.next.append(Reply(hang_up=True, makes=True))
    error = await error_of(gemini.submit(a_call()))
    assert isinstance(error, OutcomeUnknown)
    assert (len(google.bill), len(google.asked)) == (1, 2)


async def test_a_wish_that_is_refused_both_ways_says_nothing_of_the_background(google: GeminiServer, gemini: Gemini) -> None:
    wrong = refusal(400, "INVALID_ARGUMENT", "The text “background: interaction” is not allowed.")
    google.next.extend([wrong, wrong])
    assert isinstance(await error_of(gemini.submit(a_call())), ProviderRejected)
    assert gemini.plan(a_call().request).resume_class is ResumeClass.LOOKUP


async def test_another_400_is_no_refusal_of_the_background(google: GeminiServer, gemini: Gemini) -> None:
    google.next.append(refusal(400, "INVALID_ARGUMENT", "Bad aspect ratio."))
    await error_of(gemini.submit(a_call()))
    assert len(google.asked) == 1


# Interactions.


@pytest.mark.parametrize("trouble", BAD_POLLS, ids=lambda reply: f"{reply.status}")
async def test_a_poll_in_trouble_is_made_again_and_the_picture_is_not_lost(
    google: GeminiServer, gemini: Gemini, trouble: Reply
) -> None:
    remote_id = await submitted(gemini)
    google.on_poll.append(trouble)
    again = await gemini.poll(remote_id, a_call())
    assert isinstance(again, Submitted)
    assert again.remote_id == remote_id
    assert again.poll_after_seconds >= 2
    assert (await polled(gemini, remote_id)).data


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_poll_never_says_that_nothing_was_bought(google: GeminiServer, gemini: Gemini, status: int) -> None:
    remote_id = await submitted(gemini)
    google.on_poll.append(refusal(status, "NO"))
    assert isinstance(await error_of(gemini.poll(remote_id, a_call())), OutcomeUnknown)


async def test_an_id_of_any_kind_stays_in_its_place(google: GeminiServer, gemini: Gemini) -> None:
    assert isinstance(await error_of(gemini.poll("../models/x?key=1", a_call())), OutcomeUnknown)
    assert google.asked[-1].path == "/v1/interactions/..%2Fmodels%2Fx%3Fkey%3D1"


async def test_an_interaction_that_ends_at_once_is_answered_at_once(google: GeminiServer, gemini: Gemini) -> None:
    content = {"type": "image", "mime_type": "image/webp", "data": TINY}
    document = {"id": "i", "status": "completed", "steps": [{"type": "model_output", "content": [content]}]}
    google.next.append(Reply(document=document))
    answer = await gemini.submit(a_call())
    assert isinstance(answer, Answer)
    assert (answer.data, answer.media_type, answer.remote_id) == (b"hello", "image/webp", "i")


async def test_an_interaction_without_an_id_is_unknown(google: GeminiServer, gemini: Gemini) -> None:
    google.next.append(Reply(document={"status": "queued"}))
    assert isinstance(await error_of(gemini.submit(a_call())), OutcomeUnknown)


async def test_cancel_is_passed_on_and_never_counts_as_free(google: GeminiServer, gemini: Gemini) -> None:
    remote_id = await submitted(gemini)
    assert await gemini.cancel(remote_id) is False
    assert (google.asked[-1].method, google.asked[-1].path) == ("POST", f"/v1/interactions/{remote_id}/cancel")


async def test_a_model_that_died_meanwhile_is_still_asked_for(gemini: Gemini) -> None:
    remote_id = await submitted(gemini)
    retired = a_call(model="gemini-3.1-flash-image")
    assert isinstance(await gemini.poll(remote_id, retired), Submitted)
    assert isinstance(await error_of(gemini.submit(retired)), ModelUnavailable)


# Keys and checks.


async def test_check_is_free_and_names_a_bad_key(google: GeminiServer, gemini: Gemini) -> None:
    assert (await gemini.check()).ok
    google.key = "another"
    health = await gemini.check()
    assert not health.ok
    assert "IMAGEJOBS_GEMINI_API_KEY" in health.detail
    assert isinstance(await error_of(gemini.submit(a_call())), ProviderKeyRejected)
    assert not google.bill


async def test_input_pictures_arrive_whole_before_the_words(google: GeminiServer, plain: Gemini) -> None:
    picture = Picture(data=bytes(range(256)) * 20_000, media_type="image/webp")
    await plain.submit(a_call(source_image=picture, negative_prompt="dogs"))
    first, last = google.asked[-1].body["contents"][0]["parts"]
    assert base64.b64decode(first["inlineData"]["data"]) == picture.data
    assert last == {"text": "a red fox\n\nAvoid: dogs"}
    assert KEY not in json.dumps(google.asked[-1].body)


async def test_twenty_calls_at_once_get_their_own_pictures(google: GeminiServer, gemini: Gemini) -> None:
    ids = [await submitted(gemini) for _ in range(20)]
    answers = await asyncio.gather(*(polled(gemini, remote_id) for remote_id in ids))
    assert [answer.remote_id for answer in answers] == ids
    assert len({answer.data for answer in answers}) == len(google.bill) == 20
