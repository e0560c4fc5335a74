"""`imagejobs providers check` as an operator runs it, against a real service on this machine."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.support.nanobanana_server import API_KEY, NanoBananaServer


async def checked(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("IMAGEJOBS_", "NANO_", "GEMINI", "GOOGLE"))
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "imagejobs", "providers", "check", *words),
        env={**kept, "IMAGEJOBS_DATA_DIR": str(folder), **settings},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_f3_each_provider_is_asked_free_of_charge(tmp_path: Path) -> None:
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
    code, said = await checked(tmp_path, **settings)
    assert code == 1
    assert "cannot be reached" in said
    assert "→ Jobs for it will fail" in said


async def test_f3_what_cannot_work_is_named_with_its_variable(tmp_path: Path) -> None:
    code, said = await checked(tmp_path, NANO_BANANA_API_KEY="k", NANO_BANANA_API_URL="not-an-address")
    assert code == 1
    assert "NANO_BANANA_API_URL" in said
