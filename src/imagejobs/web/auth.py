"""From a request to its caller."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from imagejobs.app.authenticate import authenticate
from imagejobs.app.deps import Deps
from imagejobs.domain.access import Caller

bearer = HTTPBearer(auto_error=False, description="An API key: `imagejobs keys create`.")


def deps_of(request: Request) -> Deps:
    """The wired world of this process."""
    deps: Deps = request.app.state.deps
    return deps


async def caller_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Caller:
    """Who asks; `Unauthenticated` where nobody can tell."""
    return await authenticate(deps_of(request), credentials.credentials if credentials else None)


WiredDeps = Annotated[Deps, Depends(deps_of)]
Asker = Annotated[Caller, Depends(caller_of)]
