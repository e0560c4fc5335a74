"""What `up` tells a newcomer once it is ready."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from imagejobs import __version__
from imagejobs.bootstrap import storage_place
from imagejobs.cli.home import Home
from imagejobs.cli.placeholders import placeholders
from imagejobs.embedded import Server
from imagejobs.settings import Settings

_SAMPLE = "a red fox in snow"


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What runs; `embedded` is None where the operator brought a database."""

    settings: Settings
    url: str
    admin_key: str
    home: Home
    embedded: Server | None

    def document(self) -> dict[str, Any]:
        """The line of `up --json`."""
        return {
            "url": self.url,
            "apiKey": self.admin_key,
            "databaseUrl": self.settings.database_url,
            "dataDir": str(self.home.path),
            "pid": os.getpid(),
        }


def banner(ready: Ready, seconds: float) -> str:
    """Everything needed for the first picture, every default that was chosen, and how to stop."""
    settings = ready.settings
    command, key_path = _command(ready.home), shlex.quote(str(ready.home.admin_key_path))
    rows = [
        ("Data", f"{ready.home.path}"),
        ("Database", _database(ready)),
        ("Pictures", storage_place(settings)),
        ("Provider", _provider(settings)),
        *(("Replace", f"{name}, which holds what a guide shows: {where}") for name, where in placeholders(settings).items()),
        ("Workers", f"{settings.workers}, {settings.concurrency} jobs at once each"),
        ("API", f"{ready.url}  (POST /api/images/generate){_reach(settings)}"),
        ("Admin key", f"{ready.admin_key}  (kept in {ready.home.admin_key_path})"),
        ("", ""),
        ("Try", f'{command} generate "{_SAMPLE}" -o pictures'),
        ("", f'curl -sS {ready.url}/api/images/generate -H "Authorization: Bearer $(cat {key_path})" \\'),
        ("", "  -H 'Content-Type: application/json' \\"),
        ("", f"""  -d '{{"projectId": "demo", "jobType": "generate", "prompt": "{_SAMPLE}"}}'"""),
        ("", ""),
        ("Check", f"{command} checklist  (tries everything, a picture included, and tells its price first)"),
        ("Faults", f"a word in the prompt{_of_sketch(settings)} shows how errors look: [refuse], [slow 5s], [unknown]"),
        ("Trouble", f"{command} doctor"),
        ("Stop", "Ctrl-C; accepted jobs are kept and go on at the next start"),
    ]
    lines = [f"  {name:<10} {text}".rstrip() for name, text in rows]
    return "\n".join(["", f"imagejobs {__version__} is ready after {seconds:.1f} s: {ready.url}", "", *lines, ""])


def _database(ready: Ready) -> str:
    if (server := ready.embedded) is not None:
        return f"PostgreSQL {server.version}, embedded, because DATABASE_URL is not set; its files: {server.files}"
    address = urlsplit(ready.settings.database_url or "")
    return (
        f"{address.hostname or 'local socket'}{f':{address.port}' if address.port else ''}{address.path}, from DATABASE_URL"
    )


def _provider(settings: Settings) -> str:
    match settings.default_provider:
        case "sketch":
            return "sketch: draws by itself, offline and free; set a provider's key for real pictures"
        case None:
            return "none for jobs that name no model (generate --model); IMAGEJOBS_DEFAULT_PROVIDER chooses one"
        case name:
            return (
                f"{name}, for jobs that name no model, and they cost money: generate --quote tells; --model sketch is free"
            )


def _of_sketch(settings: Settings) -> str:
    """Fault words sent to another provider would be drawn, and billed."""
    return "" if settings.default_provider == "sketch" else " and --model sketch"


def _reach(settings: Settings) -> str:
    if settings.host in ("127.0.0.1", "::1", "localhost"):
        return ""
    return f"; it listens on {settings.host}, so other machines reach it too, without TLS"


def _command(home: Home) -> str:
    """The command as the newcomer must type it here."""
    program = "imagejobs" if shutil.which("imagejobs") else _shortest(Path(sys.executable).with_name("imagejobs"))
    is_default = home.path == Home(Settings.model_fields["data_dir"].get_default(call_default_factory=True)).path
    return program if is_default else f"IMAGEJOBS_DATA_DIR={shlex.quote(str(home.path))} {program}"


def _shortest(path: Path) -> str:
    return shlex.quote(str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path))
