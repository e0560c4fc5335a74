"""What only Supabase Storage does: its errors, its keys, its chunks, and its own client reading what we wrote."""

import random
from collections.abc import AsyncIterator

import httpx
import httpx2
import pytest
from storage3 import AsyncStorageClient
from storage3.types import FileOptions

from imagejobs.errors import (
    Code,
    ImageJobsError,
    StorageKeyRejected,
    StorageRejected,
    StorageThrottled,
    StorageUnavailable,
)
from imagejobs.net.http import Outbound
from imagejobs.ports import StoredObject
from imagejobs.storage.supabase import Project, SupabaseBucket, SupabaseStorage
from tests.support.supabase_server import (
    ANON_JWT,
    CHUNK,
    EDGE_PAGE,
    EXPIRED_JWT,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    SERVICE_JWT,
    Bucket,
    Fault,
    Reply,
    Request,
    SupabaseDouble,
    as_json,
)

KEY = "project_film/branch_main/master-assets/hero_0123_abcd.png"
PICTURE = random.Random(1).randbytes(1_500_000)
LARGE = random.Random(2).randbytes(2 * CHUNK + 12_345)


@pytest.fixture
def bucket(supabase: SupabaseDouble) -> Bucket:
    supabase.buckets["asset-images"] = Bucket(name="asset-images")
    return supabase.buckets["asset-images"]


@pytest.fixture
async def storage(supabase: SupabaseDouble, bucket: Bucket) -> AsyncIterator[SupabaseStorage]:
    assert bucket.public
    made = storage_with(supabase, SECRET_KEY)
    yield made
    await made.close()


def storage_with(supabase: SupabaseDouble, key: str) -> SupabaseStorage:
    return SupabaseStorage(Project(url=f"{supabase.url}/", key=key), Outbound())


def on(method: str, part: str, *replies: Reply | None) -> Fault:
    """A fault for the next requests of that kind, one reply each; None lets one through."""
    left = list(replies)

    def fault(request: Request) -> Reply | None:
        matches = request.method == method and part in request.path and left
        return left.pop(0) if matches else None

    return fault


def complaint(code: str, status: int, message: str = "no") -> Reply:
    return as_json(400, {"statusCode": str(status), "error": code, "message": message, "code": code})


async def refusal(storage: SupabaseStorage, data: bytes = PICTURE) -> ImageJobsError:
    with pytest.raises(ImageJobsError) as caught:
        await storage.put(KEY, data, "image/png")
    return caught.value


@pytest.mark.parametrize("key", [SECRET_KEY, SERVICE_JWT], ids=["sb_secret", "service_role"])
async def test_c5_both_kinds_of_keys_open_the_bucket(supabase: SupabaseDouble, bucket: Bucket, key: str) -> None:
    storage = storage_with(supabase, key)
    await storage.put(KEY, PICTURE, "image/png")
    await storage.close()
    assert bucket.objects[KEY].media_type == "image/png"
    assert bucket.objects[KEY].cache_control == "max-age=31536000"


async def test_c4_the_public_address_opens_without_a_token(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    await storage.put(KEY, PICTURE, "image/png")
    assert storage.public_url(KEY) == f"{supabase.url}/storage/v1/object/public/asset-images/{KEY}"
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(storage.public_url(KEY))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PICTURE, "image/png")


@pytest.mark.parametrize("data", [PICTURE, LARGE], ids=["plain", "resumable"])
async def test_supabases_own_client_reads_what_we_wrote(
    storage: SupabaseStorage, supabase: SupabaseDouble, data: bytes
) -> None:
    await storage.put(KEY, data, "image/webp")
    headers = {"apikey": SECRET_KEY, "authorization": f"Bearer {SECRET_KEY}"}
    async with httpx.AsyncClient() as http:
        theirs = AsyncStorageClient(f"{supabase.url}/storage/v1/", headers, http_client=http)
        assert await theirs.from_("asset-images").download(KEY) == data
        assert await theirs.from_("asset-images").get_public_url(KEY) == storage.public_url(KEY)
        options: FileOptions = {"content-type": "image/jpeg", "cache-control": "60"}
        await theirs.from_("asset-images").upload("theirs/a.jpg", b"their picture", options)
    assert await storage.get("theirs/a.jpg") == StoredObject(data=b"their picture", media_type="image/jpeg")


