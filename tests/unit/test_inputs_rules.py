"""What input pictures a request needs, and where each has its place."""

import asyncio
from typing import Any

import pytest

from imagejobs.app.choose import require_capable
from imagejobs.app.preflight import require_coherent
from imagejobs.app.room import ByteRoom
from imagejobs.domain.inputs import MOST_JOB_BYTES, misfit, slots_of
from imagejobs.domain.jobs import JobType, PictureFacts
from imagejobs.domain.requests import ImageRequest, PictureSource, Reference, ReferenceRole
from imagejobs.errors import InvalidField, UnsupportedCapability
from imagejobs.ports import ModelCapability

A_PICTURE = PictureSource(url="https://example.com/a.png")


def a_request(job_type: JobType = JobType.GENERATE, **changes: Any) -> ImageRequest:
    wanted = {"project_id": "film", "branch_id": "main", "prompt": "a fox", "width": 64, "height": 64, **changes}
    return ImageRequest(job_type=job_type, **wanted)


def facts(width: int = 8, height: int = 8, size_bytes: int = 100) -> PictureFacts:
    return PictureFacts(sha256=b"", media_type="image/png", size_bytes=size_bytes, width=width, height=height)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (a_request(JobType.EDIT), "sourceImage"),
        (a_request(JobType.INPAINT, mask_description="the hat"), "sourceImage"),
        (a_request(JobType.INPAINT, source_image=A_PICTURE), "maskDescription"),
        (a_request(mask=A_PICTURE), "mask"),
        (a_request(mask_description="the hat"), "maskDescription"),
    ],
)
def test_a4_a_kind_of_job_without_its_pictures_is_refused_by_name(request_: ImageRequest, field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        require_coherent(request_)
    assert refused.value.field == field


@pytest.mark.parametrize("words", [{"mask": A_PICTURE}, {"mask_description": "the hat"}])
def test_a4_inpaint_takes_a_mask_or_a_description(words: dict[str, Any]) -> None:
    require_coherent(a_request(JobType.INPAINT, source_image=A_PICTURE, **words))


@pytest.mark.parametrize(
    ("request_", "field", "said"),
    [
        (a_request(references=(Reference(source=A_PICTURE, role=ReferenceRole.STYLE),) * 3), "referenceImages", "at most 2"),
        (a_request(source_image=A_PICTURE), "sourceImage", "changes no pictures"),
        (a_request(source_image=None, mask=A_PICTURE), "mask", "maskDescription"),
    ],
)
def test_a1_what_the_model_cannot_do_is_refused_saying_what_it_can(request_: ImageRequest, field: str, said: str) -> None:
    with pytest.raises(UnsupportedCapability, match=said) as refused:
        require_capable(ModelCapability(name="small", max_references=2), request_)
    assert refused.value.field == field


def test_f4_identity_goes_before_style_and_the_order_of_each_stays() -> None:
    given = [("style", "a"), ("identity", "b"), ("style", "c"), ("identity", "d")]
    params = {"references": [{"source": {"url": url}, "role": role} for role, url in given], "mask": {"input_id": "m"}}
    slots = slots_of(params)
    assert [slot.source.url or slot.source.input_id for slot in slots] == ["b", "d", "a", "c", "m"]
    assert [slot.field for slot in slots] == [f"referenceImages.{number}" for number in (1, 3, 0, 2)] + ["mask"]


def test_a_mask_of_another_size_and_too_many_bytes_in_all_do_not_go_together() -> None:
    assert misfit({"source": facts(), "mask": facts()}) is None
    assert misfit({"mask": facts(9, 8)}) is None
    wrong_size = misfit({"source": facts(), "mask": facts(9, 8)})
    assert wrong_size is not None
    assert wrong_size[0] == "mask"
    assert "9x8" in wrong_size[1]
    too_much = misfit({"reference_00": facts(size_bytes=MOST_JOB_BYTES), "source": facts()})
    assert too_much is not None
    assert str(MOST_JOB_BYTES) in too_much[1]


async def test_a_large_want_is_not_starved_by_small_ones_and_gets_its_room() -> None:
    room, order = ByteRoom(10), []

    async def want(size_bytes: int) -> None:
        async with room.hold(size_bytes):
            order.append(size_bytes)

    async with room.hold(6):
        waiting = [asyncio.create_task(want(size)) for size in (10, 1, 2)]
        await asyncio.sleep(0)
        canceled = waiting.pop()
        canceled.cancel()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert order == [10, 1]
    await asyncio.wait_for(want(10), 5)
