"""The README's commands, run as a reader would run them: from the built wheel, in a virtual environment of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def block(name: str) -> str:
    """The commands below the mark `<!-- tested: name -->`."""
    found = re.search(rf"<!-- tested: {name} -->\n```bash\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a clean environment with the locked dependencies and the wheel in it."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = place.glob("imagejobs-*.whl")
    venv.create(place / "venv", with_pip=True)
    python = str(place / "venv/bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps"]  # a resolver would look at newer releases
    subprocess.run([*install, "--require-hashes", "-r", str(ROOT / "requirements/runtime.lock")], check=True)
    subprocess.run([*install, str(wheel)], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)  # the lock is whole
    return place / "venv/bin"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def environment(installed: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running `imagejobs up` of that environment, and a fresh shell's variables: nothing in them says where it runs."""
    ours = ("IMAGEJOBS_", "DATABASE_URL", "PORT", "XDG_DATA_HOME")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    clean |= {"PATH": f"{installed}:{os.environ['PATH']}", "HOME": str(tmp_path_factory.mktemp("home"))}
    words = [str(installed / "imagejobs"), "up", "--json", "--no-open", "--port", str(port)]
    cwd = tmp_path_factory.mktemp("cwd")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean, cwd=cwd) as up:
        assert up.stdout is not None
        assert json.loads(up.stdout.readline())["url"] == f"http://127.0.0.1:{port}"
        yield clean
        up.terminate()
        assert up.wait(100) == 0


def run(script: str, environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(words, env=environment, cwd=cwd, capture_output=True, text=True, timeout=250, check=False)


def test_the_commands_do_what_the_readme_says(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(block("commands"), environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pictures").glob("a-lighthouse-at-night-*.png"))) == 1
    assert "exit code 1" in done.stdout
    for said in ("content_refused", "Completed in", "/files/"):
        assert said in done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_two_http_calls_make_and_find_a_job(environment: dict[str, str], port: int, tmp_path: Path) -> None:
    script = block("http").replace("http://127.0.0.1:3001", f"http://127.0.0.1:{port}")
    done = run(script, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    made, listed = done.stdout.replace("}{", "}\n{").splitlines()
    assert json.loads(made)["jobId"] == json.loads(listed)["jobs"][0]["jobId"]
    again = run(script, environment, tmp_path).stdout.replace("}{", "}\n{").splitlines()
    assert json.loads(again[0])["jobId"] == json.loads(made)["jobId"]
