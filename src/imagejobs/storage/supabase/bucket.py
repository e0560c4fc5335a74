"""The bucket: made once (C1), looked at, and its rules tried rather than believed (C2)."""

import json
import secrets
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from imagejobs.errors import StorageRejected
from imagejobs.net.http import Outbound, OutboundAnswer
from imagejobs.ports import Health, Trial
from imagejobs.storage.supabase.rest import OutboundCall, Project, Rest, complaint_in, document_in

LIMIT_BYTES = 10 * 1024 * 1024
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")

_PIXEL = b64decode(  # a whole PNG, for a bucket or a scanner that looks
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_OTHER_PIXEL = _PIXEL + b"\0"
_SETUP = "run `imagejobs storage setup`"


class SupabaseBucket:
    """The bucket of a project under its service key."""

    def __init__(self, project: Project, outbound: Outbound) -> None:
        self._project = project
        self._rest = Rest(project, outbound)

    @property
    def name(self) -> str:
        return self._project.bucket

    async def ensure(self) -> str:
        """Make the public bucket, or an existing one public; says what was done. An existing one keeps its limits."""
        wanted = {"id": self.name, "name": self.name, "public": True}
        limits = {"file_size_limit": LIMIT_BYTES, "allowed_mime_types": list(MEDIA_TYPES)}
        answer = await self._send_json("POST", "/bucket", {**wanted, **limits})
        if answer.status == 200:
            return "made: public; png, jpeg and webp of up to 10 MB"
        if not complaint_in(answer).is_duplicate:
            raise self._rest.error_of(answer)
        found = await self._read()
        if found.get("public") is True:
            return f"was there: {_described(found)}; nothing was changed"
        kept = {name: found.get(name) for name in limits}
        answer = await self._send_json("PUT", f"/bucket/{self.name}", {**wanted, **kept})
        if answer.status != 200:
            raise self._rest.error_of(answer)
        return f"was there, private; made public ({_described(found)})"

    async def health(self) -> Health:
        """Whether the key is good, and the bucket there and public."""
        found = await self._read()
        where = f"bucket {self.name} at {self._project.url.rstrip('/')}"
        if found.get("public") is not True:
            return Health(ok=False, detail=f"The {where} is private, so no picture opens in a browser: {_SETUP}.")
        return Health(ok=True, detail=f"{where}: public; {_described(found)}")

    async def trials(self) -> Sequence[Trial]:
        """Try each rule on an object of its own, which is removed again: who may read, add, change and remove pictures."""
        path = f"{self.name}/imagejobs-probe/{secrets.token_hex(12)}"
        try:
            found = await self._try_all(f"{path}.png", f"{path}-stranger.png")
        finally:
            for probe in (f"{path}.png", f"{path}-stranger.png"):
                await self._rest.send("DELETE", f"/object/{probe}")
        return found

    async def _try_all(self, probe: str, strange: str) -> list[Trial]:
        added = await self._rest.send_as(self._project.key, _upload("POST", probe, _PIXEL))
        trials = [self._allowed("the service role adds", added)]
        if not trials[0].holds:
            return trials
        public = await self._rest.send_as(None, OutboundCall(method="GET", path=f"/object/public/{probe}"))
        opens = Trial(rule="everyone reads, without a key", holds=public.body == _PIXEL, detail=self._said(public))
        trials.append(opens)
        trials += await self._try_stranger("no key", None, probe, strange)
        if self._project.anon_key is None:
            trials.append(Trial(rule="the anon key, which every page shows, adds, changes and removes nothing", holds=None))
        else:
            trials += await self._try_stranger("the anon key", self._project.anon_key, probe, strange)
        changed = await self._rest.send_as(self._project.key, _upload("PUT", probe, _OTHER_PIXEL))
        trials.append(self._allowed("the service role changes", changed))
        removed = await self._rest.send("DELETE", f"/object/{probe}")
        trials.append(self._allowed("the service role removes", removed))
        return trials

    async def _try_stranger(self, who: str, key: str | None, probe: str, strange: str) -> list[Trial]:
        """Judged by what is there afterwards, not by what the answer says."""
        trials = []
        answer = await self._rest.send_as(key, _upload("POST", strange, _PIXEL))
        trials.append(self._refused(f"{who} adds", answer, holds=await self._content(strange) is None))
        answer = await self._rest.send_as(key, _upload("PUT", probe, _OTHER_PIXEL))
        trials.append(self._refused(f"{who} changes", answer, holds=await self._content(probe) == _PIXEL))
        answer = await self._rest.send_as(key, OutboundCall(method="DELETE", path=f"/object/{probe}"))
        trials.append(self._refused(f"{who} removes", answer, holds=await self._content(probe) == _PIXEL))
        return trials

    async def _content(self, path: str) -> bytes | None:
        answer = await self._rest.send("GET", f"/object/authenticated/{path}")
        return answer.body if answer.status == 200 else None

    def _allowed(self, rule: str, answer: OutboundAnswer) -> Trial:
        return Trial(rule=rule, holds=answer.status == 200, detail=self._said(answer))

    def _refused(self, rule: str, answer: OutboundAnswer, *, holds: bool) -> Trial:
        is_refused = holds and answer.status >= 400
        return Trial(rule=f"{rule}: refused", holds=is_refused, detail="" if is_refused else "it was allowed")

    def _said(self, answer: OutboundAnswer) -> str:
        return "" if answer.status == 200 else self._rest.error_of(answer).detail

    async def _read(self) -> Mapping[str, Any]:
        answer = await self._rest.send("GET", f"/bucket/{self.name}")
        document = document_in(answer)
        if answer.status == 200 and document is not None:
            return document
        if complaint_in(answer).is_bucket_missing:
            raise StorageRejected(f"There is no bucket {self.name} at {self._project.url.rstrip('/')}: {_SETUP}.")
        raise self._rest.error_of(answer)

    async def _send_json(self, method: str, path: str, document: Mapping[str, Any]) -> OutboundAnswer:
        headers = {"content-type": "application/json"}
        return await self._rest.send(method, path, headers=headers, body=json.dumps(document).encode())


def _upload(method: str, path: str, data: bytes) -> OutboundCall:
    headers = {"content-type": "image/png", "cache-control": "max-age=0", "x-upsert": "false"}
    return OutboundCall(method=method, path=f"/object/{path}", headers=headers, body=data)


def _described(found: Mapping[str, Any]) -> str:
    limit, types = found.get("file_size_limit"), found.get("allowed_mime_types")
    size = f"up to {limit / (1024 * 1024):g} MB" if isinstance(limit, int | float) else "the project's own size limit"
    kinds = ", ".join(str(kind) for kind in types) if types else "every type"
    return f"{kinds}; {size}"
