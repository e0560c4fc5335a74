"""Inputs: the pictures that a job starts from, fetched once, kept with the job, and given to every send as they were kept.

Nothing is fetched after the purchase intent is committed; what cannot be had fails the job before any money is spent (F4).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from imagejobs import errors
from imagejobs.app.deps import Deps
from imagejobs.app.identifiers import new_id
from imagejobs.app.pictures import judged, keep_picture
from imagejobs.app.room import MemoryRoom
from imagejobs.app.visible import lock_claimed
from imagejobs.db import artifacts, inputs, job_reads
from imagejobs.domain.inputs import MOST_JOB_BYTES, KeptInput, Slot, misfit, slots_of, with_inputs
from imagejobs.domain.jobs import Claim
from imagejobs.domain.requests import GenerationRequest, Picture

_FETCH_SECONDS = 30.0
_GONE = "is not there any more; upload it again, and send a new request."


@asynccontextmanager
async def with_pictures(deps: Deps, claim: Claim, request: GenerationRequest) -> AsyncIterator[GenerationRequest]:
    """The request with its input pictures, in memory for as long as the block lasts; equal bytes every time.

    Raises `InputUnavailable` or `InputUnreachable`, the field that is to blame in their first word, and `DeadlineExceeded`
    where a job that has bought nothing yet waited too long. A crash leaves the pictures fetched so far with the job.
    """
    slots = slots_of(claim.job.params)
    if not slots:
        yield request
        return
    held = await _complete(deps, claim, slots)
    async with deps.input_bytes.hold(sum(one.facts.size_bytes for one in held.values())):
        pictures = {slot.name: await _loaded(deps, slot, held[slot.name]) for slot in slots}
        if claim.attempt is None and _seconds_left(deps, claim) <= 0:
            raise errors.DeadlineExceeded(
                "The job's deadline passed before its input pictures were there; nothing was bought."
            )
        yield with_inputs(request, slots, pictures)


async def _complete(deps: Deps, claim: Claim, slots: Sequence[Slot]) -> Mapping[str, KeptInput]:
    """What the job holds, by slot, after everything that was missing has been fetched."""
    held = await _held(deps, claim)
    missing = [slot for slot in slots if slot.name not in held]
    if missing:
        outcomes = await asyncio.gather(*(_fill(deps, claim, slot) for slot in missing), return_exceptions=True)
        for problem in filter(None, outcomes):
            raise problem
        await deps.probe("input.after_snapshot")
        held = await _held(deps, claim)
    misfitting = misfit({name: one.facts for name, one in held.items()})
    if misfitting is not None:
        raise errors.InputUnavailable(": ".join(misfitting))
    return held


async def _held(deps: Deps, claim: Claim) -> Mapping[str, KeptInput]:
    async with deps.database.connection() as connection:
        return await inputs.held_by(connection, claim.job_id)


async def _loaded(deps: Deps, slot: Slot, kept: KeptInput) -> Picture:
    async with deps.database.connection() as connection:
        data = await inputs.data_of(connection, kept.id)
    if data is None:
        raise errors.InputUnavailable(f"{slot.field} {_GONE}")
    return Picture(data=data, media_type=kept.facts.media_type, role=slot.role)


async def _fill(deps: Deps, claim: Claim, slot: Slot) -> None:
    """Fetch one picture and give it to the job, unless another worker owns that now."""
    if slot.source.input_id is not None:
        await _take_uploaded(deps, claim, slot)
        return
    room = MemoryRoom(deps.input_places)
    try:
        data = await _fetched(deps, claim, slot, room)
        await deps.probe("input.after_fetch")
        facts, own = await judged(deps, data, is_ours=slot.source.job_id is not None)
        new = inputs.NewInput(id=new_id(), project_id=claim.job.project_id, facts=facts, data=own)
        async with deps.database.transaction() as tx:
            await lock_claimed(tx, claim)
            kept = await keep_picture(deps, tx, new)
            await inputs.hold(tx, [claim.job_id], [(slot.name, kept.id)])
    except (errors.AddressRefused, errors.DownloadRejected, errors.InputsFull, errors.UnusablePicture) as error:
        raise errors.InputUnavailable(f"{slot.field}: {error.detail}") from error
    except errors.AddressUnreachable as error:
        raise errors.InputUnreachable(f"{slot.field}: {error.detail}") from error
    finally:
        room.leave()


async def _take_uploaded(deps: Deps, claim: Claim, slot: Slot) -> None:
    """An uploaded picture that the job let go when it had long failed, if it is still there."""
    input_id = UUID(slot.source.input_id)
    async with deps.database.transaction() as tx:
        await lock_claimed(tx, claim)
        if not await inputs.take(tx, claim.job.project_id, [input_id]):
            raise errors.InputUnavailable(f"{slot.field} {_GONE}")
        await inputs.hold(tx, [claim.job_id], [(slot.name, input_id)])


async def _fetched(deps: Deps, claim: Claim, slot: Slot, room: MemoryRoom) -> bytes:
    if slot.source.url is not None:
        seconds = min(_FETCH_SECONDS, max(1.0, _seconds_left(deps, claim)))
        most_bytes = deps.policy.input_max_bytes
        found = await deps.guard.fetch(slot.source.url, max_bytes=most_bytes, deadline_seconds=seconds, room=room)
        return found.data
    await room.enter()
    return await _earlier_picture(deps, claim, slot)


async def _earlier_picture(deps: Deps, claim: Claim, slot: Slot) -> bytes:
    job_id = UUID(slot.source.job_id)
    async with deps.database.connection() as connection:
        job = await job_reads.by_id(connection, job_id)
        found = (await artifacts.of_jobs(connection, [job_id])).get(job_id)
    if job is None or found is None or job.project_id != claim.job.project_id or found.size_bytes > MOST_JOB_BYTES:
        raise errors.InputUnavailable(f"{slot.field}: the job {job_id} has no picture that can be used here.")
    try:
        stored = await deps.storage.get(found.object_key)
    except errors.StorageUnavailable as error:
        raise errors.InputUnreachable(f"{slot.field}: {error.detail}") from error
    except errors.StorageError as error:
        raise errors.InputUnavailable(f"{slot.field}: {error.detail}") from error
    if stored is None:
        raise errors.InputUnavailable(f"{slot.field}: the picture of job {job_id} is not in the storage any more.")
    return stored.data


def _seconds_left(deps: Deps, claim: Claim) -> float:
    return claim.seconds_left - (deps.clock.monotonic() - claim.claimed_at)
