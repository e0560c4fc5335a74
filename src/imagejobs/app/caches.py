"""What a process may remember for a moment to spare the database a question."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

KEY_SECONDS = 5.0
"""A revocation, and a project that has just become a user's, are felt after at most so long."""
DEPTH_SECONDS = 1.0
_MOST = 10_000

Name = TypeVar("Name")
Fact = TypeVar("Fact")


@dataclass
class Memory(Generic[Name, Fact]):
    """Facts by name, each for so many seconds; a memory that is full forgets everything.

    Of one whose facts never change the time is not asked.
    """

    seconds: float = KEY_SECONDS
    _facts: dict[Name, tuple[Fact, float]] = field(default_factory=dict)

    def get(self, name: Name, now: float = 0.0) -> Fact | None:
        """The fact, unless it was learnt too long ago."""
        fact, until = self._facts.get(name, (None, now))
        return fact if now < until else None

    def put(self, name: Name, fact: Fact, now: float = 0.0) -> None:
        """Remember the fact from now on."""
        if len(self._facts) >= _MOST:
            self._facts.clear()
        self._facts[name] = (fact, now + self.seconds)

    def clear(self) -> None:
        """Forget everything."""
        self._facts.clear()


@dataclass
class Depth:
    """Jobs queued in all and in one project, with those that this process let in since they were counted."""

    in_all: int
    in_project: int
