"""Telling a customer that a task has ended: once, twice, late or not at all."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundRequest
from imagejobs.providers.fake_server.bill import now
from imagejobs.providers.fake_server.studio import Task

_SECONDS = 10.0


@dataclass
class Webhooks:
    """Sends them, one after another, without retries; and remembers what was answered."""

    outbound: Outbound
    sent: list[dict[str, Any]] = field(default_factory=list)

    async def notify(self, task: Task) -> None:
        """Deliver the webhook of a task as often and as late as the script wants."""
        url, how = task.order.webhook_url, task.action.webhook
        if url is None:
            return
        await asyncio.sleep(how.delay_seconds)
        body = json.dumps({"id": task.id, "status": task.status}).encode()
        for _ in range(how.times):
            entry = {"id": task.id, "url": url, "at": now(), "outcome": ""}
            self.sent.append(entry)
            entry["outcome"] = await self._post(url, body)

    async def _post(self, url: str, body: bytes) -> str:
        headers = {"content-type": "application/json"}
        request = OutboundRequest(method="POST", url=url, headers=headers, body=body, deadline_seconds=_SECONDS)
        try:
            answer = await self.outbound.send(request)
        except (NotSent, AnswerLost, AnswerTooLarge) as error:
            return f"{type(error).__name__}: {error}"
        return f"answered {answer.status}"
