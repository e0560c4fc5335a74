"""`imagejobs doctor`: everything checked, each with what to do."""

import asyncio
import platform
import shutil
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

from imagejobs import __version__
from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.cli.check_database import Now, database_findings
from imagejobs.cli.console import AsJson, command_app
from imagejobs.cli.findings import collected, report
from imagejobs.cli.home import Home
from imagejobs.cli.placeholders import placeholders
from imagejobs.cli.providers import CORRECT, WHOLE_SECONDS, provider_findings
from imagejobs.cli.readiness import READY, readiness
from imagejobs.cli.sign_in import sign_in_findings
from imagejobs.cli.storage import storage_findings
from imagejobs.client import Backoff, Client, ClientError, JobQuery, Refused
from imagejobs.errors import ConfigurationError
from imagejobs.settings import Settings, load_settings

app = command_app()


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check everything that the service needs here, and say what to do about what is wrong.

    It looks at the settings, the data directory, the database, its clock and its schema, the engine's tables, workers and
    stuck jobs, how long pictures take, open circuits, the storage with its key, bucket and policies, the sign-in of users,
    each provider (free of charge), the running service and your key to it. Nothing is made or changed that stays: small
    files are written where pictures are kept and removed again, and an embedded database that is stopped runs for a moment.
    Each line begins with ✓, with ✗ and has the next step below it, or with a dash for what may do as it is. The exit code
    is 1 if a check failed (✗).

    ```
    imagejobs doctor
    imagejobs doctor --json | jq 'select(.level != "ok")'
    ```
    """
    raise report(asyncio.run(examine()), as_json=as_json)


_REAL = "Put the real one in, and start the service again: {}."
_LITTLE_BYTES = 1_000_000_000
_TOO_LITTLE_BYTES = 100_000_000
_DATABASE_SECONDS = 150.0  # an embedded one may have to recover from a crash first


async def examine(now: Now = time.time) -> list[Finding]:
    """Every finding, in the order in which they depend on one another; `now` is this machine's Unix time."""
    findings = [ok("versions", f"imagejobs {__version__}, Python {platform.python_version()}, {platform.platform()}")]
    try:
        settings = load_settings()
    except ConfigurationError as error:
        return findings + [fail("settings", problem, CORRECT) for problem in error.problems]
    findings.append(ok("settings", "readable"))
    for name, where in placeholders(settings).items():
        findings.append(fail("placeholder", f"{name} has no real value: it holds what a guide shows", _REAL.format(where)))
    findings += await collected("data", _data_directory(settings))
    findings += await collected("database", database_findings(settings, now), _DATABASE_SECONDS)
    findings += await collected("storage", storage_findings(settings))
    findings += await collected("sign-in", sign_in_findings(settings))
    findings += await collected("providers", provider_findings(settings), WHOLE_SECONDS)
    return findings + await collected("service", _service(settings))


async def _data_directory(settings: Settings) -> AsyncIterator[Finding]:
    path = Home(settings.data_dir).path
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if existing != path:
        yield ok("data", f"{path} is not there yet; `imagejobs up` makes it")
    elif path.stat().st_mode & stat.S_IWOTH:
        yield warn("data", f"every user may write to {path}", f"chmod o-w {path}")
    else:
        yield ok("data", str(path))
    yield _disk(existing)


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    detail = f"{free / 1e9:.1f} GB free at {path}"
    if free < _TOO_LITTLE_BYTES:
        return fail("disk", detail, "Make room: pictures and database cannot be written any more.")
    if free < _LITTLE_BYTES:
        return warn("disk", detail, "Make room soon.")
    return ok("disk", detail)


async def _service(settings: Settings) -> AsyncIterator[Finding]:
    home = Home(settings.data_dir)
    running = home.running()
    url = settings.url or (running.url if running else None)
    if url is None:
        yield warn("service", "no `imagejobs up` uses this data directory", "Run it, or set IMAGEJOBS_URL.")
        return
    is_local = running is not None and url.rstrip("/") == running.url
    beside = "" if running is None or is_local else f"; the `up` of this data directory is at {running.url}"
    status = readiness(url)
    if status is None:
        yield fail("service", f"{url} does not answer{beside}", "Is it running, and is the address right?")
        return
    if status == READY:
        yield ok("service", f"{url} is ready{beside}")
    else:
        yield fail("service", f"{url}/readyz answers {status}", "Its log says why; mostly its database is away.")
    yield _key(url, settings.api_key, home.read_admin_key(mend=False) if is_local else None)


def _key(url: str, chosen: str | None, kept: str | None) -> Finding:
    """Whether the service takes the key that the commands send: the chosen one, else the kept one."""
    key, source = (chosen, "IMAGEJOBS_API_KEY") if chosen is not None else (kept, "the admin key of the data directory")
    if key is None:
        return warn("key", f"none for {url} is known", "Set IMAGEJOBS_API_KEY; `imagejobs keys create` makes one.")
    try:
        with Client(url, key, backoff=Backoff(attempts=1)) as client:
            client.jobs(JobQuery(limit=1))
    except ClientError as error:
        if isinstance(error, Refused) and error.status in (401, 403):
            advice = "Set another one; `imagejobs keys ls` lists the good ones, `imagejobs keys create` makes one."
            return fail("key", f"{url} does not take {source}: {error}", advice)
        return warn("key", f"could not be tried: {error}", "Is IMAGEJOBS_URL the address of an imagejobs service?")
    return ok("key", f"{url} takes {source}")
