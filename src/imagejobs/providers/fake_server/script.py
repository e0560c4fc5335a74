"""The script: which requests are answered otherwise than well, and how.

Rules are tried in order; the first that matches a request and is not used up decides about it alone.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from imagejobs.providers.fake_server.pictures import Kind

Reset = Annotated[str, Field(pattern=r"^(before_body|before_headers|after_headers|after_bytes:\d{1,10})$")]


class On(StrEnum):
    """What a request is about."""

    SUBMIT = "submit"
    POLL = "poll"
    CANCEL = "cancel"
    DOWNLOAD = "download"
    CHECK = "check"


class Billing(StrEnum):
    """When the purchase is entered into the bill."""

    YES = "yes"  # before the answer goes out
    NO = "no"
    LATE = "late"  # after the answer went out, or was lost; a task's with the first poll that tells of its picture


class Fate(StrEnum):
    """What becomes of a task."""

    FORGOTTEN = "forgotten"  # its id is unknown from the start; the work is done and billed
    STUCK = "stuck"  # it stays queued for ever
    FAILED = "failed"
    REFUSED = "refused"
    CHANGES_MIND = "changes_mind"  # the first poll says succeeded, later ones failed


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Part):
    """Which requests a rule is for; every condition that is set must hold."""

    on: On = On.SUBMIT
    resume_class: Literal["key", "lookup", "none"] | None = Field(default=None, alias="class")
    prompt_contains: str | None = None
    nth: int | None = Field(default=None, ge=1, description="Only the n-th of the requests that match otherwise.")
    in_flight_above: int | None = Field(default=None, ge=0, description="Only while more requests than this are open.")
    api_key: str | None = None
    idempotency_key: str | None = None


class Webhook(_Part):
    """How the webhook of a task is delivered."""

    times: int = Field(default=1, ge=0, le=100)
    delay_seconds: float = Field(default=0, ge=0, le=86_400)
    before_answer: bool = False


class Action(_Part):
    """What is done instead of a good answer at once. Nothing set: a good answer."""

    status: int | None = Field(default=None, ge=300, le=599)
    error_type: str | None = None
    message: str | None = None
    says_billed: bool | None = Field(default=None, description="What the error document says; the truth is `bill`.")
    leaks_key: bool = Field(default=False, description="Repeat the API key and some markup in the error's message.")
    headers: Mapping[str, str] = Field(default_factory=dict)
    retry_after: str | None = None
    retry_after_date_seconds: float | None = Field(default=None, description="As a date, so far from now.", ge=-1e9, le=1e9)
    body: Any = Field(default=None, description="This document, or this text, instead of the answer.")
    html: bool = False
    empty: bool = Field(default=False, description="A success without a picture.")
    wrong_types: bool = Field(default=False, description="A success whose fields have other types.")
    image: Kind = Kind.NORMAL
    media_type: str | None = Field(default=None, description="What the picture is announced as.")
    price_micros: int | None = Field(default=None, ge=0)

    delay_seconds: float = Field(default=0, ge=0, le=86_400)
    never: bool = False
    reset: Reset | None = None
    cut_after_bytes: int | None = Field(
        default=None, description="End the connection after so many bytes of the body.", ge=0
    )
    content_length: int | None = Field(default=None, description="Announce this length instead of the true one.", ge=0)
    drip_bytes_per_second: float | None = Field(default=None, ge=0.1)
    endless: bool = Field(default=False, description="A body of ten gigabytes.")
    gzip: bool = Field(default=False, description="Compressed, though nobody asked; with `endless` a bomb.")
    twice: bool = Field(default=False, description="The whole answer a second time on the same connection.")

    bill: Billing | None = Field(default=None, description="Unset: yes for a success, also a lost one; no for an error.")
    task: Fate | None = None
    task_seconds: float | None = Field(
        default=None, description="How long a task takes, instead of the latency.", ge=0, le=86_400
    )
    webhook: Webhook = Webhook()

    @property
    def is_an_error(self) -> bool:
        return self.status is not None

    @property
    def when_billed(self) -> Billing:
        fails = self.is_an_error or self.task in (Fate.FAILED, Fate.REFUSED)
        return self.bill or (Billing.NO if fails or self.reset == "before_body" else Billing.YES)


class Rule(_Part):
    """One line of the script; `times` unset is for ever."""

    when: When = When()
    then: Action
    times: int | None = Field(default=None, ge=1)


class Rules(_Part):
    """What `PUT /control/script` takes."""

    rules: Sequence[Rule] = ()


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """A request as the rules see it; without a prompt while its body has not been read."""

    on: On
    resume_class: str | None
    api_key: str | None
    idempotency_key: str | None
    in_flight: int
    prompt: str | None = None


@dataclass
class _Line:
    rule: Rule
    met: int = 0
    used: int = 0


GOOD = Action()


@dataclass
class Script:
    """The rules in force, with how often each was met; without a match, faults at random as far as `fault_rate` wants.

    The same seed gives the n-th submission or poll the same fault every time.
    """

    fault_rate: float = 0.0
    seed: int = 0
    _lines: list[_Line] = field(default_factory=list)
    _drawn: int = 0

    def replace(self, rules: Sequence[Rule]) -> None:
        """Put these rules in the place of all others; counting begins anew, the random faults' too."""
        self._lines = [_Line(rule) for rule in rules]
        self._drawn = 0

    def early(self, occasion: Occasion) -> Action | None:
        """What happens before the body is read: a reset, or nothing out of the ordinary."""
        return self._match(occasion, is_early=True)

    def action(self, occasion: Occasion) -> Action:
        """What happens to a request that arrived whole."""
        found = self._match(occasion, is_early=False)
        if found is not None or occasion.on not in _FAULTS or not self.fault_rate:
            return found or GOOD
        self._drawn += 1
        chance = random.Random(f"{self.seed}/{self._drawn}")  # noqa: S311 - faults to be repeated, not secrets
        if chance.random() >= self.fault_rate:
            return GOOD
        weights, actions = zip(*_FAULTS[occasion.on], strict=True)
        drawn: Action = chance.choices(actions, weights)[0]
        return drawn

    def _match(self, occasion: Occasion, *, is_early: bool) -> Action | None:
        for line in self._lines:
            if (line.rule.then.reset == "before_body") is not is_early or not _fits(line.rule.when, occasion):
                continue
            line.met += 1
            nth, times = line.rule.when.nth, line.rule.times
            if (nth is None or line.met == nth) and (times is None or line.used < times):
                line.used += 1
                return line.rule.then
        return None


