"""Who asks, what a key looks like, and what each may do."""

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from imagejobs.errors import NotFound, PermissionDenied

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"ij_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


class Scope(StrEnum):
    """What a key may do."""

    READ = "jobs:read"
    WRITE = "jobs:write"
    CREATE_PROJECTS = "projects:create"
    ADMIN = "admin"


class Role(StrEnum):
    """What a user is in a project; each may do all that those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Operation(Enum):
    """What can be done in a project, and what that demands: a scope of a key, or at least a role of a user."""

    READ_JOB = "read a job and its events", Scope.READ, Role.VIEWER
    LIST_JOBS = "list jobs", Scope.READ, Role.VIEWER
    CREATE_JOB = "make pictures", Scope.WRITE, Role.EDITOR
    CHANGE_JOB = "change a job's priority", Scope.WRITE, Role.EDITOR
    RETRY_JOB = "retry a job", Scope.WRITE, Role.EDITOR
    CANCEL_JOB = "cancel a job", Scope.WRITE, Role.EDITOR
    RESOLVE_JOB = "resolve an unknown cost", Scope.WRITE, Role.ADMIN
    READ_STYLES = "read style capsules", Scope.READ, Role.VIEWER
    WRITE_STYLES = "write style capsules", Scope.WRITE, Role.EDITOR
    WRITE_INPUTS = "upload inputs", Scope.WRITE, Role.EDITOR
    READ_PROJECT = "read the project", Scope.READ, Role.VIEWER
    WRITE_PROJECT = "name the project and set its policy", Scope.ADMIN, Role.ADMIN
    MEMBERS = "read and change the members", Scope.ADMIN, Role.ADMIN

    def __init__(self, words: str, scope: Scope, role: Role) -> None:
        self.words = words
        self.scope = scope
        self.role = role


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever sent the request; `project_ids` None means every project of the instance.

    A user has a `user_id` and a role in each of their projects; a key has scopes that hold in all of its projects.
    """

    name: str
    key_id: str | None
    scopes: frozenset[Scope]
    project_ids: frozenset[str] | None = None
    user_id: str | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def creates_projects(self) -> bool:
        return self.project_ids is None and bool(self.scopes & {Scope.CREATE_PROJECTS, Scope.ADMIN})

    def require(self, scope: Scope) -> None:
        """Refuse a caller without the scope; `admin` includes them all."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise PermissionDenied(f"This key lacks the scope {scope.value}: use one that has it, or ask an administrator.")

    def sees(self, project_id: str) -> bool:
        return self.project_ids is None or project_id in self.project_ids

    def require_project(self, project_id: str, operation: Operation) -> None:
        """Refuse what a key may do nowhere, then another tenant's project exactly as none (A12), then the rest.

        That something takes an administrator is told only to those who see the project.
        """
        if self.user_id is None and operation.scope is not Scope.ADMIN:
            self.require(operation.scope)
        if not self.sees(project_id):
            raise self.no_project()
        self.require_allowed(project_id, operation)

    def no_project(self) -> NotFound:
        """That the project does not exist; a key that sees every project is told what it lacks to make it."""
        lacks = f", and this key lacks the scope {Scope.CREATE_PROJECTS} to make it" if self.project_ids is None else ""
        return NotFound(f"There is no such project{lacks}.")

    def require_allowed(self, project_id: str, operation: Operation) -> None:
        """Refuse what the caller's scopes, or the user's role in a project they see, do not allow."""
        if self.user_id is None:
            self.require(operation.scope)
        elif _RANKS[self.roles[project_id]] < _RANKS[operation.role]:
            raise PermissionDenied(
                f"Only a project's {operation.role.value} may {operation.words}; you are its "
                f"{self.roles[project_id].value}. Ask an admin of the project."
            )

    def with_role(self, project_id: str, role: Role) -> "Caller":
        """The same user with one project more."""
        roles = {**self.roles, project_id: role}
        return replace(self, roles=roles, project_ids=frozenset(roles))


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


def user_caller(user_id: str, roles: Mapping[str, Role]) -> Caller:
    """A user as a caller. They never make projects."""
    return Caller(
        name=f"user:{user_id}",
        key_id=None,
        scopes=frozenset({Scope.READ, Scope.WRITE}),
        project_ids=frozenset(roles),
        user_id=user_id,
        roles=roles,
    )
