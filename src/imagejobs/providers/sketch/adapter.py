"""sketch as a provider: free, offline, class `key`, because the same request always draws the same picture."""

import asyncio
import hashlib
from typing import assert_never

from PIL import features

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.money import Cost, Quote
from imagejobs.domain.rehearsal import STORAGE_FAULT_MARKER
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import ModelUnavailable, OutcomeUnknown, ProviderError, ProviderRejected, ProviderThrottled
from imagejobs.ports import Answer, Call, Capabilities, Health, ModelCapability, Plan, Provider, ProviderConfig, Submitted
from imagejobs.providers.sketch.drawing.picture import Wish, draw
from imagejobs.providers.sketch.faults import Act, Fault, parse
from imagejobs.providers.sketch.snooze import Snoozes
from imagejobs.providers.sketch.spoiled import WEB_PAGE, bomb, cut_off

NAME = "sketch"
PRICE_VERSION = "sketch-1"

_CALL_DEADLINE_SECONDS = 60.0
_DRAWN_AT_ONCE = 2
_DERIVED_SEEDS = 1_000_000
_MODEL = ModelCapability(
    name="sketch-1",
    aliases=(NAME,),
    max_references=14,
    takes_source_image=True,
    takes_mask=True,
    takes_seed=True,
)
_SPOILING = (Act.CUT_OFF, Act.WEB_PAGE, Act.BOMB, Act.MARK_FOR_STORAGE)


def provider(config: ProviderConfig) -> Provider:
    """The entry point: needs nothing; `config.timeout_seconds` replaces the call deadline of 60 s."""
    return SketchProvider(call_deadline_seconds=config.timeout_seconds or _CALL_DEADLINE_SECONDS)


class SketchProvider:
    """Draws in a thread, at most two pictures at once. Fault words in the prompt make it fail (see `faults`).

    Input pictures are accepted and counted in the caption, not looked at.
    """

    def __init__(self, *, call_deadline_seconds: float) -> None:
        self._call_deadline_seconds = call_deadline_seconds
        self._snoozes = Snoozes()
        self._hands = asyncio.Semaphore(_DRAWN_AT_ONCE)

    @property
    def name(self) -> str:
        return NAME

    def capabilities(self) -> Capabilities:
        return Capabilities(models=(_MODEL,))

    def quote(self, request: GenerationRequest) -> Quote:
        del request
        return Quote(micros=0, price_version=PRICE_VERSION)

    def plan(self, request: GenerationRequest) -> Plan:
        _, faults = parse(request.prompt)
        seconds, resume_class = self._call_deadline_seconds, ResumeClass.KEY
        for fault in faults:
            if fault.word.act is Act.KEEP_SILENT:
                seconds = min(seconds, fault.seconds)
            if fault.word.error is OutcomeUnknown:
                resume_class = ResumeClass.NONE
        seconds += sum(fault.seconds for fault in faults if fault.word.act is Act.WAIT)
        return Plan(resume_class=resume_class, call_deadline_seconds=seconds)

    async def submit(self, call: Call) -> Answer | Submitted:
        request = call.request
        self._refuse_the_impossible(request)
        prompt, faults = parse(request.prompt)
        for fault in faults:
            await self._act(fault, call)
        seed = _seed(prompt) if request.seed is None else request.seed
        wish = Wish(prompt=prompt, seed=seed, width=request.width, height=request.height, notes=_notes(request))
        spoiling = next((fault.word.act for fault in faults if fault.word.act in _SPOILING), None)
        async with self._hands:
            data = await asyncio.to_thread(_picture, wish, spoiling)
        return Answer(
            data=data,
            media_type="image/png",
            cost=Cost(micros=0, price_version=PRICE_VERSION, estimated=False),
            metadata={"seed": seed},
        )

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        del remote_id, call
        raise ProviderRejected("sketch answers at once and knows no earlier request to ask for; submit it again.")

    async def cancel(self, remote_id: str) -> bool:
        del remote_id
        return False

    async def check(self) -> Health:
        if not features.check("freetype2"):
            return Health(
                ok=False, detail="Pillow was built without FreeType and cannot set text; install Pillow's own wheel."
            )
        return Health(ok=True, detail="Draws on this machine: free, without key or network.")

    async def close(self) -> None:
        pass

    def _refuse_the_impossible(self, request: GenerationRequest) -> None:
        model = self.capabilities().find(request.model)
        if model is None:
            raise ModelUnavailable(f"sketch has no model {request.model[:100]!r}; ask for {_MODEL.name}.")
        if not all(model.min_edge <= edge <= model.max_edge for edge in (request.width, request.height)):
            raise ProviderRejected(
                f"sketch draws edges of {model.min_edge} to {model.max_edge} pixels, "
                f"not {request.width} x {request.height}; choose another size."
            )

    async def _act(self, fault: Fault, call: Call) -> None:
        """Do what the word says before there is a picture; raises the leaf of `ProviderError` that it stands for."""
        word = fault.word
        match word.act:
            case Act.WAIT:
                await asyncio.sleep(fault.seconds)
            case Act.THROTTLE:
                self._throttle(fault, call.request)
            case Act.RAISE:
                raise _provider_error(fault)
            case Act.KEEP_SILENT:
                await asyncio.sleep(call.deadline_seconds)
                raise _provider_error(fault)
            case Act.CUT_OFF | Act.WEB_PAGE | Act.BOMB | Act.MARK_FOR_STORAGE:
                pass  # these shape the answer
            case _:
                assert_never(word.act)

    def _throttle(self, fault: Fault, request: GenerationRequest) -> None:
        seconds = fault.seconds
        if fault.word.timed:
            asked = (request.prompt, request.seed, request.width, request.height)
            seconds = self._snoozes.remaining(asked, fault.seconds, asyncio.get_running_loop().time())
        if seconds > 0:
            raise ProviderThrottled(fault.word.detail, retry_after_seconds=seconds)


def _provider_error(fault: Fault) -> ProviderError:
    error = fault.word.error
    assert error is not None  # a row that raises names what it raises
    assert issubclass(error, ProviderError)
    return error(fault.word.detail)


def _picture(wish: Wish, spoiling: Act | None) -> bytes:
    match spoiling:
        case Act.WEB_PAGE:
            return WEB_PAGE
        case Act.BOMB:
            return bomb()
        case Act.CUT_OFF:
            return cut_off(draw(wish))
        case Act.MARK_FOR_STORAGE:
            key, text = STORAGE_FAULT_MARKER.decode("latin-1").split("\0")
            return draw(wish, {key: text})
        case _:
            return draw(wish)


def _seed(prompt: str) -> int:
    """The number that belongs to a prompt for which nobody chose one."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % _DERIVED_SEEDS


def _notes(request: GenerationRequest) -> tuple[str, ...]:
    """The inputs that came with the request."""
    count = len(request.references)
    notes = [f"{count} reference{'s' if count > 1 else ''}"] if count else []
    if request.source_image is not None:
        notes.append("source")
    if request.mask is not None:
        notes.append("mask")
    return tuple(notes)
