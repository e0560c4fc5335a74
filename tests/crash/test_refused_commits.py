"""A database that refuses for now: serialization failures and deadlocks, as a trigger makes them, at each write of a job."""

from pathlib import Path

import pytest

from imagejobs.db.pool import Database
from imagejobs.imaging import Decoder
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import open_world

pytestmark = pytest.mark.database

# A sequence does not roll back with the transaction that it makes fail, so each failure happens once.
REFUSE = """
CREATE SEQUENCE refusals;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('refusals') % 4 = 1 THEN
        RAISE EXCEPTION 'not now' USING ERRCODE = '{state}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON public.image_generation_jobs FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "53100", "57014"])
async def test_d10_d11_a_refused_transaction_is_made_again_and_nothing_is_bought_twice(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, state: str
) -> None:
    """Serialization failure, deadlock, lock not available, disk full, statement timeout: every fourth write of the job."""
    provider = Scripted()
    async with database.transaction() as tx:
        await tx.execute(REFUSE.format(state=state))
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        refused = await world.generate(idempotencyKey="k")
        assert (refused.status_code, refused.json()["code"]) == (503, "TEMPORARY")
        assert int(refused.headers["retry-after"]) >= 1
        assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 0
        accepted = await world.generate(idempotencyKey="k")
        assert accepted.status_code == 202
        async with world.working():
            body = await world.finished(accepted.json()["jobId"])
    assert body["status"] == "completed"
    assert await world.scalar("SELECT last_value FROM refusals") >= 7
    assert len(provider.bill) == 1
    assert await billed(database) == PRICE
    assert await broken_invariants(database) == {}
