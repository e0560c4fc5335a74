"""The adapter `gemini` against a fake of Google: pictures, the fallback, interactions, and that the bill agrees."""

import asyncio
import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.requests import Picture
from imagejobs.errors import ModelUnavailable, NoImageReturned, OutcomeUnknown, ProviderKeyRejected, ProviderRejected
from imagejobs.ports import Answer, Submitted
from imagejobs.providers.gemini.adapter import Gemini
from tests.support.gemini_calls import WEB_PAGE, a_call, error_of, generation, polled, submitted
from tests.support.gemini_server import KEY, MODEL, GeminiServer, Reply, refusal

TINY = "aGVsbG8="
BAD_POLLS = [
    *(refusal(status, "X", "said") for status in (408, 429, 499, 500, 503, 504)),
    Reply(status=502, **WEB_PAGE),
    Reply(status=200, **WEB_PAGE),
    Reply(document=[]),
    Reply(document={"status": "something_new"}),
    Reply(hang_up=True),
]


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


@pytest.mark.parametrize("stated", ["image/png\0", "image/\ud800"])
async def test_p4_a_type_that_no_column_takes_does_not_cost_the_picture(
    google: GeminiServer, plain: Gemini, stated: str
) -> None:
    google.next.append(parts({"inlineData": {"mimeType": stated, "data": TINY}}))
    answer = await plain.submit(a_call())
    assert isinstance(answer, Answer)
    assert (answer.data, answer.media_type) == (b"hello", "application/octet-stream")


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
    assert isinstance(await error_of(plain.submit(a_call(seconds=2.0))), OutcomeUnknown)
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


@pytest.mark.parametrize("name", [None, "", 7, "a b", "\x00", "\ud800", "x" * 1001], ids=ascii)
async def test_an_interaction_without_a_usable_id_is_unknown(google: GeminiServer, gemini: Gemini, name: object) -> None:
    google.next.append(Reply(document={"status": "queued", "id": name}))
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
