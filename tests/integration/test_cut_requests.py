"""C7: a request that is cut off at any byte makes a whole thing or none, and never half of one."""

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.support.invariants import broken_invariants
from tests.support.providers import a_png
from tests.support.serving import Serving, serving
from tests.support.sockets import reset
from tests.support.world import SOON, World

pytestmark = pytest.mark.database

BODY = b'{"projectId":"film","jobType":"generate","prompt":"a fox","width":64,"height":64,"n":2}'
PICTURE = a_png(2)


def a_post(world: World, target: str, media_type: str, *further: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: a", f"Authorization: {world.client.headers['authorization']}"]
    return "\r\n".join([*lines, f"Content-Type: {media_type}", *further, "", ""]).encode()


async def cut_everywhere(api: Serving, whole: bytes) -> None:
    """Send every beginning of the request, from nothing to all but the last byte, and end it by FIN or RST by turns."""
    port = urlsplit(str(api.client.base_url)).port
    for length in range(len(whole)):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole[:length])
        await writer.drain()
        if length % 2:
            reset(writer)
        writer.close()
    await until_idle(api)


async def until_idle(api: Serving) -> None:
    """Wait until the server has done with every request and every connection."""
    state = api.server.server_state
    async with asyncio.timeout(SOON):
        while state.tasks or state.connections:
            await asyncio.sleep(0.005)


async def counted(world: World) -> list[int]:
    """Jobs, messages, events, projects; inputs."""
    found: list[int] = await world.scalar(
        "SELECT ARRAY[(SELECT count(*) FROM public.image_generation_jobs), (SELECT count(*) FROM imagejobs.pgqueuer), "
        "(SELECT count(*) FROM imagejobs.events), (SELECT count(*) FROM imagejobs.projects), "
        "(SELECT count(*) FROM imagejobs.inputs)]"
    )
    return found


async def test_c7_a_submission_cut_at_any_byte_makes_whole_jobs_or_none(world: World) -> None:
    length = f"Content-Length: {len(BODY)}"
    whole = a_post(world, "/api/images/generate", "application/json", "Idempotency-Key: k", length) + BODY
    async with serving(world.deps, world.client.headers) as api:
        await cut_everywhere(api, whole)
        assert await counted(world) == [0, 0, 0, 0, 0]
        for _ in range(20):  # all of it, and gone before the answer
            _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(str(api.client.base_url)).port)
            writer.write(whole)
            await writer.drain()
            reset(writer)
        await until_idle(api)
        assert await counted(world) in ([0, 0, 0, 0, 0], [2, 2, 2, 1, 0])
        answer = await api.client.post(
            "/api/images/generate", content=BODY, headers={"content-type": "application/json", "idempotency-key": "k"}
        )
        assert answer.status_code in (200, 202)
    assert await counted(world) == [2, 2, 2, 1, 0]
    assert await broken_invariants(world.deps.database) == {}


@pytest.mark.parametrize("is_chunked", [False, True], ids=["by length", "in chunks"])
async def test_c7_an_upload_cut_at_any_byte_leaves_no_picture(world: World, is_chunked: bool) -> None:
    target = "/api/images/inputs?projectId=film"
    await world.scalar("INSERT INTO imagejobs.projects (id) VALUES ('film') RETURNING 1")
    if is_chunked:
        half = len(PICTURE) // 2
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PICTURE[:half], PICTURE[half:], b""))
        whole = a_post(world, target, "image/png", "Transfer-Encoding: chunked") + chunks
    else:
        whole = a_post(world, target, "image/png", f"Content-Length: {len(PICTURE)}") + PICTURE
    async with serving(world.deps, world.client.headers) as api:
        await cut_everywhere(api, whole)
        assert await counted(world) == [0, 0, 0, 1, 0]
        answer = await api.client.post(target, content=PICTURE, headers={"content-type": "image/png"})
        assert answer.status_code == 201
    assert await counted(world) == [0, 0, 0, 1, 1]
