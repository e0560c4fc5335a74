"""Is it alive, is it ready."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from imagejobs import __version__
from imagejobs.db.migrate import known_migrations, schema_version
from imagejobs.errors import DatabaseUnavailable
from imagejobs.web.auth import WiredDeps

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive")
@router.head("/healthz", include_in_schema=False)
async def alive() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", summary="Can jobs be accepted", responses={503: {"content": {"application/json": {}}}})
@router.head("/readyz", include_in_schema=False)
async def ready(deps: WiredDeps) -> Response:
    """200 while the database answers and has the schema this version needs."""
    try:
        async with deps.database.connection() as connection:
            is_ready = await schema_version(connection) >= known_migrations()[-1].number
    except DatabaseUnavailable:
        is_ready = False
    return JSONResponse({"status": "ready" if is_ready else "not ready"}, 200 if is_ready else 503)
