"""The ASGI application: routes, limits, errors, in one place."""

from collections.abc import Iterator, Sequence

from fastapi import FastAPI
from starlette.middleware import Middleware

from imagejobs import __version__
from imagejobs.app.deps import Deps
from imagejobs.web import files
from imagejobs.web.api import health, jobs
from imagejobs.web.cors import Cors, LastResort
from imagejobs.web.limits import BodyLimit
from imagejobs.web.problems import install_handlers
from imagejobs.web.rates import RateLimit, Rates

MAX_BODY_BYTES = 262_144


def create_app(
    deps: Deps | None, *, cors_origins: Sequence[str] = (), rates: Rates | None = None, serves_files: bool = True
) -> FastAPI:
    """The application over `deps`; with None it only describes itself, for the OpenAPI document."""
    app = FastAPI(
        title="imagejobs",
        version=__version__,
        summary="Durable image generation jobs",
        docs_url=None,
        redoc_url=None,
        middleware=_middleware(cors_origins, rates or Rates()),
    )
    app.state.deps = deps
    install_handlers(app)
    app.include_router(jobs.router)
    app.include_router(health.router)
    if serves_files:
        app.include_router(files.router)
    return app


def routes_of(app: FastAPI) -> Iterator[str]:
    """Method and path of each route, as the API announces them at its start (A13)."""
    for path, operations in app.openapi()["paths"].items():
        yield f"{'|'.join(method.upper() for method in operations)} {path}"


def _middleware(cors_origins: Sequence[str], rates: Rates) -> list[Middleware]:
    stack = [Middleware(LastResort), Middleware(RateLimit, rates=rates), Middleware(BodyLimit, most_bytes=MAX_BODY_BYTES)]
    return [Middleware(Cors, origins=cors_origins), *stack] if cors_origins else stack
