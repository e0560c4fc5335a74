"""Upload: a reference, source or mask, kept privately for the jobs of its project until it expires."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO

from imagejobs.app.deps import Deps
from imagejobs.app.identifiers import new_id
from imagejobs.app.pictures import judged, keep_picture
from imagejobs.app.submit import require_project
from imagejobs.app.users import permitted
from imagejobs.db import inputs
from imagejobs.domain.access import Caller, Operation
from imagejobs.domain.inputs import KeptInput

_IN_MEMORY_BYTES = 65_536
_DAY_SECONDS = 86_400.0


async def upload(deps: Deps, caller: Caller, project_id: str, body: AsyncIterator[bytes]) -> KeptInput:
    """Receive the picture, judge it and keep it; nothing of it is kept where that fails.

    A repeat with the same bytes in the same project gives the same input, its time renewed. Raises
    `UnusablePicture`, and `NotFound` for a project that the caller may not write to, before the body is read.
    """
    caller = await permitted(deps, caller, project_id, Operation.WRITE_INPUTS)
    async with deps.database.transaction() as tx:
        await require_project(deps, tx, caller, project_id)
    deps.known_projects.put(project_id, fact=True)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        async for chunk in body:  # onto the disk, so that a slow sender holds no memory; whoever hands it over limits it
            file.write(chunk)
        async with deps.input_places:
            facts, data = await judged(deps, await asyncio.to_thread(_contents, file))
            new = inputs.NewInput(
                id=new_id(),
                project_id=project_id,
                facts=facts,
                data=data,
                created_by=caller.name,
                keep_seconds=deps.policy.input_days * _DAY_SECONDS,
            )
            await deps.probe("input.before_commit")
            async with deps.database.transaction() as tx:
                return await keep_picture(deps, tx, new)


def _contents(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
