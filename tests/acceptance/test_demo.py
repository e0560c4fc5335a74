"""`make demo`: from a prompt, whatever is in it, to a picture."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import free_port
from tests.support.up import Place, place

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")
HOSTILE = 'it\'s a "fox" $(touch made-by-make) $HOME `touch made-by-shell` $$x % #1\nin snow'

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.skipif(MAKE is None, reason="no make")]


@pytest.fixture
def somewhere() -> Iterator[Place]:
    with place() as found:
        yield found


def test_a_prompt_is_drawn_as_it_was_written(somewhere: Place) -> None:
    environment = somewhere.environment(PORT=str(free_port()))
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"):
        environment.pop(name, None)  # of the `make test` that runs this
    command = [str(MAKE), "demo", f"PROMPT={HOSTILE}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"imagejobs generate {shlex.quote(HOSTILE)} -o" in done.stdout
    for state in ("queued", "processing", "generating", "uploading", "completed"):
        assert state in done.stderr
    lines = done.stdout.splitlines()
    url, path = next(pair for pair in pairwise(lines) if pair[0].startswith("http"))
    assert "/files/" in url
    with Image.open(ROOT / path) as picture:
        picture.load()
    (ROOT / path).unlink()
    assert not [found for folder in (ROOT, somewhere.cwd) for found in folder.glob("made-by-*")]
    assert not (somewhere.data_dir / "postgresql/postmaster.pid").exists()
