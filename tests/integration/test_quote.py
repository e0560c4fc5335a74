"""A quote says what a request would cost and what would stop it, and leaves no trace."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.keys import create_key
from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.domain.access import Scope
from imagejobs.domain.money import Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.imaging import Decoder
from tests.support.providers import PRICE, VERSION, Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database

GOOD = {"projectId": "film", "jobType": "generate", "prompt": "a red fox", "width": 64, "height": 64}


class Coarse(Scripted):
    """Makes pictures of one size only, dearer for longer prompts."""

    def quote(self, request: GenerationRequest) -> Quote:
        return Quote(micros=PRICE + len(request.prompt), price_version=VERSION, width=1024, height=1024)


@pytest.fixture
async def paid(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[World]:
    providers = {"scripted": Scripted(), "coarse": Coarse(name="coarse")}
    async with open_world(dsn, database, decoder, tmp_path / "files", providers=providers) as opened:
        yield opened


async def ask(world: World, **change: Any) -> dict[str, Any]:
    answer = await world.client.post("/api/images/quote", json={**GOOD, **change})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def cap(world: World, micros: int, scope: BudgetScope = BudgetScope.INSTANCE, scope_id: str = "") -> None:
    async with world.deps.database.transaction() as tx:
        await budgets.set_cap(tx, scope, scope_id, BudgetPeriod.TOTAL, micros)


async def everything(world: World) -> dict[str, str]:
    """All rows of all tables; of keys only how many, for their use is noted."""
    async with world.deps.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('public', 'imagejobs')"
        )
        names = [row["name"] for row in rows]
        assert len(names) > 15
        whole = dict.fromkeys(names, "coalesce(string_agg(t::text, '|' ORDER BY t::text), '')")
        wanted = whole | {"imagejobs.api_keys": "count(*)::text"}
        return {name: await connection.fetchval(f"SELECT {what} FROM {name} AS t") for name, what in wanted.items()}  # noqa: S608


async def test_a14_a_quote_names_price_model_size_and_words(paid: World) -> None:
    assert await ask(paid, n=3) == {
        "provider": "scripted",
        "model": "scripted-1",
        "width": 64,
        "height": 64,
        "n": 3,
        "estimated": 0.04,
        "total": 0.12,
        "priceVersion": VERSION,
        "prompt": "a red fox",
        "obstacle": None,
    }


async def test_a14_the_quote_is_what_the_job_then_reserves_style_and_real_size_included(paid: World) -> None:
    await paid.client.put("/api/projects/film/styles/noir", json={"name": "Noir"})
    request = {"model": "coarse", "visualStyleCapsuleId": "noir", "jobType": "start_frame", "branchId": "main"}
    quoted = await ask(paid, **request)
    assert (quoted["width"], quoted["height"]) == (1024, 1024)
    job = await paid.job((await paid.generate(**request)).json()["jobId"])
    assert quoted["prompt"] == job.params["composed_prompt"]
    assert quoted["prompt"].endswith("Style: Noir")
    assert job.estimated_micros == PRICE + len(quoted["prompt"])
    assert quoted["estimated"] == float(job.estimated_credits or 0)


async def test_a14_a_quote_writes_nothing_not_even_a_project_or_a_budgets_period(paid: World) -> None:
    await cap(paid, 10 * PRICE)
    before = await everything(paid)
    await ask(paid, projectId="not-made-yet", idempotencyKey="k", n=5)
    for bad in ({"model": "nope"}, {"visualStyleCapsuleId": "nope"}, {"prompt": ""}):
        await paid.client.post("/api/images/quote", json={**GOOD, **bad})
    assert await everything(paid) == before
    assert (await paid.generate(idempotencyKey="k")).status_code == 202
    await ask(paid, idempotencyKey="k", prompt="another")


@pytest.mark.parametrize("scope", [BudgetScope.INSTANCE, BudgetScope.PROJECT, BudgetScope.KEY])
async def test_a14_every_budget_without_room_is_told_as_the_job_would_hear_it(paid: World, scope: BudgetScope) -> None:
    key = await create_key(paid.deps.database, "buyer")
    paid.client.headers["authorization"] = f"Bearer {key}"
    whose = {BudgetScope.INSTANCE: "", BudgetScope.PROJECT: "film", BudgetScope.KEY: key.id}
    await cap(paid, 2 * PRICE, scope, whose[scope])
    assert (await ask(paid, n=2))["obstacle"] is None
    assert (await paid.generate()).status_code == 202
    obstacle = (await ask(paid, n=2))["obstacle"]
    refused = await paid.generate(n=2)
    assert (refused.status_code, refused.json()["reason"]) == (402, obstacle["reason"])
    assert obstacle["message"].split(" leaves ")[0] == refused.json()["detail"].split(" leaves ")[0]
    assert "left 0.0400, wanted 0.0800" in obstacle["message"]
    assert (await ask(paid, n=1))["obstacle"] is None


async def test_a14_a_price_above_max_cost_is_told_with_the_price(paid: World) -> None:
    quoted = await ask(paid, maxCost=0.01)
    assert (quoted["estimated"], quoted["obstacle"]["reason"]) == (0.04, "budget_exhausted")
    assert quoted["obstacle"]["message"] == (await paid.generate(maxCost=0.01)).json()["detail"]


async def test_a14_without_a_provider_the_quote_says_so(paid: World) -> None:
    nothing = replace(paid.deps, policy=replace(paid.deps.policy, default_provider=None))
    paid.client._transport.app.state.deps = nothing  # type: ignore[attr-defined]
    quoted = await ask(paid)
    assert (quoted["provider"], quoted["model"], quoted["estimated"], quoted["total"]) == (None, None, None, None)
    assert quoted["obstacle"]["reason"] == "no_provider_configured"


REFUSED: list[dict[str, Any]] = [
    {"prompt": " "},
    {"width": 32},
    {"width": 99_999},
    {"model": "dall-e-3"},
    {"fallback": ["nope"]},
    {"jobType": "portrait"},
    {"jobType": "start_frame"},
    {"visualStyleCapsuleId": "nope"},
    {"referenceImages": [{"url": "https://example.com/a.png"}]},
    {"n": 101},
    {"prompt": "x" * 32_000, "manualVisualTone": "calm"},
    {"unknown": 1},
]


@pytest.mark.parametrize("change", REFUSED, ids=lambda value: str(value)[:40])
async def test_a16_a_quote_is_refused_as_the_request_would_be(paid: World, change: dict[str, Any]) -> None:
    quoted = await paid.client.post("/api/images/quote", json={**GOOD, **change})
    made = await paid.client.post("/api/images/generate", json={**GOOD, **change})
    assert quoted.status_code == 422
    assert (quoted.status_code, quoted.content) == (made.status_code, made.content)


async def test_a12_quotes_take_the_rights_of_making(paid: World) -> None:
    await paid.generate()
    rights: dict[str, Any]
    for rights, status in (
        ({"scopes": [Scope.READ]}, 403),
        ({"project_ids": ["mine"]}, 404),
        ({"scopes": [Scope.WRITE]}, 200),
    ):
        key = await create_key(paid.deps.database, "another", **rights)
        paid.client.headers["authorization"] = f"Bearer {key}"
        answers = [await paid.client.post(f"/api/images/{what}", json=GOOD) for what in ("quote", "generate")]
        assert answers[0].status_code == status
        assert status == 200 or answers[0].content == answers[1].content
    unmade = await paid.client.post("/api/images/quote", json={**GOOD, "projectId": "never-made"})
    assert (unmade.status_code, unmade.json()["reason"]) == (404, "not_found")
