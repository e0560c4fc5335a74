"""A provider that does what the test says and keeps its own bill."""

import asyncio
import io
from collections import deque
from dataclasses import dataclass, field

from PIL import Image

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.money import Cost, Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import Billed, ModelUnavailable, ProviderError
from imagejobs.ports import Answer, Call, Capabilities, Health, ModelCapability, Plan, Submitted

PRICE = 40_000
VERSION = "scripted-1"


def a_png(edge: int = 16, color: str = "tomato") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (edge, edge), color).save(out, "PNG")
    return out.getvalue()


@dataclass
class Scripted:
    """Answers each purchase with a picture, or with the next error of `errors`; every picture is billed once.

    With class `key` a repeat under the same idempotency key brings the same picture without another bill; with class
    `lookup` a submission gives an id and the picture comes with the first poll.
    """

    name: str = "scripted"
    resume_class: ResumeClass = ResumeClass.NONE
    errors: deque[ProviderError | None] = field(default_factory=deque)
    sends: list[str] = field(default_factory=list)
    bill: dict[str, int] = field(default_factory=dict)
    data: bytes = field(default_factory=a_png)
    model: ModelCapability = field(default_factory=lambda: ModelCapability(name="scripted-1", takes_seed=True))
    requests: list[GenerationRequest] = field(default_factory=list)
    is_retired: bool = False

    def capabilities(self) -> Capabilities:
        return Capabilities(models=(self.model,))

    def quote(self, request: GenerationRequest) -> Quote:
        del request
        self._require_served()
        return Quote(micros=PRICE, price_version=VERSION)

    def plan(self, request: GenerationRequest) -> Plan:
        del request
        self._require_served()
        return Plan(resume_class=self.resume_class, call_deadline_seconds=30.0)

    def _require_served(self) -> None:
        if self.is_retired:
            raise ModelUnavailable(f"{self.model.name} was shut down.")

    async def submit(self, call: Call) -> Answer | Submitted:
        self.sends.append(call.idempotency_key)
        self.requests.append(call.request)
        error = self.errors.popleft() if self.errors else None
        if error is not None:
            if error.billed is Billed.YES:
                self.bill[f"charged-{len(self.sends)}"] = PRICE
            raise error
        purchase = call.idempotency_key if self.resume_class is ResumeClass.KEY else f"purchase-{len(self.bill)}"
        self.bill[purchase] = PRICE
        if self.resume_class is ResumeClass.LOOKUP:
            return Submitted(remote_id=purchase, poll_after_seconds=0.0)
        return self._answer(purchase)

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        del call
        return self._answer(remote_id)

    def _answer(self, purchase: str) -> Answer:
        cost = Cost(micros=PRICE, price_version=VERSION, estimated=False)
        return Answer(data=self.data, media_type="image/png", cost=cost, remote_id=purchase)

    async def cancel(self, remote_id: str) -> bool:
        return remote_id not in self.bill

    async def check(self) -> Health:
        return Health(ok=True, detail="scripted")

    async def close(self) -> None: ...


@dataclass
class Thoughtful(Scripted):
    """Answers a call only when told to."""

    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def begin_anew(self) -> None:
        """Think again about the next call."""
        self.is_asked.clear()
        self.may_answer.clear()

    async def submit(self, call: Call) -> Answer | Submitted:
        self.is_asked.set()
        await self.may_answer.wait()
        return await super().submit(call)
