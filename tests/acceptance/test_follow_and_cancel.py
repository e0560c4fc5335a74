"""The commands of the pages about following and canceling, run against a real `up`; and its end while streams are open."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.up import Up, place, up

PAGES = Path(__file__).parents[2] / "docs/how-to"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def service() -> Iterator[Up]:
    with place() as at, up(at) as running:
        yield running


def block(page: str, name: str) -> str:
    found = re.search(rf"<!-- tested: {name} -->\n```sh\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def run(service: Up, script: str) -> "subprocess.CompletedProcess[str]":
    """The commands as a reader's shell runs them, `imagejobs` being the one under test."""
    key = {"IMAGEJOBS_URL": service.url, "IMAGEJOBS_API_KEY": service.ready["apiKey"]}
    function = 'imagejobs() { "$PYTHON" -m imagejobs "$@"; }\n'
    environment = service.place.environment(**key, PYTHON=sys.executable)
    words = ["bash", "-euo", "pipefail", "-c", function + script]
    done = subprocess.run(
        words, env=environment, cwd=service.place.cwd, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_job_is_followed_as_the_page_says(service: Up) -> None:
    page = "follow-a-job.md"
    done = run(service, "\n".join(block(page, name) for name in ("follow", "stream", "wait")))
    assert re.search(r"retry: [123]\d\d\d\n\nid: 1\nevent: job.queued\n", done.stdout)
    assert "event: job.completed" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "completed"


def test_a14_a_job_is_canceled_as_the_page_says(service: Up) -> None:
    done = run(service, block("cancel-a-job.md", "cancel") + 'imagejobs jobs get "$job" --json')
    assert "Stopped before any spend" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "canceled"


def test_a14_a_job_that_waits_is_moved_and_a_finished_one_is_not(service: Up) -> None:
    script = """
    job=$(imagejobs generate "a lighthouse [429 300s]" --no-wait)
    until imagejobs jobs get "$job" --json | grep -q '"scheduledAt": *"'; do :; done
    imagejobs jobs priority "$job" -7 --json
    imagejobs jobs cancel "$job" --json
    imagejobs jobs priority "$job" 1 || test $? = 2
    """
    done = run(service, script)
    moved, receipt = (json.loads(line) for line in done.stdout.splitlines())
    assert (moved["priority"], moved["status"]) == (-7, "queued")
    assert receipt["receipt"] == {**receipt["receipt"], "outcome": "stopped_before_spend", "mayCost": 0, "publicUrl": None}


def test_a14_up_ends_promptly_while_streams_are_open() -> None:
    with place() as at, up(at) as running:
        headers = {"authorization": f"Bearer {running.ready['apiKey']}"}
        body = {"projectId": "film", "jobType": "generate", "prompt": "x [429 60s]", "width": 64, "height": 64}
        with httpx2.Client(base_url=running.url, headers=headers, trust_env=False, timeout=60) as client:
            job_id = client.post("/api/images/generate", json=body).json()["jobId"]
            opened = threading.Event()

            def read() -> None:
                path, wanted = f"/api/images/jobs/{job_id}/events", {"accept": "text/event-stream"}
                with client.stream("GET", path, headers=wanted) as answer:
                    for line in answer.iter_lines():
                        if line == "event: job.queued":
                            opened.set()

            reader = threading.Thread(target=read)
            reader.start()
            assert opened.wait(60)
            running.end()
            reader.join(60)
            assert not reader.is_alive()
        assert "graceful shutdown exceeded" not in running.place.stderr, "it cut the streams off when its patience was over"
