"""A job from its request to its picture, row by row of the contract."""

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from imagejobs.domain.jobs import JobStatus
from tests.support.providers import a_png
from tests.support.world import BASE, World

pytestmark = pytest.mark.database

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_a1_a2_a_request_is_answered_at_once_with_the_job_and_where_it_is(world: World) -> None:
    answer = await world.generate(prompt="a fox [slow 600s]")
    assert answer.status_code == 202
    body = answer.json()
    assert body == {"jobId": body["jobId"], "status": "queued"}
    assert answer.headers["location"] == f"/api/images/jobs/{UUID(body['jobId'])}"


async def test_a1_every_member_of_the_contract_is_taken(world: World) -> None:
    earlier = (await world.generate()).json()["jobId"]
    await world.work_off(earlier)
    input_id = await world.upload(a_png(64))
    assert (await world.client.put("/api/projects/film/styles/noir", json={"name": "Noir"})).status_code == 201
    answer = await world.generate(
        branchId="main",
        jobType="start_frame",
        idempotencyKey="k",
        visualStyleCapsuleId="noir",
        manualVisualTone="grainy",
        assetId="hero",
        assetType="character",
        sceneId="s1",
        shotId="k2",
        referenceImages=[{"url": "https://example.com/a.png", "role": "style"}, {"inputId": input_id}],
        sourceImage={"jobId": earlier},
        mask={"inputId": input_id},
        maskDescription="the hat",
        negativePrompt="blur",
        seed=7,
        n=1,
        model="sketch",
        fallback=["sketch:sketch-1"],
        priority=-10,
        deadlineSeconds=60,
        maxCost=0.5,
        tags=["a"],
        fit="nearest",
    )
    assert answer.status_code == 202, answer.text
    job = await world.job(answer.json()["jobId"])
    assert (job.params["seed"], job.priority, job.tags, job.max_cost_micros) == (7, -10, ("a",), 500_000)
    assert job.params["references"][0]["role"] == "style"


async def test_a1_sizes_default_to_512_and_ids_are_opaque_text(world: World) -> None:
    for project in ("test-project-id", "3f0f6a3e-3c4b-4a51-9c0e-6f7d2a1b5c11", "Ünïcode / with spaces"):
        answer = await world.generate(projectId=project, width=..., height=...)
        job = await world.job(answer.json()["jobId"])
        assert (job.width, job.height, job.project_id, job.branch_id) == (512, 512, project, "main")


async def test_d2_where_nobody_chose_a_provider_a_job_that_names_no_model_fails_and_says_how_to_choose(world: World) -> None:
    deps = replace(world.deps, policy=replace(world.deps.policy, default_provider=None))
    world.client._transport.app.state.deps = deps  # type: ignore[attr-defined]
    unplaced = replace(world, deps=deps)
    job = await unplaced.work_off((await unplaced.generate()).json()["jobId"])
    assert job.failure is not None
    assert (job.failure.code, job.failure.reason, job.failure.billed) == ("PERMANENT", "no_provider_configured", "no")
    assert "IMAGEJOBS_DEFAULT_PROVIDER" in job.failure.message
    named = await unplaced.work_off((await unplaced.generate(model="sketch")).json()["jobId"])
    assert named.status is JobStatus.COMPLETED


async def test_a2_n_pictures_are_n_jobs_of_one_batch_and_differ(world: World) -> None:
    body = (await world.generate(n=3, idempotencyKey="three")).json()
    assert body["jobId"] == body["jobs"][0]["jobId"]
    assert len({job["jobId"] for job in body["jobs"]}) == 3
    replay = await world.generate(n=3, idempotencyKey="three")
    assert replay.status_code == 200
    assert replay.json() == body
    done = [await world.work_off(job["jobId"]) for job in body["jobs"]]
    assert {str(job.batch_id) for job in done} == {body["batchId"]}
    pictures = [(await world.read(job["jobId"]))["image"]["sha256"] for job in body["jobs"]]
    assert len(set(pictures)) == 3


