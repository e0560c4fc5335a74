"""Every storage adapter, empty and ready; the contract runs on each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagejobs.net.http import Outbound
from imagejobs.ports import Storage
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.objectstore import Address, ObjectStorage
from imagejobs.storage.rehearsal import RehearsalStorage
from imagejobs.storage.supabase import Project, SupabaseStorage
from tests.support.s3_server import make_bucket
from tests.support.supabase_server import SECRET_KEY, SERVICE_JWT, Bucket, SupabaseDouble

PUBLIC_BASE = "https://pictures.example/base"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the adapters keep what they are given."""

    folder: Path
    supabase: SupabaseDouble
    moto_url: str


def filesystem(places: Places) -> Storage:
    return FilesystemStorage(places.folder / "pictures", PUBLIC_BASE)


def rehearsed_filesystem(places: Places) -> Storage:
    return RehearsalStorage(filesystem(places))


def supabase(places: Places, key: str = SECRET_KEY) -> SupabaseStorage:
    places.supabase.buckets["asset-images"] = Bucket(name="asset-images")
    return SupabaseStorage(Project(url=places.supabase.url, key=key), Outbound())


def supabase_legacy(places: Places) -> Storage:
    return supabase(places, SERVICE_JWT)


def s3(places: Places) -> ObjectStorage:
    return ObjectStorage(s3_address(places.moto_url, make_bucket(places.moto_url, public=True)))


def s3_address(endpoint: str, bucket: str, **more: str) -> Address:
    """A bucket of that server, below a prefix."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}
    return Address(url=f"s3://{bucket}/film/pictures", options={"AWS_ENDPOINT_URL": endpoint, **keys, **more})


CASES: dict[str, Callable[[Places], Storage]] = {
    "filesystem": filesystem,
    "rehearsed filesystem": rehearsed_filesystem,
    "supabase, secret key": supabase,
    "supabase, legacy key": supabase_legacy,
    "s3": s3,
}
