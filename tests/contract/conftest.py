from collections.abc import AsyncIterator

import pytest

from imagejobs.ports import Provider
from imagejobs.providers.fake_server import FakeProvider
from tests.support.fakes import fake_and_adapter


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[tuple[FakeProvider, Provider]]:
    async with fake_and_adapter() as both:
        yield both


@pytest.fixture
async def fake(shop: tuple[FakeProvider, Provider]) -> FakeProvider:
    """A fake provider without script, bill and past."""
    fake = shop[0]
    await fake.reset()
    return fake


@pytest.fixture
def provider(shop: tuple[FakeProvider, Provider], fake: FakeProvider) -> Provider:
    """The adapter that buys from it."""
    assert shop[0] is fake
    return shop[1]
