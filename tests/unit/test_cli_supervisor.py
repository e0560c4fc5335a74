"""Children that die again and again."""

import asyncio
import logging
import os

import pytest

from imagejobs.cli.supervisor import Child, ChildRefused, Restarts, Supervisor

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
