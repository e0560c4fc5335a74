"""What the use cases rely on of every provider."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from PIL import Image

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import ProviderError, ProviderThrottled
from imagejobs.ports import Answer, Call, Provider, Submitted
from tests.contract.provider_cases import CASES, ProviderCase

FAILURES = [(name, number) for name, case in CASES.items() for number in range(len(case.failing))]
PATIENCE_SECONDS = 30.0


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str) -> ProviderCase:
    return CASES[name]


@pytest.fixture
async def provider(case: ProviderCase) -> AsyncIterator[Provider]:
    async with case.around():
        opened = case.open()
        yield opened
        await opened.close()


def call(request: GenerationRequest, key: str = "key-1", deadline_seconds: float = PATIENCE_SECONDS) -> Call:
    return Call(request=request, idempotency_key=key, deadline_seconds=deadline_seconds)


async def picture(provider: Provider, sent: Call) -> Answer:
    """The answer, polled for where the provider only took the request."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await provider.submit(sent)
        while isinstance(answer, Submitted):
            assert answer.remote_id
            await asyncio.sleep(min(answer.poll_after_seconds, 0.05))
            answer = await provider.poll(answer.remote_id, sent)
    return answer


def test_it_is_called_what_it_is_configured_as(provider: Provider, name: str) -> None:
    assert provider.name == name.partition(" ")[0]


def test_its_default_model_comes_first_and_every_name_finds_its_model(provider: Provider, case: ProviderCase) -> None:
    models = provider.capabilities().models
    assert models
    named = [(word, model) for model in models for word in (model.name, *model.aliases)]
    assert len({word for word, _ in named}) == len(named), "two models share a name"
    assert all(provider.capabilities().find(word) is model for word, model in named)
    assert provider.capabilities().find(case.plain.model) is not None


def test_its_limits_make_sense_and_admit_the_plain_request(provider: Provider, case: ProviderCase) -> None:
    for model in provider.capabilities().models:
        assert 0 < model.min_edge <= model.max_edge
        assert model.min_edge**2 <= model.max_pixels
    asked = provider.capabilities().find(case.plain.model)
    assert asked is not None
    assert asked.min_edge <= min(case.plain.width, case.plain.height)
    assert max(case.plain.width, case.plain.height) <= asked.max_edge


def test_a_quote_is_never_negative_and_equal_each_time(provider: Provider, case: ProviderCase) -> None:
    first, second = provider.quote(case.plain), provider.quote(case.plain)
    assert first == second
    assert first.micros >= 0
    assert first.price_version


def test_a_plan_gives_time_and_is_equal_each_time(provider: Provider, case: ProviderCase) -> None:
    for request in (case.plain, case.slow, *(failing for failing, _ in case.failing)):
        plan = provider.plan(request)
        assert plan == provider.plan(request)
        assert plan.call_deadline_seconds > 0


async def test_a_plain_request_brings_a_picture_and_its_cost(provider: Provider, case: ProviderCase) -> None:
    answer = await picture(provider, call(case.plain))
    with Image.open(io.BytesIO(answer.data)) as image:
        image.load()
        assert Image.MIME[image.format or ""] == answer.media_type
    assert answer.cost.micros >= 0
    assert answer.cost.price_version


async def test_the_same_request_under_the_same_key_brings_the_same_bytes(provider: Provider, case: ProviderCase) -> None:
    first = await picture(provider, call(case.plain, "again"))
    second = await picture(provider, call(case.plain, "again"))
    if provider.plan(case.plain).resume_class is ResumeClass.KEY:
        assert first == second


@pytest.mark.parametrize(("name", "number"), FAILURES)
async def test_what_it_raises_is_a_leaf_with_a_sentence_for_a_person(
    provider: Provider, case: ProviderCase, number: int
) -> None:
    request, expected = case.failing[number]
    with pytest.raises(ProviderError) as caught:
        await picture(provider, call(request, deadline_seconds=case.failing_within_seconds))
    error = caught.value
    assert type(error) is expected
    assert not type(error).__subclasses__()
    assert len(error.detail.split()) > 4
    assert error.detail.endswith(".")
    if isinstance(error, ProviderThrottled) and error.retry_after_seconds is not None:
        assert error.retry_after_seconds > 0


async def test_a_canceled_call_stops_at_once(provider: Provider, case: ProviderCase) -> None:
    waiting = asyncio.create_task(picture(provider, call(case.slow, deadline_seconds=60.0)))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):  # half of what the call would take
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_after_a_canceled_call_it_goes_on_working(provider: Provider, case: ProviderCase) -> None:
    for number in range(8):
        waiting = asyncio.create_task(picture(provider, call(case.plain, f"canceled-{number}")))
        await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert (await picture(provider, call(case.plain, "after"))).data


async def test_many_calls_at_once_do_not_mix_up_their_answers(provider: Provider, case: ProviderCase) -> None:
    requests = [replace(case.plain, prompt=f"{case.plain.prompt}, number {number}") for number in range(6)]
    alone = [await picture(provider, call(request, f"alone-{n}")) for n, request in enumerate(requests)]
    together = await asyncio.gather(*(picture(provider, call(request, f"all-{n}")) for n, request in enumerate(requests)))
    if provider.plan(case.plain).resume_class is ResumeClass.KEY:
        assert [answer.data for answer in together] == [answer.data for answer in alone]
    assert len({answer.data for answer in together}) == len(requests)


async def test_what_it_does_not_know_it_does_not_cancel(provider: Provider) -> None:
    assert await provider.cancel("no-such-request") is False


async def test_a_check_costs_nothing_and_says_what_it_found(provider: Provider) -> None:
    health = await provider.check()
    assert health.ok
    assert health.detail


async def test_closing_twice_is_harmless(case: ProviderCase) -> None:
    opened = case.open()
    await opened.close()
    await opened.close()
