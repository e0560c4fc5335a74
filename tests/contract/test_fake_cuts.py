"""Whatever byte a connection dies at: what reached the provider is never called unreachable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from imagejobs.errors import OutcomeUnknown, ProviderUnreachable
from imagejobs.ports import Answer, Provider
from imagejobs.providers.fake_server import FakeProvider
from tests.support.fakes import a_call, an_adapter, script
from tests.support.sockets import Scissors, cutting_proxy, read_request, recording, until

pytestmark = pytest.mark.timeout(300)  # hundreds of connections

CALL = a_call(width=1, height=1, prompt="x")


async def sizes(fake: FakeProvider) -> tuple[int, int]:
    """How many bytes the request and its answer have."""
    answered = bytearray()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        there, back = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
        back.write(request)
        answered.extend(await there.read())
        back.close()
        writer.write(answered)
        await writer.drain()

    async with recording(pass_on) as listener:
        provider = an_adapter(listener.url)
        assert isinstance(await provider.submit(CALL), Answer)
        await provider.close()
        return len(listener.received[0]), len(answered)


@asynccontextmanager
async def through_a_proxy(fake: FakeProvider, scissors: Scissors) -> AsyncIterator[Provider]:
    """The adapter, with a proxy before the fake provider that cuts where the scissors say at the moment."""
    async with cutting_proxy(fake.url, scissors) as proxy:
        provider = an_adapter(proxy.url)
        try:
            yield provider
        finally:
            await provider.close()


async def test_a_request_that_is_cut_at_any_byte_is_never_called_unreachable(fake: FakeProvider) -> None:
    whole, _ = await sizes(fake)
    scissors = Scissors()
    async with through_a_proxy(fake, scissors) as provider:
        for scissors.to_server in range(whole):
            await fake.reset()
            with pytest.raises(OutcomeUnknown):
                await provider.submit(CALL)
            assert fake.bill.entries == []
            assert {seen.arrived for seen in fake.journal.requests} <= {"partial"}
        scissors.to_server = whole
        with pytest.raises(OutcomeUnknown):
            await provider.submit(CALL)
        await until(lambda: len(fake.bill.entries) == 1)


async def test_an_answer_that_is_cut_at_any_byte_is_billed_and_unknown(fake: FakeProvider) -> None:
    _, whole = await sizes(fake)
    scissors = Scissors()
    async with through_a_proxy(fake, scissors) as provider:
        for scissors.to_client in range(whole):
            await fake.reset()
            with pytest.raises(OutcomeUnknown):
                await provider.submit(CALL)
            await until(lambda: len(fake.bill.entries) == 1)


async def test_the_provider_itself_can_reset_at_any_byte(fake: FakeProvider, provider: Provider) -> None:
    _, whole = await sizes(fake)
    for count in range(whole):
        await fake.reset()
        script(fake, {"then": {"reset": f"after_bytes:{count}"}})
        with pytest.raises(OutcomeUnknown):
            await provider.submit(CALL)
        assert len(fake.bill.entries) == 1
        assert fake.journal.requests[-1].outcome == f"reset after {count} bytes"


async def test_a_provider_that_is_gone_was_sent_nothing_and_billed_nothing(fake: FakeProvider) -> None:
    async with cutting_proxy(fake.url, Scissors()) as proxy:
        url = proxy.url
    provider = an_adapter(url)
    with pytest.raises(ProviderUnreachable):
        await provider.submit(CALL)
    await provider.close()
    tls = an_adapter(fake.url.replace("http://", "https://"))
    with pytest.raises(ProviderUnreachable):
        await tls.submit(CALL)
    await tls.close()
    assert fake.bill.entries == []
    assert not fake.journal.requests
