"""What the processes write to stderr: one JSON document a line, or text for a person at a terminal."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from imagejobs.cli.console import printable
from imagejobs.settings import Settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SILENT = ("pgqueuer", "asyncpg")  # a traceback for each look while the database is away; ours say it in a line
_QUIET = ("asyncio", "httpx2", "httpcore2", "PIL", "uvicorn")
_ANNOUNCEMENTS = "imagejobs.process"
_SECRETS = (
    (re.compile(r"(postgres(?:ql)?://[^:@/\s]*:)[^@\s]+@"), r"\1***@"),
    (re.compile(r"(ij_[0-9A-Za-z]{8}_)[0-9A-Za-z]{40,}"), r"\1***"),
)


def configure_logging(settings: Settings, stream: TextIO = sys.stderr) -> None:
    """Send every logger's records to `stream`, from the chosen level up; libraries are heard from `warning` up."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger(_ANNOUNCEMENTS).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    logging.captureWarnings(capture=True)


def _is_news(record: logging.LogRecord) -> bool:
    """False for what the web's own handler has logged already, with the path."""
    return not str(record.msg).startswith("Exception in ASGI application")


class JsonFormatter(logging.Formatter):
    """`at`, `level`, `event`, `logger`, then what the record carries beside."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _instant(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _without_secrets(json.dumps(line, default=str, ensure_ascii=True))


class TextFormatter(logging.Formatter):
    """Time, level, event, then `name=value`; control characters are escaped, so that no value can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        words = [f"{_instant(record):%H:%M:%SZ}", f"{record.levelname:<7}", printable(record.getMessage())]
        words += [f"{name}={printable(value)}" for name, value in _extras(record).items()]
        lines = ["  ".join(words)]
        if record.exc_info:
            lines += ["    " + printable(line) for line in self.formatException(record.exc_info).splitlines()]
        return _without_secrets("\n".join(lines))


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _extras(record: logging.LogRecord) -> Mapping[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _without_secrets(line: str) -> str:
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line
