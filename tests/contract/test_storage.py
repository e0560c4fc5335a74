"""What the use cases rely on of every storage."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from imagejobs.errors import StorageRejected
from imagejobs.ports import Storage, StoredObject
from tests.contract.storage_cases import CASES, Places
from tests.support.supabase_server import SupabaseDouble

KEY = "project_film/branch_main/scene_4/shot_2/start_frame_0123_abcd.png"
LONGEST = "/".join(["a" * 255, "b" * 255, "c" * 255, "d" * 228 + ".png"])
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "png.thumb.webp": "image/webp"}

plain = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}", fullmatch=True)
hostile_segment = st.one_of(
    st.sampled_from(
        ["", ".", "..", "...", ".tmp-0123", ".env", "a\0b", "a\n", "a b", "a\\..", "%2e%2e", "~", "C:", "a" * 256]
    ),
    st.text(min_size=1).filter(lambda text: any(not (c.isascii() and (c.isalnum() or c in "._-/")) for c in text)),
    st.sampled_from(["bild-ä", "\u202egnp", "画像", "\ud800"]),
)
hostile_key = st.one_of(
    st.tuples(st.lists(plain, max_size=3), hostile_segment, st.lists(plain, max_size=3)).map(
        lambda parts: "/".join([*parts[0], parts[1], *parts[2]])
    ),
    st.integers(501, 2000).map(lambda count: "/".join("a" * count)),
)


def everything_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.fixture(params=CASES)
async def storage(
    request: pytest.FixtureRequest, tmp_path: Path, supabase: SupabaseDouble, moto_url: str
) -> AsyncIterator[Storage]:
    adapter = CASES[request.param](Places(folder=tmp_path, supabase=supabase, moto_url=moto_url))
    yield adapter
    await adapter.close()


@pytest.mark.parametrize("ending", MEDIA_TYPES)
async def test_gives_back_the_exact_bytes_and_their_type(storage: Storage, ending: str) -> None:
    data = random.Random(ending).randbytes(1_500_000)
    key = f"project_film/misc/fox_1.{ending}"
    await storage.put(key, data, MEDIA_TYPES[ending])
    assert await storage.get(key) == StoredObject(data=data, media_type=MEDIA_TYPES[ending])


@pytest.mark.parametrize("key", ["flat.png", LONGEST, KEY], ids=["flat", "longest", "usual"])
@pytest.mark.parametrize("data", [b"", b"\0", b"\r\n\xff\xfe"])
async def test_takes_every_allowed_key_and_any_bytes(storage: Storage, key: str, data: bytes) -> None:
    await storage.put(key, data, "image/png")
    assert await storage.get(key) == StoredObject(data=data, media_type="image/png")


async def test_a_repeated_put_changes_nothing(storage: Storage) -> None:
    for _ in range(3):
        await storage.put(KEY, b"picture", "image/png")
    assert await storage.get(KEY) == StoredObject(data=b"picture", media_type="image/png")


async def test_s6_the_last_put_of_other_bytes_wins_whole(storage: Storage) -> None:
    await storage.put(KEY, b"a long first picture", "image/png")
    await storage.put(KEY, b"short", "image/png")
    assert await storage.get(KEY) == StoredObject(data=b"short", media_type="image/png")


async def test_neighbors_do_not_disturb_each_other(storage: Storage) -> None:
    await storage.put(KEY, b"picture", "image/png")
    await storage.put(f"{KEY}.thumb.webp", b"thumbnail", "image/webp")
    await storage.delete(f"{KEY}.thumb.webp")
    assert await storage.get(KEY) == StoredObject(data=b"picture", media_type="image/png")


async def test_what_is_missing_is_none_and_may_be_deleted(storage: Storage) -> None:
    assert await storage.get(KEY) is None
    await storage.delete(KEY)
    await storage.put(KEY, b"picture", "image/png")
    await storage.delete(KEY)
    await storage.delete(KEY)
    assert await storage.get(KEY) is None


async def test_addresses_carry_the_key_and_stay_the_same(storage: Storage) -> None:
    before = storage.public_url(KEY)
    await storage.put(KEY, b"picture", "image/png")
    assert storage.public_url(KEY) == before
    assert urlsplit(before).scheme in ("http", "https")
    assert urlsplit(before).path.endswith(f"/{KEY}")
    assert urlsplit(await storage.sign(KEY, 60)).path.endswith(f"/{KEY}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=hostile_key)
async def test_s11_hostile_keys_are_refused(storage: Storage, tmp_path: Path, key: str) -> None:
    before = everything_below(tmp_path)
    with pytest.raises(StorageRejected):
        await storage.put(key, b"picture", "image/png")
    with pytest.raises(StorageRejected):
        await storage.get(key)
    with pytest.raises(StorageRejected):
        await storage.delete(key)
    with pytest.raises(StorageRejected):
        storage.public_url(key)
    assert everything_below(tmp_path) == before


async def test_puts_of_one_key_at_once_leave_one_whole_object(storage: Storage) -> None:
    bodies = {bytes([number]) * 300_000 for number in range(8)}
    await storage.put(KEY, min(bodies), "image/png")
    puts = asyncio.gather(*(storage.put(KEY, body, "image/png") for body in bodies))
    while not puts.done():
        seen = await storage.get(KEY)
        assert seen is not None
        assert seen.data in bodies
    await puts
    last = await storage.get(KEY)
    assert last is not None
    assert last.data in bodies


async def test_puts_into_new_folders_at_once_all_arrive(storage: Storage) -> None:
    keys = [f"project_film/branch_{number % 3}/misc/{number}.png" for number in range(24)]
    await asyncio.gather(*(storage.put(key, key.encode(), "image/png") for key in keys))
    for key in keys:
        assert await storage.get(key) == StoredObject(data=key.encode(), media_type="image/png")


async def test_says_that_it_is_well_and_leaves_no_trace(storage: Storage, tmp_path: Path) -> None:
    health = await storage.check()
    assert health.ok
    assert health.detail
    assert not any(path.is_file() for path in everything_below(tmp_path))
