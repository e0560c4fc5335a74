"""F1: creating a job is quick whatever the provider does, and so is storing a typical picture."""

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.app.deps import Policy
from imagejobs.db.pool import Database
from imagejobs.imaging import Decoder
from imagejobs.net.http import Outbound
from imagejobs.ports import Provider
from imagejobs.storage.supabase import Project, SupabaseBucket, SupabaseStorage
from tests.support.fakes import always, fake_and_adapter, script
from tests.support.providers import Scripted, a_png
from tests.support.supabase_server import SECRET_KEY, supabase_double
from tests.support.world import FAST, World, open_world

pytestmark = pytest.mark.database

TYPICAL_BYTES = 1_500_000


def a_policy(provider: Provider) -> Policy:
    return Policy(default_provider=provider.name, schedule=FAST, sweep_seconds=0.3, idle_seconds=0)


async def seconds_to_create(world: World) -> float:
    began = time.monotonic()
    answer = await world.generate()
    assert answer.status_code == 202
    return time.monotonic() - began


async def test_f1_creating_takes_less_than_half_a_second_while_the_provider_hangs(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    async with fake_and_adapter() as (fake, adapter):
        script(fake, always(never=True))
        shop = {adapter.name: adapter}
        async with open_world(dsn, database, decoder, tmp_path, providers=shop, policy=a_policy(adapter)) as world:
            async with world.working():
                taken = [await seconds_to_create(world) for _ in range(20)]
                await fake.reset()  # hangs up on those who wait
            assert statistics.median(taken) < 0.5


async def test_f1_storing_a_typical_picture_takes_less_than_five_seconds(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    provider = Scripted(data=a_png(256) + bytes(8) + os.urandom(TYPICAL_BYTES))
    with supabase_double() as double:
        project, outbound = Project(url=double.url, key=SECRET_KEY), Outbound()
        await SupabaseBucket(project, outbound).ensure()
        shop = {provider.name: provider}
        async with open_world(dsn, database, decoder, tmp_path, providers=shop, policy=a_policy(provider)) as opened:
            world = replace(opened, deps=replace(opened.deps, storage=SupabaseStorage(project, outbound)))
            job = await world.work_off((await world.generate()).json()["jobId"])
        await outbound.close()
    assert job.completed_at is not None
    assert job.uploading_started_at is not None
    assert (job.completed_at - job.uploading_started_at).total_seconds() < 5
    assert job.storage_path is not None
    assert len(double.buckets["asset-images"].objects[job.storage_path].data) > TYPICAL_BYTES
