"""`imagejobs providers check` and the page on production keys, as an operator runs them, against real services."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.gemini_server import KEY, running_gemini
from tests.support.nanobanana_server import API_KEY, NanoBananaServer
from tests.support.pages import is_said


async def checked(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    return await imagejobs(folder, "providers", "check", *words, **settings)


async def imagejobs(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("IMAGEJOBS_", "NANO_", "GEMINI", "GOOGLE"))
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "imagejobs", *words),
        env={**kept, "IMAGEJOBS_DATA_DIR": str(folder), **settings},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_f3_each_provider_is_asked_free_of_charge(tmp_path: Path, dead_port: int) -> None:
    server = NanoBananaServer()
    settings = {"NANO_BANANA_API_KEY": API_KEY, "NANO_BANANA_API_URL": server.start()}
    try:
        code, said = await checked(tmp_path, "--json", **settings)
    finally:
        server.stop()
    found = {finding["subject"]: finding for finding in map(json.loads, said.splitlines())}
    assert code == 0
    assert {name: finding["level"] for name, finding in found.items()} == dict.fromkeys(
        ("nanobanana", "sketch", "default provider"), "ok"
    )
    assert found["default provider"]["detail"].startswith("nanobanana")
    assert [asked.method for asked in server.asked] == ["GET"]
    assert server.bill == []
    assert API_KEY not in said
    code, said = await checked(tmp_path, **settings | {"NANO_BANANA_API_URL": f"http://127.0.0.1:{dead_port}/v1"})
    assert code == 1
    assert "cannot be reached" in said
    assert "→ Jobs for it will fail" in said
    assert "set by NANO_BANANA_API_KEY or IMAGEJOBS_NANOBANANA_API_KEY, " in said


async def test_f3_what_cannot_work_is_named_with_its_variable(tmp_path: Path) -> None:
    code, said = await checked(tmp_path, NANO_BANANA_API_KEY="k", NANO_BANANA_API_URL="not-an-address")
    assert code == 1
    assert "NANO_BANANA_API_URL" in said


@pytest.mark.database
@pytest.mark.timeout(180)  # a dozen programs, one after another
async def test_f3_the_page_on_production_keys_runs_free_of_charge(tmp_path: Path, dsn: str) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/production-keys.md").read_text()
    steps = re.findall(r"<!-- tested: commands -->\n```sh\n(.*?)```\n.*?```text\n(.*?)```", page, re.DOTALL)
    assert len(steps) == 2
    found = re.search(r"```ini\n(.*?)```", page, re.DOTALL)
    assert found is not None
    (tmp_path / ".env").write_text(found[1].replace("YOUR-GOOGLE-KEY", KEY))
    async with running_gemini() as gemini:
        here = {"IMAGEJOBS_GEMINI_BASE_URL": gemini.url, "DATABASE_URL": dsn}
        for commands, shown in steps:
            ran = [await imagejobs(tmp_path, *command.split()[1:], **here) for command in commands.splitlines()]
            assert [code for code, _ in ran] == [0] * len(ran), ran
            said = [line for _, words in ran for line in words.splitlines()]
            missing = [line for line in shown.splitlines() if not any(is_said(line, one) for one in said)]
            assert not missing, said
        code, told = await checked(tmp_path, GOOGLE_AI_API_KEY="AIza-not-the-key", **here)
        assert code == 1
        assert "✗ gemini" in told
        assert not gemini.bill
