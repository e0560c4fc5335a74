"""One call to Supabase Storage, and what its answers mean in our words.

The server answers 400 to nearly everything it refuses; the true status stands in the body as a string, beside a stable
`code` that older servers lack. A gateway or the edge in front of it answers for itself, in other forms.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt

from imagejobs.errors import StorageError, StorageKeyRejected, StorageRejected, StorageThrottled, StorageUnavailable
from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundAnswer, OutboundRequest
from imagejobs.net.retry_after import retry_after_seconds
from imagejobs.storage.said import quoted

_SECONDS = 60.0
_MOST_BYTES = 256 * 1024 * 1024
_SLOWER_SECONDS = 10.0
_BAD_KEY_CODES = {"AccessDenied", "InvalidJWT", "SignatureDoesNotMatch", "InvalidAccessKeyId", "Unauthorized"}
_STATUS = re.compile(r"[45][0-9]{2}")
_LATER = (408, 423, 425)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Supabase project as the operator names it: `url` is SUPABASE_URL, `key` its service key of either kind (C5)."""

    url: str
    key: str = field(repr=False)
    bucket: str = "asset-images"
    anon_key: str | None = field(default=None, repr=False)

    @property
    def root(self) -> str:
        """The address of its storage server."""
        return f"{self.url.rstrip('/')}/storage/v1"

    @property
    def role(self) -> str | None:
        """The role that the key names, unproven; None where it names none."""
        if self.key.startswith("sb_"):
            return {"sb_secret_": "service_role", "sb_publishable_": "anon"}.get(self.key[: self.key.find("_", 3) + 1])
        try:
            role = jwt.decode(self.key, options={"verify_signature": False}).get("role")
        except jwt.PyJWTError:
            return None
        return role if isinstance(role, str) else None


class Rest:
    """Sends calls under a key. Nothing is retried; whatever gets no answer is a storage that is away."""

    def __init__(self, project: Project, outbound: Outbound) -> None:
        self.project = project
        self._outbound = outbound

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> OutboundAnswer:
        """The answer to a call under the service key, whatever its status; `path` is relative to the storage's address."""
        return await self.send_as(self.project.key, OutboundCall(method=method, path=path, headers=headers or {}, body=body))

    async def send_as(self, key: str | None, call: "OutboundCall") -> OutboundAnswer:
        """The same under another key, or under none.

        A legacy key is a JWT and needs both headers. A key `sb_…` counts by its `apikey`; the same Bearer is harmless, and
        what Supabase's own clients send.
        """
        credentials = {} if key is None else {"apikey": key, "authorization": f"Bearer {key}"}
        request = OutboundRequest(
            method=call.method,
            url=f"{self.project.root}{call.path}",
            deadline_seconds=_SECONDS,
            headers={**credentials, **call.headers},
            body=call.body,
            max_body_bytes=_MOST_BYTES,
            is_repeatable=True,
        )
        try:
            return await self._outbound.send(request)
        except NotSent as error:
            raise StorageUnavailable(
                f"Supabase Storage cannot be reached ({self._quoted(str(error))}). Check SUPABASE_URL and the network."
            ) from None
        except (AnswerLost, AnswerTooLarge) as error:
            raise StorageUnavailable(f"The answer of Supabase Storage was lost ({self._quoted(str(error))}).") from None

    def error_of(self, answer: OutboundAnswer) -> StorageError:
        """What an answer that is no success stands for."""
        complaint = complaint_in(answer)
        words = f"Supabase Storage answered {complaint.status}"
        if complaint.text:
            words += f" (“{self._quoted(complaint.text)}”)"
        if complaint.is_edge and answer.status == 403:
            return self._throttled(answer, "The edge in front of Supabase blocks uploads for a while")
        if complaint.status == 429 or complaint.code == "SlowDown":
            return self._throttled(answer, words)
        if complaint.status in _LATER or complaint.status >= 500:
            return StorageUnavailable(f"{words}; the picture's bytes are kept. Look at the project's status page.")
        return self._refusal(complaint, words)

    def _refusal(self, complaint: "Complaint", words: str) -> StorageError:
        kept = "Its bytes are kept for 30 days (unless set otherwise)"
        bucket = self.project.bucket
        match complaint:
            case Complaint(code=code, status=status) if code in _BAD_KEY_CODES or status in (401, 403):
                return StorageKeyRejected(
                    f"{words}: SUPABASE_SERVICE_ROLE_KEY is wrong, expired, or not a service key. "
                    f"Set the project's service_role or sb_secret_ key and restart; then retry the job for free."
                )
            case Complaint(status=413):
                return StorageRejected(
                    f"{words}: the picture is over the limit of bucket {bucket}, or of the project. {kept}: "
                    "raise the limit in Supabase, then retry the job for free."
                )
            case Complaint(status=415):
                return StorageRejected(
                    f"{words}: bucket {bucket} does not take this type of picture. {kept}: run `imagejobs storage setup`, "
                    "or allow the type in Supabase; then retry the job for free."
                )
            case Complaint(is_bucket_missing=True):
                return StorageRejected(
                    f"{words}: there is no bucket {bucket}, or this key may not see it. {kept}: "
                    "run `imagejobs storage setup`, then retry the job for free."
                )
            case Complaint(status=301 | 302 | 307 | 308 | 404 | 405):
                return StorageRejected(f"{words}: no Supabase Storage answers there. Correct SUPABASE_URL.")
            case _:
                return StorageRejected(f"{words}. Put that right in Supabase, then retry the job for free.")

    def _throttled(self, answer: OutboundAnswer, words: str) -> StorageThrottled:
        wait = retry_after_seconds(answer.headers, datetime.now(UTC))
        return StorageThrottled(f"{words}: uploads are slowed down and tried again.", wait or _SLOWER_SECONDS)

    def _quoted(self, text: str) -> str:
        return quoted(text, (self.project.key, self.project.anon_key or ""))


@dataclass(frozen=True, kw_only=True)
class OutboundCall:
    """One call, its path relative to the storage's address."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """An error as the server puts it; `is_edge` tells a web page of whatever stands before it."""

    status: int
    code: str = ""
    text: str = ""
    is_edge: bool = False

    @property
    def is_duplicate(self) -> bool:
        return self.code in ("KeyAlreadyExists", "BucketAlreadyExists", "Duplicate") or self.status == 409

    @property
    def is_bucket_missing(self) -> bool:
        return self.code == "NoSuchBucket" or (self.status == 404 and "bucket" in self.text.lower())

    @property
    def is_missing(self) -> bool:
        """No such object, or one that is hidden from the key; a missing bucket is another matter."""
        return not self.is_bucket_missing and not self.is_edge and self.code in ("NoSuchKey", "not_found", "Not found")


def complaint_in(answer: OutboundAnswer) -> Complaint:
    """The server's own words, as far as there are any."""
    if "html" in answer.headers.get("content-type", ""):
        return Complaint(status=answer.status, is_edge=True)
    document = document_in(answer)
    if document is None:
        return Complaint(status=answer.status, text=answer.body.decode("utf-8", "replace"))
    stated = str(document.get("statusCode", ""))
    text = document.get("message") or document.get("error") or document.get("msg") or ""
    return Complaint(
        status=int(stated) if _STATUS.fullmatch(stated) else answer.status,
        code=str(document.get("code") or document.get("error") or ""),
        text=str(text),
    )


def document_in(answer: OutboundAnswer) -> Mapping[str, Any] | None:
    """The JSON object in the body; None where there is something else."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
