"""The control API: what a test sets, and what it reads."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from imagejobs.providers.fake_server.journal import Journal
from imagejobs.providers.fake_server.replies import error_reply, json_reply
from imagejobs.providers.fake_server.script import Rules, Script
from imagejobs.providers.fake_server.studio import Studio
from imagejobs.providers.fake_server.webhooks import Webhooks
from imagejobs.providers.fake_server.wire import Head, Reply

PREFIX = "/control/"


@dataclass(frozen=True, kw_only=True)
class Control:
    """Answers what lies below `/control/`, without a key."""

    script: Script
    studio: Studio
    journal: Journal
    webhooks: Webhooks
    reset: Callable[[], Awaitable[None]]

    async def answer(self, head: Head, body: bytes) -> Reply:
        """Do what is asked; a wrong script changes nothing and is answered with every problem in it."""
        routes: Mapping[tuple[str, str], Callable[[Head, bytes], Awaitable[Reply]]] = {
            ("PUT", "script"): self._set_script,
            ("GET", "bill"): self._show_bill,
            ("GET", "requests"): self._show_requests,
            ("GET", "in-flight"): self._show_in_flight,
            ("GET", "webhooks"): self._show_webhooks,
            ("POST", "reset"): self._reset,
        }
        route = routes.get((head.method, head.path.removeprefix(PREFIX)))
        if route is None:
            known = ", ".join(f"{method} {PREFIX}{name}" for method, name in routes)
            return error_reply(404, f"There is only {known}.")
        return await route(head, body)

    async def _set_script(self, head: Head, body: bytes) -> Reply:
        del head
        try:
            rules = Rules.model_validate_json(body).rules
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
            return json_reply(422, {"problems": problems})
        self.script.replace(rules)
        return json_reply(200, {"rules": len(rules)})

    async def _show_bill(self, head: Head, body: bytes) -> Reply:
        del head, body
        bill = self.studio.bill
        entries = [entry.document() for entry in bill.entries]
        return json_reply(200, {"total_micros": bill.total_micros, "entries": entries})

    async def _show_requests(self, head: Head, body: bytes) -> Reply:
        del body
        after = head.query.get("after", "0")
        if not after.isdecimal():
            return error_reply(400, "after must be the number of a request.")
        return json_reply(200, {"count": self.journal.count, "requests": self.journal.since(int(after))})

    async def _show_in_flight(self, head: Head, body: bytes) -> Reply:
        del head, body
        return json_reply(200, {"current": self.journal.in_flight, "peak": self.journal.peak})

    async def _show_webhooks(self, head: Head, body: bytes) -> Reply:
        del head, body
        return json_reply(200, {"webhooks": self.webhooks.sent})

    async def _reset(self, head: Head, body: bytes) -> Reply:
        del head, body
        await self.reset()
        return json_reply(200, {})
