"""What a process may remember for a moment to spare the database a question."""

from dataclasses import dataclass, field

from imagejobs.domain.access import Caller

KEY_SECONDS = 5.0
_MOST = 10_000


@dataclass
class KeyCache:
    """Keys proven lately. A revocation is felt after at most `KEY_SECONDS`."""

    _callers: dict[str, tuple[bytes, Caller, float]] = field(default_factory=dict)

    def get(self, key_id: str, now: float) -> tuple[bytes, Caller] | None:
        """The secret's hash and the caller, unless remembered too long ago."""
        found = self._callers.get(key_id)
        if found is None or now > found[2]:
            return None
        return found[0], found[1]

    def put(self, key_id: str, secret_sha256: bytes, caller: Caller, now: float) -> None:
        """Remember a proven key."""
        if len(self._callers) >= _MOST:
            self._callers.clear()
        self._callers[key_id] = (secret_sha256, caller, now + KEY_SECONDS)


@dataclass
class KnownProjects:
    """Projects seen to exist; they are never deleted, so this cannot go stale."""

    _ids: set[str] = field(default_factory=set)

    def __contains__(self, project_id: str) -> bool:
        return project_id in self._ids

    def add(self, project_id: str) -> None:
        """Remember the project."""
        if len(self._ids) >= _MOST:
            self._ids.clear()
        self._ids.add(project_id)


@dataclass
class Refusals:
    """Projects that the ownership query just found not to be a user's."""

    _until: dict[tuple[str, str], float] = field(default_factory=dict)

    def has(self, user_id: str, project_id: str, now: float) -> bool:
        """Whether that was found within `KEY_SECONDS`."""
        return now <= self._until.get((user_id, project_id), float("-inf"))

    def add(self, user_id: str, project_id: str, now: float) -> None:
        """Remember it."""
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[user_id, project_id] = now + KEY_SECONDS


@dataclass
class Depth:
    """Jobs queued in all and in one project, with those that this process let in since they were counted."""

    in_all: int
    in_project: int
    until: float


@dataclass
class Depths:
    """The depths counted lately, by project."""

    _counted: dict[str, Depth] = field(default_factory=dict)

    def get(self, project_id: str, now: float) -> Depth | None:
        """The project's, unless it was counted too long ago."""
        found = self._counted.get(project_id)
        return found if found is not None and now < found.until else None

    def put(self, project_id: str, found: Depth) -> None:
        """Remember the count."""
        if len(self._counted) >= _MOST:
            self._counted.clear()
        self._counted[project_id] = found
