"""Users' tokens, row by row: made with keys of this run, proven with keys published on a real server."""

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest

from imagejobs.errors import ImageJobsError, SignInUnavailable, TokenExpired, TokenRefused
from imagejobs.net.http import Outbound
from imagejobs.web.signing_keys import FAILED_SECONDS, KEPT_SECONDS, STALE_SECONDS, UNKNOWN_KEY_SECONDS, SigningKeys
from imagejobs.web.tokens import LEEWAY_SECONDS, MAX_TOKEN_CHARACTERS, PROVEN_SECONDS, TokenRules, UserTokens
from tests.support.scripted_server import Reply, Script, scripted_server
from tests.support.tokens import (
    ISSUER,
    SECRET,
    USER,
    EllipticKey,
    RsaKey,
    claims,
    elliptic_token,
    public_pem,
    raw_token,
    rsa_token,
    secret_token,
    tokens_by_secret,
)

PAGE = (Path(__file__).parents[2] / "docs/how-to/supabase-users.md").read_text()
KEY, RSA, WEAK, STRANGE = EllipticKey(), RsaKey(), RsaKey("weak", 1024), EllipticKey("elliptic")
PRIVATE = {**EllipticKey("private").entry, "d": "AAAA"}
PUBLISHED = {"keys": [KEY.entry, RSA.entry, WEAK.entry, PRIVATE, {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}, "no key"]}


