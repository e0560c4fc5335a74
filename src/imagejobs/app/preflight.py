"""Preflight: whether a job's input pictures are there and go together, found out before money is held for it."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from imagejobs.app.deps import Deps
from imagejobs.db import artifacts, inputs, job_reads
from imagejobs.db.jobs import NewJob
from imagejobs.domain.inputs import Slot, misfit, slots_of
from imagejobs.domain.jobs import JobStatus, JobType, PictureFacts
from imagejobs.domain.requests import ImageRequest
from imagejobs.errors import AddressRefused, InvalidField
from imagejobs.ports import Transaction

_NO_INPUT = "there is no such input in this project, or it has expired; upload it again."
_NO_JOB = "must name a completed job of this project."


def require_coherent(request: ImageRequest) -> None:
    """Refuse a kind of job without the input pictures that it is about."""
    if request.job_type in (JobType.INPAINT, JobType.EDIT) and request.source_image is None:
        raise InvalidField("sourceImage", f"is required for {request.job_type.value}: the picture to change.")
    if request.job_type is JobType.INPAINT and request.mask is None and request.mask_description is None:
        raise InvalidField("maskDescription", "or mask is required for inpaint: say or show which part to change.")
    for field, which in {"mask": request.mask, "maskDescription": request.mask_description}.items():
        if which is not None and request.source_image is None:
            raise InvalidField(field, "goes with a sourceImage, and there is none.")


def require_fetchable(deps: Deps, request: ImageRequest) -> None:
    """Refuse addresses that plainly lead where nothing is fetched from; the rest is judged when they are fetched."""
    named = {f"referenceImages.{number}": reference.source for number, reference in enumerate(request.references)}
    for field, source in {**named, "sourceImage": request.source_image, "mask": request.mask}.items():
        if source is not None and source.url is not None:
            try:
                deps.guard.require_plausible(source.url)
            except AddressRefused as error:
                raise InvalidField(f"{field}.url", error.detail) from error


async def hold_inputs(tx: Transaction, new: Sequence[NewJob]) -> None:
    """Check what is known of the input pictures and hold them for the jobs, which are siblings; raises `InvalidField`.

    An uploaded picture that is held does not expire while its job can still use it.
    """
    slots = slots_of(new[0].params)
    if not slots:
        return
    project_id = new[0].project_id
    kept = await _uploaded(tx, project_id, slots)
    facts = {slot.name: kept[slot.name][1] for slot in slots if slot.name in kept}
    facts |= await _earlier_pictures(tx, project_id, slots)
    problem = misfit(facts)
    if problem is not None:
        raise InvalidField(*problem)
    if kept:
        await inputs.hold(tx, [job.id for job in new], [(name, input_id) for name, (input_id, _) in kept.items()])


async def _uploaded(tx: Transaction, project_id: str, slots: Sequence[Slot]) -> Mapping[str, tuple[UUID, PictureFacts]]:
    wanted = {slot.name: _uuid(slot.source.input_id) for slot in slots if slot.source.input_id is not None}
    found = await inputs.take(tx, project_id, [one for one in wanted.values() if one]) if wanted else {}
    for slot in slots:
        if slot.name in wanted and wanted[slot.name] not in found:
            raise InvalidField(f"{slot.field}.inputId", _NO_INPUT)
    return {name: (input_id, found[input_id].facts) for name, input_id in wanted.items() if input_id is not None}


async def _earlier_pictures(tx: Transaction, project_id: str, slots: Sequence[Slot]) -> dict[str, PictureFacts]:
    facts: dict[str, PictureFacts] = {}
    for slot in slots:
        if slot.source.job_id is None:
            continue
        job_id = UUID(slot.source.job_id)
        job = await job_reads.by_id(tx, job_id)
        found = await artifacts.of_jobs(tx, [job_id])
        is_there = job is not None and job.project_id == project_id and job.status is JobStatus.COMPLETED
        if not is_there or job_id not in found:
            raise InvalidField(f"{slot.field}.jobId", _NO_JOB)
        facts[slot.name] = found[job_id]
    return facts


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
