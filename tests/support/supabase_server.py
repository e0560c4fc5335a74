"""A double of Supabase Storage over real HTTP, with the oddities that its server, its gateway and its edge are known for.

400 for whatever is refused, the true status as a string in the body; the edge's web page; both kinds of keys; row-level
security that hides; size and type limits; uploads in chunks of 6 MB whose Location is https on a host nobody can reach.
"""

import hashlib
import json
import re
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import jwt

CHUNK = 6 * 1024 * 1024
SIGNING_SECRET = "the-double's-own-secret-of-32-bytes!"  # noqa: S105
ALLOWED_KEY = re.compile(r"[A-Za-z0-9/_.\-!*'() &$@=;:+,?]+")
EDGE_PAGE = b"<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title>Sorry, you have been blocked</html>"


def token(role: str, seconds: float = 3600.0) -> str:
    """A legacy key, or a user's token."""
    claims = {"iss": "supabase", "role": role, "exp": 2_000_000_000 + int(seconds) if seconds > 0 else 1_000_000_000}
    return jwt.encode(claims, SIGNING_SECRET, algorithm="HS256")


SERVICE_JWT, ANON_JWT, EXPIRED_JWT = token("service_role"), token("anon"), token("service_role", -1)
SECRET_KEY, PUBLISHABLE_KEY = "sb_secret_0123456789abcdef", "sb_publishable_0123456789abcdef"
ROLES = {SECRET_KEY: "service_role", PUBLISHABLE_KEY: "anon"}


class Refused(Exception):
    """An error in the server's own form."""

    def __init__(self, status: int, code: str, message: str, error: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"statusCode": str(status), "error": error or code, "message": message, "code": code}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer; `hang_up` breaks the connection off instead."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """What came in, its path without the prefix."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def upserts(self) -> bool:
        return self.headers.get("x-upsert") == "true"


@dataclass(kw_only=True)
class Stored:
    """One object."""

    data: bytes
    media_type: str
    cache_control: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


@dataclass(kw_only=True)
class Bucket:
    """One bucket and the rules of its objects."""

    name: str
    public: bool = True
    limit: int | None = None
    types: list[str] | None = None
    objects: dict[str, Stored] = field(default_factory=dict)
    anyone_writes: bool = False  # a policy that somebody made by mistake

    def take(self, key: str, data: bytes, media_type: str, cache_control: str, *, upserts: bool) -> None:
        self.refuse(key, len(data), media_type, upserts=upserts)
        self.objects[key] = Stored(data=data, media_type=media_type, cache_control=cache_control)

    def refuse(self, key: str, size: int, media_type: str, *, upserts: bool) -> None:
        if not ALLOWED_KEY.fullmatch(key):
            raise Refused(400, "InvalidKey", f"Invalid key: {key}")
        if self.limit is not None and size > self.limit:
            raise Refused(413, "EntityTooLarge", "The object exceeded the maximum allowed size", "Payload too large")
        if self.types is not None and media_type not in self.types:
            raise Refused(415, "InvalidMimeType", f"mime type {media_type} is not supported", "invalid_mime_type")
        if key in self.objects and not upserts:
            raise Refused(409, "KeyAlreadyExists", "The resource already exists", "Duplicate")

    def document(self) -> dict[str, Any]:
        limits = {"file_size_limit": self.limit, "allowed_mime_types": self.types}
        return {"id": self.name, "name": self.name, "public": self.public, **limits}


@dataclass(kw_only=True)
class Upload:
    """A resumable upload under way."""

    bucket: str
    key: str
    size: int
    media_type: str
    cache_control: str
    upserts: bool
    data: bytearray = field(default_factory=bytearray)


Fault = Callable[[Request], Reply | None]


