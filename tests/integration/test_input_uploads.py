"""Uploads of input pictures: judged, kept privately, found again by their bytes, and nobody else's."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import pytest

from imagejobs.app.identifiers import new_id
from imagejobs.app.keys import create_key
from imagejobs.domain.access import Scope
from tests.integration.imaging_pictures import JPEG, PNG, WEBP, jpeg_that_claims, png_of_zeros
from tests.support.deaths import DeadlyProbe, Death
from tests.support.world import World

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