async def test_above_6_mb_the_upload_goes_in_chunks(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    await storage.put(KEY, LARGE, "image/png")
    assert supabase.buckets["asset-images"].objects[KEY].data == LARGE
    sizes = [len(request.body) for request in supabase.asked if request.method == "PATCH"]
    assert sizes == [CHUNK, CHUNK, 12_345]
    assert supabase.buckets["asset-images"].objects[KEY].cache_control == "max-age=31536000"


@pytest.mark.parametrize(
    "reply",
    [Reply(hang_up=True), Reply(status=503), Reply(status=409, headers={"content-type": "text/plain"}, body=b"offset")],
    ids=["cut", "503", "wrong offset"],
)
async def test_s5_a_lost_chunk_is_sent_again_from_where_the_server_is(
    storage: SupabaseStorage, supabase: SupabaseDouble, reply: Reply
) -> None:
    supabase.fault = on("PATCH", "/upload/", None, reply)
    await storage.put(KEY, LARGE, "image/png")
    assert supabase.buckets["asset-images"].objects[KEY].data == LARGE
    assert supabase.count("PATCH") == 4
    assert supabase.count("POST", "/upload/") == 1


async def test_s5_a_chunk_whose_answer_alone_was_lost_is_not_sent_twice(
    storage: SupabaseStorage, supabase: SupabaseDouble
) -> None:
    def take_and_hang_up(request: Request) -> Reply | None:
        if request.method != "PATCH" or request.headers["upload-offset"] != "0":
            return None
        supabase.fault = None
        supabase.answer(request)
        return Reply(hang_up=True)

    supabase.fault = take_and_hang_up
    await storage.put(KEY, LARGE, "image/png")
    assert supabase.buckets["asset-images"].objects[KEY].data == LARGE


async def test_s5_an_upload_that_gets_no_further_ends(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    stuck = Reply(status=204, headers={"upload-offset": "0"})
    supabase.fault = lambda request: stuck if request.method == "PATCH" else None
    assert isinstance(await refusal(storage, LARGE), StorageUnavailable)
    assert supabase.count("PATCH") == 3


@pytest.mark.parametrize("data", [PICTURE, LARGE], ids=["plain", "resumable"])
@pytest.mark.parametrize("is_old", [False, True], ids=["today", "older server"])
async def test_s3_what_is_already_ours_is_success_and_not_sent_twice(
    storage: SupabaseStorage, supabase: SupabaseDouble, data: bytes, is_old: bool
) -> None:
    supabase.is_old = is_old
    await storage.put(KEY, data, "image/png")
    written = supabase.count("POST") + supabase.count("PATCH")
    await storage.put(KEY, data, "image/png")
    assert supabase.count("POST") + supabase.count("PATCH") == written + 1


@pytest.mark.parametrize("data", [PICTURE, LARGE], ids=["plain", "resumable"])
async def test_s3_s6_a_part_of_the_picture_under_its_name_is_replaced(
    storage: SupabaseStorage, bucket: Bucket, data: bytes
) -> None:
    bucket.take(KEY, data[: len(data) // 2], "image/png", "no-cache", upserts=False)
    await storage.put(KEY, data, "image/png")
    assert bucket.objects[KEY].data == data


async def test_s6_half_a_picture_is_no_success_whatever_the_server_says(
    storage: SupabaseStorage, supabase: SupabaseDouble
) -> None:
    supabase.halves = True
    error = await refusal(storage)
    assert isinstance(error, StorageUnavailable)
    assert "750000 of 1500000" in error.detail
    supabase.halves = False
    await storage.put(KEY, PICTURE, "image/png")
    assert await storage.get(KEY) == StoredObject(data=PICTURE, media_type="image/png")


async def test_s2_the_edges_web_page_is_throttling_not_a_bad_key(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    headers = {"content-type": "text/html; charset=UTF-8"}
    supabase.fault = on("POST", "/object/", Reply(status=403, headers=headers, body=EDGE_PAGE))
    error = await refusal(storage)
    assert isinstance(error, StorageThrottled)
    assert (error.code, error.retry_after_seconds) == (Code.RATE_LIMIT, 10.0)
    await storage.put(KEY, PICTURE, "image/png")


async def test_s2_slow_down_waits_as_long_as_it_says(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    slow = as_json(429, {"statusCode": "429", "error": "SlowDown", "message": "x", "code": "SlowDown"})
    supabase.fault = on("POST", "/object/", Reply(status=429, headers={**slow.headers, "retry-after": "7"}, body=slow.body))
    error = await refusal(storage)
    assert isinstance(error, StorageThrottled)
    assert error.retry_after_seconds == 7.0


@pytest.mark.parametrize("key", [EXPIRED_JWT, ANON_JWT, PUBLISHABLE_KEY, "your-service-role-key", "sb_secret_wrong"])
@pytest.mark.parametrize("data", [b"small", LARGE], ids=["plain", "resumable"])
async def test_s1_s8_a_key_that_may_not_write_says_so_without_its_own_text(
    supabase: SupabaseDouble, bucket: Bucket, key: str, data: bytes
) -> None:
    storage = storage_with(supabase, key)
    error = await refusal(storage, data)
    await storage.close()
    assert isinstance(error, StorageKeyRejected)
    assert (error.code, error.retryable) == (Code.AUTH_ERROR, False)
    assert "SUPABASE_SERVICE_ROLE_KEY" in error.detail
    assert key not in error.detail
    assert bucket.objects == {}


@pytest.mark.parametrize("data", [PICTURE, LARGE], ids=["plain", "resumable"])
async def test_s4_a_picture_over_the_limit_says_that_it_is_kept_and_what_to_do(
    storage: SupabaseStorage, bucket: Bucket, data: bytes
) -> None:
    bucket.limit = 1_000_000
    error = await refusal(storage, data)
    assert isinstance(error, StorageRejected)
    for said in ("413", "over the limit of bucket asset-images", "kept for 30 days", "raise the limit", "for free"):
        assert said in error.detail
    bucket.limit = None
    await storage.put(KEY, data, "image/png")


async def test_s4_a_type_that_the_bucket_does_not_take_says_what_to_do(storage: SupabaseStorage, bucket: Bucket) -> None:
    bucket.types = ["image/jpeg"]
    error = await refusal(storage)
    assert isinstance(error, StorageRejected)
    assert "does not take this type" in error.detail


async def test_s7_a_missing_bucket_names_the_command_that_makes_it(
    storage: SupabaseStorage, supabase: SupabaseDouble
) -> None:
    supabase.buckets.clear()
    for is_old in (False, True):
        supabase.is_old = is_old
        error = await refusal(storage)
        assert isinstance(error, StorageRejected)
        assert "imagejobs storage setup" in error.detail
    health = await storage.check()
    assert not health.ok
    assert "imagejobs storage setup" in health.detail


async def test_s7_a_private_bucket_is_not_well(storage: SupabaseStorage, bucket: Bucket) -> None:
    assert (await storage.check()).ok
    bucket.public = False
    health = await storage.check()
    assert not health.ok
    assert "private" in health.detail


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (complaint("InternalError", 500), StorageUnavailable),
        (complaint("DatabaseTimeout", 544), StorageUnavailable),
        (complaint("ResourceLocked", 423), StorageUnavailable),
        (complaint("InvalidKey", 400), StorageRejected),
        (Reply(status=502, headers={"content-type": "text/html"}, body=b"<html>"), StorageUnavailable),
        (Reply(status=200, headers={"content-length": "999"}, body=b"cut"), StorageUnavailable),
        (Reply(hang_up=True), StorageUnavailable),
        (as_json(404, {"message": "no Route matched with those values"}), StorageRejected),
        (Reply(status=301, headers={"location": "https://elsewhere.example"}), StorageRejected),
        (as_json(400, ["not", "a", "document"]), StorageRejected),
        (as_json(400, {"statusCode": "\uff19\uff19\uff19", "message": {"deep": 1}}), StorageRejected),
    ],
)
async def test_s5_each_answer_has_its_meaning(
    storage: SupabaseStorage, supabase: SupabaseDouble, reply: Reply, expected: type[ImageJobsError]
) -> None:
    supabase.fault = on("POST", "/object/", reply)
    assert type(await refusal(storage)) is expected


async def test_s5_d1_an_address_that_is_a_placeholder_is_a_storage_that_is_away() -> None:
    for url in ("https://your-project.supabase.invalid", "your_supabase_url", "http://127.0.0.1:9"):
        storage = SupabaseStorage(Project(url=url, key="your-service-role-key"), Outbound())
        error = await refusal(storage)
        await storage.close()
        assert isinstance(error, StorageUnavailable)
        assert "SUPABASE_URL" in error.detail


async def test_s9_no_call_looks_like_a_browser(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    await storage.put(KEY, LARGE, "image/png")
    await storage.check()
    agents = {request.headers["user-agent"] for request in supabase.asked}
    assert len(agents) == 1
    assert agents.pop().startswith("imagejobs/")


async def test_s12_a_signed_address_opens_for_its_seconds_only(storage: SupabaseStorage, bucket: Bucket) -> None:
    await storage.put(KEY, PICTURE, "image/png")
    bucket.public = False
    async with httpx2.AsyncClient() as browser:
        assert (await browser.get(await storage.sign(KEY, 60))).content == PICTURE
        assert (await browser.get(await storage.sign(KEY, -1))).status_code == 400
    with pytest.raises(StorageRejected):
        await storage.sign("project_film/misc/none.png", 60)


async def test_a_complaint_that_quotes_our_key_is_not_repeated(storage: SupabaseStorage, supabase: SupabaseDouble) -> None:
    echo = f"bad\x1b[31m {SECRET_KEY} at https://x.example/a?token=abc"
    supabase.fault = on("POST", "/object/", complaint("InvalidKey", 400, echo))
    error = await refusal(storage)
    for secret in (SECRET_KEY, "\x1b", "token=abc"):
        assert secret not in error.detail


async def test_c1_the_bucket_is_made_public_with_its_limits_and_again_is_harmless(supabase: SupabaseDouble) -> None:
    outbound = Outbound()
    made = SupabaseBucket(Project(url=supabase.url, key=SECRET_KEY), outbound)
    await made.ensure()
    bucket = supabase.buckets["asset-images"]
    assert (bucket.public, bucket.limit) == (True, 10 * 1024 * 1024)
    assert bucket.types == ["image/png", "image/jpeg", "image/webp"]
    bucket.limit, bucket.public = 50_000_000, False
    assert "made public" in await made.ensure()
    assert (bucket.public, bucket.limit, bucket.types) == (True, 50_000_000, ["image/png", "image/jpeg", "image/webp"])
    assert "nothing was changed" in await made.ensure()
    await outbound.close()


@pytest.mark.parametrize("anon", [None, ANON_JWT, PUBLISHABLE_KEY])
async def test_c2_the_rules_are_tried_and_leave_nothing(supabase: SupabaseDouble, bucket: Bucket, anon: str | None) -> None:
    outbound = Outbound()
    tried = SupabaseBucket(Project(url=supabase.url, key=SECRET_KEY, anon_key=anon), outbound)
    trials = await tried.trials()
    assert [trial.rule for trial in trials if trial.holds is False] == []
    assert len(trials) == (8 if anon is None else 10)
    assert [trial.rule.partition(",")[0] for trial in trials if trial.holds is None] == ([] if anon else ["the anon key"])
    assert bucket.objects == {}
    bucket.anyone_writes = True
    broken = {trial.rule for trial in await tried.trials() if trial.holds is False}
    assert broken == (set() if anon is None else {f"the anon key {act}: refused" for act in ("adds", "changes", "removes")})
    assert bucket.objects == {}
    bucket.public, bucket.anyone_writes = False, False
    assert {trial.rule for trial in await tried.trials() if trial.holds is False} == {"everyone reads, without a key"}
    await outbound.close()
