"""What the fake provider does for its money: purchases, tasks, and what it says about them.

A purchase is made and billed in one step of the event loop, so that two requests under one key can never make two.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from imagejobs.providers.fake_server.bill import Bill, Entry
from imagejobs.providers.fake_server.orders import Order
from imagejobs.providers.fake_server.pictures import File, Wish, picture
from imagejobs.providers.fake_server.replies import (
    endless_reply,
    error_reply,
    failure,
    file_reply,
    is_scripted,
    json_reply,
    picture_reply,
    scripted_reply,
)
from imagejobs.providers.fake_server.script import GOOD, Action, Billing, Fate
from imagejobs.providers.fake_server.wire import Reply


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a picture costs, how long it takes, and how large its file is at least."""

    price_micros: int = 40_000
    latency_seconds: float = 0.0
    image_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """A picture that was made; `action` is what the script said when it was ordered."""

    id: str
    order: Order
    action: Action
    micros: int

    @property
    def media_type(self) -> str:
        return self.action.media_type or "image/png"


@dataclass
class Task:
    """A picture that is being made."""

    id: str
    order: Order
    action: Action
    status: str = "queued"
    was_seen: bool = False
    purchase: Purchase | None = None
    work: "asyncio.Task[None] | None" = None

    @property
    def will_fail(self) -> bool:
        return self.action.task in (Fate.FAILED, Fate.REFUSED)

    @property
    def has_ended(self) -> bool:
        return self.status in ("succeeded", "failed", "canceled")