@dataclass
class Now:
    """A clock that the test moves."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Project:
    """A Supabase project: its server, and a service that trusts it."""

    server: Script
    tokens: UserTokens
    now: Now = field(default_factory=Now)

    async def refusal(self, token: str) -> str:
        return await refusal(self.tokens, token)


async def refusal(tokens: UserTokens, token: str) -> str:
    """The word for the check that the token failed."""
    with pytest.raises(ImageJobsError) as caught:
        await tokens.user_of(token)
    return caught.value.check if isinstance(caught.value, TokenRefused) else caught.value.reason


def by_keys(server: Script, outbound: Outbound) -> Project:
    now = Now()
    keys = SigningKeys(f"{server.url}/auth/v1/.well-known/jwks.json", outbound, now)
    return Project(server, UserTokens(TokenRules(issuer=ISSUER), keys), now)


@pytest.fixture
def project(outbound: Outbound) -> Iterator[Project]:
    with scripted_server(Reply(document=PUBLISHED)) as server:
        yield by_keys(server, outbound)


def said(**changes: Any) -> Callable[[], str]:
    return lambda: elliptic_token(KEY, claims(**changes))


def changed_payload() -> str:
    head, _, tail = elliptic_token(KEY).split(".")
    return f"{head}.{raw_token({}, claims(sub='another')).split('.')[1]}.{tail}"


def confused(key: EllipticKey | RsaKey) -> str:
    """HS256 with the public key as its secret; put together by hand, as libraries refuse to."""
    body = raw_token({"alg": "HS256", "kid": key.kid}, claims()).rpartition(".")[0]
    signature = hmac.digest(public_pem(key), body.encode(), hashlib.sha256)
    return f"{body}.{raw_token({}, {}, signature).rpartition('.')[2]}"


def signed_bytes(payload: bytes) -> str:
    return jwt.PyJWS().encode(payload, KEY.private, "ES256", headers={"kid": KEY.kid})


NOW = int(time.time())
ROWS: dict[str, tuple[Callable[[], str], str]] = {
    "longer than the limit": (said(padding="x" * MAX_TOKEN_CHARACTERS), "token_size"),
    "a megabyte of dots": (lambda: "." * 1_000_000, "token_size"),
    "garbage with a dot": (lambda: "gar.bage", "token_malformed"),
    "empty parts": (lambda: "..", "token_malformed"),
    "four dots": (lambda: elliptic_token(KEY) + ".a.b", "token_malformed"),
    "five parts, as an encrypted one": (lambda: "a.b.c.d.e", "token_malformed"),
    "not ASCII": (lambda: elliptic_token(KEY) + "é", "token_malformed"),
    "a line end": (lambda: elliptic_token(KEY) + "\n", "token_malformed"),
    "header not JSON": (lambda: raw_token(b"nonsense", claims(), b"x"), "token_malformed"),
    "header a list": (lambda: raw_token([], claims(), b"x"), "token_malformed"),
    "header nested without end": (lambda: raw_token(b'{"a":' + b"[" * 3_000, claims(), b"x"), "token_malformed"),
    "alg none": (lambda: jwt.encode(claims(), "", "none"), "token_malformed"),  # its third part is empty
    "alg none with a signature": (lambda: raw_token({"alg": "none"}, claims(), b"x"), "token_algorithm"),
    "alg NoNe": (lambda: raw_token({"alg": "NoNe", "kid": KEY.kid}, claims(), b"x"), "token_algorithm"),
    "no alg": (lambda: raw_token({"kid": KEY.kid}, claims(), b"x"), "token_algorithm"),
    "alg a list": (lambda: raw_token({"alg": ["ES256"], "kid": KEY.kid}, claims(), b"x"), "token_algorithm"),
    "HS256 where keys are published": (secret_token, "token_algorithm"),
    "HS256 with the public elliptic key": (lambda: confused(KEY), "token_algorithm"),
    "HS256 with the public RSA key": (lambda: confused(RSA), "token_algorithm"),
    "RS256 naming the elliptic key": (
        lambda: raw_token({"alg": "RS256", "kid": KEY.kid}, claims(), b"x"),
        "token_algorithm",
    ),
    "ES384": (lambda: raw_token({"alg": "ES384", "kid": KEY.kid}, claims(), b"x"), "token_algorithm"),
    "no kid": (lambda: raw_token({"alg": "ES256"}, claims(), b"x"), "token_key"),
    "kid a number": (lambda: raw_token({"alg": "ES256", "kid": 1}, claims(), b"x"), "token_key"),
    "unknown kid": (lambda: elliptic_token(EllipticKey("unknown")), "token_key"),
    "kid a path": (lambda: elliptic_token(EllipticKey("../../etc/passwd")), "token_key"),
    "kid SQL": (lambda: elliptic_token(EllipticKey("' OR 1=1 --")), "token_key"),
    "kid an address": (lambda: elliptic_token(EllipticKey("http://127.0.0.1/keys")), "token_key"),
    "a published key too weak": (lambda: raw_token({"alg": "RS256", "kid": WEAK.kid}, claims(), b"x"), "token_key"),
    "a symmetric key among the published": (lambda: elliptic_token(EllipticKey("oct")), "token_key"),
    "a private key among the published": (lambda: elliptic_token(EllipticKey("private")), "token_key"),
    "its own jwk": (lambda: elliptic_token(STRANGE, jwk=STRANGE.entry), "token_header"),
    "its own jku": (lambda: elliptic_token(STRANGE, jku="http://127.0.0.1/jwks"), "token_header"),
    "its own x5u": (lambda: elliptic_token(STRANGE, x5u="http://127.0.0.1/cert"), "token_header"),
    "its own x5c": (lambda: elliptic_token(STRANGE, x5c=["AAAA"]), "token_header"),
    "crit": (lambda: elliptic_token(KEY, crit=["exp"]), "token_header"),
    "signed by another key of that id": (lambda: elliptic_token(STRANGE), "token_signature"),
    "claims changed": (changed_payload, "token_signature"),
    "signature cut off": (lambda: elliptic_token(KEY)[:-22], "token_signature"),
    "expired": (said(exp=NOW - LEEWAY_SECONDS - 5), "token_expired"),
    "expired in 1970": (said(exp=0), "token_expired"),
    "nbf ahead": (said(nbf=NOW + 3600), "token_not_yet_valid"),
    "iat ahead": (said(iat=NOW + 3600), "token_not_yet_valid"),
    "wrong aud": (said(aud="somebody-else"), "token_audience"),
    "aud a list without us": (said(aud=["a", "b"]), "token_audience"),
    "aud a number": (said(aud=7), "token_audience"),
    "wrong iss": (said(iss="https://other.test/auth/v1"), "token_issuer"),
    "iss a beginning of ours": (said(iss="https://project.test/auth"), "token_issuer"),
    "no exp": (said(exp=...), "token_claim"),
    "no sub": (said(sub=...), "token_claim"),
    "no aud": (said(aud=...), "token_claim"),
    "no iss": (said(iss=...), "token_claim"),
    "no role": (said(role=...), "token_claim"),
    "sub empty": (said(sub=""), "token_claim"),
    "sub with a NUL": (said(sub="a\0b"), "token_claim"),
    "sub too long": (said(sub="x" * 201), "token_claim"),
    "the anon key": (said(iss="supabase", ref="project", role="anon", sub=..., aud=...), "token_claim"),
    "the service key": (said(iss="supabase", ref="project", role="service_role", sub=..., aud=...), "token_claim"),
    "anon with all claims": (said(role="anon"), "token_role"),
    "service_role with all claims": (said(role="service_role"), "token_role"),
    "another role": (said(role="supabase_admin"), "token_role"),
    "role a list": (said(role=["authenticated"]), "token_role"),
    "sub a number": (said(sub=7), "token_malformed"),
    "exp text": (said(exp="soon"), "token_malformed"),
    "exp a list": (said(exp=[NOW]), "token_malformed"),
    "exp without end": (
        lambda: signed_bytes(b'{"exp":1e999,"sub":"a","aud":"authenticated","iss":"x","role":"r"}'),
        "token_malformed",
    ),
    "claims a list": (lambda: signed_bytes(b"[]"), "token_malformed"),
    "claims not JSON": (lambda: signed_bytes(b"\xff"), "token_malformed"),
    "claims nested without end": (lambda: signed_bytes(b"[" * 5_000), "token_malformed"),
}


@pytest.mark.parametrize("row", ROWS)
async def test_a12_a_bad_token_is_refused_with_its_word_and_nothing_of_it_is_told(
    project: Project, caplog: pytest.LogCaptureFixture, row: str
) -> None:
    make, word = ROWS[row]
    token = make()
    with caplog.at_level(logging.DEBUG), pytest.raises((TokenExpired, TokenRefused)) as caught:
        await project.tokens.user_of(token)
    error = caught.value
    assert (error.check if isinstance(error, TokenRefused) else error.reason) == word
    told = error.detail + caplog.text
    assert not any(part in told for part in token.split(".") if len(part) > 12)
    assert USER not in told
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: elliptic_token(KEY),
        lambda: rsa_token(RSA),
        said(aud=["authenticated", "other"]),
        lambda: elliptic_token(KEY, claims(exp=int(time.time()) - LEEWAY_SECONDS + 20)),
        lambda: elliptic_token(KEY, claims(nbf=int(time.time()) + LEEWAY_SECONDS - 10)),
        said(is_anonymous=True),
    ],
)
async def test_a12_a_good_token_names_its_user(project: Project, make: Callable[[], str]) -> None:
    assert await project.tokens.user_of(make()) == USER


def test_a12_the_page_names_every_word_and_no_other() -> None:
    told = set(re.findall(r"^\|.*\| `(token_\w+)` \|$", PAGE, re.MULTILINE))
    assert told == {word for _, word in ROWS.values()} | {"token_not_configured"}
    assert f"{MAX_TOKEN_CHARACTERS:,}" in PAGE


SECRET_ROWS: dict[str, tuple[Callable[[], str], str]] = {
    "ES256": (lambda: elliptic_token(KEY), "token_algorithm"),
    "none": (lambda: raw_token({"alg": "none"}, claims(), b"x"), "token_algorithm"),
    "HS384": (lambda: jwt.encode(claims(), SECRET * 2, "HS384"), "token_algorithm"),
    "another secret": (lambda: secret_token(secret=SECRET[::-1]), "token_signature"),
    "expired": (lambda: secret_token(claims(exp=NOW - 3600)), "token_expired"),
    "service_role": (lambda: secret_token(claims(role="service_role")), "token_role"),
    "anon": (lambda: secret_token(claims(role="anon")), "token_role"),
}


@pytest.mark.parametrize("row", SECRET_ROWS)
async def test_a12_with_a_shared_secret_only_hs256_holds(row: str) -> None:
    make, word = SECRET_ROWS[row]
    assert await refusal(tokens_by_secret(), make()) == word


async def test_a12_with_a_shared_secret_no_key_is_asked_for() -> None:
    assert await tokens_by_secret().user_of(secret_token()) == USER
    assert await tokens_by_secret().user_of(secret_token(kid="of-supabase")) == USER


async def test_many_tokens_at_once_fetch_the_keys_once(project: Project) -> None:
    users = await asyncio.gather(*(project.tokens.user_of(elliptic_token(KEY)) for _ in range(50)))
    assert set(users) == {USER}
    assert len(project.server.asked) == 1
    assert project.server.asked[0].target == "/auth/v1/.well-known/jwks.json"


async def test_unknown_key_ids_cause_one_fetch_in_half_a_minute_however_many_come(project: Project) -> None:
    await project.tokens.user_of(elliptic_token(KEY))
    for number in range(30):
        assert await project.refusal(elliptic_token(EllipticKey(f"made-up-{number}"))) == "token_key"
    assert len(project.server.asked) == 2
    project.now.seconds += UNKNOWN_KEY_SECONDS
    assert await project.refusal(elliptic_token(EllipticKey("again"))) == "token_key"
    assert len(project.server.asked) == 3


async def test_a_rotated_key_is_known_at_once_and_the_old_one_is_refused(project: Project) -> None:
    rotated = EllipticKey("rotated")
    await project.tokens.user_of(elliptic_token(KEY))
    project.server.replies = [Reply(document={"keys": [rotated.entry]})]
    assert await project.tokens.user_of(elliptic_token(rotated)) == USER
    assert await project.refusal(elliptic_token(KEY)) == "token_key"


async def test_the_keys_are_kept_for_ten_minutes_and_no_longer(project: Project) -> None:
    await project.tokens.user_of(elliptic_token(KEY))
    project.server.replies = [Reply(document={"keys": []})]
    project.now.seconds += KEPT_SECONDS
    assert await project.tokens.user_of(elliptic_token(KEY)) == USER
    project.now.seconds += 1
    assert await project.refusal(elliptic_token(KEY)) == "token_key"
    assert len(project.server.asked) == 2


BROKEN = {
    "down": Reply(hang_up=True),
    "an error": Reply(status=500),
    "moved": Reply(status=302, headers={"location": "http://127.0.0.1:1/"}),
    "not JSON": Reply(content=b"<html>"),
    "not a key set": Reply(document=["keys"]),
    "larger than a key set can be": Reply(content=b" " * 70_000),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_while_the_keys_cannot_be_fetched_the_old_ones_serve_for_a_day(project: Project, reply: Reply) -> None:
    await project.tokens.user_of(elliptic_token(KEY))
    project.server.replies = [reply]
    project.now.seconds += KEPT_SECONDS + 1
    assert [await project.tokens.user_of(elliptic_token(KEY)) for _ in range(5)] == [USER] * 5
    assert len(project.server.asked) == 2, "a failure is not asked again at once"
    assert await project.refusal(elliptic_token(EllipticKey("new"))) == "sign_in_unavailable"
    project.now.seconds += STALE_SECONDS
    assert await project.refusal(elliptic_token(KEY)) == "sign_in_unavailable"
    project.server.replies = [Reply(document=PUBLISHED)]
    project.now.seconds += FAILED_SECONDS
    assert await project.tokens.user_of(elliptic_token(KEY)) == USER


async def test_a_proven_token_is_not_proven_again_for_a_minute_but_never_past_its_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting = elliptic_token(KEY)
    ending = elliptic_token(KEY, claims(exp=int(time.time()) - LEEWAY_SECONDS + 20))
    for token in (lasting, ending):
        await project.tokens.user_of(token)
    project.server.replies = [Reply(document={"keys": []})]
    project.now.seconds += KEPT_SECONDS + 1
    assert await project.tokens.user_of(lasting) == USER
    assert len(project.server.asked) == 1
    assert await project.refusal(lasting[:-22] + "A" * 22) == "token_key", "only the very same token counts"
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + 25)
    assert await project.refusal(ending) != USER
    assert await project.tokens.user_of(lasting) == USER
    monkeypatch.setattr(time, "time", lambda: began + PROVEN_SECONDS + 1)
    assert await project.refusal(lasting) == "token_key"


async def test_without_any_keys_nobody_is_told_to_sign_in_again(outbound: Outbound) -> None:
    with scripted_server(Reply(status=503)) as server, pytest.raises(SignInUnavailable):
        await by_keys(server, outbound).tokens.user_of(elliptic_token(KEY))
