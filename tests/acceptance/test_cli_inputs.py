"""`imagejobs generate` with input pictures, against a running `up`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.providers import a_png
from tests.support.up import Up, place, up

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    with place() as somewhere, up(somewhere) as started:
        yield started


def made(running: Up, *words: str) -> dict[str, Any]:
    done = running.run("generate", *words, "--size=64x64", "--json")
    assert done.returncode == 0, done.stderr
    job: dict[str, Any] = json.loads(done.stdout)
    return job


def test_files_an_earlier_job_and_words_make_an_edit_and_an_inpainting(running: Up, tmp_path: Path) -> None:
    look, mask = tmp_path / "look.png", tmp_path / "mask.png"
    look.write_bytes(a_png(20))
    mask.write_bytes(a_png(64, "white"))
    first = made(running, "a red fox", "--reference", str(look), "--reference", f"{look}:style")
    assert first["jobType"] == "generate"
    edited = made(running, "the fox at night", "--source", first["jobId"])
    assert (edited["jobType"], edited["status"]) == ("edit", "completed")
    inpainted = made(running, "a hat", "--source", edited["jobId"], "--mask", str(mask))
    assert (inpainted["jobType"], inpainted["status"]) == ("inpaint", "completed")
    described = made(running, "a hat", "--source", str(look), "--mask-description", "its head")
    assert described["jobType"] == "inpaint"


def test_what_cannot_be_used_ends_with_the_reason_and_makes_no_job(running: Up, tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    page.write_text("<html>log in</html>")
    absent = running.run("generate", "a fox", "--source", str(tmp_path / "absent.png"))
    assert absent.returncode == 2
    assert "absent.png" in absent.stderr
    refused = running.run("generate", "a fox", "--reference", str(page))
    assert refused.returncode == 2
    assert "an HTML page" in refused.stderr
    inside = running.run("generate", "a fox", "--reference", "http://169.254.169.254/latest")
    assert inside.returncode == 2
    assert "not fetched" in inside.stderr
