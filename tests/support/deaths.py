"""The death of a worker inside a test: nothing of ours catches it, nothing of ours cleans up after it."""

from dataclasses import dataclass, field


class Death(BaseException):
    """The end of a worker."""


@dataclass
class DeadlyProbe:
    """Ends the worker at the nth point it passes, or at the first of a name."""

    turn: int = 0
    point: str | None = None
    passed: list[str] = field(default_factory=list)

    async def __call__(self, point: str) -> None:
        self.passed.append(point)
        if len(self.passed) == self.turn or point == self.point:
            raise Death(point)
