"""The server: connections, and the way of one request through them.

    head  →  script: reset before the body?  →  body  →  script: what happens?  →  studio: picture, task, bill
          →  delivery: the answer, well or badly  →  the bill, where it comes late

An exchange goes to its end even if the customer hangs up: a provider works, and charges, all the same.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from imagejobs.net.http import Outbound
from imagejobs.providers.fake_server.bill import Bill
from imagejobs.providers.fake_server.control import PREFIX, Control
from imagejobs.providers.fake_server.delivery import Line, deliver
from imagejobs.providers.fake_server.journal import Journal, Seen
from imagejobs.providers.fake_server.orders import BadOrder, Order, read_order
from imagejobs.providers.fake_server.replies import error_reply, is_scripted, json_reply, scripted_reply
from imagejobs.providers.fake_server.script import GOOD, Action, Billing, Occasion, On, Script
from imagejobs.providers.fake_server.studio import Purchase, Studio, Terms
from imagejobs.providers.fake_server.webhooks import Webhooks
from imagejobs.providers.fake_server.wire import HEAD_LIMIT, CutOff, Head, Reply, Unreadable, read_body, read_head

HOST = "127.0.0.1"

_IDLE_SECONDS = 75.0
_LEAK = "Key {key} failed (Authorization: Bearer {key})\r\n<script>alert(1)</script> see https://fake.invalid/log?sig={key}"
_BACKLOG = 4096
_ROUTES = (
    (On.SUBMIT, "POST", re.compile(r"/v1/(?P<cls>key|lookup|none)/images")),
    (On.POLL, "GET", re.compile(r"/v1/(?P<cls>lookup)/images/(?P<id>[^/]+)")),
    (On.CANCEL, "POST", re.compile(r"/v1/(?P<cls>lookup)/images/(?P<id>[^/]+)/cancel")),
    (On.DOWNLOAD, "GET", re.compile(r"/v1/files/(?P<id>[^/]+)")),
    (On.CHECK, "GET", re.compile(r"/v1/account")),
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a fake provider is set up; `bill` is the file that its bill is also written to."""

    port: int = 0
    bill: Path | None = None
    terms: Terms = field(default_factory=Terms)
    fault_rate: float = 0.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A request to the provider's own API, as far as its head tells."""

    on: On
    resume_class: str | None
    subject: str
    head: Head
    seen: Seen


