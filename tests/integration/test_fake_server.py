"""The fake provider as its users see it: over HTTP, with its control API, its bill and its webhooks."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagejobs.net.http import AnswerLost, Outbound, OutboundAnswer, OutboundRequest
from imagejobs.providers.fake_server import FakeProvider, Options, Terms, running
from tests.support.sockets import SOON, a_thousand, read_request, recording, says, until

ORDER = {"prompt": "a red fox", "width": 64, "height": 48}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with running(Options()) as made:
        yield made


async def asked(outbound: Outbound, method: str, url: str, document: object = None, **headers: str) -> OutboundAnswer:
    body = b"" if document is None else json.dumps(document).encode()
    sent = {"authorization": "Bearer k", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await outbound.send(OutboundRequest(method=method, url=url, headers=sent, body=body, deadline_seconds=SOON))


async def got(outbound: Outbound, url: str) -> Any:
    return json.loads((await asked(outbound, "GET", url)).body)


async def ruled(outbound: Outbound, fake: FakeProvider, *rules: dict[str, Any]) -> None:
    answer = await asked(outbound, "PUT", fake.url + "/control/script", {"rules": rules})
    assert answer.status == 200, answer.body


async def buy(outbound: Outbound, fake: FakeProvider, order: object = None, kind: str = "none", **headers: str) -> Any:
    answer = await asked(outbound, "POST", f"{fake.url}/v1/{kind}/images", order or ORDER, **headers)
    return json.loads(answer.body)


async def test_the_control_api_tells_what_happened(outbound: Outbound, fake: FakeProvider) -> None:
    first = await buy(outbound, fake, idempotency_key="k-1")
    await buy(outbound, fake, {"prompt": ""})
    bill = await got(outbound, fake.url + "/control/bill")
    assert bill["total_micros"] == 40_000
    (entry,) = bill["entries"]
    wanted = {"purchase": first["id"], "class": "none", "idempotency_key": "k-1", "micros": 40_000}
    assert wanted.items() <= entry.items()
    seen = (await got(outbound, fake.url + "/control/requests"))["requests"]
    assert [(one["number"], one["arrived"], one["outcome"]) for one in seen] == [
        (1, "whole", "answered 200"),
        (2, "whole", "answered 422"),
    ]
    assert (seen[0]["prompt"], seen[0]["purchase"], seen[0]["api_key"]) == ("a red fox", first["id"], "k")
    assert len((await got(outbound, fake.url + "/control/requests?after=1"))["requests"]) == 1
    assert await got(outbound, fake.url + "/control/in-flight") == {"current": 0, "peak": 1}
    await asked(outbound, "POST", fake.url + "/control/reset")
    assert (await got(outbound, fake.url + "/control/bill"))["entries"] == []
    assert (await got(outbound, fake.url + "/control/requests"))["count"] == 0


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([{"then": {"statuss": 429}}], "rules.0.then.statuss"),
        ([{"then": {"status": 42}}], "rules.0.then.status"),
        ([{"then": {"reset": "sometimes"}}], "rules.0.then.reset"),
        ([{"when": {"class": "maybe"}, "then": {}}], "rules.0.when.class"),
        ([{"when": {}}], "rules.0.then"),
        ("nonsense", "rules"),
    ],
)
async def test_a_wrong_script_changes_nothing_and_says_what_is_wrong(
    outbound: Outbound, fake: FakeProvider, rules: object, problem: str
) -> None:
    await ruled(outbound, fake, {"then": {"status": 429}})
    answer = await asked(outbound, "PUT", fake.url + "/control/script", {"rules": rules})
    assert answer.status == 422
    assert json.loads(answer.body)["problems"][0].startswith(problem)
    assert "error" in await buy(outbound, fake)


async def test_the_first_rule_that_matches_and_is_not_used_up_decides(outbound: Outbound, fake: FakeProvider) -> None:
    await ruled(
        outbound,
        fake,
        {"when": {"prompt_contains": "cat"}, "then": {"status": 402}},
        {"when": {"class": "key"}, "then": {"status": 403}},
        {"when": {"nth": 2}, "then": {"status": 429}},
        {"then": {"status": 503}, "times": 1},
    )
    assert (await buy(outbound, fake, {"prompt": "a cat"}))["error"]["type"] == "credit_exhausted"
    assert (await buy(outbound, fake, kind="key", idempotency_key="k"))["error"]["type"] == "key_rejected"
    kinds = [(await buy(outbound, fake)).get("error", {}).get("type") for _ in range(4)]
    assert kinds == ["overloaded", "throttled", None, None]


async def test_a_limit_of_open_requests_can_be_acted_out(outbound: Outbound, fake: FakeProvider) -> None:
    rules: list[dict[str, Any]] = [
        {"when": {"in_flight_above": 3}, "then": {"status": 429}},
        {"when": {"prompt_contains": "slow"}, "then": {"delay_seconds": 600}},
    ]
    await ruled(outbound, fake, *rules)
    slow = [asyncio.create_task(buy(outbound, fake, {"prompt": "slow"})) for _ in range(3)]
    await until(lambda: fake.journal.in_flight == 3)
    assert (await buy(outbound, fake))["error"]["type"] == "throttled"
    assert await got(outbound, fake.url + "/control/in-flight") == {"current": 3, "peak": 4}
    await asked(outbound, "POST", fake.url + "/control/reset")
    lost = await asyncio.gather(*slow, return_exceptions=True)
    assert {type(one) for one in lost} == {AnswerLost}
    assert await got(outbound, fake.url + "/control/in-flight") == {"current": 0, "peak": 0}


async def test_a_customer_who_hangs_up_is_billed_all_the_same(outbound: Outbound, fake: FakeProvider) -> None:
    await ruled(outbound, fake, {"then": {"delay_seconds": 0.5}})
    buying = asyncio.create_task(buy(outbound, fake))
    await until(lambda: [seen.arrived for seen in fake.journal.requests] == ["whole"])
    buying.cancel()
    await asyncio.gather(buying, return_exceptions=True)
    await until(lambda: len(fake.bill.entries) == 1)


async def test_a_bill_that_comes_late_comes_after_the_answer(outbound: Outbound, fake: FakeProvider) -> None:
    await ruled(outbound, fake, {"then": {"bill": "late", "cut_after_bytes": 10}})
    with pytest.raises(AnswerLost):
        await buy(outbound, fake)
    await until(lambda: len(fake.bill.entries) == 1)
    assert fake.journal.requests[0].outcome == "cut after 10 bytes of the body"


async def test_a_task_that_changes_its_mind(outbound: Outbound, fake: FakeProvider) -> None:
    await ruled(outbound, fake, {"then": {"task": "changes_mind"}})
    task = await buy(outbound, fake, kind="lookup")
    assert task["status"] == "queued"
    await until(lambda: len(fake.bill.entries) == 1)
    states = [await got(outbound, f"{fake.url}/v1/lookup/images/{task['id']}") for _ in range(2)]
    assert [state["status"] for state in states] == ["succeeded", "failed"]


async def test_a_picture_can_be_fetched_from_an_address_that_fails(outbound: Outbound, fake: FakeProvider) -> None:
    picture = (await buy(outbound, fake, {**ORDER, "delivery": "url"}))["image"]
    answer = await asked(outbound, "GET", picture["url"])
    assert answer.headers["content-type"] == picture["media_type"] == "image/png"
    with Image.open(io.BytesIO(answer.body)) as found:
        assert found.size == (64, 48)
    elsewhere = {"status": 302, "headers": {"location": "http://169.254.169.254/"}}
    await ruled(outbound, fake, {"when": {"on": "download"}, "then": elsewhere})
    answer = await asked(outbound, "GET", picture["url"])
    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/")


@pytest.mark.parametrize(
    ("webhook", "count"),
    [({}, 1), ({"times": 2}, 2), ({"times": 0}, 0), ({"delay_seconds": 0.05}, 1), ({"before_answer": True}, 1)],
    ids=repr,
)
async def test_a_webhook_comes_once_or_twice_or_late_or_too_early_or_never(
    outbound: Outbound, fake: FakeProvider, webhook: dict[str, Any], count: int
) -> None:
    await ruled(outbound, fake, {"then": {"webhook": webhook}})
    async with recording(says(b"HTTP/1.1 204 No Content\r\n\r\n")) as listener:
        task = await buy(outbound, fake, {**ORDER, "webhook_url": listener.url + "/hook"}, kind="lookup")
        if webhook.get("before_answer"):
            assert len(listener.received) == 1
        await until(lambda: len(fake.bill.entries) == 1 and len(listener.received) == count)
        for received in listener.received:
            await until(lambda received=received: b"\r\n\r\n{" in received)  # type: ignore[misc]
            assert json.loads(received.split(b"\r\n\r\n")[1]) == {"id": task["id"], "status": "succeeded"}
    sent = (await got(outbound, fake.url + "/control/webhooks"))["webhooks"]
    assert len(sent) == count


async def test_the_bill_outlives_the_provider_and_keys_are_remembered(outbound: Outbound, tmp_path: Path) -> None:
    path = tmp_path / "bill.jsonl"
    async with running(Options(bill=path)) as fake:
        first = await buy(outbound, fake, kind="key", idempotency_key="k")
        task = await buy(outbound, fake, kind="lookup")
        await until(lambda: len(fake.bill.entries) == 2)
    path.write_bytes(path.read_bytes() + b'{"purchase": "cut o')
    async with running(Options(bill=path)) as fake:
        assert len(fake.bill.entries) == 2
        assert await buy(outbound, fake, kind="key", idempotency_key="k") == first
        assert (await got(outbound, f"{fake.url}/v1/lookup/images/{task['id']}"))["status"] == "succeeded"
        other = {**ORDER, "prompt": "a cat"}
        assert (await buy(outbound, fake, other, kind="key", idempotency_key="k"))["error"]["type"] == "idempotency_conflict"
        await buy(outbound, fake)
        assert len(fake.bill.entries) == 3
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["class"] for line in lines] == ["key", "lookup", "none"]
    async with running(Options(bill=path)) as fake:
        await fake.reset()
        assert fake.bill.total_micros == 0
    async with running(Options(bill=path)) as fake:
        assert fake.bill.total_micros == 0


async def test_random_faults_follow_from_the_seed(outbound: Outbound) -> None:
    async def outcomes(seed: int) -> list[str | None]:
        async with running(Options(fault_rate=0.5, seed=seed, terms=Terms(latency_seconds=0))) as fake:
            script_without_waits(fake)
            for _ in range(40):
                await asyncio.gather(buy(outbound, fake), return_exceptions=True)
            return [seen.outcome for seen in fake.journal.requests]

    first, again, other = [await outcomes(seed) for seed in (7, 7, 8)]
    assert first == again != other
    assert 5 < sum(outcome == "answered 200" for outcome in first) < 35
    assert len(set(first)) > 4


def script_without_waits(fake: FakeProvider) -> None:
    """Let the slow faults pass quickly: the outcome is the same."""
    drawn = fake.script.action
    fake.script.action = lambda occasion: drawn(occasion).model_copy(  # type: ignore[method-assign]
        update={"delay_seconds": 0, "drip_bytes_per_second": None}
    )


SUBMIT = b"POST /v1/none/images HTTP/1.1\r\nauthorization: Bearer k\r\n"
CHUNKS = b'10\r\n{"prompt": "fox"\r\n1;x=y\r\n}\r\n0\r\n\r\n'


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (SUBMIT + b"content-length: x\r\n\r\n", 400),
        (SUBMIT + b"content-length: 99999999999\r\n\r\n", 413),
        (SUBMIT.replace(b"authorization", b"x") + b"content-length: 2\r\n\r\n{}", 401),
        (SUBMIT + b"content-length: 2\r\n\r\n{}", 422),
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"GET /control/nowhere HTTP/1.1\r\n\r\n", 404),
        (b"GET /v1/lookup/images/unknown HTTP/1.1\r\nauthorization: Bearer k\r\n\r\n", 404),
        (SUBMIT + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS, 200),
        (SUBMIT + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (SUBMIT + b"expect: 100-continue\r\ncontent-length: 17\r\n\r\n", 100),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_requests_by_hand(fake: FakeProvider, request_bytes: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
    writer.write(request_bytes)
    assert (await reader.readuntil(b"\r\n")).split()[1] == str(status).encode()
    writer.close()
    await writer.wait_closed()


async def test_a_request_that_breaks_off_is_noted_as_partial_and_not_billed(fake: FakeProvider) -> None:
    for part in (b"POST /v1/no", b"POST /v1/none/images HTTP/1.1\r\nauthorization: Bearer k\r\ncontent-length: 17\r\n\r\n{"):
        _, writer = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
        writer.write(part)
        writer.close()
        await writer.wait_closed()
    await until(
        lambda: [seen.outcome for seen in fake.journal.requests] == ["cut off after 11 bytes", "cut off after 1 bytes"]
    )
    assert {seen.arrived for seen in fake.journal.requests} == {"partial"}
    assert fake.bill.entries == []


async def test_several_requests_share_a_connection_and_an_answer_may_come_twice(
    outbound: Outbound, fake: FakeProvider
) -> None:
    await ruled(outbound, fake, {"then": {"twice": True}, "times": 1})
    body = json.dumps(ORDER).encode()
    one = b"POST /v1/none/images HTTP/1.1\r\nauthorization: Bearer k\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    reader, writer = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
    writer.write(one + one)
    ids = [json.loads((await read_answer(reader)).split(b"\r\n\r\n", 1)[1])["id"] for _ in range(3)]
    assert ids[0] == ids[1] != ids[2]
    writer.close()
    await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    return await read_request(reader)


async def test_it_listens_on_this_machine_only(fake: FakeProvider) -> None:
    assert fake.url.startswith("http://127.0.0.1:")
    port = int(fake.url.rsplit(":", 1)[1])
    with socket.socket() as taken, pytest.raises(OSError, match="in use"):
        taken.bind(("127.0.0.1", port))


async def test_a_thousand_requests_are_open_at_once(outbound: Outbound) -> None:
    async with running(Options(terms=Terms(image_bytes=15_000))) as fake:
        await ruled(outbound, fake, {"then": {"delay_seconds": 600}})
        patient = OutboundRequest(
            method="POST",
            url=f"{fake.url}/v1/none/images",
            headers={"authorization": "Bearer k"},
            body=json.dumps(ORDER).encode(),
            deadline_seconds=60,
        )
        async with asyncio.timeout(40):
            waiting = await a_thousand(outbound, patient, lambda: fake.journal.in_flight)
        await fake.reset()
        assert {type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)} == {AnswerLost}
