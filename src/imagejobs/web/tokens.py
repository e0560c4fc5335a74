"""Supabase's access tokens: which user sent a request, proven by the project's published keys or by its shared secret.

Which algorithms hold is decided by configuration, never by the token: ES256 and RS256 with published keys, HS256 alone with
a shared secret. What a token says is never told, neither in an answer nor in a log.
"""

import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.utils import base64url_decode

from imagejobs.errors import SignInUnavailable, TokenExpired, TokenRefused
from imagejobs.web.signing_keys import ALGORITHMS, SigningKeys

MAX_TOKEN_CHARACTERS = 8_192
LEEWAY_SECONDS = 30
PROVEN_SECONDS = 60.0
_MOST_PROVEN = 10_000
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[!-~]{1,200}")
_KEYS_OF_THEIR_OWN = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """What a token must say. With a `secret` only HS256 holds; published keys are not asked then."""

    issuer: str
    audience: str = "authenticated"
    secret: str | None = field(default=None, repr=False)


class UserTokens:
    """Tells users by their tokens."""

    def __init__(self, rules: TokenRules, keys: SigningKeys) -> None:
        self._rules = rules
        self._keys = keys
        self._proven: dict[bytes, tuple[str, float]] = {}

    async def user_of(self, token: str) -> str:
        """The user's id, the token's `sub`.

        Raises `TokenExpired`, `TokenRefused` with the check that failed, or `SignInUnavailable` where its key cannot be
        fetched. A session that was revoked holds until its token's `exp`: only Supabase itself could tell. A token that was
        proven is not looked at again for `PROVEN_SECONDS`, nor past its `exp`: pages that poll send the same one.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("token_size", f"it has more than {MAX_TOKEN_CHARACTERS} characters")
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        user_id, until = self._proven.get(digest, ("", 0.0))
        if time.time() < until:
            return user_id
        key, algorithm = await self._key_for(_header(token))
        claims = _claims(token, key, algorithm, self._rules)
        user_id = _user(claims)
        if len(self._proven) >= _MOST_PROVEN:
            self._proven.clear()
        self._proven[digest] = (user_id, min(time.time() + PROVEN_SECONDS, float(claims["exp"]) + LEEWAY_SECONDS))
        return user_id

    async def algorithms(self) -> list[str]:
        """Those by which a token can hold now; `SignInUnavailable` where no usable key is published."""
        if self._rules.secret is not None:
            return ["HS256"]
        found = {key.algorithm_name for key in (await self._keys.published()).values()}
        if not found:
            raise SignInUnavailable("The project publishes no key that can be used: for ES256, or RS256 of 2,048 bits.")
        return sorted(found)

    async def _key_for(self, header: dict[str, Any]) -> tuple[Any, str]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if self._rules.secret is not None:
            if algorithm != "HS256":
                raise TokenRefused("token_algorithm", "this service takes HS256 only, as SUPABASE_JWT_SECRET is set")
            return self._rules.secret, "HS256"
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            problem = "this service takes ES256 and RS256; for a project with a shared secret set SUPABASE_JWT_SECRET"
            raise TokenRefused("token_algorithm", problem)
        if not isinstance(key_id, str):
            raise TokenRefused("token_key", "it names no key")
        found = await self._keys.get(key_id)
        if found.algorithm_name != algorithm:
            raise TokenRefused("token_algorithm", "its key is for another algorithm")
        return found, found.algorithm_name


def _header(token: str) -> dict[str, Any]:
    if not _SHAPE.fullmatch(token):
        raise TokenRefused("token_malformed", "it is no JSON Web Token")
    try:
        header = json.loads(base64url_decode(token.partition(".")[0]))
    except _UNREADABLE:
        raise TokenRefused("token_malformed", "its header cannot be read") from None
    if not isinstance(header, dict):
        raise TokenRefused("token_malformed", "its header cannot be read")
    if _KEYS_OF_THEIR_OWN & header.keys():
        raise TokenRefused("token_header", "it carries a key of its own, or demands what this service does not know")
    return header


def _claims(token: str, key: Any, algorithm: str, rules: TokenRules) -> dict[str, Any]:  # noqa: ANN401 - a secret or a key
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=rules.audience,
            issuer=rules.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub", "aud", "iss", "role"]},
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired("The token has expired: refresh the session, and send the new token.") from None
    except jwt.PyJWTError as error:
        raise _refusal(error) from None
    except _UNREADABLE:
        raise TokenRefused("token_malformed", "its claims cannot be read") from None
    return claims


_REFUSALS = {
    jwt.InvalidSignatureError: ("token_signature", "its signature is not of the configured project"),
    jwt.InvalidAudienceError: ("token_audience", "it is meant for another audience"),
    jwt.InvalidIssuerError: ("token_issuer", "it comes from another issuer than SUPABASE_URL/auth/v1"),
    jwt.ImmatureSignatureError: ("token_not_yet_valid", "it is valid only later; compare the clocks of the two machines"),
    jwt.MissingRequiredClaimError: ("token_claim", "it lacks one of exp, sub, aud, iss and role"),
}


def _refusal(error: jwt.PyJWTError) -> TokenRefused:
    """The check that failed, in our own words: the library's may quote the token."""
    return TokenRefused(*_REFUSALS.get(type(error), ("token_malformed", "its claims cannot be read")))


def _user(claims: dict[str, Any]) -> str:
    if claims["role"] != "authenticated":
        raise TokenRefused("token_role", "only users have a place here; anon and service_role are keys")
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        raise TokenRefused("token_claim", "its sub is no user's id")
    return user_id