def _fits(when: When, occasion: Occasion) -> bool:
    return (
        when.on is occasion.on
        and when.resume_class in (None, occasion.resume_class)
        and when.api_key in (None, occasion.api_key)
        and when.idempotency_key in (None, occasion.idempotency_key)
        and (when.prompt_contains is None or when.prompt_contains in (occasion.prompt or ""))
        and (when.in_flight_above is None or occasion.in_flight > when.in_flight_above)
    )


_ON_THE_WAY = (
    (20, Action(status=429, retry_after="1")),
    (15, Action(status=503)),
    (5, Action(status=500)),
    (5, Action(status=500, bill=Billing.YES)),
    (10, Action(reset="before_headers")),
    (5, Action(reset="after_bytes:200")),
    (10, Action(cut_after_bytes=100)),
    (5, Action(html=True)),
    (10, Action(delay_seconds=1)),
    (5, Action(drip_bytes_per_second=20_000)),
)
_IN_THE_ANSWER = (
    (3, Action(empty=True)),
    (3, Action(image=Kind.CORRUPT)),
    (2, Action(image=Kind.TEXT)),
    (2, Action(status=400, error_type="content_refused")),
)
_FAULTS = {On.SUBMIT: _ON_THE_WAY + _IN_THE_ANSWER, On.POLL: _ON_THE_WAY}
