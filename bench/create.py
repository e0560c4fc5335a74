"""Creation: p99 at 100 a second, and saturation beside a bare endpoint in the same run, workers idle."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import Figures
from bench.report import Claim, report
from imagejobs import embedded
from imagejobs.app.keys import create_key
from imagejobs.bootstrap import Role, migrate_database, open_database
from imagejobs.settings import load_settings
from tests.conftest import free_port

READY_SECONDS = 120.0
JSON = {"content-type": "application/json"}
BODY = json.dumps({"projectId": "bench", "jobType": "generate", "prompt": "a red fox in snow, number {n}"})


def measure(mode: str, url: str, headers: dict[str, str], **options: float) -> Figures:
    order = {"mode": mode, "target": {"url": url, "body": BODY, "headers": JSON | headers}, **options}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=json.dumps(order), capture_output=True, text=True, check=True
    )
    return Figures(**json.loads(done.stdout))


@contextmanager
def process(words: list[str], probe: str, **environment: str) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, *words], env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not answers(probe):
            assert child.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


async def prepare(dsn: str, data_dir: Path) -> str:
    settings = load_settings(database_url=dsn, data_dir=data_dir)
    await migrate_database(settings)
    database = await open_database(settings, Role.COMMAND)
    key = await create_key(database, "bench")
    await database.close()
    return str(key)


def run(seconds: float) -> list[Claim]:
    """The claims of issue and documentation, measured."""
    with tempfile.TemporaryDirectory(prefix="imagejobs-bench-") as directory:
        data_dir = Path(directory)
        data_dir.chmod(0o755)
        (data_dir / "data").mkdir(mode=0o755)
        server = embedded.start(data_dir / "data", system_dir=data_dir / "system")
        try:
            return _measured(server.dsn, data_dir, seconds)
        finally:
            server.release()


def _measured(dsn: str, data_dir: Path, seconds: float) -> list[Claim]:
    key = asyncio.run(prepare(dsn, data_dir))
    ours, theirs = free_port(), free_port()
    url, headers = f"http://127.0.0.1:{ours}/api/images/generate", {"authorization": f"Bearer {key}"}
    bare = f"http://127.0.0.1:{theirs}/jobs"
    settings = {
        "DATABASE_URL": dsn,
        "PORT": str(ours),
        "IMAGEJOBS_DATA_DIR": str(data_dir),
        "IMAGEJOBS_DEFAULT_PROVIDER": "sketch",
    }
    with process(["-m", "imagejobs", "api"], f"http://127.0.0.1:{ours}/readyz", **settings):
        measure("saturate", url, headers, connections=8, seconds=1)
        steady = measure("steady", url, headers, rate=100, seconds=seconds)
        full = [measure("saturate", url, headers, connections=32, seconds=seconds / 2)]
        with process(["-m", "bench.peers.bare", dsn, str(theirs)], bare):
            measure("saturate", bare, {}, connections=8, seconds=1)
            floor = [measure("saturate", bare, {}, connections=32, seconds=seconds / 2)]
            full.append(measure("saturate", url, headers, connections=32, seconds=seconds / 2))
            floor.append(measure("saturate", bare, {}, connections=32, seconds=seconds / 2))
    rate, bare_rate = max(f.rate for f in full), max(f.rate for f in floor)
    errors = steady.errors + sum(f.errors for f in full)
    return [
        Claim("create, p99 at 100/s", steady.p99, "ms", most=50),
        Claim("create, saturation", rate, "/s", least=300),
        Claim("create, share of a bare insert", rate / bare_rate, "x", least=0.25),
        Claim("create, bare insert", bare_rate, "/s"),
        Claim("create, errors", errors, "", most=0),
    ]


if __name__ == "__main__":
    sys.exit(report(run(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)))
