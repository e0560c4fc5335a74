"""The adapter `fake` against a fake provider: what each misbehavior becomes, and what the bill says of it."""

import asyncio
import io
from typing import Any

import pytest
from PIL import Image

from imagejobs.domain.jobs import ResumeClass
from imagejobs.errors import (
    Billed,
    ConfigurationError,
    ContentRefused,
    ImageTooLarge,
    ModelUnavailable,
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
from imagejobs.ports import Answer, Provider, ProviderConfig, Submitted
from imagejobs.providers import fake as adapter
from imagejobs.providers.fake_server import FakeProvider
from tests.conftest import free_port
from tests.support.fakes import API_KEY, a_call, always, an_adapter, on, once, script

ERRORS: dict[str, tuple[dict[str, Any], type[ProviderError], Billed, int]] = {
    "400": ({"status": 400}, ProviderRejected, Billed.NO, 0),
    "401": ({"status": 401}, ProviderKeyRejected, Billed.NO, 0),
    "402": ({"status": 402}, ProviderCreditExhausted, Billed.NO, 0),
    "403": ({"status": 403}, ProviderKeyRejected, Billed.NO, 0),
    "404": ({"status": 404}, ProviderRejected, Billed.NO, 0),
    "408": ({"status": 408}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "409": ({"status": 409}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "413": ({"status": 413}, ProviderRejected, Billed.NO, 0),
    "422": ({"status": 422}, ProviderRejected, Billed.NO, 0),
    "429": ({"status": 429}, ProviderThrottled, Billed.NO, 0),
    "500": ({"status": 500}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "500, billed": ({"status": 500, "bill": "yes"}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "500, says it was free": ({"status": 500, "says_billed": False}, ProviderFailed, Billed.NO, 0),
    "502": ({"status": 502}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "503": ({"status": 503}, ProviderOverloaded, Billed.NO, 0),
    "503, says it charged": ({"status": 503, "says_billed": True, "bill": "yes"}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "503 of a gateway": ({"status": 503, "html": True}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "504": ({"status": 504}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "529": ({"status": 529}, ProviderOverloaded, Billed.NO, 0),
    "599": ({"status": 599}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "moved": ({"status": 308, "headers": {"location": "https://elsewhere.invalid"}}, ProviderRejected, Billed.NO, 0),
    "see other": ({"status": 303}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "refused": ({"status": 400, "error_type": "content_refused"}, ContentRefused, Billed.NO, 0),
    "refused and billed": (
        {"status": 400, "error_type": "content_refused", "bill": "yes", "says_billed": True},
        ContentRefused,
        Billed.YES,
        1,
    ),
    "no such model": ({"status": 404, "error_type": "model_not_found"}, ModelUnavailable, Billed.NO, 0),
    "reset before the body": ({"reset": "before_body"}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "reset before the headers": ({"reset": "before_headers"}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "reset, never billed": ({"reset": "before_headers", "bill": "no"}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "reset after the headers": ({"reset": "after_headers"}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "reset after 20 bytes": ({"reset": "after_bytes:20"}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "cut before the body": ({"cut_after_bytes": 0}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "cut after a byte": ({"cut_after_bytes": 1}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "announced too long": ({"content_length": 1_000_000, "cut_after_bytes": 50}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "announced too short": ({"content_length": 50}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "never answered": ({"never": True}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "too late": ({"delay_seconds": 60}, OutcomeUnknown, Billed.UNKNOWN, 0),
    "dripping": ({"drip_bytes_per_second": 1}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "a web page": ({"html": True}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "no JSON": ({"body": "{nonsense"}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "deep JSON": ({"body": "[" * 100_000}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "JSON, but no object": ({"body": [1, 2]}, OutcomeUnknown, Billed.UNKNOWN, 1),
    "an empty object": ({"body": {}}, NoImageReturned, Billed.YES, 1),
    "no picture": ({"empty": True}, NoImageReturned, Billed.YES, 1),
    "an empty picture": ({"image": "empty"}, NoImageReturned, Billed.YES, 1),
    "a picture of 64 MiB": ({"image": "huge"}, ImageTooLarge, Billed.YES, 1),
    "ten gigabytes": ({"endless": True}, ImageTooLarge, Billed.YES, 1),
    "a gzip bomb": ({"endless": True, "gzip": True}, ImageTooLarge, Billed.YES, 1),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_an_error_is_understood_and_the_bill_agrees(fake: FakeProvider, provider: Provider, case: str) -> None:
    action, expected, billed, entries = ERRORS[case]
    script(fake, always(**action))
    slow = {"never", "delay_seconds", "drip_bytes_per_second"} & action.keys()
    with pytest.raises(ProviderError) as raised:
        await provider.submit(a_call(seconds=2.0 if slow else 30.0))
    assert (type(raised.value), raised.value.billed) == (expected, billed)
    assert len(fake.bill.entries) == entries
    assert len(fake.journal.requests) == 1  # nobody tried again by himself


PICTURES: dict[str, dict[str, Any]] = {
    "normal": {},
    "compressed": {"gzip": True},
    "late, in time": {"delay_seconds": 0.05},
    "twice": {"twice": True},
    "billed late": {"bill": "late"},
    "corrupt": {"image": "corrupt"},
    "truncated": {"image": "truncated"},
    "bomb": {"image": "bomb"},
    "text": {"image": "text"},
    "another type": {"image": "wrong_type"},
    "another size": {"image": "wrong_size"},
    "another media type": {"media_type": "text/html"},
    "wrong types": {"wrong_types": True},
}


@pytest.mark.parametrize("case", PICTURES)
async def test_whatever_was_paid_for_is_handed_on_as_it_came(fake: FakeProvider, provider: Provider, case: str) -> None:
    script(fake, always(**PICTURES[case]))
    answer = await provider.submit(a_call())
    assert isinstance(answer, Answer)
    assert answer.data
    assert answer.remote_id == fake.bill.entries[0].purchase
    assert len(fake.bill.entries) == 1


async def test_a_picture_has_the_size_asked_for_and_the_stated_price(fake: FakeProvider, provider: Provider) -> None:
    script(fake, always(price_micros=90_000))
    answer = await provider.submit(a_call(width=640, height=360))
    assert isinstance(answer, Answer)
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert picture.size == (640, 360)
    assert (answer.media_type, answer.cost.micros, answer.cost.estimated) == ("image/png", 90_000, False)
    assert fake.bill.total_micros == 90_000


async def test_a_price_that_makes_no_sense_is_replaced_by_the_quote_and_marked(
    fake: FakeProvider, provider: Provider
) -> None:
    for micros in ("free", True, -1, 1.5, 10**30, None):
        picture = {"media_type": "image/png", "data": "aGVsbG8="}
        script(fake, always(body={"id": 7, "image": picture, "cost": {"micros": micros}}))
        answer = await provider.submit(a_call())
        assert isinstance(answer, Answer)
        assert (answer.data, answer.remote_id) == (b"hello", None)
        assert (answer.cost.micros, answer.cost.estimated) == (adapter.PRICE_MICROS, True)


@pytest.mark.parametrize(
    ("action", "least", "most"),
    [
        ({"retry_after": "5"}, 5, 5),
        ({"retry_after_date_seconds": 600}, 570, 600),
        ({"retry_after_date_seconds": -1000}, 0, 0),
    ],
)
async def test_a_stated_wait_is_passed_on(
    fake: FakeProvider, provider: Provider, action: dict[str, Any], least: float, most: float
) -> None:
    script(fake, always(status=429, **action))
    with pytest.raises(ProviderThrottled) as raised:
        await provider.submit(a_call())
    assert raised.value.retry_after_seconds is not None
    assert least <= raised.value.retry_after_seconds <= most


@pytest.mark.parametrize("action", [{}, {"retry_after": "soon"}, {"retry_after_date_seconds": 1e8}])
async def test_no_wait_or_a_senseless_one_is_none(fake: FakeProvider, provider: Provider, action: dict[str, Any]) -> None:
    script(fake, always(status=429, **action))
    with pytest.raises(ProviderThrottled) as raised:
        await provider.submit(a_call())
    assert raised.value.retry_after_seconds is None


async def test_no_text_of_the_provider_carries_our_key(fake: FakeProvider, provider: Provider) -> None:
    for status in (400, 401, 429, 500, 503):
        script(fake, always(status=status, leaks_key=True))
        with pytest.raises(ProviderError) as raised:
            await provider.submit(a_call())
        assert API_KEY not in raised.value.detail
        assert "\n" not in raised.value.detail
        assert "fake.invalid/log?***" in raised.value.detail
    assert {seen.api_key for seen in fake.journal.requests} == {API_KEY}


# Class `key`.


async def test_the_same_key_is_the_same_purchase(fake: FakeProvider, provider: Provider) -> None:
    calls = [provider.submit(a_call("key")) for _ in range(20)]
    answers = await asyncio.gather(*calls)
    assert len({answer.data for answer in answers if isinstance(answer, Answer)}) == 1
    assert len(fake.bill.entries) == 1
    other = await provider.submit(a_call("key", key="purchase-2"))
    assert isinstance(other, Answer)
    assert other.data != answers[0].data  # type: ignore[union-attr]
    assert len(fake.bill.entries) == 2


async def test_a_lost_answer_is_had_again_under_the_same_key(fake: FakeProvider, provider: Provider) -> None:
    script(fake, once(reset="after_headers"), once(status=500, bill="yes"))
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await provider.submit(a_call("key"))
    assert isinstance(await provider.submit(a_call("key")), Answer)
    assert len(fake.bill.entries) == 1


async def test_the_same_key_for_another_body_is_no_reason_to_think_that_nothing_was_bought(
    fake: FakeProvider, provider: Provider
) -> None:
    await provider.submit(a_call("key"))
    with pytest.raises(OutcomeUnknown):
        await provider.submit(a_call("key", prompt="a cat"))
    assert len(fake.bill.entries) == 1


async def test_without_a_class_every_send_is_a_purchase(fake: FakeProvider, provider: Provider) -> None:
    first, second = [await provider.submit(a_call("none")) for _ in range(2)]
    assert first.data != second.data  # type: ignore[union-attr]
    assert len(fake.bill.entries) == 2


# Class `lookup`.


async def submitted(provider: Provider) -> str:
    answer = await provider.submit(a_call("lookup"))
    assert isinstance(answer, Submitted)
    return answer.remote_id


async def polled(provider: Provider, remote_id: str) -> Answer | Submitted:
    """The first poll that finds the task ended."""
    async with asyncio.timeout(30):
        while True:
            answer = await provider.poll(remote_id, a_call("lookup"))
            if isinstance(answer, Answer):
                return answer


async def test_a_task_is_billed_once_however_often_it_is_asked_for(fake: FakeProvider, provider: Provider) -> None:
    remote_id = await submitted(provider)
    first, second = await polled(provider, remote_id), await polled(provider, remote_id)
    assert first == second
    assert [entry.purchase for entry in fake.bill.entries] == [remote_id]


@pytest.mark.parametrize(
    ("task", "error", "billed"),
    [
        ({"task": "refused"}, ContentRefused, Billed.NO),
        ({"task": "refused", "bill": "yes"}, ContentRefused, Billed.YES),
        ({"task": "failed"}, ProviderFailed, Billed.NO),
        ({"task": "failed", "bill": "yes"}, NoImageReturned, Billed.YES),
        ({"task": "forgotten"}, OutcomeUnknown, Billed.UNKNOWN),
        ({"empty": True}, NoImageReturned, Billed.YES),
        ({"image": "huge"}, ImageTooLarge, Billed.YES),
    ],
)
async def test_a_task_that_ends_badly(
    fake: FakeProvider, provider: Provider, task: dict[str, Any], error: type[ProviderError], billed: Billed
) -> None:
    script(fake, always(**task))
    remote_id = await submitted(provider)
    with pytest.raises(ProviderError) as raised:
        await polled(provider, remote_id)
    assert (type(raised.value), raised.value.billed) == (error, billed)
    assert len(fake.bill.entries) == (0 if billed is Billed.NO else 1)


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 429, "retry_after": "7"},
        {"status": 500},
        {"status": 503},
        {"reset": "before_headers"},
        {"reset": "after_bytes:300"},
        {"cut_after_bytes": 9},
        {"html": True},
        {"body": {"id": "x", "status": "queued"}},
    ],
    ids=repr,
)
async def test_a_poll_in_trouble_is_made_again_and_the_picture_is_not_lost(
    fake: FakeProvider, provider: Provider, trouble: dict[str, Any]
) -> None:
    script(fake, {**on("poll", **trouble), "times": 1})
    remote_id = await submitted(provider)
    first = await provider.poll(remote_id, a_call("lookup"))
    assert isinstance(first, Submitted)
    assert first.poll_after_seconds >= 1
    assert first.poll_after_seconds == 7 or "retry_after" not in trouble
    assert isinstance(await polled(provider, remote_id), Answer)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410])
async def test_a_poll_never_says_that_nothing_was_bought(fake: FakeProvider, provider: Provider, status: int) -> None:
    script(fake, on("poll", status=status))
    remote_id = await submitted(provider)
    with pytest.raises(OutcomeUnknown):
        await provider.poll(remote_id, a_call("lookup"))


async def test_a_poll_that_finds_nobody_is_made_again() -> None:
    provider = an_adapter(f"http://127.0.0.1:{free_port()}")
    assert isinstance(await provider.poll("some-id", a_call("lookup")), Submitted)
    await provider.close()


async def test_a_task_that_is_canceled_in_time_costs_nothing(fake: FakeProvider, provider: Provider) -> None:
    script(fake, always(task="stuck"))
    remote_id = await submitted(provider)
    assert isinstance(await provider.poll(remote_id, a_call("lookup")), Submitted)
    assert await provider.cancel(remote_id) is True
    with pytest.raises(ProviderRejected):
        await provider.poll(remote_id, a_call("lookup"))
    assert fake.bill.entries == []


async def test_canceling_says_true_only_where_it_is_sure(fake: FakeProvider, provider: Provider) -> None:
    remote_id = await submitted(provider)
    await polled(provider, remote_id)
    assert await provider.cancel(remote_id) is False
    assert await provider.cancel("no such task") is False
    script(fake, always(task="stuck"), on("cancel", bill="yes"))
    assert await provider.cancel(await submitted(provider)) is False
    script(fake, always(task="stuck"), on("cancel", reset="before_headers"))
    assert await provider.cancel(await submitted(provider)) is False


# The adapter itself.


async def test_each_model_is_a_class(provider: Provider) -> None:
    planned = {model.name: provider.plan(a_call(model.name).request) for model in provider.capabilities().models}
    assert {name: plan.resume_class for name, plan in planned.items()} == {found.value: found for found in ResumeClass}
    with pytest.raises(ModelUnavailable):
        provider.plan(a_call("gpt-image-9").request)


async def test_a_check_is_free_and_says_what_is_wrong(fake: FakeProvider, provider: Provider) -> None:
    assert (await provider.check()).ok
    script(fake, on("check", status=401))
    assert not (await provider.check()).ok
    assert fake.bill.entries == []
    nowhere = an_adapter(f"http://127.0.0.1:{free_port()}")
    assert not (await nowhere.check()).ok
    with pytest.raises(ProviderUnreachable):
        await nowhere.submit(a_call())
    await nowhere.close()


def test_it_is_there_only_where_it_is_configured() -> None:
    assert adapter.provider(ProviderConfig()) is None
    assert adapter.provider(ProviderConfig(api_key="k")) is None
    for config in (ProviderConfig(base_url="127.0.0.1:8900"), ProviderConfig(base_url="http://x", api_key="a\nb")):
        with pytest.raises(ConfigurationError):
            adapter.provider(config)
