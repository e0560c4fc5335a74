"""The generic contract: each form of answer, each status, and whose word counts for the money."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.domain.jobs import JobType, ResumeClass
from imagejobs.domain.requests import GenerationRequest, Picture, ReferenceRole
from imagejobs.errors import (
    Billed,
    ConfigurationError,
    NoImageReturned,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.ports import Answer, Call, ProviderConfig, Submitted
from imagejobs.providers.nanobanana import HOME, NanoBanana, provider
from tests.conftest import free_port
from tests.support.nanobanana_server import API_KEY, MICROS, NanoBananaServer, an_adapter

PAGE = Path(__file__).parents[2] / "docs/reference/providers/nanobanana.md"
PLAIN = GenerationRequest(job_type=JobType.GENERATE, prompt="a fox", width=64, height=48, model="nanobanana", seed=7)


@pytest.fixture
async def shop() -> AsyncIterator[tuple[NanoBananaServer, NanoBanana]]:
    server = NanoBananaServer()
    made = an_adapter(server.start())
    yield server, made
    await made.close()
    server.stop()


def a_call(prompt: str = "a fox", request: GenerationRequest = PLAIN) -> Call:
    return Call(request=replace(request, prompt=prompt), idempotency_key="k", deadline_seconds=30.0)


async def bought(made: NanoBanana, call: Call) -> Answer:
    answer = await made.submit(call)
    while isinstance(answer, Submitted):
        answer = await made.poll(answer.remote_id, call)
    return answer


@pytest.mark.parametrize("form", ["base64", "link", "data link", "job", "job by id", "data url", "picture"])
async def test_d1_each_form_of_answer_brings_the_picture_and_its_cost(
    shop: tuple[NanoBananaServer, NanoBanana], form: str
) -> None:
    server, made = shop
    answer = await bought(made, a_call(form))
    assert answer.data.startswith(b"\x89PNG")
    assert answer.media_type == "image/png"
    stated = form not in ("data url", "picture")
    assert (answer.cost.micros, answer.cost.estimated) == ((MICROS, False) if stated else (40_000, True))
    assert len(server.bill) == 1
    posts = [asked for asked in server.asked if asked.method == "POST"]
    assert [(asked.path, asked.authorization) for asked in posts] == [("/v1/generate", f"Bearer {API_KEY}")]
    assert posts[0].body == {"prompt": form, "width": 64, "height": 48, "seed": 7}


async def test_p5_work_without_an_id_to_ask_for_is_no_success(shop: tuple[NanoBananaServer, NanoBanana]) -> None:
    _, made = shop
    with pytest.raises(OutcomeUnknown, match="without saying under which id"):
        await made.submit(a_call("at work"))


async def test_d1_the_key_does_not_go_with_the_fetch_of_a_link(shop: tuple[NanoBananaServer, NanoBanana]) -> None:
    server, made = shop
    await bought(made, a_call("link"))
    assert [asked.authorization for asked in server.asked if "/pictures/" in asked.path] == [None]


async def test_an_inpaint_goes_to_its_own_route_with_its_pictures(shop: tuple[NanoBananaServer, NanoBanana]) -> None:
    server, made = shop
    source = Picture(data=b"source", media_type="image/png")
    style = Picture(data=b"style", media_type="image/webp", role=ReferenceRole.STYLE)
    request = replace(PLAIN, job_type=JobType.INPAINT, source_image=source, references=(style,), mask_description="the hat")
    await bought(made, a_call("a cap", request))
    (asked,) = server.asked
    assert asked.path == "/v1/inpaint"
    assert asked.body["source_image"] == "data:image/png;base64," + base64.b64encode(b"source").decode()
    assert asked.body["style_reference"] == "data:image/webp;base64," + base64.b64encode(b"style").decode()
    assert asked.body["mask_description"] == "the hat"


STATUSES: list[tuple[int, type[ProviderError]]] = [
        (301, ProviderRejected), (302, OutcomeUnknown), (400, ProviderRejected), (401, ProviderKeyRejected),
        (402, ProviderCreditExhausted), (403, ProviderKeyRejected), (404, ProviderRejected), (405, ProviderRejected),
        (408, OutcomeUnknown), (409, OutcomeUnknown), (413, ProviderRejected), (415, ProviderRejected),
        (418, ProviderRejected), (422, ProviderRejected), (429, ProviderThrottled), (451, ProviderRejected),
        (499, OutcomeUnknown), (500, OutcomeUnknown), (501, OutcomeUnknown), (502, OutcomeUnknown),
        (503, ProviderOverloaded), (504, OutcomeUnknown), (529, ProviderOverloaded), (599, OutcomeUnknown),
]  # fmt: skip


@pytest.mark.parametrize(("status", "expected"), STATUSES)
async def test_a8_each_status_is_one_error_and_bought_nothing(
    shop: tuple[NanoBananaServer, NanoBanana], status: int, expected: type[ProviderError]
) -> None:
    server, made = shop
    with pytest.raises(ProviderError, match=f"told to say {status}") as caught:
        await made.submit(a_call(f"status {status}"))
    assert type(caught.value) is expected
    assert server.bill == []
    if isinstance(caught.value, ProviderThrottled):
        assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_the_page_lists_each_status_with_its_reason(status: int, expected: type[ProviderError]) -> None:
    rows = [row.split("|")[1:3] for row in PAGE.read_text().splitlines() if row.startswith("|")]
    assert any(str(status) in where and f"`{expected.reason}`" in reason for where, reason in rows)


async def test_a9_a_wrong_key_is_said_without_its_text(shop: tuple[NanoBananaServer, NanoBanana]) -> None:
    server, _ = shop
    for key in ("your-nano-banana-api-key", "line\nend", "schlüssel"):
        made = an_adapter(f"http://127.0.0.1:{server._server.server_port}/v1", api_key=key)
        with pytest.raises(ProviderKeyRejected) as caught:
            await made.submit(a_call())
        assert key not in str(caught.value)
        await made.close()
    assert len(server.asked) == 1, "what cannot be a key is not sent"


async def test_p23_a_bought_picture_is_fetched_again_and_never_bought_again(
    shop: tuple[NanoBananaServer, NanoBanana],
) -> None:
    server, made = shop
    call = a_call("link")
    submitted = await made.submit(call)
    assert isinstance(submitted, Submitted)
    server.trouble = [503, 429]
    for _ in range(2):
        assert await made.poll(submitted.remote_id, call) == replace(submitted, poll_after_seconds=2.0)
    answer = await made.poll(submitted.remote_id, call)
    assert isinstance(answer, Answer)
    assert answer.cost.micros == MICROS
    assert len(server.bill) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_p23_a_link_that_is_gone_was_paid_for(shop: tuple[NanoBananaServer, NanoBanana], status: int) -> None:
    server, made = shop
    server.trouble = [status]
    with pytest.raises(NoImageReturned, match=str(status)) as caught:
        await bought(made, a_call("link"))
    assert caught.value.billed is Billed.YES


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://127.0.0.1:1/x", "file:///etc/passwd"])
async def test_c15_a_link_that_leads_inside_is_not_followed(shop: tuple[NanoBananaServer, NanoBanana], url: str) -> None:
    _, made = shop
    with pytest.raises(NoImageReturned, match="not fetched"):
        await made.poll(f'link:["{url}",null,null]', a_call())


async def test_a_link_too_long_to_be_remembered_is_fetched_at_once(
    shop: tuple[NanoBananaServer, NanoBanana], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagejobs.providers.nanobanana._LONGEST_ID", 10)
    assert isinstance(await shop[1].submit(a_call("link")), Answer)


async def test_polling_goes_on_through_trouble_and_ends_where_the_route_is_missing(
    shop: tuple[NanoBananaServer, NanoBanana],
) -> None:
    server, made = shop
    call = a_call("job")
    submitted = await made.submit(call)
    assert isinstance(submitted, Submitted)
    server.trouble = [500, 429]
    waits = [await made.poll(submitted.remote_id, call) for _ in range(3)]
    assert [wait.poll_after_seconds for wait in waits if isinstance(wait, Submitted)] == [7.0, 7.0, 1.0]
    with pytest.raises(OutcomeUnknown, match="IMAGEJOBS_NANOBANANA_POLL_PATH"):
        await made.poll("never-heard-of", call)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("failed", OutcomeUnknown),
        ("failed free", ProviderFailed),
        ("job failed", OutcomeUnknown),
        ("nothing", NoImageReturned),
    ],
)
async def test_p5_a_failure_that_names_no_price_stays_unknown(
    shop: tuple[NanoBananaServer, NanoBanana], form: str, expected: type[ProviderError]
) -> None:
    with pytest.raises(ProviderError) as caught:
        await bought(shop[1], a_call(form))
    assert type(caught.value) is expected


async def test_a_service_that_is_away_was_not_sent_anything() -> None:
    made = an_adapter(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderUnreachable):
        await made.submit(a_call())
    assert not (await made.check()).ok
    await made.close()


def test_the_resume_class_is_what_the_operator_says_of_the_service() -> None:
    assert an_adapter(HOME).plan(PLAIN).resume_class is ResumeClass.NONE
    assert an_adapter(HOME, poll_path="/tasks/{id}").plan(PLAIN).resume_class is ResumeClass.LOOKUP
    assert an_adapter(HOME, price="0.125").quote(PLAIN).micros == 125_000


def test_d1_without_a_key_there_is_no_such_provider() -> None:
    assert provider(ProviderConfig(base_url=HOME)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_url": "api.nanobanana.ai"}, "NANO_BANANA_API_URL"),
        ({"options": {"poll_path": "jobs"}}, "POLL_PATH"),
        ({"options": {"price": "cheap"}}, "PRICE"),
        ({"options": {"price": "-1"}}, "PRICE"),
        ({"options": {"price": "nan"}}, "PRICE"),
    ],
)
def test_d1_settings_that_can_never_work_are_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        provider(ProviderConfig(**{"api_key": "k", **changes}))  # type: ignore[arg-type]
