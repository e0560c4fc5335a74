"""From a request to its caller."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from imagejobs.app.authenticate import authenticate
from imagejobs.app.deps import Deps
from imagejobs.app.follow import AskAgain
from imagejobs.app.users import caller_of_user
from imagejobs.domain.access import Caller
from imagejobs.errors import MalformedRequest, TokenRefused
from imagejobs.web.tokens import UserTokens

bearer = HTTPBearer(
    auto_error=False, description="An API key (`imagejobs keys create`), or the access token of a Supabase user."
)


def deps_of(request: Request) -> Deps:
    """The wired world of this process."""
    deps: Deps = request.app.state.deps
    return deps


async def caller_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Caller:
    """Who asks; `Unauthenticated` where nobody can tell."""
    caller = await _proven(request, credentials.credentials if credentials else None)
    request.state.is_proven = True  # for `web.rates`
    return caller


async def _proven(request: Request, token: str | None) -> Caller:
    deps = deps_of(request)
    if token is None or "." not in token:  # a dot is in every JWT, and in none of our own keys
        return await authenticate(deps, token)
    tokens: UserTokens | None = request.app.state.tokens
    if tokens is None:
        problem = "this service knows no Supabase project; set SUPABASE_URL, or send an API key"
        raise TokenRefused("token_not_configured", problem)
    return await caller_of_user(deps, await tokens.user_of(token))


def asking_again(request: Request) -> AskAgain:
    """The same as `caller_of`, at any later time of a request that lasts; refuses one whose client is gone."""

    async def ask_again() -> Caller:
        if await request.is_disconnected():
            raise MalformedRequest("The caller hung up.")
        return await caller_of(request, await bearer(request))

    return ask_again


WiredDeps = Annotated[Deps, Depends(deps_of)]
Asker = Annotated[Caller, Depends(caller_of)]
