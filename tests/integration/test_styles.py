"""Style capsules: written, read, worn by jobs, and nobody else's."""

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.app.purchase import generation_request
from imagejobs.domain.access import Scope
from tests.support.world import World

pytestmark = pytest.mark.database

NOIR: dict[str, Any] = {"name": "Noir", "descriptors": ["high contrast", "wet asphalt"], "pillars": ["hard light"]}
URL = "/api/projects/film/styles/noir"


async def put(world: World, url: str = URL, **changes: Any) -> httpx2.Response:
    return await world.client.put(url, json={**NOIR, **changes})


async def an_input(world: World, project_id: str = "film") -> str:
    """The row that an upload leaves behind."""
    input_id = uuid4()
    await world.scalar(
        "INSERT INTO imagejobs.inputs (id, project_id, sha256, media_type, size_bytes, width, height, data, expires_at) "
        "VALUES ($1, $2, uuid_send($1), 'image/png', 1, 1, 1, 'x', now() + interval '1 hour')",
        input_id,
        project_id,
    )
    return str(input_id)


async def as_key(world: World, **rights: Any) -> None:
    key = await create_key(world.deps.database, "another", **rights)
    world.client.headers["authorization"] = f"Bearer {key}"


async def words_of(world: World, job_id: str) -> str:
    """What the provider of the job gets, as the worker asks for it."""
    return generation_request(await world.job(job_id)).prompt


async def test_f4_a_style_is_written_read_listed_replaced_and_deleted(world: World) -> None:
    made = await put(world)
    assert made.status_code == 201, made.text
    body = made.json()
    assert body == {**body, **NOIR, "styleId": "noir", "projectId": "film", "referenceImages": []}
    assert (await world.client.get(URL)).json() == body
    again = await put(world, pillars=[])
    assert (again.status_code, again.json()["pillars"]) == (200, [])
    assert again.json()["createdAt"] == body["createdAt"]
    assert (await world.client.delete(URL)).status_code == 204
    for answer in (await world.client.get(URL), await world.client.delete(URL)):
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")


async def test_a14_the_list_goes_page_by_page_and_holds_every_style_once(world: World) -> None:
    ids = ["a", "Noir 1947", "Ünïcode?#", "漢字" * 100, "zz"]
    for style_id in ids:
        assert (await put(world, f"/api/projects/film/styles/{quote(style_id, safe='')}")).status_code == 201
    await put(world, "/api/projects/other/styles/theirs")
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await world.client.get("/api/projects/film/styles", params=query)).json()
        found += [style["styleId"] for style in page["styles"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert sorted(found) == sorted(ids)
    for cursor in ("%%%", "YQ", "AA==", "_w=="):
        answer = await world.client.get("/api/projects/film/styles", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["reason"]) == (400, "malformed_request")


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "at least 1"),
    ({"name": " "}, "name", "empty"),
    ({"name": "n" * 101}, "name", "100"),
    ({"name": None}, "name", "string"),
    ({"name": "a\x00"}, "name", "NUL"),
    ({"descriptors": ["d"] * 21}, "descriptors", "20"),
    ({"descriptors": ["d" * 201]}, "descriptors.0", "200"),
    ({"descriptors": ["ok", "\t"]}, "descriptors.1", "empty"),
    ({"descriptors": "noir"}, "descriptors", "list"),
    ({"pillars": ["p"] * 11}, "pillars", "10"),
    ({"pillars": ["p" * 401]}, "pillars.0", "400"),
    ({"referenceImages": [str(UUID(int=number)) for number in range(9)]}, "referenceImages", "8"),
    ({"referenceImages": ["hero"]}, "referenceImages.0", "UUID"),
    ({"referenceImages": [{"inputId": str(UUID(int=1)), "role": "identity"}]}, "referenceImages.0", "UUID"),
    ({"referenceImages": [str(UUID(int=1))] * 2}, "referenceImages", "twice"),
    ({"referenceImages": [str(UUID(int=1))]}, "referenceImages.0", "no input of this project"),
    ({"pilars": []}, "pilars", "not a known field"),
]


