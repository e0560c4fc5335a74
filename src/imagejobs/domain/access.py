"""Who asks, what a key looks like, and what each may do."""

import hashlib
import re
import zlib
from dataclasses import dataclass
from enum import StrEnum

from imagejobs.errors import NotFound, PermissionDenied

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"ij_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


class Scope(StrEnum):
    """What a key may do."""

    READ = "jobs:read"
    WRITE = "jobs:write"
    CREATE_PROJECTS = "projects:create"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever sent the request; `project_ids` None means every project of the instance."""

    name: str
    key_id: str | None
    scopes: frozenset[Scope]
    project_ids: frozenset[str] | None = None

    @property
    def creates_projects(self) -> bool:
        return self.project_ids is None and bool(self.scopes & {Scope.CREATE_PROJECTS, Scope.ADMIN})

    def require(self, scope: Scope) -> None:
        """Refuse a caller without the scope; `admin` includes them all."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise PermissionDenied(f"This key lacks the scope {scope.value}: use one that has it, or ask an administrator.")

    def sees(self, project_id: str) -> bool:
        return self.project_ids is None or project_id in self.project_ids

    def require_project(self, project_id: str) -> None:
        """Refuse another tenant's project exactly as one that does not exist (A12)."""
        if not self.sees(project_id):
            raise NotFound("There is no such project.")


@dataclass(frozen=True, kw_only=True)
class KeyText:
    """An API key in two parts: the public id, and the secret that only its hash is kept of."""

    id: str
    secret: str

    @property
    def secret_sha256(self) -> bytes:
        return hashlib.sha256(self.secret.encode()).digest()

    def __str__(self) -> str:
        return f"ij_{self.id}_{self.secret}{_checksum(self.id + self.secret)}"


def make_key(entropy: bytes) -> KeyText:
    """A key from 40 random bytes: 8 characters of id, 43 of secret (256 bits)."""
    digits = _base62(int.from_bytes(entropy[:32]), 43)
    return KeyText(id=_base62(int.from_bytes(entropy[32:40]) % 62**8, 8), secret=digits)


def parse_key(text: str) -> KeyText | None:
    """The two parts of a well-formed key, None where the form or the checksum is wrong: no look-up is worth it then."""
    match = _KEY.fullmatch(text)
    if match is None or _checksum(match[1] + match[2]) != match[3]:
        return None
    return KeyText(id=match[1], secret=match[2])


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), 6)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
