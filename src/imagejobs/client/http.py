"""The routes of the web API as methods. Every call may be repeated, and is, while the service is away."""

import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic.alias_generators import to_camel

from imagejobs.client.errors import Interrupted, Refused, Unreachable
from imagejobs.client.models import Canceled, Event, Job, JobPage, Quote, Resolved, Retried, Submission, UploadedInput

_Parsed = TypeVar("_Parsed")

REPEATED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})  # the service may answer better soon
_REQUEST_SECONDS = 20.0
_EXTENSIONS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif", "image/avif": ".avif"}


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How often an unanswered call is made in all, and how long is waited between; a wait that the service names wins."""

    attempts: int = 4
    base_seconds: float = 0.2
    cap_seconds: float = 5.0

    def wait_seconds(self, attempt: int, answer: httpx2.Response | None) -> float:
        asked = None if answer is None else answer.headers.get("retry-after")
        if asked is not None and asked.isdecimal():
            return min(float(asked), self.cap_seconds)
        return min(self.base_seconds * 2.0**attempt, self.cap_seconds) * (0.5 + random.random())  # noqa: S311 - jitter


@dataclass(frozen=True, kw_only=True)
class JobQuery:
    """What a list of jobs is narrowed by; `limit` is that of one page."""

    project_id: str | None = None
    status: str | None = None
    job_type: str | None = None
    tag: str | None = None
    batch_id: str | None = None
    limit: int = 20
    cursor: str | None = None

    def parameters(self) -> dict[str, str]:
        return {to_camel(name): str(value) for name, value in vars(self).items() if value is not None}


class Client:
    """A connection to one service. Raises the leaves of `ClientError`."""

    def __init__(self, url: str, api_key: str, *, backoff: Backoff | None = None) -> None:
        self.url = url.rstrip("/")
        self._backoff = backoff or Backoff()
        self._api = httpx2.Client(headers={"authorization": f"Bearer {api_key}"}, **_options(self.url))

    def generate(self, request: Mapping[str, Any], *, idempotency_key: str) -> Submission:
        """Ask for pictures; the same key and request never make other jobs, however often they are sent."""
        body = {**request, "idempotencyKey": idempotency_key}
        answer = self._call("POST", "/api/images/generate", json=body)
        return _parsed(answer, Submission.parse).model_copy(update={"is_replay": "idempotent-replayed" in answer.headers})

    def upload_input(self, project_id: str, data: bytes) -> UploadedInput:
        """Keep a picture for jobs of the project; the same bytes again give the same id, its time renewed."""
        headers, query = {"content-type": "application/octet-stream"}, {"projectId": project_id}
        answer = self._call("POST", "/api/images/inputs", params=query, headers=headers, content=data)
        return _parsed(answer, UploadedInput.parse)

    def quote(self, request: Mapping[str, Any]) -> Quote:
        """What the request would cost; nothing is made. Refused as `generate` would be, but for the lack of money."""
        return _parsed(self._call("POST", "/api/images/quote", json=dict(request)), Quote.parse)

    def job(self, job_id: str, *, within_seconds: float | None = None) -> Job:
        """The job as it stands; `within_seconds` makes it a single attempt of at most so long."""
        return _parsed(self._job_call("GET", job_id, "", within_seconds), Job.parse)

    def retry(self, job_id: str) -> Retried:
        """Queue a failed job again under its id; refused with 409 where it is not failed, with 402 where a budget is full.

        The job is read first, and its `retryCount` sent along: a repeat after a lost answer never makes a second retry.
        """
        seen = self.job(job_id).raw.get("retryCount")
        return _parsed(self._job_call("POST", job_id, "/retry", json={"retryCount": seen}), Retried.parse)

    def cancel(self, job_id: str) -> Canceled:
        """Stop the job, at once or as soon as its provider can; refused with 409 where it failed. A repeat is safe."""
        return _parsed(self._job_call("POST", job_id, "/cancel"), Canceled.parse)

    def set_priority(self, job_id: str, priority: int) -> Job:
        """Move a queued job within the queue, -10 to 10; refused with 409 once a worker has it."""
        return _parsed(self._job_call("PATCH", job_id, "", json={"priority": priority}), Job.parse)

    def resolve(self, job_id: str, *, billed: bool) -> Resolved:
        """Say whether an unknown outcome was billed; refused with 409 where nothing is unknown, as on a repeat."""
        return _parsed(self._job_call("POST", job_id, "/resolve", json={"billed": billed}), Resolved.parse)

    def jobs(self, query: JobQuery) -> JobPage:
        return _parsed(self._call("GET", "/api/images/jobs", params=query.parameters()), JobPage.parse)

    def events(self, job_id: str, *, within_seconds: float | None = None) -> list[Event]:
        """Everything that has happened to the job, in order; `within_seconds` as for `job`."""
        answer = self._job_call("GET", job_id, "/events", within_seconds)
        return _parsed(answer, lambda document: [Event.parse(item) for item in document["events"]])

    def download(self, url: str, directory: Path, name: str) -> Path:
        """Save the picture at a public address as `directory/name` with the suffix of its type; the API key is not sent.

        The file appears whole or not at all; one of the same name is replaced.
        """
        draft = directory / f".{name}.part"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            media_type = self._fetch(url, draft)
            return draft.replace(directory / (name + _EXTENSIONS.get(media_type, ".bin")))
        except OSError as error:
            raise Interrupted(f"{url} could not be saved in {directory}: {error.strerror}.") from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def _fetch(self, url: str, target: Path) -> str:
        """Write what `url` answers to `target`; its media type."""
        try:
            with (
                httpx2.Client(follow_redirects=True, **_options(url)) as public,
                public.stream("GET", url) as answer,
                target.open("wb") as file,
            ):
                if answer.status_code != httpx2.codes.OK:
                    raise Interrupted(f"{url} answered {answer.status_code}.")
                file.writelines(answer.iter_bytes())
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Interrupted(f"{url} could not be fetched: {_words(error)}.") from error
        media_type: str = answer.headers.get("content-type", "").partition(";")[0]
        return media_type

    def close(self) -> None:
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _job_call(self, method: str, job_id: str, rest: str, within: float | None = None, **content: Any) -> httpx2.Response:  # noqa: ANN401 - what httpx2 takes
        """A call about one job, which is named where there is none."""
        path = f"/api/images/jobs/{quote(job_id, safe='')}{rest}"
        try:
            return self._call(method, path, **content, **({} if within is None else {"timeout": within}))
        except Refused as refusal:
            if refusal.reason != "not_found":
                raise
            detail = f"There is no job {job_id}, or not for this key."
            raise Refused(refusal.status, {**refusal.problem, "detail": detail}) from refusal

    def _call(self, method: str, path: str, **content: Any) -> httpx2.Response:  # noqa: ANN401 - what httpx2 takes
        attempts = 1 if "timeout" in content else self._backoff.attempts
        for attempt in range(attempts):
            answer, trouble = self._ask(method, path, content)
            if answer is not None and answer.status_code not in REPEATED_STATUSES:
                break
            if attempt + 1 < attempts:
                time.sleep(self._backoff.wait_seconds(attempt, answer))
        if answer is None:
            raise Unreachable(f"{self.url} does not answer: {trouble}.")
        if not answer.is_success:
            raise Refused(answer.status_code, _problem(answer))
        return answer

    def _ask(self, method: str, path: str, content: dict[str, Any]) -> tuple[httpx2.Response | None, str]:
        try:
            return self._api.request(method, self.url + path, **content), ""
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise Unreachable(f"{self.url} is not the address of a service: {_words(error)}.") from error
        except httpx2.HTTPError as error:
            return None, _words(error)


def _options(url: str) -> dict[str, Any]:
    """Between two programs of one machine: no proxy of the environment, and no time spent on loading certificates."""
    if not _is_loopback(url):
        return {"timeout": _REQUEST_SECONDS}
    nobody_trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {"timeout": _REQUEST_SECONDS, "trust_env": False, "verify": nobody_trusted}


def _is_loopback(url: str) -> bool:
    """Whether plain HTTP to this machine is meant."""
    try:
        if urlsplit(url).scheme != "http":
            return False
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _parsed(answer: httpx2.Response, parse: Callable[[Any], _Parsed]) -> _Parsed:
    try:
        return parse(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(f"{answer.url} answered, but not as imagejobs does: is the address right?") from error


def _problem(answer: httpx2.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return {"title": f"{answer.url} answered {answer.status_code}, and not as imagejobs does: is the address right?"}


def _words(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
