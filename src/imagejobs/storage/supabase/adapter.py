"""Pictures in a bucket of Supabase Storage."""

import json
import logging
from urllib.parse import quote

from imagejobs.errors import StorageError, StorageRejected, StorageUnavailable
from imagejobs.net.http import Outbound
from imagejobs.ports import Health, StoredObject
from imagejobs.storage.keys import segments_of
from imagejobs.storage.supabase.bucket import SupabaseBucket
from imagejobs.storage.supabase.rest import Project, Rest, complaint_in, document_in
from imagejobs.storage.supabase.resumable import CHUNK_BYTES, upload_resumable

CACHE_CONTROL = "max-age=31536000"

logger = logging.getLogger(__name__)


class SupabaseStorage:
    """Keeps each object under its key in the project's bucket, which is public.

    A put first asks to create. Where something stands there already it is compared byte by byte: the same is success,
    anything else is a put of ours that broke off, and is replaced, for no one else knows the name. An object counts as
    stored once the server tells its whole size. Above 6 MB the upload is resumable.
    """

    def __init__(self, project: Project, outbound: Outbound) -> None:
        self._rest = Rest(project, outbound)
        self._outbound = outbound
        self._bucket = SupabaseBucket(project, outbound)

    @property
    def name(self) -> str:
        return "supabase"

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        path = self._path(key)
        if not await self._upload(key, data, media_type, replaces=False):
            if await self._is_ours(key, data):
                return
            logger.warning("storage.replaced_partial", extra={"object_key": key})
            if not await self._upload(key, data, media_type, replaces=True):
                raise StorageUnavailable("Supabase Storage holds another object under the picture's name and keeps it.")
        await self._require_whole(path, len(data))

    async def get(self, key: str) -> StoredObject | None:
        answer = await self._rest.send("GET", f"/object/authenticated/{self._path(key)}")
        if answer.status == 200:
            media_type = answer.headers.get("content-type", "application/octet-stream").partition(";")[0].strip()
            return StoredObject(data=answer.body, media_type=media_type)
        if complaint_in(answer).is_missing:
            return None
        raise self._rest.error_of(answer)

    async def delete(self, key: str) -> None:
        answer = await self._rest.send("DELETE", f"/object/{self._path(key)}")
        if answer.status != 200 and not complaint_in(answer).is_missing:
            raise self._rest.error_of(answer)

    def public_url(self, key: str) -> str:
        return f"{self._rest.project.root}/object/public/{self._path(key)}"

    async def sign(self, key: str, seconds: int) -> str:
        body = json.dumps({"expiresIn": seconds}).encode()
        headers = {"content-type": "application/json"}
        answer = await self._rest.send("POST", f"/object/sign/{self._path(key)}", headers=headers, body=body)
        signed = (document_in(answer) or {}).get("signedURL")
        if answer.status == 200 and isinstance(signed, str):
            return self._rest.project.root + "/" + signed.lstrip("/")
        if complaint_in(answer).is_missing:
            raise StorageRejected("There is no such object to sign an address for.")
        raise self._rest.error_of(answer)

    async def check(self) -> Health:
        """Ask for the bucket: whether the key is good, and the bucket there and public. Nothing is written."""
        try:
            return await self._bucket.health()
        except StorageError as error:
            return Health(ok=False, detail=error.detail)

    async def close(self) -> None:
        await self._outbound.close()

    def _path(self, key: str) -> str:
        return f"{self._rest.project.bucket}/{quote('/'.join(segments_of(key)))}"

    async def _upload(self, key: str, data: bytes, media_type: str, *, replaces: bool) -> bool:
        """False where something stands there already."""
        if len(data) > CHUNK_BYTES:
            metadata = {
                "bucketName": self._rest.project.bucket,
                "objectName": key,
                "contentType": media_type,
                "cacheControl": CACHE_CONTROL,
            }
            return await upload_resumable(self._rest, data, metadata, replaces=replaces)
        headers = {"content-type": media_type, "cache-control": CACHE_CONTROL, "x-upsert": str(replaces).lower()}
        answer = await self._rest.send("POST", f"/object/{self._path(key)}", headers=headers, body=data)
        if answer.status != 200 and not complaint_in(answer).is_duplicate:
            raise self._rest.error_of(answer)
        return answer.status == 200

    async def _is_ours(self, key: str, data: bytes) -> bool:
        found = await self.get(key)
        return found is not None and found.data == data

    async def _require_whole(self, path: str, size: int) -> None:
        """Believe a success only with the whole object behind it; a check that gets no clear answer changes nothing."""
        answer = await self._rest.send("HEAD", f"/object/authenticated/{path}")
        kept = answer.headers.get("content-length")
        if answer.status in (400, 404) or (answer.status == 200 and kept is not None and int(kept) != size):
            there = f"{kept} of {size} bytes" if answer.status == 200 else "nothing"
            raise StorageUnavailable(f"Supabase Storage said that it took the picture, but keeps {there}.")
