"""Pictures in S3, Google Cloud Storage, Azure Blob Storage, or anything that speaks like one of them."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from imagejobs.errors import (
    ConfigurationError,
    StorageError,
    StorageKeyRejected,
    StorageRejected,
    StorageThrottled,
    StorageUnavailable,
)
from imagejobs.ports import Health, StoredObject
from imagejobs.storage.keys import segments_of
from imagejobs.storage.said import quoted

CACHE_CONTROL = "public, max-age=31536000, immutable"

_KINDS = {"s3": "s3", "gs": "gcs", "az": "azure"}
_PREFIXES = {"s3": "AWS_", "gcs": "GOOGLE_", "azure": "AZURE_"}
_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    "gcs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    "azure": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"),
}
CLOUD_VARIABLES = (
    *(name for names in _CREDENTIALS.values() for name in names),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN"),
    *("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"),
)
_FORMS = "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
_STATUS = re.compile(r"status code: ([1-5][0-9]{2})")
_SECRET = re.compile("KEY|TOKEN|SECRET")
_SAID = re.compile(r"<Message>([^<]*)</Message>")
_SECONDS = timedelta(seconds=60)
_SLOWER_SECONDS = 10.0
_LETTING_GO_SECONDS = 0.1
_AWAY = (408, 425)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the objects go.

    `options` are the cloud's usual variables, such as AWS_ACCESS_KEY_ID. `public_base` is the address under which the
    objects open in a browser; None for the storage's own. `uses_machine_role` lets the machine's identity stand in for keys.
    """

    url: str
    public_base: str | None = None
    uses_machine_role: bool = False
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


