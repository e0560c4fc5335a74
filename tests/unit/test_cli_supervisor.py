"""Children that die again and again."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from imagejobs.cli import embedded
from imagejobs.cli.embedded import EmbeddedDatabase
from imagejobs.cli.supervisor import Child, ChildRefused, Restarts, Supervisor
from imagejobs.embedded import Server

LIVES = 4
PATIENCE_SECONDS = 150.0  # six new interpreters

pytestmark = pytest.mark.timeout(180)


async def test_a_child_that_keeps_dying_is_started_again_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    restarts = Restarts(first_seconds=0.1, cap_seconds=0.3)
    supervisor = Supervisor([Child(name="short", arguments=("--version",))], dict(os.environ), restarts)
    with caplog.at_level(logging.WARNING, "imagejobs.cli.supervisor"):
        supervisor.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(caplog.records) < LIVES:
                await asyncio.sleep(0.01)
            await supervisor.stop()
    assert [vars(record)["restart_in_seconds"] for record in caplog.records] == [0.1, 0.2, 0.3, 0.3]
    assert {vars(record)["exit_code"] for record in caplog.records} == {0}


async def test_a_child_that_says_it_cannot_start_is_not_tried_again() -> None:
    without_settings = {"PATH": os.environ["PATH"], "PORT": "many"}
    supervisor = Supervisor([Child(name="worker", arguments=("worker",))], without_settings)
    supervisor.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ChildRefused, match="worker"):
            await supervisor.started()
        await supervisor.stop()


async def test_a_child_that_cannot_be_made_just_now_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of memory, out of descriptors, or its program replaced by an upgrade: for good nobody would work any more."""
    supervisor = Supervisor([Child(name="short", arguments=("--version",))], dict(os.environ), Restarts(first_seconds=0.1))
    with caplog.at_level(logging.WARNING, "imagejobs.cli.supervisor"), monkeypatch.context() as replaced:
        replaced.setattr(sys, "executable", "/nowhere/python")
        supervisor.start()
        await until(lambda: len(caplog.records) == 1)
        replaced.undo()
        await until(lambda: len(caplog.records) == 2)
        await supervisor.stop()
    codes = [vars(record)["exit_code"] for record in caplog.records]
    assert "/nowhere/python" in codes[0]
    assert codes[1] == 0


async def test_a_child_that_does_not_end_when_its_environment_changes_is_killed_and_started_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker whose database moved would wait for the old one with the jobs in its hands for good."""
    restarts = Restarts(first_seconds=0.1, drain_seconds=0.5)
    supervisor = Supervisor([Child(name="stuck", arguments=("fake-provider", "--port", "0"))], dict(os.environ), restarts)
    supervisor.start()
    await until(lambda: bool(children()))
    (first,) = children()
    first.suspend()
    await until(lambda: first.status() == psutil.STATUS_STOPPED)
    with caplog.at_level(logging.WARNING, "imagejobs.cli.supervisor"):
        supervisor.replace_environment(dict(os.environ))
        await until(lambda: bool(children() - {first}))
        await supervisor.stop()
    assert vars(caplog.records[0])["exit_code"] == -signal.SIGKILL


async def test_a_child_that_is_being_made_when_its_environment_changes_is_started_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    child = Child(name="early", arguments=("fake-provider", "--port", "0"))
    supervisor = Supervisor([child], dict(os.environ), Restarts(first_seconds=0.1))
    with caplog.at_level(logging.WARNING, "imagejobs.cli.supervisor"):
        supervisor.start()
        await asyncio.sleep(0)
        supervisor.replace_environment(dict(os.environ))
        await until(lambda: len(caplog.records) == 1)
        await supervisor.stop()


async def test_a_database_that_cannot_be_started_again_is_tried_again_whatever_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, dead_dsn: str
) -> None:
    monkeypatch.setattr(embedded, "_LOOK_SECONDS", 0.05)
    stop, gone = asyncio.Event(), SimpleNamespace(dsn=dead_dsn, release=lambda: False)
    keeping = asyncio.create_task(EmbeddedDatabase(Path("no\0directory"), cast("Server", gone)).keep(stop, lambda: None))
    await until(lambda: keeping.done() or caplog.messages.count("database.not_started") == 2)
    stop.set()
    await keeping


@pytest.fixture
def dead_dsn() -> Iterator[str]:
    """Where nothing listens, and nobody else can while the test lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"postgresql://127.0.0.1:{held.getsockname()[1]}/none"


def children() -> set[psutil.Process]:
    """Those of ours that have become the command."""
    found = set()
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            found |= {process} if "fake-provider" in process.cmdline() else set()
    return found


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened():
            await asyncio.sleep(0.01)
