"""The ASGI application: routes, limits, errors, in one place."""

from collections.abc import Iterator, Sequence

from fastapi import FastAPI
from starlette.middleware import Middleware

from imagejobs import __version__
from imagejobs.app.deps import Deps, Policy
from imagejobs.web import files
from imagejobs.web.api import health, inputs, jobs, projects, quotes, styles
from imagejobs.web.cors import LastResort, pages_of
from imagejobs.web.limits import BodyLimit
from imagejobs.web.openapi import DescribedApi
from imagejobs.web.problems import install_handlers
from imagejobs.web.rates import RateLimit, Rates
from imagejobs.web.tokens import UserTokens

MAX_BODY_BYTES = 262_144


def create_app(
    deps: Deps | None, *, tokens: UserTokens | None = None, cors_origins: Sequence[str] = (), rates: Rates | None = None
) -> FastAPI:
    """The application over `deps`; with None it only describes itself, for the OpenAPI document.

    Without `tokens` only API keys are taken.
    """
    app = DescribedApi(
        title="imagejobs",
        version=__version__,
        summary="Durable image generation jobs",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name an address that only this side of a proxy knows
        middleware=_middleware(cors_origins, rates or Rates(), deps.policy if deps else None),
    )
    app.state.deps = deps
    app.state.tokens = tokens
    install_handlers(app)
    for module in (jobs, inputs, quotes, styles, projects, health, files):
        app.include_router(module.router)
    return app


def routes_of(app: FastAPI) -> Iterator[str]:
    """Method and path of each route, as the API announces them at its start (A13)."""
    for path, operations in app.openapi()["paths"].items():
        yield f"{'|'.join(method.upper() for method in operations)} {path}"


def _middleware(cors_origins: Sequence[str], rates: Rates, policy: Policy | None) -> list[Middleware]:
    input_max_bytes = policy.input_max_bytes if policy else Policy.input_max_bytes
    stack = [
        Middleware(LastResort),
        Middleware(RateLimit, rates=rates),
        Middleware(BodyLimit, most_bytes=MAX_BODY_BYTES, input_path=inputs.PATH, input_max_bytes=input_max_bytes),
    ]
    return [pages_of(cors_origins), *stack] if cors_origins else stack
