"""The queries that the page offers run as they stand."""

import re
from pathlib import Path

import asyncpg
import pytest

PAGE = (Path(__file__).parents[2] / "docs/reference/database.md").read_text()
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.database
async def test_b3_the_pages_queries_run_as_they_stand(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    for query in QUERIES:
        assert await connection.fetch(query) == []
    await connection.close()


@pytest.mark.database
async def test_b1_the_page_names_columns_that_exist(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name = 'image_generation_jobs'"
    )
    await connection.close()
    cells = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named <= {row["column_name"] for row in rows}
    assert len(named) >= 31
