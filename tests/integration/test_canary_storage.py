"""A planted storage key comes out nowhere, however the storage fails and whatever it echoes: no log, no row, no answer."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from imagejobs.app.sweep import sweep
from imagejobs.app.verify import verify_all
from imagejobs.bootstrap import make_storage
from imagejobs.cli.logs import JsonFormatter
from imagejobs.domain.jobs import JobStatus
from imagejobs.ports import Storage
from imagejobs.settings import Settings
from tests.support.s3_server import Alike
from tests.support.supabase_server import (
    SECRET_KEY,
    SERVICE_JWT,
    Bucket,
    Reply,
    Request,
    SupabaseDouble,
    as_json,
    supabase_double,
)
from tests.support.world import World

pytestmark = pytest.mark.database

AMAZON = {
    "AWS_ACCESS_KEY_ID": "AKIACANARY",
    "AWS_SECRET_ACCESS_KEY": "canary+of/the+storage",
    "AWS_SESSION_TOKEN": "canary==",
}


def refusing(status: int, code: str) -> Callable[[str], Reply]:
    """In the server's own form."""
    return lambda echo: as_json(400, {"statusCode": str(status), "error": echo, "message": echo, "code": code})


def saying(status: int, media_type: str, **headers: str) -> Callable[[str], Reply]:
    """In the form of whatever stands before it."""
    return lambda echo: Reply(status=status, headers={"content-type": media_type, **headers}, body=echo.encode())


WAYS: dict[str, Callable[[str], Reply]] = {
    "a bad key": refusing(403, "AccessDenied"),
    "an object refused": refusing(400, "InvalidKey"),
    "no bucket": refusing(404, "NoSuchBucket"),
    "too large": refusing(413, "EntityTooLarge"),
    "away": saying(500, "text/plain"),
    "a page of the edge": saying(502, "text/html"),
    "another place": lambda echo: Reply(status=301, headers={"location": f"https://x.example/?apikey={echo[:300]}"}),
    "no size": lambda echo: Reply(status=200, headers={"content-length": "99999"}, body=echo.encode()),
}


@pytest.fixture
def double() -> Iterator[SupabaseDouble]:
    with supabase_double() as made:
        made.buckets["asset-images"] = Bucket(name="asset-images")
        yield made


@pytest.fixture(autouse=True)
def loud(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is heard, but from that library what our processes hear of it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, logger="httpcore2")


async def fail_a_job(world: World, storage: Storage) -> AsyncIterator[str]:
    """Whatever is told of a job whose picture the storage does not take, of its retry, and of the storage itself."""
    working = replace(world, deps=replace(world.deps, storage=storage))
    job_id = (await working.generate()).json()["jobId"]
    assert (await working.work_off(job_id)).status is JobStatus.FAILED
    for _ in range(2):
        yield json.dumps(await working.read(job_id))
        yield json.dumps(await working.events(job_id))
        yield (await working.client.post(f"/api/images/jobs/{job_id}/retry")).text
        await working.work_off(job_id)
    yield (await storage.check()).detail
    yield str(await verify_all(working.deps.database, storage))
    await sweep(working.deps)
    working.deps.staging_room.is_refused = False


async def require_silence(world: World, told: str, secrets: list[str], caplog: pytest.LogCaptureFixture) -> None:
    logs = "\n".join(f"{JsonFormatter().format(record)} {vars(record)}" for record in caplog.records)
    for place, text in {"log": logs, "row": await world.rows(), "answer": told}.items():
        assert len(text) > 1_000
        assert "***" in text, f"nothing was echoed into a {place}"
        for secret in secrets:
            assert secret not in text, f"a secret is in a {place}"
            assert quote(secret, safe="") not in text, f"a secret is in a {place}, percent-encoded"
            assert secret.encode().hex() not in text, f"a secret's bytes are in a {place}"


@pytest.mark.parametrize("key", [SECRET_KEY, SERVICE_JWT], ids=["sb_secret", "service_role"])
async def test_no_key_of_supabase_comes_out_anywhere(
    world: World, double: SupabaseDouble, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    storage = make_storage(Settings(SUPABASE_URL=double.url, SUPABASE_SERVICE_ROLE_KEY=key))  # type: ignore[call-arg]
    told: list[str] = []
    for way in WAYS.values():

        def echo(request: Request, way: Callable[[str], Reply] = way) -> Reply:
            return way(f"no: {request.headers['authorization']}, {request.headers}, {quote(request.headers['apikey'])}")

        double.fault = echo
        told += [text async for text in fail_a_job(world, storage)]
    double.fault = lambda request: echo(request, WAYS["a bad key"]) if ".thumb." in request.path else None
    job_id = (await world.generate()).json()["jobId"]
    assert (await replace(world, deps=replace(world.deps, storage=storage)).work_off(job_id)).status is JobStatus.COMPLETED
    assert "artifact.no_thumbnail" in caplog.messages
    await storage.close()
    await require_silence(world, "\n".join(told), [key], caplog)


async def test_no_key_of_an_object_store_comes_out_anywhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    said = f"no: {AMAZON}, {' '.join(AMAZON.values())}, {quote(' '.join(AMAZON.values()), safe='')}"
    told: list[str] = []
    for status in (301, 400, 403, 413, 500):
        for content in (f"<Error><Code>No</Code><Message>{said}</Message></Error>", said):
            with Alike(status, content.encode()).serving() as server:
                options = {
                    "cloud_settings": {"AWS_ENDPOINT_URL": server.url, **AMAZON},
                    "IMAGEJOBS_STORAGE_URL": "s3://bucket",
                }
                storage = make_storage(Settings(**options))  # type: ignore[arg-type]
                told += [text async for text in fail_a_job(world, storage)]
                await storage.close()
    await require_silence(world, "\n".join(told), list(AMAZON.values()), caplog)
