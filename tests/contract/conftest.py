from collections.abc import AsyncIterator, Iterator

import pytest

from imagejobs.ports import Provider
from imagejobs.providers.fake_server import FakeProvider
from tests.support.fakes import fake_and_adapter
from tests.support.s3_server import s3_server
from tests.support.supabase_server import SupabaseDouble, supabase_double


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


@pytest.fixture(scope="session")
def supabase_server() -> Iterator[SupabaseDouble]:
    with supabase_double() as double:
        yield double


@pytest.fixture
def supabase(supabase_server: SupabaseDouble) -> SupabaseDouble:
    """The double, empty and well."""
    double = supabase_server
    for kept in (double.buckets, double.uploads, double.asked):
        kept.clear()
    double.fault, double.is_old, double.halves = None, False, False
    return double


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """An S3 server that honors `If-None-Match`."""
    with s3_server() as url:
        yield url
