from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from imagejobs.net.http import Outbound
from imagejobs.ports import Provider
from imagejobs.providers.fake_server import FakeProvider
from imagejobs.providers.gemini.adapter import Gemini
from imagejobs.providers.gemini.catalogue import load_catalogue
from tests.support.fakes import fake_and_adapter
from tests.support.gemini_calls import a_call
from tests.support.gemini_server import KEY, GeminiServer, running_gemini
from tests.support.s3_server import s3_server
from tests.support.supabase_server import SupabaseDouble, supabase_double

TODAY = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


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


@pytest.fixture
async def google() -> AsyncIterator[GeminiServer]:
    async with running_gemini() as service:
        yield service


@pytest.fixture(scope="session")
async def outbound() -> AsyncIterator[Outbound]:
    """One for all: its TLS takes longer to set up than a test."""
    made = Outbound()
    yield made
    await made.close()


@pytest.fixture
def gemini(google: GeminiServer, outbound: Outbound) -> Gemini:
    return Gemini(
        outbound=outbound,
        base_url=google.url,
        api_key=KEY,
        timeout_seconds=None,
        catalogue=load_catalogue(),
        now=lambda: TODAY,
    )


@pytest.fixture
async def plain(google: GeminiServer, gemini: Gemini) -> Gemini:
    """The adapter once it knows that there is no background."""
    google.refuses_background = True
    await gemini.submit(a_call())
    google.bill.clear()
    google.asked.clear()
    return gemini


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
