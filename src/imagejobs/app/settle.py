"""Settle: from staged bytes to a public picture. Every step can be repeated, and a repeat makes the same object."""

import asyncio
import hashlib
import logging

from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.app.visible import move_claimed
from imagejobs.db import artifacts, attempts, jobs
from imagejobs.domain.artifacts import object_key, thumbnail_key
from imagejobs.domain.jobs import Artifact, Attempt, Claim, JobStatus, Outcome
from imagejobs.errors import Billed, StorageKeyRejected, StorageUnavailable

logger = logging.getLogger(__name__)


async def store_and_settle(deps: Deps, claim: Claim, attempt: Attempt, data: bytes) -> Artifact:
    """Decode, store and complete; the answer is the picture as recorded.

    Raises `AnswerUnusable` for what is no picture, the leaves of `StorageError`, `LostClaim` before anything is written.
    """
    facts = await deps.decoder.inspect(data)
    await _begin_upload(deps, claim)
    artifact = Artifact(
        job_id=claim.job_id,
        attempt_id=attempt.id,
        object_key=object_key(claim.job, attempt.id, attempt.object_nonce, facts.media_type),
        sha256=hashlib.sha256(data).digest(),
        size_bytes=len(data),
        **vars(facts),
        blurhash=None,
        thumbnail_key=None,
    )
    await deps.probe("upload.before")
    await _put(deps, artifact.object_key, data, artifact.media_type)
    await deps.probe("upload.after_put")
    await _settle(deps, claim, artifact)
    await deps.probe("upload.after_commit")
    return artifact


async def _begin_upload(deps: Deps, claim: Claim) -> None:
    if claim.job.status is JobStatus.UPLOADING:
        return
    async with deps.database.connection() as connection:  # one statement, which commits by itself
        change = jobs.Change(to=JobStatus.UPLOADING, fence=claim.fence)
        await move_claimed(connection, claim, change)
    tell(deps, claim.job_id)


async def _put(deps: Deps, key: str, data: bytes, media_type: str) -> None:
    """Store the object; a storage that does not come back counts as away, and one that refuses its key is remembered."""
    seconds = deps.policy.upload_seconds
    try:
        async with asyncio.timeout(seconds):
            await deps.storage.put(key, data, media_type)
    except TimeoutError as error:
        raise StorageUnavailable(
            f"The storage did not take the picture within {seconds:g} s; its bytes are kept."
        ) from error
    except StorageKeyRejected:
        deps.staging_room.is_refused = True
        raise


async def _settle(deps: Deps, claim: Claim, artifact: Artifact) -> None:
    """Complete the job, close the attempt, record the picture and forget the staged bytes, in one commit."""
    url = deps.storage.public_url(artifact.object_key)
    change = jobs.Change(
        to=JobStatus.COMPLETED, fence=claim.fence, object_key=artifact.object_key, public_url=url, event={"publicUrl": url}
    )
    end = attempts.Close(outcome=Outcome.SUCCEEDED, billed=Billed.YES, object_key=artifact.object_key)
    async with deps.database.transaction() as tx:
        await move_claimed(tx, claim, change)
        await attempts.close(tx, artifact.attempt_id, end)
        await artifacts.insert(tx, artifact, deps.storage.name)
        await attempts.drop_staged_bytes(tx, artifact.attempt_id)
    tell(deps, claim.job_id)
    logger.info("job.completed", extra={"job_id": str(claim.job_id), "public_url": url})


async def make_thumbnail(deps: Deps, artifact: Artifact, data: bytes) -> None:
    """Make the small picture and its blur hash. The job is completed already and stays so, whatever happens here."""
    try:
        thumbnail = await deps.decoder.thumbnail(data)
        key = thumbnail_key(artifact.object_key)
        await _put(deps, key, thumbnail.data, "image/webp")
        async with deps.database.connection() as connection:
            await artifacts.set_thumbnail(connection, artifact.attempt_id, key, thumbnail.blurhash)
    except Exception:
        logger.warning("artifact.no_thumbnail", extra={"job_id": str(artifact.job_id)}, exc_info=True)
