"""Which users' tokens the API takes, as the settings say."""

import time

from imagejobs.errors import ConfigurationError
from imagejobs.net.http import Outbound
from imagejobs.settings import Settings
from imagejobs.web.signing_keys import SigningKeys
from imagejobs.web.tokens import TokenRules, UserTokens


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