@pytest.mark.parametrize(("change", "field", "limit"), BAD, ids=lambda value: str(value)[:40])
async def test_a16_a_bad_style_is_refused_by_field_and_limit(
    world: World, change: dict[str, Any], field: str, limit: str
) -> None:
    answer = await put(world, **change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert limit in answer.json()["detail"]
    assert await world.scalar("SELECT count(*) FROM imagejobs.style_capsules") == 0


@pytest.mark.parametrize("style_id", ["%00", "x" * 201, "a%00b"])
async def test_a16_a_bad_style_id_is_refused_on_every_route(world: World, style_id: str) -> None:
    url = f"/api/projects/film/styles/{style_id}"
    for answer in (await put(world, url), await world.client.get(url), await world.client.delete(url)):
        assert (answer.status_code, answer.json()["field"]) == (422, "styleId")


async def test_a12_another_projects_style_is_the_same_404_as_none(world: World) -> None:
    await put(world)
    await as_key(world, project_ids=["mine"])
    nowhere = "/api/projects/nowhere/styles/noir"
    for theirs, none in (
        (await world.client.get(URL), await world.client.get(nowhere)),
        (await world.client.delete(URL), await world.client.delete(nowhere)),
        (await put(world), await put(world, nowhere)),
        (await world.client.get("/api/projects/film/styles"), await world.client.get("/api/projects/nowhere/styles")),
    ):
        assert theirs.status_code == 404
        assert (theirs.status_code, theirs.content) == (none.status_code, none.content)
    worn = await world.generate(projectId="mine", visualStyleCapsuleId="noir")
    assert (worn.status_code, worn.json()["field"]) == (422, "visualStyleCapsuleId")
    assert await world.scalar("SELECT count(*) FROM imagejobs.style_capsules WHERE name = 'Noir'") == 1


async def test_a12_reading_and_writing_styles_takes_the_scopes_of_jobs(world: World) -> None:
    await put(world)
    await as_key(world, scopes=[Scope.READ])
    assert (await world.client.get(URL)).status_code == 200
    assert [(await put(world)).status_code, (await world.client.delete(URL)).status_code] == [403, 403]
    await as_key(world, scopes=[Scope.WRITE])
    assert [(await put(world)).status_code, (await world.client.get(URL)).status_code] == [200, 403]
    assert (await put(world, "/api/projects/not-made/styles/x")).status_code == 404


async def test_a1_an_unknown_style_is_refused_by_name_and_nothing_is_written(world: World) -> None:
    answer = await world.generate(visualStyleCapsuleId="noir", idempotencyKey="k")
    assert (answer.status_code, answer.json()["field"]) == (422, "visualStyleCapsuleId")
    assert await world.scalar("SELECT count(*) FROM public.image_generation_jobs") == 0
    await put(world)
    assert (await world.generate(visualStyleCapsuleId="noir", idempotencyKey="k")).status_code == 202


async def test_f4_a_job_keeps_the_style_of_its_submission_through_edit_deletion_and_retry(world: World) -> None:
    await put(world)
    request = {
        "prompt": "a fox [refuse]",
        "visualStyleCapsuleId": "noir",
        "manualVisualTone": "calm",
        "idempotencyKey": "k",
    }
    job_id = (await world.generate(**request)).json()["jobId"]
    wanted = "a fox [refuse]\n\nStyle: Noir\nhigh contrast, wet asphalt\nAlways:\n- hard light\n\nTone: calm"
    await put(world, name="Pastel", descriptors=["soft"])
    assert await words_of(world, job_id) == wanted
    await world.client.delete(URL)
    assert (await world.work_off(job_id)).status == "failed"
    assert (await world.client.post(f"/api/images/jobs/{job_id}/retry")).status_code == 202
    assert await words_of(world, job_id) == wanted
    replay = await world.generate(**request)
    assert (replay.status_code, replay.json()["jobId"]) == (200, job_id)
    read = await world.read(job_id)
    assert (read["prompt"], read["composedPrompt"]) == ("a fox [refuse]", wanted)


async def test_a1_a_plain_prompt_reaches_the_provider_as_it_is(world: World) -> None:
    job_id = (await world.generate(prompt="a fox", negativePrompt="blur")).json()["jobId"]
    asked = generation_request(await world.job(job_id))
    assert (asked.prompt, asked.negative_prompt) == ("a fox", "blur")
    assert (await world.read(job_id))["composedPrompt"] is None


async def test_f4_a_styles_pictures_join_the_jobs_own_as_style_references(world: World) -> None:
    picture = await an_input(world)
    assert (await put(world, referenceImages=[picture])).status_code == 201
    hero = {"url": "https://example.com/hero.png", "role": "identity"}
    answer = await world.generate(visualStyleCapsuleId="noir", referenceImages=[hero])
    job = await world.job(answer.json()["jobId"])
    kinds = [(one["role"], one["source"]["input_id"]) for one in job.params["references"]]
    assert kinds == [("identity", None), ("style", picture)]
    assert "Reference picture 2 shows only the look" in await words_of(world, str(job.id))
    crowd = await world.generate(visualStyleCapsuleId="noir", referenceImages=[hero] * 14)
    assert (crowd.status_code, crowd.json()["field"]) == (422, "referenceImages")
    assert "at most 14 of them, not 15" in crowd.json()["detail"]


async def test_f4_a_style_takes_pictures_of_its_project_that_are_not_expired_or_in_a_style_already(world: World) -> None:
    one, gone, theirs = await an_input(world), await an_input(world), await an_input(world, "other")
    await put(world, referenceImages=[one])
    await world.scalar("UPDATE imagejobs.inputs SET expires_at = now() - interval '1 day' WHERE project_id = 'film'")
    for bad in (gone, theirs):
        answer = await put(world, URL + "2", referenceImages=[one, bad])
        assert (answer.status_code, answer.json()["field"]) == (422, "referenceImages.1")
    assert (await put(world, URL + "2", referenceImages=[one])).status_code == 201
    await put(world, "/api/projects/other/styles/noir", referenceImages=[theirs])
    assert (await put(world, referenceImages=[theirs])).status_code == 422
    assert (await world.client.get(URL)).json()["referenceImages"] == [one]


async def test_f4_of_writers_at_once_one_makes_the_style_and_each_writes_it_whole(world: World) -> None:
    answers = await asyncio.gather(*(put(world, name=f"N{n}", descriptors=[f"D{n}"]) for n in range(12)))
    assert Counter(answer.status_code for answer in answers) == {200: 11, 201: 1}
    style = (await world.client.get(URL)).json()
    assert style["descriptors"] == ["D" + style["name"][1:]]


async def test_a_prompt_that_style_and_type_make_too_long_is_refused_with_both_figures(world: World) -> None:
    await put(world, descriptors=["d" * 200] * 20)
    assert (await world.generate(prompt="x" * 32_000)).status_code == 202
    answer = await world.generate(prompt="x" * 30_000, visualStyleCapsuleId="noir")
    assert (answer.status_code, answer.json()["field"], answer.json()["reason"]) == (422, "prompt", "unsupported_capability")
    assert "at most 32000 characters" in answer.json()["detail"]
    assert "this has 340" in answer.json()["detail"]


async def test_a1_a_type_of_asset_sets_the_size_only_where_the_caller_gave_none(world: World) -> None:
    for given, size in (
        ({}, (768, 1024)),
        ({"width": 640}, (640, 512)),
        ({"assetType": "vehicle"}, (512, 512)),
        ({"jobType": "generate"}, (512, 512)),
    ):
        body = {
            "jobType": "master_asset",
            "branchId": "main",
            "assetType": "character",
            "width": ...,
            "height": ...,
            **given,
        }
        answer = await world.generate(**body)
        job = await world.job(answer.json()["jobId"])
        assert (job.width, job.height) == size, given
