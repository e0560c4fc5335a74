"""`budgets`, `spend` and `verify` as an operator runs them."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from imagejobs.app.keys import create_key
from tests.support.world import World

pytestmark = pytest.mark.database


async def imagejobs(world: World, *words: str, data_dir: Path) -> tuple[int, str]:
    environment = {**os.environ, "DATABASE_URL": world.dsn, "IMAGEJOBS_DATA_DIR": str(data_dir)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "imagejobs", *words),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_b_caps_are_set_listed_and_lifted(world: World, tmp_path: Path) -> None:
    assert await imagejobs(world, "budgets", "set", "5", data_dir=tmp_path) == (
        0,
        "At most 5.0000 dollars per day for the instance.\n",
    )
    code, said = await imagejobs(world, "budgets", "set", "0.004", "--project", "film", data_dir=tmp_path)
    assert (code, "At most 0.0040 dollars per day for the project film.\n" in said) == (0, True)
    await imagejobs(world, "budgets", "rm", "--project", "film", data_dir=tmp_path)
    await imagejobs(world, "budgets", "set", "0.5", "--per", "month", "--project", "film", data_dir=tmp_path)
    code, said = await imagejobs(world, "budgets", "ls", "--json", data_dir=tmp_path)
    assert code == 0
    assert [(row["scope"], row["capMicros"]) for row in map(json.loads, said.splitlines())] == [
        ("instance", 5_000_000),
        ("project", 500_000),
    ]
    assert (await imagejobs(world, "budgets", "rm", data_dir=tmp_path))[0] == 0
    assert (await imagejobs(world, "budgets", "rm", data_dir=tmp_path))[0] == 5


async def test_spend_and_verify_tell_what_is_and_verify_finds_what_is_wrong(world: World, tmp_path: Path) -> None:
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    code, said = await imagejobs(world, "spend", data_dir=tmp_path)
    assert code == 0
    assert "sketch-1" in said
    assert (await imagejobs(world, "verify", data_dir=tmp_path))[0] == 0
    (picture,) = (tmp_path / "files/project_film/branch_main/misc").glob("*.png")
    picture.write_bytes(b"something else")
    code, said = await imagejobs(world, "verify", data_dir=tmp_path)
    assert (code, said.startswith("not as recorded: project_film/")) == (1, True)
    picture.unlink()
    await world.scalar("UPDATE image_generation_jobs SET event_seq = 9")
    code, said = await imagejobs(world, "verify", "--json", data_dir=tmp_path)
    findings = json.loads(said)
    assert (code, findings["isSound"], len(findings["missing"])) == (1, False, 1)
    assert "events without a gap, up to the row's own count" in findings["broken"]


async def test_a_cap_is_for_a_key_that_there_is_and_says_where_its_project_is_not_made_yet(
    world: World, tmp_path: Path
) -> None:
    code, said = await imagejobs(world, "budgets", "set", "1", "--key", "zzz", data_dir=tmp_path)
    assert (code, said) == (5, "imagejobs: There is no key zzz: `imagejobs keys ls` lists them.\n")
    key = await create_key(world.deps.database, "k")
    assert (await imagejobs(world, "budgets", "set", "1", "--key", key.id, data_dir=tmp_path))[0] == 0
    code, said = await imagejobs(world, "budgets", "set", "1", "--project", "film", data_dir=tmp_path)
    assert (code, "There is no project film yet" in said) == (0, True)
    await world.generate()
    code, said = await imagejobs(world, "budgets", "set", "2", "--project", "film", data_dir=tmp_path)
    assert (code, said) == (0, "At most 2.0000 dollars per day for the project film.\n")
    assert await world.scalar("SELECT array_agg(scope_id ORDER BY scope_id) FROM imagejobs.budgets") == sorted(
        [key.id, "film"]
    )