async def test_a3_a_completed_job_says_what_the_contract_lists(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    waiting = await world.read(job_id)
    assert waiting["completedAt"] is None
    assert waiting["cost"] == {"estimated": 0.0, "actual": None}
    assert "publicUrl" not in waiting
    await world.work_off(job_id)
    body = await world.read(job_id)
    assert (body["jobId"], body["status"]) == (job_id, "completed")
    assert body["publicUrl"].startswith(BASE + "/files/project_film/branch_main/misc/")
    assert body["cost"] == {"estimated": 0.0, "actual": 0.0}
    assert "error" not in body
    assert INSTANT.fullmatch(body["createdAt"])
    assert INSTANT.fullmatch(body["completedAt"])


async def test_a3_an_unchanged_job_is_not_sent_twice(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    first = await world.client.get(f"/api/images/jobs/{job_id}")
    again = await world.client.get(f"/api/images/jobs/{job_id}", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await world.work_off(job_id)
    after = await world.client.get(f"/api/images/jobs/{job_id}", headers={"if-none-match": first.headers["etag"]})
    assert after.status_code == 200


@pytest.mark.parametrize(
    "kind",
    "master_asset start_frame end_frame inpaint scene_asset angle_variant transformation_post generate edit".split(),  # noqa: SIM905
)
async def test_a4_every_kind_of_job_is_made(world: World, kind: str) -> None:
    source = {"sourceImage": {"inputId": await world.upload(a_png())}, "maskDescription": "the hat"}
    wanted = source if kind in ("inpaint", "edit") else {}
    job_id = (await world.generate(jobType=kind, branchId="main", **wanted)).json()["jobId"]
    assert (await world.work_off(job_id)).status is JobStatus.COMPLETED


async def test_a4_only_generate_and_edit_default_to_the_branch_main(world: World) -> None:
    answer = await world.generate(jobType="master_asset")
    assert answer.status_code == 422
    assert "branchId" in answer.json()["detail"]


async def test_a5_each_state_is_persisted_with_its_time_and_told_without_a_gap(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    events = await world.events(job_id)
    assert [event["kind"] for event in events] == [
        f"job.{status}" for status in ("queued", "processing", "generating", "uploading", "completed")
    ]
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    body = await world.read(job_id)
    times = [
        body[name]
        for name in (
            "createdAt",
            "processingStartedAt",
            "generatingStartedAt",
            "uploadingStartedAt",
            "completedAt",
        )
    ]
    assert times == sorted(times)
    assert all(INSTANT.fullmatch(time) for time in times)


FAULTS = [
    ("[refuse]", "PERMANENT", "content_refused", "generating", "no"),
    ("[auth]", "AUTH_ERROR", "provider_key_rejected", "generating", "no"),
    ("[credit]", "PERMANENT", "provider_credit_exhausted", "generating", "no"),
    ("[offline]", "TEMPORARY", "provider_unreachable", "generating", "no"),
    ("[503]", "TEMPORARY", "provider_overloaded", "generating", "no"),
    ("[429]", "RATE_LIMIT", "provider_throttled", "generating", "no"),
    ("[unknown]", "UNKNOWN", "outcome_unknown", "generating", "unknown"),
    ("[corrupt]", "PERMANENT", "image_corrupt", "generating", "yes"),
    ("[html]", "PERMANENT", "not_an_image", "generating", "yes"),
    ("[bomb]", "PERMANENT", "image_too_large", "generating", "yes"),
    ("[storage]", "TEMPORARY", "storage_unavailable", "uploading", "yes"),
]


@pytest.mark.parametrize(("word", "code", "reason", "stage", "billed"), FAULTS)
async def test_a6_a8_each_failure_says_where_why_and_what_it_cost(
    world: World, word: str, code: str, reason: str, stage: str, billed: str
) -> None:
    job_id = (await world.generate(prompt=f"a fox {word}")).json()["jobId"]
    await world.work_off(job_id)
    body = await world.read(job_id)
    error = body["error"]
    assert body["status"] == "failed"
    assert (error["code"], error["reason"], error["failureStage"], error["billed"]) == (code, reason, stage, billed)
    assert len(error["message"]) > 20
    assert INSTANT.fullmatch(body["completedAt"])
    assert "publicUrl" not in body
    open_money = await world.scalar("SELECT count(*) FROM imagejobs.reservations WHERE state = 'reserved'")
    assert open_money == 0


async def test_a10_b5_an_unreachable_provider_is_tried_four_times_and_nothing_counts_as_bought(world: World) -> None:
    job_id = (await world.generate(prompt="[offline]")).json()["jobId"]
    job = await world.work_off(job_id)
    assert (job.retries_used, job.max_retries, job.attempt_count, job.retry_count) == (3, 3, 0, 0)
    outcomes = await world.scalar("SELECT array_agg(outcome ORDER BY number) FROM imagejobs.attempts")
    assert outcomes == ["released"] * 4
    waits = [event["data"]["retryInSeconds"] for event in await world.events(job_id) if "retryInSeconds" in event["data"]]
    assert len(waits) == 3


async def test_b5_purchases_that_failed_count_and_throttled_ones_do_not(world: World) -> None:
    overloaded = await world.work_off((await world.generate(prompt="[503]")).json()["jobId"])
    throttled = await world.work_off((await world.generate(prompt="[429 1s]")).json()["jobId"])
    assert overloaded.attempt_count == 4
    assert (throttled.status, throttled.attempt_count, throttled.retries_used) == (JobStatus.COMPLETED, 1, 0)


async def test_a7_a_key_finds_its_job_at_whatever_state_it_is(world: World) -> None:
    first = await world.generate(idempotencyKey="scene-1")
    again = await world.generate(idempotencyKey="scene-1")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    await world.work_off(first.json()["jobId"])
    done = await world.generate(idempotencyKey="scene-1")
    assert done.json() == {"jobId": first.json()["jobId"], "status": "completed"}


async def test_a7_the_header_is_as_good_as_the_member_and_both_must_agree(world: World) -> None:
    body = {"projectId": "film", "jobType": "generate", "prompt": "x"}
    by_member = await world.generate(prompt="x", width=..., height=..., idempotencyKey="k")
    by_header = await world.client.post("/api/images/generate", json=body, headers={"idempotency-key": "k"})
    assert by_header.json()["jobId"] == by_member.json()["jobId"]
    named = {**body, "idempotencyKey": "k"}
    for header, status in (("other", 400), ("k", 200)):
        answer = await world.client.post("/api/images/generate", json=named, headers={"idempotency-key": header})
        assert answer.status_code == status


async def test_a7_the_same_key_with_another_body_is_refused_and_makes_nothing(world: World) -> None:
    await world.generate(idempotencyKey="k")
    other = await world.generate(idempotencyKey="k", prompt="something else")
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")
    assert await world.scalar("SELECT count(*) FROM public.image_generation_jobs") == 1


async def test_a7_keys_of_different_projects_do_not_meet(world: World) -> None:
    ids = {(await world.generate(projectId=p, idempotencyKey="k")).json()["jobId"] for p in ("a", "b")}
    assert len(ids) == 2


async def test_a7_a_failed_jobs_key_returns_the_failed_job(world: World) -> None:
    first = await world.generate(idempotencyKey="k", prompt="[refuse]")
    await world.work_off(first.json()["jobId"])
    again = await world.generate(idempotencyKey="k", prompt="[refuse]")
    assert (again.status_code, again.json()["status"]) == (200, "failed")


async def test_b6_the_contracts_columns_hold_credits(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    assert await world.scalar("SELECT cost_credits FROM image_generation_jobs") == Decimal("0.000000")
    kind = await world.scalar(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 'image_generation_jobs'::regclass AND attname = 'cost_credits'"
    )
    assert kind == "numeric(12,6)"


async def test_c4_the_public_url_opens_without_a_token_and_cannot_run(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    url = (await world.read(job_id))["publicUrl"]
    del world.client.headers["authorization"]
    picture = await world.client.get(url)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in picture.headers["content-security-policy"]
    assert picture.headers["content-disposition"] == "inline"
    cached = await world.client.get(url, headers={"if-none-match": picture.headers["etag"]})
    assert cached.status_code == 304
    part = await world.client.get(url, headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert part.headers["content-range"] == f"bytes 1-3/{len(picture.content)}"
    tail = await world.client.get(url, headers={"range": "bytes=-4"})
    assert tail.content == picture.content[-4:]
    beyond = await world.client.get(url, headers={"range": f"bytes={len(picture.content)}-"})
    assert beyond.status_code == 416
    assert (await world.client.get(BASE + "/files/../../etc/passwd")).status_code == 404
    assert (await world.client.get(BASE + "/files/%2e%2e/%2e%2e/etc/passwd")).status_code == 404


async def test_a_thumbnail_and_a_blurhash_come_after_completion(world: World) -> None:
    job_id = (await world.generate(width=1024, height=512)).json()["jobId"]
    await world.work_off(job_id)
    body = await world.read(job_id)
    small = await world.client.get(body["thumbnailUrl"])
    assert small.headers["content-type"] == "image/webp"
    assert body["thumbnailUrl"] == body["publicUrl"] + ".thumb.webp"
    assert len(body["blurhash"]) > 10
    assert body["image"] == body["image"] | {"width": 1024, "height": 512, "mediaType": "image/png"}


async def test_a_deadline_ends_a_job_that_waits(world: World) -> None:
    job_id = (await world.generate(prompt="[503]", deadlineSeconds=1)).json()["jobId"]
    await world.scalar("UPDATE image_generation_jobs SET deadline_at = now() - interval '1 second'")
    job = await world.work_off(job_id)
    assert job.failure is not None
    assert (job.failure.reason, job.failure.stage) == ("deadline_exceeded", "processing")


async def test_a14_jobs_are_listed_newest_first_by_page_and_by_filter(world: World) -> None:
    made = [(await world.generate(projectId=f"p{n % 2}", tags=["odd"] if n % 2 else [])).json()["jobId"] for n in range(7)]
    await world.work_off(made[0])
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await world.client.get("/api/images/jobs", params={"limit": "3", **cursor})).json()
        seen += [job["jobId"] for job in page["jobs"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert seen == made[::-1]

    async def ids(**params: str) -> list[str]:
        answer = await world.client.get("/api/images/jobs", params=params)
        return [job["jobId"] for job in answer.json()["jobs"]]

    assert await ids(projectId="p1") == made[5::-2]
    assert await ids(tag="odd") == made[5::-2]
    assert await ids(status="completed") == [made[0]]
    assert await ids(projectId="nowhere") == []
    now = datetime.now().astimezone().isoformat()
    assert await ids(createdAfter=now) == []
    assert len(await ids(createdBefore=now)) == 7


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "A" * 32, "A" * 65, "é"])
async def test_a_cursor_that_no_page_gave_is_refused(world: World, cursor: str) -> None:
    answer = await world.client.get("/api/images/jobs", params={"cursor": cursor})
    assert answer.status_code in (400, 422) or cursor == "A" * 32