class ObjectStorage:
    """Keeps each object under its key below the address's prefix, with its type and a year of caching.

    A put first asks to create. Where something stands there already it is compared byte by byte: the same is success,
    anything else is replaced whole. The library's own retries are off, and without credentials nobody is asked for any.
    """

    def __init__(self, address: Address) -> None:
        self._kind = kind_of(address.url)
        self._secrets = tuple(value for name, value in address.options.items() if _SECRET.search(name))
        try:
            self._store = _opened(address, self._kind)
        except (BaseError, ValueError) as error:
            said = quoted(_words(error), self._secrets).rstrip(".")
            raise ConfigurationError([f"IMAGEJOBS_STORAGE_URL cannot be used: {said}."]) from error
        self._public_base = (address.public_base or _own_address(address, self._kind)).rstrip("/")

    @property
    def name(self) -> str:
        return self._kind

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        path = "/".join(segments_of(key))
        attributes = {"Content-Type": media_type, "Cache-Control": CACHE_CONTROL}
        with self._explained():
            try:
                await obstore.put_async(self._store, path, data, attributes=attributes, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if not await self._is_ours(path, data):
                    await obstore.put_async(self._store, path, data, attributes=attributes, use_multipart=False)

    async def get(self, key: str) -> StoredObject | None:
        path = "/".join(segments_of(key))
        with self._explained():
            try:
                found = await obstore.get_async(self._store, path)
                data = bytes(await found.bytes_async())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
        return StoredObject(data=data, media_type=found.attributes.get("Content-Type", "application/octet-stream"))

    async def delete(self, key: str) -> None:
        path = "/".join(segments_of(key))
        with self._explained():
            try:
                await obstore.delete_async(self._store, path)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise

    def public_url(self, key: str) -> str:
        return f"{self._public_base}/{quote('/'.join(segments_of(key)))}"

    async def sign(self, key: str, seconds: int) -> str:
        path = "/".join(segments_of(key))
        with self._explained():
            return await obstore.sign_async(self._store, "GET", path, timedelta(seconds=seconds))

    async def check(self) -> Health:
        """Put a small object, and remove it where the key may; pictures ask for no more than the first."""
        path = "imagejobs-probe/probe.png"
        try:
            with self._explained(), suppress(AlreadyExistsError):
                await obstore.put_async(self._store, path, b"imagejobs", mode="create", use_multipart=False)
        except StorageError as error:
            return Health(ok=False, detail=error.detail)
        with suppress(StorageError):
            await self.delete(path)
        return Health(ok=True, detail=f"{self._public_base}: an object was written")

    async def close(self) -> None:
        """Let the library's threads drop what they hold: one that does so while the interpreter ends aborts the process."""
        await asyncio.sleep(_LETTING_GO_SECONDS)

    async def _is_ours(self, path: str, data: bytes) -> bool:
        try:
            found = await obstore.get_async(self._store, path)
            return found.meta["size"] == len(data) and bytes(await found.bytes_async()) == data
        except FileNotFoundError:
            return False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except (BaseError, OSError) as error:
            raise self._error_of(error) from None  # the library's text quotes whatever the storage echoed

    def _error_of(self, error: Exception) -> StorageError:
        status, words = _status_of(error), f"The storage ({self._kind}) said “{quoted(_words(error), self._secrets)}”"
        kept = "Its bytes are kept for 30 days (unless set otherwise)"
        match error:
            case UnauthenticatedError() | PermissionDeniedError():
                return StorageKeyRejected(
                    f"{words}: the storage's credentials are missing, wrong or may not do this. Set the cloud's usual "
                    "variables and restart; then retry the job for free."
                )
            case FileNotFoundError():
                return StorageRejected(f"{words}: there is no such bucket. {kept}: make it, then retry the job for free.")
            case GenericError() if status == 413:
                return StorageRejected(f"{words}: too large. {kept}: raise the limit, then retry the job for free.")
            case GenericError() if status == 429 or "SlowDown" in str(error):
                return StorageThrottled(f"{words}: uploads are slowed down and tried again.", _SLOWER_SECONDS)
            case GenericError() if (status or 500) < 500 and status not in _AWAY:
                return StorageRejected(f"{words}. {kept}: put that right, then retry the job for free.")
            case _:
                return StorageUnavailable(f"{words}; the picture's bytes are kept. See that the storage can be reached.")


def kind_of(url: str) -> str:
    """`s3`, `gcs` or `azure`; refuses other forms of address."""
    kind = _KINDS.get(urlsplit(url).scheme)
    if kind is None or not urlsplit(url).netloc:
        raise ConfigurationError([f"IMAGEJOBS_STORAGE_URL must look like {_FORMS}."])
    return kind


def _opened(address: Address, kind: str) -> S3Store | GCSStore | AzureStore:
    """The store, asking nobody for credentials that were not given."""
    options = {name: value for name, value in address.options.items() if name.startswith(_PREFIXES[kind])}
    has_credentials = any(name in options for name in _CREDENTIALS[kind])
    is_plain = any(value.startswith("http://") for value in options.values()) or "gcs_base_url" in str(options)
    arguments: dict[str, Any] = {  # whose types in the library know the short names of options only
        "config": options,
        "client_options": {"allow_http": is_plain, "timeout": _SECONDS},
        "retry_config": {"max_retries": 0},
        "credential_provider": None if has_credentials or address.uses_machine_role else _no_credentials,
    }
    store = from_url(address.url, **arguments)
    assert isinstance(store, S3Store | GCSStore | AzureStore)
    return store


def _no_credentials() -> NoReturn:
    """Instead of asking the network's metadata service, which outside that cloud is slow, or somebody else."""
    raise PermissionError("no credentials are set")


def _own_address(address: Address, kind: str) -> str:
    """Where the storage itself shows an object that everyone may read."""
    parts, options = urlsplit(address.url), address.options
    bucket, below = parts.netloc, parts.path.rstrip("/")
    match kind:
        case "s3":
            region = options.get("AWS_REGION") or options.get("AWS_DEFAULT_REGION") or "us-east-1"
            endpoint = options.get("AWS_ENDPOINT_URL")
            root = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
        case "gcs":
            root = f"https://storage.googleapis.com/{bucket}"
        case _:
            root = f"https://{options.get('AZURE_STORAGE_ACCOUNT_NAME', '')}.blob.core.windows.net/{bucket}"
    return root + below


def _status_of(error: Exception) -> int | None:
    """The status behind the library's exception, which names it in its text alone, that of another region not even there."""
    if "incorrectly configured region" in str(error):
        return 301
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _words(error: Exception) -> str:
    said = _SAID.search(str(error))
    return said[1] if said else str(error).partition("\n")[0]