@dataclass
class SupabaseDouble:
    """What the server keeps. `fault` may answer in its stead; a fault of None lets the request through."""

    url: str = ""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    fault: Fault | None = None
    is_old: bool = False  # before the stable code
    halves: bool = False  # says 200 and keeps half
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, request: Request) -> Reply:
        with self.lock:
            self.asked.append(request)
            if self.fault is not None and (reply := self.fault(request)) is not None:
                return reply
            try:
                return self._routed(request)
            except Refused as refused:
                without = {name: word for name, word in refused.document.items() if not (self.is_old and name == "code")}
                return as_json(500 if refused.status == 500 else 400, without)

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for request in self.asked if request.method == method and part in request.path)

    def blocks(self, *, times: int) -> None:
        """Let the edge answer the next uploads with its web page."""
        pages = [Reply(status=403, headers={"content-type": "text/html"}, body=EDGE_PAGE)] * times
        self.fault = lambda request: pages.pop() if request.method == "POST" and pages else None

    def _routed(self, request: Request) -> Reply:  # noqa: PLR0911 - a table of routes
        if request.path.startswith("/object/public/"):
            return self._read(request, "public", "/object/public/")
        if request.path.startswith("/object/sign/") and request.method == "GET":
            return self._read_signed(request)
        role = role_of(request)
        if isinstance(role, Reply):
            return role
        if request.path.startswith("/bucket"):
            return self._bucket(request, role)
        if request.path.startswith("/upload/resumable"):
            return self._resumable(request, role)
        if request.path.startswith("/object/sign/"):
            return self._sign(request)
        if request.method in ("GET", "HEAD"):
            prefix = "/object/authenticated/" if request.path.startswith("/object/authenticated/") else "/object/"
            return self._read(request, role, prefix)
        return self._write(request, role)

    def _split(self, rest: str) -> tuple[Bucket, str]:
        name, _, key = rest.partition("/")
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket", "Bucket not found", "Bucket not found")
        return self.buckets[name], unquote(key)

    def _bucket(self, request: Request, role: str) -> Reply:
        if role != "service_role":
            raise Refused(403, "AccessDenied", "new row violates row-level security policy", "Unauthorized")
        document = json.loads(request.body or b"{}")
        if request.method == "POST":
            if document["id"] in self.buckets:
                raise Refused(409, "BucketAlreadyExists", "The resource already exists", "Duplicate")
            self.buckets[document["id"]] = Bucket(name=document["id"])
        bucket, _ = self._split(request.path.removeprefix("/bucket").strip("/") or document["id"])
        if request.method in ("POST", "PUT"):
            bucket.public = bool(document.get("public"))
            bucket.limit, bucket.types = document.get("file_size_limit"), document.get("allowed_mime_types")
        return as_json(200, bucket.document() if request.method == "GET" else {"name": bucket.name})

    def _read(self, request: Request, role: str, prefix: str) -> Reply:
        bucket, key = self._split(request.path.removeprefix(prefix))
        is_hidden = not bucket.public and role != "service_role"
        if is_hidden or key not in bucket.objects:
            if role == "public" and is_hidden:
                raise Refused(404, "NoSuchBucket", "Bucket not found", "Bucket not found")
            raise Refused(404, "NoSuchKey", "Object not found", "not_found")
        return as_object(bucket.objects[key])

    def _write(self, request: Request, role: str) -> Reply:
        bucket, key = self._split(request.path.removeprefix("/object/"))
        may = role == "service_role" or bucket.anyone_writes
        if request.method == "DELETE":
            if not may or key not in bucket.objects:
                raise Refused(404, "NoSuchKey", "Object not found", "not_found")
            del bucket.objects[key]
            return as_json(200, {"message": "Successfully deleted"})
        if not may:
            raise Refused(403, "AccessDenied", "new row violates row-level security policy", "Unauthorized")
        data, media_type, cache_control = content_of(request)
        data = data[: len(data) // 2] if self.halves else data
        bucket.take(key, data, media_type, cache_control, upserts=request.upserts or request.method == "PUT")
        return as_json(200, {"Key": f"{bucket.name}/{key}", "Id": str(uuid4())})

    def _sign(self, request: Request) -> Reply:
        bucket, key = self._split(request.path.removeprefix("/object/sign/"))
        if key not in bucket.objects:
            raise Refused(404, "NoSuchKey", "Object not found", "not_found")
        seconds = json.loads(request.body)["expiresIn"]
        signed = jwt.encode({"url": f"{bucket.name}/{key}", "exp": time.time() + seconds}, SIGNING_SECRET, algorithm="HS256")
        return as_json(200, {"signedURL": f"/object/sign/{bucket.name}/{key}?token={signed}"})

    def _read_signed(self, request: Request) -> Reply:
        bucket, key = self._split(request.path.removeprefix("/object/sign/"))
        try:
            claims = jwt.decode(request.query["token"][0], SIGNING_SECRET, algorithms=["HS256"])
        except jwt.PyJWTError:
            raise Refused(400, "InvalidJWT", '"exp" claim timestamp check failed') from None
        if claims["url"] != f"{bucket.name}/{key}":
            raise Refused(400, "InvalidSignature", "The url do not match the signature")
        return as_object(bucket.objects[key])

    def _resumable(self, request: Request, role: str) -> Reply:
        """Errors of this route have their true status and a plain text, unlike all others."""
        try:
            return {"POST": self._begin, "PATCH": self._patch, "HEAD": self._offset}[request.method](request, role)
        except Refused as refused:
            return Reply(status=refused.status, headers={"content-type": "text/plain"}, body=str(refused).encode())

    def _begin(self, request: Request, role: str) -> Reply:
        words = dict(part.split(" ", 1) for part in request.headers["upload-metadata"].split(","))
        said = {name: b64decode(value).decode() for name, value in words.items()}
        bucket, key = self._split(f"{said['bucketName']}/{said['objectName']}")
        if role != "service_role":
            raise Refused(403, "AccessDenied", "new row violates row-level security policy")
        size = int(request.headers["upload-length"])
        bucket.refuse(key, size, said["contentType"], upserts=request.upserts)
        name = uuid4().hex
        self.uploads[name] = Upload(
            bucket=bucket.name,
            key=key,
            size=size,
            media_type=said["contentType"],
            cache_control=said["cacheControl"],
            upserts=request.upserts,
        )
        location = f"https://storage.invalid/storage/v1/upload/resumable/{name}"
        return Reply(status=201, headers={"location": location, "tus-resumable": "1.0.0"})

    def _patch(self, request: Request, role: str) -> Reply:
        upload = self._upload(request, role)
        if int(request.headers["upload-offset"]) != len(upload.data):
            raise Refused(409, "InvalidOffset", "Upload-Offset conflict")
        is_last = len(upload.data) + len(request.body) == upload.size
        if len(request.body) != CHUNK and not is_last:
            raise Refused(400, "InvalidChunk", "chunks must be exactly 6 MB")
        upload.data += request.body
        if len(upload.data) == upload.size:
            bucket = self.buckets[upload.bucket]
            whole = bytes(upload.data)
            bucket.take(upload.key, whole, upload.media_type, upload.cache_control, upserts=upload.upserts)
        headers = {"upload-offset": str(len(upload.data)), "tus-resumable": "1.0.0"}
        return Reply(status=204, headers=headers)

    def _offset(self, request: Request, role: str) -> Reply:
        upload = self._upload(request, role)
        return Reply(headers={"upload-offset": str(len(upload.data)), "upload-length": str(upload.size)})

    def _upload(self, request: Request, role: str) -> Upload:
        name = request.path.rpartition("/")[2]
        if role != "service_role" or name not in self.uploads or request.headers.get("tus-resumable") != "1.0.0":
            raise Refused(404, "NoSuchUpload", "Not found")
        return self.uploads[name]


def role_of(request: Request) -> str | Reply:
    """The role behind the credentials, as the gateway and the server see them; a reply where the gateway refuses."""
    key, bearer = request.headers.get("apikey"), request.headers.get("authorization", "").removeprefix("Bearer ")
    if key is None:
        return as_json(401, {"message": "No API key found in request", "hint": "No `apikey` request header was found."})
    if key == SECRET_KEY and "mozilla" in request.headers.get("user-agent", "").lower():
        return as_json(401, {"message": "Forbidden use of secret API key in browser"})
    if key in ROLES and (not bearer or bearer == key):
        return ROLES[key]
    if bearer.startswith("sb_"):
        raise Refused(403, "AccessDenied", "Invalid Compact JWS", "Unauthorized")
    try:
        return str(jwt.decode(bearer, SIGNING_SECRET, algorithms=["HS256"])["role"])
    except jwt.ExpiredSignatureError:
        raise Refused(403, "AccessDenied", '"exp" claim timestamp check failed', "Unauthorized") from None
    except jwt.PyJWTError:
        return as_json(401, {"message": "Invalid authentication credentials"})


def content_of(request: Request) -> tuple[bytes, str, str]:
    """The bytes, their type and caching: of a raw upload, or of the one file of a form."""
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return request.body, content_type, request.headers.get("cache-control", "no-cache")
    boundary = content_type.partition("boundary=")[2].encode()
    cache_control, found = "no-cache", (b"", "")
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        body = body.removesuffix(b"\r\n")
        if b'filename="' in head:
            media_type = re.search(rb"(?i)content-type: *(\S+)", head)
            found = (body, media_type[1].decode() if media_type else "")
        elif b'name="cacheControl"' in head:
            cache_control = f"max-age={body.decode()}"
    return found[0], found[1], cache_control


def as_json(status: int, document: object) -> Reply:
    return Reply(status=status, headers={"content-type": "application/json"}, body=json.dumps(document).encode())


def as_object(stored: Stored) -> Reply:
    headers = {"content-type": stored.media_type, "cache-control": stored.cache_control, "etag": stored.etag}
    return Reply(headers={**headers, "x-robots-tag": "none"}, body=stored.data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@contextmanager
def supabase_double() -> Iterator[SupabaseDouble]:
    """Serve the double under the hosted path until the block ends; its `url` is SUPABASE_URL."""
    double = SupabaseDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            path = parts.path.removeprefix("/storage/v1")
            asked = Request(method=self.command, path=path, query=parse_qs(parts.query), headers=headers, body=body)
            reply = double.answer(asked) if path != parts.path else as_json(404, {"message": "no Route matched"})
            if reply.hang_up:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
                self.close_connection = int(reply.headers.get("content-length", len(reply.body))) != len(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - http.server's name

    with _Server(("127.0.0.1", 0), Handler) as server:
        double.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()
