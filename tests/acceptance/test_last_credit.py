"""A hundred racers for the last of a cap, over four API processes, fifty times."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.providers.fake_server import Options, running
from tests.acceptance.test_many_processes import READY, api
from tests.support.invariants import broken_invariants

pytestmark = [pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(600)]

PRICE = 40_000
PROCESSES, RACERS, ROUNDS = 4, 100, 50


async def test_p6_b1_of_a_hundred_racers_over_four_processes_exactly_one_gets_the_last_credit(
    dsn: str, database: Database, tmp_path: Path
) -> None:
    key = await create_key(database, "racers")
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(running(Options(port=0)))
        settings = {"IMAGEJOBS_FAKE_BASE_URL": fake.url, "IMAGEJOBS_FAKE_API_KEY": "any"}
        bases = [await stack.enter_async_context(api(dsn, tmp_path, **settings)) for _ in range(PROCESSES)]
        limits = httpx2.Limits(max_connections=RACERS, keepalive_expiry=1)  # before the server closes an idle one, in 5 s
        headers = {"authorization": f"Bearer {key}"}
        client = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, limits=limits, timeout=READY))
        for turn in range(1, ROUNDS + 1):
            async with database.transaction() as tx:
                await budgets.set_cap(tx, BudgetScope.INSTANCE, "", BudgetPeriod.TOTAL, turn * PRICE + PRICE // 2)
            body = {"projectId": "film", "jobType": "generate", "prompt": "a fox", "model": "fake:key"}
            answers = await asyncio.gather(
                *(client.post(bases[n % PROCESSES] + "/api/images/generate", json=body) for n in range(RACERS))
            )
            assert Counter(answer.status_code for answer in answers) == {202: 1, 402: RACERS - 1}, turn
    async with database.connection() as connection:
        (budget,) = await budgets.current(connection)
    assert budget.reserved_micros == ROUNDS * PRICE
    assert await broken_invariants(database) == {}
