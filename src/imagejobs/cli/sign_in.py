"""Users' tokens by the settings: which are taken, and what `doctor` says of it."""

import time
from collections.abc import AsyncIterator

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.app.users import require_usable
from imagejobs.bootstrap import supabase_project
from imagejobs.cli.providers import CORRECT
from imagejobs.db.pool import Database
from imagejobs.errors import ConfigurationError, SignInUnavailable
from imagejobs.net.http import Outbound
from imagejobs.settings import Settings
from imagejobs.web.signing_keys import SigningKeys
from imagejobs.web.tokens import TokenRules, UserTokens

_SUBJECT = "sign-in"
_NO_KEYS = (
    "Until then no user's token is taken. See that SUPABASE_URL is right and the network lets us through; a project that "
    "signs with a shared secret (legacy) needs SUPABASE_JWT_SECRET."
)
_QUERY = "Correct it, and see that DATABASE_URL's user may read the table, which needs an index where it is slow."


def tokens_of(settings: Settings) -> UserTokens | None:
    """The tokens of the Supabase project that the settings name; None where they name none, and only API keys are taken."""
    auth = None if settings.supabase_url is None else f"{settings.supabase_url.rstrip('/')}/auth/v1"
    issuer = settings.supabase_issuer or auth
    keys_url = settings.supabase_jwks_url or (auth and f"{auth}/.well-known/jwks.json")
    if issuer is None and keys_url is None and settings.supabase_jwt_secret is None:
        return None
    if issuer is None or (keys_url is None and settings.supabase_jwt_secret is None):
        raise ConfigurationError(["Users' tokens need SUPABASE_URL: it says who makes them and where their keys are."])
    keys = SigningKeys(keys_url or "", Outbound(), time.monotonic)
    return UserTokens(TokenRules(issuer=issuer, secret=settings.supabase_jwt_secret), keys)


async def sign_in_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether users' tokens can be proven; that they cannot is no failure where the project is there for pictures only."""
    try:
        tokens = tokens_of(settings)
        if tokens is not None:
            yield ok(_SUBJECT, f"users' tokens by {', '.join(await tokens.algorithms())} are taken")
        elif settings.ownership_query is not None:
            yield warn(_SUBJECT, "there is an ownership query, but no user's token is taken", "Set SUPABASE_URL too.")
    except ConfigurationError as error:
        yield fail(_SUBJECT, error.detail, CORRECT)
    except SignInUnavailable as error:
        is_for_pictures = supabase_project(settings) is not None and settings.ownership_query is None
        yield (warn if is_for_pictures else fail)(_SUBJECT, error.detail, _NO_KEYS)


async def ownership_finding(database: Database, query: str) -> Finding:
    """Whether the ownership query can be asked."""
    try:
        await require_usable(database, query, is_asked=True)
    except ConfigurationError as error:
        return fail(_SUBJECT, error.detail, _QUERY)
    return ok(_SUBJECT, "the ownership query runs: it takes an id, and gives one column")
