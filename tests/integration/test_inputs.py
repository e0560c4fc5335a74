"""Input pictures of jobs: fetched or taken from an earlier job, kept with the job, and sent as they were kept."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from imagejobs.app.identifiers import new_id
from imagejobs.app.sweep import sweep
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import FailureStage, JobStatus, ResumeClass
from imagejobs.domain.money import Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import Billed, Code, OutcomeUnknown, ProviderUnreachable
from imagejobs.imaging import Decoder
from imagejobs.ports import ModelCapability
from tests.integration.imaging_pictures import PNG, png_of_zeros, telling
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import broken_invariants
from tests.support.providers import PRICE, Scripted, a_png
from tests.support.scripted_server import Reply, scripted_server
from tests.support.world import HastyClock, World, open_world

pytestmark = pytest.mark.database

ABLE = ModelCapability(name="scripted-1", max_references=3, takes_source_image=True, takes_mask=True)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted(model=ABLE)


@pytest.fixture
async def buying(dsn: str, database: Database, decoder: Decoder, tmp_path: Path, scripted: Scripted) -> AsyncIterator[World]:
    """An instance whose only provider costs money."""
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": scripted}) as opened:
        yield opened


async def inputs_kept(world: World) -> int:
    return int(await world.scalar("SELECT count(*) FROM imagejobs.inputs"))


async def test_f4_a_job_gets_its_pictures_identity_first_and_is_bought_once(buying: World, scripted: Scripted) -> None:
    earlier = (await buying.generate()).json()["jobId"]
    await buying.work_off(earlier)
    look, style = a_png(20, "blue"), a_png(24, "green")
    with scripted_server(Reply(content=style)) as site:
        answer = await buying.generate(
            jobType="inpaint",
            branchId="main",
            referenceImages=[{"url": f"{site.url}/style", "role": "style"}, {"inputId": await buying.upload(look)}],
            sourceImage={"jobId": earlier},
            mask={"inputId": await buying.upload(a_png(16, "white"))},
        )
        job = await buying.work_off(answer.json()["jobId"])
    assert job.status is JobStatus.COMPLETED, job.failure
    request = scripted.requests[-1]
    assert [(one.data, one.role) for one in request.references] == [(look, "identity"), (style, "style")]
    assert request.source_image is not None
    assert request.source_image.data == scripted.data
    assert request.mask is not None
    assert request.mask.media_type == "image/png"
    assert len(scripted.bill) == 2


async def test_c18_what_a_fetched_picture_tells_is_not_sent_on_and_a_picture_of_ours_keeps_its_marks(
    buying: World, scripted: Scripted
) -> None:
    place = "59.9139N 10.7522E"
    scripted.data = telling("PNG", place, turn=1)
    earlier = (await buying.generate()).json()["jobId"]
    await buying.work_off(earlier)
    with scripted_server(Reply(content=telling("JPEG", place))) as site:
        answer = await buying.generate(referenceImages=[{"url": site.url}], jobType="edit", sourceImage={"jobId": earlier})
        assert (await buying.work_off(answer.json()["jobId"])).status is JobStatus.COMPLETED
    sent = scripted.requests[-1]
    assert sent.source_image is not None
    assert (place.encode() in sent.references[0].data, sent.source_image.data == scripted.data) == (False, True)


async def test_c18_an_expired_or_unknown_input_is_refused_before_anything_is_written(buying: World) -> None:
    input_id = await buying.upload(PNG)
    await buying.scalar("UPDATE imagejobs.inputs SET expires_at = now() - interval '1 second'")
    for wrong in (input_id, str(new_id()), "no uuid at all"):
        answer = await buying.generate(referenceImages=[{"url": "https://example.com/"}, {"inputId": wrong}])
        assert (answer.status_code, answer.json()["field"]) == (422, "referenceImages.1.inputId")
    assert await buying.scalar("SELECT count(*) FROM public.image_generation_jobs") == 0
    assert await buying.scalar("SELECT count(*) FROM imagejobs.ledger_entries") == 0


async def test_a1_a_source_job_must_be_completed(buying: World) -> None:
    waiting = (await buying.generate()).json()["jobId"]
    answer = await buying.generate(jobType="edit", sourceImage={"jobId": waiting})
    assert (answer.status_code, answer.json()["field"]) == (422, "sourceImage.jobId")


async def test_a1_a_mask_of_another_size_is_refused(buying: World) -> None:
    source, mask = await buying.upload(a_png(32)), await buying.upload(a_png(16))
    answer = await buying.generate(
        jobType="inpaint", branchId="main", sourceImage={"inputId": source}, mask={"inputId": mask}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "mask")
    assert "16x16" in answer.json()["detail"]


@pytest.mark.parametrize("url", ["http://", "https://user:pw@example.com/", "http://[::1", "http://a b/", "http://a:99999/"])
async def test_c15_an_address_that_is_none_is_refused_at_once(buying: World, url: str) -> None:
    answer = await buying.generate(sourceImage={"url": url})
    assert (answer.status_code, answer.json()["field"]) == (422, "sourceImage.url")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/a.png",
        "http://2130706433/",
        "https://db.internal/",
        "http://93.184.215.14:5432/",
    ],
)
async def test_c15_an_address_that_plainly_leads_inside_is_refused_at_once(buying: World, url: str) -> None:
    answer = await buying.generate(referenceImages=[{"url": url}])
    assert (answer.status_code, answer.json()["field"]) == (422, "referenceImages.0.url")
    assert "not fetched" in answer.json()["detail"]
    assert await buying.scalar("SELECT count(*) FROM public.image_generation_jobs") == 0


async def test_a7_a_replay_finds_its_job_although_the_input_has_expired(buying: World) -> None:
    body = {"idempotencyKey": "k", "referenceImages": [{"inputId": await buying.upload(PNG)}]}
    first = await buying.generate(**body)
    await buying.scalar("UPDATE imagejobs.inputs SET expires_at = now() - interval '1 second'")
    again = await buying.generate(**body)
    assert (again.status_code, again.json()) == (200, first.json())


FOR_GOOD = [
    ("gone", Reply(status=404), "HTTP 404"),
    ("a page", Reply(content=b"<html>Please log in</html>"), "an HTML page"),
    ("cut off", Reply(content=PNG[:-9]), "cut off"),
    ("two files in one", Reply(content=PNG + b"PK\x03\x04"), "follow its end"),
    ("a bomb", Reply(content=png_of_zeros(20_000, 20_000)), "pixels"),
    ("somewhere inside", Reply(status=302, headers={"location": "http://169.254.169.254/latest"}), "not fetched"),
]


@pytest.mark.parametrize(("reply", "said"), [case[1:] for case in FOR_GOOD], ids=[case[0] for case in FOR_GOOD])
async def test_f4_c18_a_reference_that_is_none_fails_the_job_before_money_is_spent(
    buying: World, scripted: Scripted, reply: Reply, said: str
) -> None:
    with scripted_server(reply) as site:
        answer = await buying.generate(referenceImages=[{"url": f"{site.url}/a.png"}])
        job = await buying.work_off(answer.json()["jobId"])
    assert job.failure is not None
    assert (job.failure.code, job.failure.reason) == (Code.PERMANENT, "input_unavailable")
    assert (job.failure.stage, job.failure.billed) == (FailureStage.PROCESSING, Billed.NO)
    assert job.failure.message.startswith("referenceImages.0: ")
    assert said in job.failure.message
    assert (len(site.asked), scripted.sends, job.attempt_count) == (1, [], 0)
    assert await buying.scalar("SELECT state FROM imagejobs.reservations WHERE job_id = $1", job.id) == "released"


async def test_a10_f4_a_reference_out_of_reach_is_tried_again_and_then_fails_unbilled(
    buying: World, scripted: Scripted, dead_port: int
) -> None:
    with scripted_server(Reply(status=503), Reply(status=503), Reply(content=PNG)) as site:
        answer = await buying.generate(referenceImages=[{"url": site.url}])
        assert (await buying.work_off(answer.json()["jobId"])).status is JobStatus.COMPLETED
    answer = await buying.generate(referenceImages=[{"url": f"http://127.0.0.1:{dead_port}"}])
    job = await buying.work_off(answer.json()["jobId"])
    assert job.failure is not None
    assert (job.failure.code, job.failure.reason, job.retries_used) == (Code.TEMPORARY, "input_unreachable", 3)
    assert (job.failure.stage, job.failure.billed, job.failure.retryable) == (FailureStage.PROCESSING, Billed.NO, True)
    assert len(scripted.sends) == 1


class LateClock(HastyClock):
    """A clock that can be put forward."""

    late_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.late_seconds


async def test_p2_pictures_that_come_after_the_deadline_buy_nothing(buying: World, scripted: Scripted) -> None:
    clock = LateClock()
    late = replace(buying, deps=replace(buying.deps, clock=clock))
    buying.probe.hold("input.after_snapshot")
    with scripted_server(Reply(content=PNG)) as site:
        job = await buying.job((await buying.generate(referenceImages=[{"url": site.url}])).json()["jobId"])
        running = asyncio.create_task(late.run(job))
        await buying.probe.reached["input.after_snapshot"].wait()
        clock.late_seconds = 10_000.0
        buying.probe.let_go("input.after_snapshot")
        await running
    failure = (await buying.job(job.id)).failure
    assert failure is not None
    assert (failure.reason, failure.billed, scripted.sends) == ("deadline_exceeded", Billed.NO, [])


async def test_f4_a_source_whose_object_vanished_fails_unbilled(buying: World, scripted: Scripted) -> None:
    earlier = await buying.work_off((await buying.generate()).json()["jobId"])
    await buying.deps.storage.delete(earlier.storage_path or "")
    answer = await buying.generate(jobType="edit", sourceImage={"jobId": str(earlier.id)})
    job = await buying.work_off(answer.json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, len(scripted.sends)) == ("input_unavailable", 1)


async def test_f4_a_mask_that_turns_out_not_to_fit_fails_unbilled(buying: World, scripted: Scripted) -> None:
    with scripted_server(Reply(content=a_png(8))) as site:
        source = await buying.upload(a_png(16))
        answer = await buying.generate(sourceImage={"inputId": source}, mask={"url": site.url})
        job = await buying.work_off(answer.json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, scripted.sends) == ("input_unavailable", [])
    assert "8x8" in job.failure.message


async def test_p3_every_send_has_equal_bytes_although_the_address_gives_others_later(
    buying: World, scripted: Scripted
) -> None:
    scripted.resume_class = ResumeClass.KEY
    scripted.errors.extend([OutcomeUnknown("cut"), ProviderUnreachable("no route"), None])
    with scripted_server(Reply(content=a_png(8, "red")), Reply(content=a_png(8, "blue"))) as site:
        answer = await buying.generate(referenceImages=[{"url": site.url}])
        job = await buying.work_off(answer.json()["jobId"])
        assert len(site.asked) == 1
    assert job.status is JobStatus.COMPLETED, job.failure
    assert len(scripted.sends) == 3
    assert {request.references[0].data for request in scripted.requests} == {a_png(8, "red")}


@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_w1_to_w13_no_death_between_the_snapshot_and_the_answer_changes_the_pictures(
    buying: World, scripted: Scripted, resume: ResumeClass
) -> None:
    scripted.resume_class = resume
    points: list[str] = []
    for turn in range(1, 30):
        probe = DeadlyProbe(turn)
        with scripted_server(Reply(content=a_png(8, "red"))) as site:
            answer = await buying.generate(referenceImages=[{"url": site.url}], idempotencyKey=str(turn))
            job = await buying.job(answer.json()["jobId"])
            dying = replace(buying, deps=replace(buying.deps, probe=probe, worker_id=new_id()))
            died = await _dies(dying, job.id)
            asked = len(site.asked)
            await buying.work_off(job.id)
            is_kept = asked == 0 or "input.after_snapshot" in probe.passed
            assert len(site.asked) == (1 if is_kept else 2)
        assert await broken_invariants(buying.deps.database) == {}
        if not died:
            break
        points.append(probe.passed[-1])
    assert {"input.after_fetch", "input.after_snapshot", "dispatch.after_intent"} <= set(points)
    assert all(request.references[0].data == a_png(8, "red") for request in scripted.requests)


async def test_a_worker_that_lost_its_job_while_fetching_leaves_no_picture(buying: World, scripted: Scripted) -> None:
    with scripted_server(Reply(content=a_png(8, "red")), Reply(content=a_png(8, "blue"))) as site:
        job = await buying.job((await buying.generate(referenceImages=[{"url": site.url}])).json()["jobId"])
        buying.probe.hold("input.after_fetch")
        slow = asyncio.create_task(buying.run(job))
        await buying.probe.reached["input.after_fetch"].wait()
        twin = buying.twin()
        twin.probe.hold("dispatch.after_intent")
        second = asyncio.create_task(twin.run(job))
        await twin.probe.reached["dispatch.after_intent"].wait()
        buying.probe.let_go("input.after_fetch")
        await slow
        twin.probe.let_go("dispatch.after_intent")
        await second
    assert [request.references[0].data for request in scripted.requests] == [a_png(8, "blue")]
    assert await inputs_kept(buying) == 1


async def _dies(world: World, job_id: UUID) -> bool:
    try:
        await world.run(await world.job(job_id))
    except Death:
        return True
    return False


async def test_an_input_outlives_its_time_while_a_job_can_use_it_and_is_then_swept(
    buying: World, scripted: Scripted
) -> None:
    scripted.errors.append(ProviderUnreachable("no route"))
    answer = await buying.generate(referenceImages=[{"inputId": await buying.upload(PNG)}])
    await buying.scalar("UPDATE imagejobs.inputs SET expires_at = now() - interval '1 day'")
    await sweep(buying.deps)
    assert await inputs_kept(buying) == 1
    job = await buying.work_off(answer.json()["jobId"])
    assert (job.status, scripted.requests[-1].references[0].data) == (JobStatus.COMPLETED, PNG)
    await sweep(buying.deps)
    assert await inputs_kept(buying) == 0
    await buying.upload(PNG)
    await sweep(buying.deps)
    assert await inputs_kept(buying) == 1


async def test_a_failed_job_keeps_its_pictures_for_a_retry_for_thirty_days(buying: World, scripted: Scripted) -> None:
    scripted.errors.extend([ProviderUnreachable("no route")] * 4)
    with scripted_server(Reply(content=PNG), Reply(status=404)) as site:
        job_id = (await buying.generate(referenceImages=[{"url": site.url}])).json()["jobId"]
        assert (await buying.work_off(job_id)).status is JobStatus.FAILED
        await buying.scalar("UPDATE imagejobs.inputs SET expires_at = now() - interval '1 day'")
        await sweep(buying.deps)
        scripted.errors.extend([ProviderUnreachable("no route")] * 4)
        await buying.client.post(f"/api/images/jobs/{job_id}/retry")
        assert (await buying.work_off(job_id)).status is JobStatus.FAILED
        assert len(site.asked) == 1
        await buying.scalar("UPDATE image_generation_jobs SET completed_at = now() - interval '31 days'")
        await sweep(buying.deps)
        assert await inputs_kept(buying) == 0


async def test_a_fetched_picture_that_finds_no_room_fails_its_job_before_money_is_spent(
    buying: World, scripted: Scripted
) -> None:
    policy = replace(buying.deps.policy, input_bytes_per_project=65_536)
    full = replace(buying, deps=replace(buying.deps, policy=policy))
    await full.upload(PNG)
    with scripted_server(Reply(content=a_png(8, "red"))) as site:
        job = await full.work_off((await full.generate(referenceImages=[{"url": site.url}])).json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, "at most 65536 bytes" in job.failure.message) == ("input_unavailable", True)
    assert (scripted.sends, await inputs_kept(buying)) == ([], 1)


async def test_every_picture_of_a_batch_gets_the_same_inputs(buying: World, scripted: Scripted) -> None:
    body = (await buying.generate(n=3, referenceImages=[{"inputId": await buying.upload(PNG)}])).json()
    for job in body["jobs"]:
        assert (await buying.work_off(job["jobId"])).status is JobStatus.COMPLETED
    assert [request.references[0].data for request in scripted.requests] == [PNG] * 3


class ByThePicture(Scripted):
    """Charges for each picture that it is sent, too."""

    def quote(self, request: GenerationRequest) -> Quote:
        pictures = [*request.references, *filter(None, (request.source_image, request.mask))]
        return Quote(micros=PRICE * (1 + len(pictures)), price_version="by the picture")


async def test_p6_pictures_are_part_of_the_price_before_they_are_fetched_and_at_a_retry(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    dear = ByThePicture(model=ABLE)
    dear.errors.extend([ProviderUnreachable("no route")] * 4)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": dear}) as world:
        picture = {"inputId": await world.upload(PNG)}
        job_id = (await world.generate(referenceImages=[picture], sourceImage=picture, mask=picture)).json()["jobId"]
        await world.work_off(job_id)
        retried = await world.client.post(f"/api/images/jobs/{job_id}/retry")
    assert retried.json()["estimated"] == 4 * PRICE / 1_000_000
    rows = await world.scalar("SELECT array_agg(amount_micros ORDER BY reservation_no) FROM imagejobs.reservations")
    assert rows == [4 * PRICE] * 2


async def test_p6_a_refused_budget_leaves_no_picture_held(buying: World) -> None:
    input_id = await buying.upload(PNG)
    answer = await buying.generate(referenceImages=[{"inputId": input_id}], maxCost=0)
    assert answer.status_code == 402
    assert await buying.scalar("SELECT count(*) FROM imagejobs.job_inputs") == 0