class FakeProvider:
    """A provider of pictures with a bill and bad manners, on this machine only."""

    def __init__(self, options: Options) -> None:
        self._port = options.port
        self._outbound = Outbound()
        self.bill = Bill(options.bill)
        self.journal = Journal()
        self.script = Script(fault_rate=options.fault_rate, seed=options.seed)
        self._webhooks = Webhooks(outbound=self._outbound)
        self.studio = Studio(terms=options.terms, bill=self.bill, notify=self._webhooks.notify)
        self._control = Control(
            script=self.script, studio=self.studio, journal=self.journal, webhooks=self._webhooks, reset=self.reset
        )
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it answers, once it is started."""
        return self.studio.origin

    async def start(self) -> None:
        """Listen. Raises `OSError` where the port is taken."""
        self._server = await asyncio.start_server(self._serve, HOST, self._port, limit=HEAD_LIMIT, backlog=_BACKLOG)
        self.studio.origin = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def reset(self) -> None:
        """Forget everything, hang up on everybody else, begin a new bill: nothing reaches from one test into the next."""
        await self._hang_up()
        await self.studio.reset()
        self.script.replace(())
        self.journal.reset()
        self._webhooks.sent.clear()

    async def stop(self) -> None:
        """Hang up everywhere and close the bill."""
        if self._server is not None:
            self._server.close()
        await self._hang_up()
        await self.studio.stop()
        await self._outbound.close()
        self.bill.close()

    async def _hang_up(self) -> None:
        others = self._connections - {asyncio.current_task()}
        for connection in others:
            connection.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        writer.transport.set_write_buffer_limits(high=0)
        line = Line(reader=reader, writer=writer)
        try:
            with suppress(ConnectionError, TimeoutError, CutOff, Unreadable, asyncio.CancelledError):
                while await self._exchange(line):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, line: Line) -> bool:
        """Answer one request; says whether another may follow."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                head = await read_head(line.reader)
        except CutOff as error:
            self.journal.end(self.journal.begin(None), str(error))
            return False
        except Unreadable as error:
            return await _answer_plainly(line, error_reply(error.status, str(error)), keeps_alive=False)
        if head is None:
            return False
        if head.headers.get("expect", "").lower() == "100-continue":
            await line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if head.path.startswith(PREFIX):
            reply = await self._control.answer(head, await read_body(line.reader, head))
            return await _answer_plainly(line, reply, keeps_alive=head.keeps_alive)
        return await self._api(line, head)

    async def _api(self, line: Line, head: Head) -> bool:
        """A request to the provider's own API, noted from its head to the end of the exchange."""
        seen, outcome = self.journal.begin(head), "dropped"
        try:
            outcome = await self._noted(line, head, seen)
        except CutOff as error:
            outcome = str(error)
        except Unreadable as error:
            outcome = f"answered {error.status}"
            await _answer_plainly(line, error_reply(error.status, str(error)), keeps_alive=False)
        except ConnectionError as error:
            outcome = f"the customer hung up: {type(error).__name__}"
        finally:
            self.journal.end(seen, outcome)
        return outcome.startswith("answered") and head.keeps_alive

    async def _noted(self, line: Line, head: Head, seen: Seen) -> str:
        call = _call_of(head, seen)
        if call is not None and self.script.early(self._occasion(call)) is not None:
            line.reset()
            return "reset before the body"
        body = await read_body(line.reader, head)
        seen.arrive(body)
        if call is None:
            return await deliver(line, error_reply(404, "There is no such address."), GOOD, keeps_alive=head.keeps_alive)
        if head.api_key is None:
            return await deliver(line, error_reply(401, "Send a key as bearer token."), GOOD, keeps_alive=head.keeps_alive)
        return await self._answered(line, call, body)

    async def _answered(self, line: Line, call: _Call, body: bytes) -> str:
        order, keeps_alive = None, call.head.keeps_alive
        if call.on is On.SUBMIT:
            try:
                order = read_order(call.resume_class or "", call.seen.idempotency_key, body)
            except BadOrder as error:
                return await deliver(line, error_reply(422, str(error)), GOOD, keeps_alive=keeps_alive)
        call.seen.prompt = order.prompt if order else self.studio.prompt_of(call.subject)
        action = self.script.action(self._occasion(call))
        if action.leaks_key:
            action = action.model_copy(update={"message": _LEAK.format(key=call.head.api_key)})
        reply, purchase = await self._perform(call, order, action)
        try:
            return await deliver(line, reply, action, keeps_alive=keeps_alive)
        finally:
            if purchase is not None and action.when_billed is Billing.LATE:
                self.studio.charge(purchase)

    async def _perform(self, call: _Call, order: Order | None, action: Action) -> tuple[Reply, Purchase | None]:
        """The answer, and what was bought by it at once."""
        studio, subject = self.studio, call.subject
        if order is not None and order.resume_class == "lookup":
            reply, call.seen.purchase = await studio.accept(order, action)
            return reply, None
        if order is not None:
            reply, purchase = await studio.answer_at_once(order, action)
            call.seen.purchase = purchase.id if purchase else None
            return reply, purchase
        call.seen.purchase = subject or None
        match call.on:
            case On.POLL:
                return await studio.poll(subject, action), None
            case On.CANCEL:
                return await studio.cancel(subject, action), None
            case On.DOWNLOAD:
                return await studio.download(subject, action), None
            case _:
                await asyncio.sleep(action.delay_seconds)
                return scripted_reply(action) if is_scripted(action) else json_reply(200, {"ok": True}), None

    def _occasion(self, call: _Call) -> Occasion:
        return Occasion(
            on=call.on,
            resume_class=call.resume_class,
            api_key=call.head.api_key,
            idempotency_key=call.seen.idempotency_key,
            in_flight=self.journal.in_flight,
            prompt=call.seen.prompt,
        )


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[FakeProvider]:
    """A fake provider for as long as the block lasts."""
    fake = FakeProvider(options)
    try:
        await fake.start()
        yield fake
    finally:
        await fake.stop()


def _call_of(head: Head, seen: Seen) -> _Call | None:
    for on, method, pattern in _ROUTES:
        if method == head.method and (found := pattern.fullmatch(head.path)):
            parts = found.groupdict()
            return _Call(on=on, resume_class=parts.get("cls"), subject=parts.get("id") or "", head=head, seen=seen)
    return None


async def _answer_plainly(line: Line, reply: Reply, *, keeps_alive: bool) -> bool:
    await deliver(line, reply, GOOD, keeps_alive=keeps_alive)
    return keeps_alive