@dataclass
class Studio:
    """Makes pictures, keeps the purchases and the tasks, and writes the bill.

    `notify` tells of a finished task; `origin` is where downloads are found. Purchases that are in the bill from before a
    restart are answered for again.
    """

    terms: Terms
    bill: Bill
    notify: Callable[[Task], Awaitable[None]]
    origin: str = ""
    _purchases: dict[str, Purchase] = field(default_factory=dict)
    _billed: set[str] = field(default_factory=set)
    _by_key: dict[str, Purchase] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.bill.entries:
            self._billed.add(self._remember(_purchase_in(entry)).id)

    def prompt_of(self, task_id: str) -> str | None:
        """What was asked for with that task."""
        task = self._tasks.get(task_id)
        return None if task is None else task.order.prompt

    async def stop(self) -> None:
        """Drop what is being made."""
        works = [task.work for task in self._tasks.values() if task.work is not None]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def reset(self) -> None:
        """Forget everything and begin a new bill."""
        await self.stop()
        self._tasks.clear()
        self._purchases.clear()
        self._billed.clear()
        self._by_key.clear()
        self.bill.reset()

    async def answer_at_once(self, order: Order, action: Action) -> tuple[Reply, Purchase | None]:
        """Make the picture that answers the request itself; and what was bought, for a bill that comes later."""
        if self._conflicts(order):
            return _CONFLICT, None
        await asyncio.sleep(self.terms.latency_seconds + action.delay_seconds)
        if self._conflicts(order):
            return _CONFLICT, None
        known = self._known(order)
        if known is None and action.is_an_error and action.when_billed is Billing.NO:
            return scripted_reply(action), None
        purchase = known or self._make(order, action, uuid4().hex)
        if action.when_billed is Billing.YES:
            self.charge(purchase)
        if is_scripted(action):
            return scripted_reply(action), purchase
        return self._success({"id": purchase.id}, purchase, action), purchase

    async def accept(self, order: Order, action: Action) -> tuple[Reply, str | None]:
        """Begin a task; the answer with its id, and the id. An error begins none unless it is billed."""
        await asyncio.sleep(action.delay_seconds)
        if action.is_an_error and action.when_billed is Billing.NO:
            return scripted_reply(action), None
        task = Task(id=uuid4().hex, order=order, action=action)
        self._tasks[task.id] = task
        if action.webhook.before_answer:
            await self._work(task)
        elif action.task is not Fate.STUCK:
            task.work = asyncio.create_task(self._work(task))
        reply = scripted_reply(action) if is_scripted(action) else json_reply(202, {"id": task.id, "status": "queued"})
        return reply, task.id

    async def poll(self, task_id: str, action: Action) -> Reply:
        """What has become of a task."""
        await asyncio.sleep(action.delay_seconds)
        if is_scripted(action):
            return scripted_reply(action)
        task = self._task(task_id)
        if task is None:
            kept = None if task_id in self._tasks else self._purchases.get(task_id)
            if kept is None or kept.order.resume_class != "lookup":
                return _NOT_FOUND
            return self._success({"id": kept.id, "status": "succeeded"}, kept, action)
        if task.status != "succeeded" or task.purchase is None:
            return json_reply(200, self._state(task))
        if task.was_seen and task.action.task is Fate.CHANGES_MIND:
            error = failure("server_error", "On second thought, it failed.", billed=True)
            return json_reply(200, {"id": task.id, "status": "failed", "error": error})
        task.was_seen = True
        if task.action.when_billed is Billing.LATE:
            self.charge(task.purchase)
        return self._success({"id": task.id, "status": task.status}, task.purchase, action)

    async def cancel(self, task_id: str, action: Action) -> Reply:
        """Stop a task that has not ended; it costs nothing then, unless the script says so."""
        await asyncio.sleep(action.delay_seconds)
        if is_scripted(action):
            return scripted_reply(action)
        task = self._task(task_id)
        if task is None:
            return _NOT_FOUND
        if not task.has_ended:
            task.status = "canceled"
            if task.work is not None:
                task.work.cancel()
            if action.bill is Billing.YES:
                self.charge(self._make(task.order, task.action, task.id))
        return json_reply(200, {"id": task.id, "status": task.status, "billed": task.id in self._billed})

    async def download(self, purchase_id: str, action: Action) -> Reply:
        """The bytes of a picture."""
        await asyncio.sleep(action.delay_seconds)
        if is_scripted(action):
            return scripted_reply(action)
        purchase = self._purchases.get(purchase_id)
        return _NOT_FOUND if purchase is None else file_reply(purchase.media_type, self._file(purchase))

    def charge(self, purchase: Purchase) -> None:
        """Enter the purchase into the bill, once."""
        if purchase.id in self._billed:
            return
        self._billed.add(purchase.id)
        order = purchase.order
        self.bill.enter(
            Entry(
                purchase=purchase.id,
                resume_class=order.resume_class,
                idempotency_key=order.idempotency_key,
                body_sha256=order.body_sha256,
                width=order.width,
                height=order.height,
                micros=purchase.micros,
            )
        )

    async def _work(self, task: Task) -> None:
        """Make the picture of a task, bill it, and tell of it."""
        seconds = self.terms.latency_seconds if task.action.task_seconds is None else task.action.task_seconds
        await asyncio.sleep(seconds / 2)
        task.status = "running"
        await asyncio.sleep(seconds / 2)
        if not task.will_fail or task.action.when_billed is not Billing.NO:
            task.purchase = self._make(task.order, task.action, task.id)
        if task.purchase is not None and task.action.when_billed is Billing.YES:
            self.charge(task.purchase)
        task.status = "failed" if task.will_fail else "succeeded"
        await self.notify(task)

    def _task(self, task_id: str) -> Task | None:
        task = self._tasks.get(task_id)
        return None if task is None or task.action.task is Fate.FORGOTTEN else task

    def _state(self, task: Task) -> dict[str, Any]:
        state: dict[str, Any] = {"id": task.id, "status": task.status}
        if task.status == "canceled":
            state["billed"] = task.id in self._billed
        if task.status == "failed":
            kind = "content_refused" if task.action.task is Fate.REFUSED else "server_error"
            message = task.action.message or "The script wants this task to fail."
            state["error"] = failure(kind, message, billed=task.id in self._billed)
        return state

    def _success(self, begin: dict[str, Any], purchase: Purchase, action: Action) -> Reply:
        """The document with the picture; what the script wants of the order's answer holds for a poll's as well."""
        document = {**begin, "cost": {"micros": purchase.micros}}
        actions = (action, purchase.action) if purchase.order.resume_class == "lookup" else (action,)
        if any(one.wrong_types for one in actions):
            return json_reply(200, {**document, "image": ["a", "picture"], "cost": "next to nothing"})
        if any(one.empty for one in actions):
            return json_reply(200, {**document, "image": None})
        if any(one.endless for one in actions):
            return endless_reply(document, purchase.media_type)
        if purchase.order.by_url:
            url = f"{self.origin}/v1/files/{purchase.id}"
            return json_reply(200, {**document, "image": {"media_type": purchase.media_type, "url": url}})
        return picture_reply(document, purchase.media_type, self._file(purchase))

    def _file(self, purchase: Purchase) -> File:
        order = purchase.order
        wish = Wish(
            seed=_seed_of(purchase),
            width=order.width,
            height=order.height,
            image_bytes=self.terms.image_bytes,
            kind=purchase.action.image,
        )
        return picture(wish)

    def _make(self, order: Order, action: Action, purchase_id: str) -> Purchase:
        micros = self.terms.price_micros if action.price_micros is None else action.price_micros
        return self._remember(Purchase(id=purchase_id, order=order, action=action, micros=micros))

    def _remember(self, purchase: Purchase) -> Purchase:
        self._purchases[purchase.id] = purchase
        if purchase.order.resume_class == "key" and purchase.order.idempotency_key is not None:
            self._by_key[purchase.order.idempotency_key] = purchase
        return purchase

    def _known(self, order: Order) -> Purchase | None:
        return self._by_key.get(order.idempotency_key or "") if order.resume_class == "key" else None

    def _conflicts(self, order: Order) -> bool:
        known = self._known(order)
        return known is not None and known.order.body_sha256 != order.body_sha256


_NOT_FOUND = error_reply(404, "There is no such image.")
_CONFLICT = error_reply(409, "This idempotency key came with another body before.")


def _seed_of(purchase: Purchase) -> str:
    """What the colors follow from: the customer's key where it counts, else our id."""
    key = purchase.order.idempotency_key
    return key if purchase.order.resume_class == "key" and key is not None else purchase.id


def _purchase_in(entry: Entry) -> Purchase:
    """The purchase that an entry of the bill is about."""
    order = Order(
        resume_class=entry.resume_class,
        idempotency_key=entry.idempotency_key,
        body_sha256=entry.body_sha256,
        width=entry.width,
        height=entry.height,
    )
    return Purchase(id=entry.purchase, order=order, action=GOOD, micros=entry.micros)
