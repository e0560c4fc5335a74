"""Fault words: square brackets in a prompt that make sketch behave like a provider in trouble.

words in the prompt  →  parse  →  what is left to draw, and the faults in the order in which they stand
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from imagejobs.errors import (
    ContentRefused,
    ImageCorrupt,
    ImageJobsError,
    ImageTooLarge,
    NotAnImage,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnreachable,
    StorageUnavailable,
)

MAX_SECONDS = 600.0


class Act(Enum):
    """What sketch does when it comes to the word."""

    WAIT = auto()
    THROTTLE = auto()
    RAISE = auto()
    KEEP_SILENT = auto()
    CUT_OFF = auto()
    WEB_PAGE = auto()
    BOMB = auto()
    MARK_FOR_STORAGE = auto()


@dataclass(frozen=True, kw_only=True)
class FaultWord:
    """One row of the table. `error` is how the job ends, None where it completes; `detail` what sketch itself says.

    `seconds` is what the word means without a number; `timed` rows are the same word with a number behind it.
    """

    shown: str
    act: Act
    happens: str
    error: type[ImageJobsError] | None = None
    detail: str = ""
    seconds: float = 0.0
    timed: bool = False

    @property
    def name(self) -> str:
        return self.shown.strip("[]").split()[0]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault word as it was found."""

    word: FaultWord
    seconds: float


FAULT_WORDS = (
    FaultWord(
        shown="[slow]",
        act=Act.WAIT,
        seconds=10.0,
        happens="The picture comes after 10 seconds.",
    ),
    FaultWord(
        shown="[slow 20s]",
        act=Act.WAIT,
        timed=True,
        happens="The picture comes after that many seconds, 600 at most; the call deadline grows with them.",
    ),
    FaultWord(
        shown="[429]",
        act=Act.THROTTLE,
        seconds=3600.0,
        error=ProviderThrottled,
        detail="sketch asks to wait for an hour because the prompt contains [429]; remove the word and try again.",
        happens="The provider asks to wait for an hour. That outlives the default deadline, so the job fails at once.",
    ),
    FaultWord(
        shown="[429 5s]",
        act=Act.THROTTLE,
        timed=True,
        detail="sketch asks to wait because the prompt contains [429] with a time; the job goes on by itself.",
        happens="The job is snoozed for that many seconds, 600 at most, without using up a retry; then the picture comes.",
    ),
    FaultWord(
        shown="[503]",
        act=Act.RAISE,
        error=ProviderOverloaded,
        detail="sketch says that it is overloaded because the prompt contains [503]; remove the word and try again.",
        happens="The provider is overloaded at every try; the job fails after its automatic retries.",
    ),
    FaultWord(
        shown="[offline]",
        act=Act.RAISE,
        error=ProviderUnreachable,
        detail="sketch could not be reached because the prompt contains [offline]; remove the word and try again.",
        happens="The provider cannot be reached at any try; the job fails after its automatic retries.",
    ),
    FaultWord(
        shown="[timeout]",
        act=Act.KEEP_SILENT,
        seconds=3.0,
        error=ProviderTimeout,
        detail="sketch did not answer in time because the prompt contains [timeout]; remove the word and try again.",
        happens="No answer within a call deadline of 3 seconds; the job fails after its automatic retries.",
    ),
    FaultWord(
        shown="[unknown]",
        act=Act.RAISE,
        error=OutcomeUnknown,
        detail="The answer of sketch was lost because the prompt contains [unknown]; resolve the job or retry it.",
        happens="The answer is lost and cannot be asked for again. Nothing is sent twice; a person resolves the job.",
    ),
    FaultWord(
        shown="[refuse]",
        act=Act.RAISE,
        error=ContentRefused,
        detail="sketch refused the prompt because it contains [refuse]; remove the word and try again.",
        happens="The safety rules refuse the prompt; no retry.",
    ),
    FaultWord(
        shown="[auth]",
        act=Act.RAISE,
        error=ProviderKeyRejected,
        detail="sketch did not accept the key because the prompt contains [auth]; remove the word and try again.",
        happens="The provider does not accept the key; no retry.",
    ),
    FaultWord(
        shown="[credit]",
        act=Act.RAISE,
        error=ProviderCreditExhausted,
        detail="sketch says that its account is empty because the prompt contains [credit]; remove the word and try again.",
        happens="The account behind the key has no credit left; no retry.",
    ),
    FaultWord(
        shown="[corrupt]",
        act=Act.CUT_OFF,
        error=ImageCorrupt,
        happens="The picture breaks off in the middle of the file.",
    ),
    FaultWord(
        shown="[html]",
        act=Act.WEB_PAGE,
        error=NotAnImage,
        happens="A web page arrives under the media type of a picture.",
    ),
    FaultWord(
        shown="[bomb]",
        act=Act.BOMB,
        error=ImageTooLarge,
        happens="A small file arrives that would decode to 20,000 by 20,000 pixels.",
    ),
    FaultWord(
        shown="[storage]",
        act=Act.MARK_FOR_STORAGE,
        error=StorageUnavailable,
        happens="The storage does not take the picture, now or later; its bytes are kept, and a retry buys nothing.",
    ),
)

_NAMES = "|".join(sorted({word.name for word in FAULT_WORDS}))
_PATTERN = re.compile(
    rf"\[[ \t]*(?P<name>{_NAMES})(?:[ \t]+(?P<seconds>[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)[ \t]*s?)?[ \t]*\]", re.IGNORECASE
)


def parse(prompt: str) -> tuple[str, tuple[Fault, ...]]:
    """The prompt without its fault words, and these in order; a prompt without any comes back as it is."""
    faults: list[Fault] = []

    def take(found: re.Match[str]) -> str:
        fault = _fault(found["name"].lower(), found["seconds"])
        if fault is None:
            return found[0]
        faults.append(fault)
        return " "

    left = _PATTERN.sub(take, prompt)
    return (" ".join(left.split()), tuple(faults)) if faults else (prompt, ())


def _fault(name: str, seconds: str | None) -> Fault | None:
    """The row for that word with or without a number; None where the word takes no number."""
    for word in FAULT_WORDS:
        if word.name == name and word.timed is (seconds is not None):
            return Fault(word=word, seconds=word.seconds if seconds is None else min(float(seconds), MAX_SECONDS))
    return None
