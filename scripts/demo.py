"""From a prompt to a picture: uses the `up` that runs, else starts one for as long as the demo takes.

The prompt is in DEMO_PROMPT. The picture goes to `demo-output/`, the service's log to `demo-output/up.log`.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagejobs.cli.home import Home
from imagejobs.errors import ConfigurationError
from imagejobs.settings import load_settings

OUTPUT = Path("demo-output")
LOG = OUTPUT / "up.log"
IMAGEJOBS = Path(sys.executable).with_name("imagejobs")
CONFIGURATION = 78


def main() -> int:
    """Make the picture; the exit code of `imagejobs generate`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a service of ours is ended then too
    prompt = os.environ["DEMO_PROMPT"]
    OUTPUT.mkdir(exist_ok=True)
    before = set(OUTPUT.iterdir()) | {LOG}
    with service() as how_to_open:
        say(f"\n$ imagejobs generate {shlex.quote(prompt)} -o {OUTPUT}")
        code = subprocess.call([IMAGEJOBS, "generate", "-o", OUTPUT, "--", prompt])
    if code == 0:
        for saved in sorted(set(OUTPUT.iterdir()) - before):
            say(f"\nSaved as {saved.absolute()}")
        say(f"\nThe file stays. The address opens in a browser while the service runs{how_to_open}.")
    return code


@contextmanager
def service() -> Iterator[str]:
    """A service to ask, and how to have it again later; one that the demo started ends with the block."""
    settings = load_settings()
    running = Home(settings.data_dir).running()
    url = settings.url or (running.url if running else None)
    if url is not None:
        where = f", data directory {Home(settings.data_dir).path}" if running and url.rstrip("/") == running.url else ""
        say(f"Using the service at {url}{where}.")
        yield ""
        return
    say(f"Starting the service: PostgreSQL, API and a worker; data directory {Home(settings.data_dir).path} …")
    began = time.monotonic()
    started, how_to_open = start(), "; it was stopped again, and `make up` starts it for good"
    if started is None and "is taken" in LOG.read_text():
        say(f"Port {settings.port} is taken by another program: for this once any free one is used.")
        started, how_to_open = start("--port=0"), f", but on port {settings.port}: free that one, then `make up`"
    if started is None:
        raise ConfigurationError(LOG.read_text().splitlines()[-3:])
    process, url = started
    say(f"Ready after {time.monotonic() - began:.1f} s: {url}")
    try:
        yield how_to_open
    finally:
        process.terminate()
        process.wait()


def start(*arguments: str) -> "tuple[subprocess.Popen[str], str] | None":
    """A running `up` and its address; None where it refused. In a session of its own, so that Ctrl-C reaches only us."""
    with LOG.open("w") as log:
        command = [str(IMAGEJOBS), "up", "--json", "--no-open", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if line:
        return process, json.loads(line)["url"]
    process.wait()
    return None


def say(text: str) -> None:
    """Print at once, so that our lines and those of our children keep their order."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConfigurationError as error:
        sys.exit("\n".join(error.problems))
    except KeyboardInterrupt:
        sys.exit(130)
