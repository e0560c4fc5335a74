"""Uploads of input pictures: judged, kept privately, found again by their bytes, and nobody else's."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import pytest
from PIL import Image

from imagejobs.app.identifiers import new_id
from imagejobs.app.keys import create_key
from imagejobs.domain.access import Scope
from imagejobs.web import limits
from tests.integration.imaging_pictures import JPEG, PNG, WEBP, drawing, encoded, jpeg_that_claims, png_of_zeros, telling
from tests.support.deaths import DeadlyProbe, Death
from tests.support.providers import a_png
from tests.support.world import SOON, World

pytestmark = pytest.mark.database

AS_PNG = {"content-type": "image/png"}
INPUTS = "/api/images/inputs"


async def post(world: World, data: Any, **query: str) -> httpx2.Response:
    return await world.client.post(INPUTS, params={"projectId": "film", **query}, content=data, headers=AS_PNG)


async def inputs_kept(world: World) -> int:
    return int(await world.scalar("SELECT count(*) FROM imagejobs.inputs"))


@pytest.mark.parametrize(("data", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")])
async def test_a14_an_upload_is_answered_with_what_the_picture_is(world: World, data: bytes, media_type: str) -> None:
    answer = await post(world, data)  # whatever the header says
    body = answer.json()
    assert answer.status_code == 201
    assert (body["mediaType"], body["width"], body["height"], body["bytes"]) == (media_type, 96, 64, len(data))
    assert body["sha256"] == hashlib.sha256(data).hexdigest()
    assert await world.scalar("SELECT data FROM imagejobs.inputs WHERE id = $1", UUID(body["inputId"])) == data
    days = await world.scalar("SELECT round(extract(epoch FROM expires_at - now()) / 86400) FROM imagejobs.inputs")
    assert days == 7


async def test_a14_the_same_bytes_are_the_same_input_in_a_project_and_another_in_another(world: World) -> None:
    first = (await post(world, PNG)).json()
    await world.scalar("UPDATE imagejobs.inputs SET expires_at = now() - interval '1 day'")
    ids = await asyncio.gather(*(world.upload(PNG) for _ in range(5)))
    assert set(ids) == {first["inputId"]}
    assert await world.scalar("SELECT expires_at > now() FROM imagejobs.inputs")
    assert await world.upload(PNG, "another film") != first["inputId"]
    assert await inputs_kept(world) == 2


REFUSED = [
    ("a page", b"<!doctype html><script>alert(1)</script>", "an HTML page"),
    ("a drawing", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    ("a document", b"%PDF-1.7 ...", "a PDF"),
    ("nothing", b"", "empty"),
    ("cut off PNG", PNG[:-20], "cut off"),
    ("PNG without its last byte", PNG[:-1], "cut off"),
    ("cut off JPEG", JPEG[: len(JPEG) // 2], "cut off"),
    ("cut off WebP", WEBP[: len(WEBP) // 2], "cut off"),
    ("a PNG and a ZIP", PNG + b"PK\x03\x04payload", "follow its end"),
    ("a JPEG and a page", JPEG + b"<script>alert(1)</script>", "follow its end"),
    ("a WebP and a PDF", WEBP + b"%PDF-1.7 ..", "follow its end"),
    ("a bomb", png_of_zeros(20_000, 20_000), "pixels"),
    ("a JPEG bomb", jpeg_that_claims(60_000, 60_000), "pixels"),
]


@pytest.mark.parametrize(("data", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_c18_p11_p12_what_is_no_whole_picture_is_refused_and_not_kept(world: World, data: bytes, said: str) -> None:
    answer = await post(world, data)
    assert (answer.status_code, answer.json()["reason"]) == (422, "unusable_picture"), answer.text
    assert said in answer.json()["detail"]
    assert "generate" not in answer.json()["detail"]
    assert await inputs_kept(world) == 0


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP"])
async def test_c18_what_an_upload_tells_beside_its_pixels_is_not_kept(world: World, picture_format: str) -> None:
    told = [telling(picture_format, place) for place in ("59.9139N 10.7522E", "41.9028N 12.4964E")]
    ids = {await world.upload(data) for data in told}
    assert len(ids) == 1  # equal pixels, so the same input
    kept = await world.scalar("SELECT data FROM imagejobs.inputs WHERE id = $1", UUID(ids.pop()))
    assert b"59.9139N" not in kept
    with Image.open(io.BytesIO(kept)) as after, Image.open(io.BytesIO(told[0])) as before:
        assert dict(after.getexif()) == {0x0112: 6}
        assert after.tobytes() == before.tobytes()
    answer = (await post(world, told[1])).json()
    assert (answer["bytes"], answer["sha256"]) == (len(kept), hashlib.sha256(kept).hexdigest())


@pytest.mark.parametrize("rest", [JPEG, b"\0" * 512, b"\r\n"], ids=["second picture", "zeros", "line end"])
async def test_a_telephones_second_picture_and_padding_behind_a_picture_are_cut_off(world: World, rest: bytes) -> None:
    body = (await post(world, JPEG + rest)).json()
    assert (body["bytes"], body["sha256"]) == (len(JPEG), hashlib.sha256(JPEG).hexdigest())


async def test_c18_the_limit_holds_for_announced_and_for_streamed_bodies_and_is_named(world: World) -> None:
    limit = world.deps.policy.input_max_bytes

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000_000)

    for body in (bytes(limit + 1), endless()):
        answer = await post(world, body)
        assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
        assert str(limit) in answer.json()["detail"]
    assert await inputs_kept(world) == 0


async def test_a_project_keeps_so_many_bytes_of_inputs_and_others_have_room(world: World) -> None:
    policy = replace(world.deps.policy, input_bytes_per_project=3 * 65_536)
    world.client._transport.app.state.deps = replace(world.deps, policy=policy)  # type: ignore[attr-defined]
    first, *others = [a_png(8, color) for color in ("red", "green", "blue", "white")]
    assert [(await post(world, data)).status_code for data in (first, *others)] == [201, 201, 201, 409]
    refused = await post(world, encoded(drawing(300, 300), "PNG"))
    body = refused.json()
    assert (refused.status_code, body["code"], body["reason"]) == (409, "PERMANENT", "inputs_full")
    assert all(word in body["detail"] for word in ("196608", "7 days", "name such as are there"))
    assert (await post(world, first)).status_code == 201  # the same bytes need no room
    assert (await post(world, others[-1], projectId="other")).status_code == 201
    await world.scalar("DELETE FROM imagejobs.inputs WHERE sha256 = $1 RETURNING 1", hashlib.sha256(first).digest())
    assert (await post(world, others[-1])).status_code == 201
    assert await inputs_kept(world) == 4


async def test_c18_a_sender_who_takes_for_ever_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INPUT_SECONDS", 0.1)

    async def dripping() -> AsyncIterator[bytes]:
        yield PNG[:-1]
        await asyncio.Event().wait()

    answer = await asyncio.wait_for(post(world, dripping()), SOON)
    assert (answer.status_code, answer.json()["reason"]) == (408, "request_too_slow")
    assert "did not arrive" in answer.json()["detail"]
    assert await inputs_kept(world) == 0


@pytest.mark.parametrize("media_type", ["multipart/form-data; boundary=x", "application/json", "text/plain", ""])
async def test_a14_a_form_is_refused_saying_what_to_send(world: World, media_type: str) -> None:
    headers = {"content-type": media_type}
    answer = await world.client.post(INPUTS, params={"projectId": "film"}, content=PNG, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (415, "unsupported_media_type")
    assert "body" in answer.json()["detail"]


async def test_a14_a_project_must_be_named(world: World) -> None:
    answer = await world.client.post(INPUTS, content=PNG, headers=AS_PNG)
    assert (answer.status_code, answer.json()["field"]) == (422, "projectId")


async def test_c7_a_death_before_the_commit_leaves_nothing(world: World) -> None:
    probe = DeadlyProbe(1)
    dying = replace(world.deps, probe=probe)
    world.client._transport.app.state.deps = dying  # type: ignore[attr-defined]
    with pytest.raises(Death):
        await post(world, PNG)
    assert probe.passed == ["input.before_commit"]
    assert await inputs_kept(world) == 0


async def test_a12_a_strangers_input_is_as_one_that_is_not_there(world: World) -> None:
    theirs = await world.upload(PNG, "theirs")
    job = (await world.generate(projectId="theirs")).json()["jobId"]
    await world.work_off(job)
    key = await create_key(world.deps.database, "bound", project_ids=["mine"])
    world.client.headers["authorization"] = f"Bearer {key}"
    assert (await post(world, PNG, projectId="theirs")).status_code == 404
    assert (await post(world, PNG, projectId="nobody's")).json() == (await post(world, PNG, projectId="theirs")).json()
    for field, real, made_up in (("inputId", theirs, str(new_id())), ("jobId", job, str(new_id()))):
        seen = [await world.generate(projectId="mine", sourceImage={field: value}) for value in (real, made_up)]
        assert [answer.status_code for answer in seen] == [422, 422]
        assert seen[0].json() == seen[1].json()
        assert seen[0].json()["field"] == f"sourceImage.{field}"


async def test_a12_who_may_only_read_uploads_nothing(world: World) -> None:
    key = await create_key(world.deps.database, "reader", scopes=[Scope.READ])
    world.client.headers["authorization"] = f"Bearer {key}"
    assert (await post(world, PNG)).status_code == 403
    world.client.headers["authorization"] = "Bearer nonsense"
    assert (await post(world, PNG)).status_code == 401
    assert await inputs_kept(world) == 0
