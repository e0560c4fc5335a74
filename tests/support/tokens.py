"""A Supabase project's side: keys made for the run, tokens signed with them, and the document that publishes them."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from imagejobs.net.http import Outbound
from imagejobs.web.signing_keys import SigningKeys
from imagejobs.web.tokens import TokenRules, UserTokens

ISSUER = "https://project.test/auth/v1"
USER = "5f0c3bb2-4a4e-4b47-9d0a-0c3a1c1f6a55"
SECRET = "a-secret-of-this-test-run-only-0123456789"  # noqa: S105 - protects nothing


@dataclass(frozen=True)
class EllipticKey:
    """An ES256 key with its id."""

    kid: str = "elliptic"
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def entry(self) -> dict[str, Any]:
        public: dict[str, Any] = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": "ES256", "use": "sig"}


@dataclass(frozen=True)
class RsaKey:
    """An RS256 key with its id."""

    kid: str = "rsa"
    bits: int = 2048
    private: rsa.RSAPrivateKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "private", rsa.generate_private_key(65537, self.bits))

    @property
    def entry(self) -> dict[str, Any]:
        public: dict[str, Any] = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": "RS256", "use": "sig"}


def claims(**changes: Any) -> dict[str, Any]:
    """What Supabase puts into a user's token, but for `changes`; `...` leaves a claim out."""
    now = int(time.time())
    usual = {
        "iss": ISSUER,
        "sub": USER,
        "aud": "authenticated",
        "role": "authenticated",
        "exp": now + 3600,
        "iat": now,
        "email": "person@example.test",
        "session_id": "d6c8a1f0-0000-4000-8000-000000000000",
        "aal": "aal1",
        "is_anonymous": False,
        "user_metadata": {"role": "admin"},
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def elliptic_token(key: EllipticKey, said: dict[str, Any] | None = None, **headers: Any) -> str:
    """A token signed with ES256."""
    return jwt.encode(said or claims(), key.private, "ES256", headers={"kid": key.kid, **headers})


def rsa_token(key: RsaKey, said: dict[str, Any] | None = None) -> str:
    """A token signed with RS256."""
    return jwt.encode(said or claims(), key.private, "RS256", headers={"kid": key.kid})


def secret_token(said: dict[str, Any] | None = None, secret: str | bytes = SECRET, **headers: Any) -> str:
    """A token signed with a shared secret."""
    return jwt.encode(said or claims(), secret, "HS256", headers=headers or None)


def raw_token(header: object, said: object, signature: bytes = b"") -> str:
    """Three parts put together by hand."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, said)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def public_pem(key: EllipticKey | RsaKey) -> bytes:
    """What everybody can know of the key: the secret of a confused HS256."""
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def tokens_by_secret() -> UserTokens:
    """A service that was given the shared secret."""
    return UserTokens(TokenRules(issuer=ISSUER, secret=SECRET), SigningKeys("", Outbound(), time.monotonic))


def as_user(user_id: str) -> dict[str, str]:
    """The headers of a user's request."""
    return {"authorization": f"Bearer {secret_token(claims(sub=user_id))}"}
