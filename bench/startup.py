"""How long `imagejobs up` takes until it is ready: on a fresh data directory, and on an initialised one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Claim, report


def ready_after(data_dir: Path) -> float:
    """Seconds from the start of the command to its ready line."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    words = [sys.executable, "-m", "imagejobs", "up", "--json", "--no-open", "--port", "0", "--data-dir", str(data_dir)]
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
        assert child.stdout is not None
        json.loads(child.stdout.readline())
        took = time.perf_counter() - began
        child.send_signal(signal.SIGTERM)
    return took


def run(rounds: int) -> list[Claim]:
    """The slowest of some rounds, fresh and again."""
    fresh, again = [], []
    for _ in range(rounds):
        data_dir = Path(tempfile.mkdtemp(prefix="imagejobs-bench-"))
        data_dir.chmod(0o755)
        fresh.append(ready_after(data_dir / "data"))
        again.append(ready_after(data_dir / "data"))
        shutil.rmtree(data_dir, ignore_errors=True)
    return [
        Claim("up, fresh data directory, slowest", max(fresh), "s", most=15),
        Claim("up, initialised data directory, slowest", max(again), "s", most=5),
    ]


if __name__ == "__main__":
    sys.exit(report(run(int(sys.argv[1]) if len(sys.argv) > 1 else 3)))
