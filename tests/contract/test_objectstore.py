"""What only an object store does: its errors, its credentials, its addresses; S3 by moto, the rest by a scripted server."""

import json
import traceback
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from imagejobs.errors import (
    ConfigurationError,
    ImageJobsError,
    StorageKeyRejected,
    StorageRejected,
    StorageThrottled,
    StorageUnavailable,
)
from imagejobs.storage.objectstore import Address, ObjectStorage
from tests.contract.storage_cases import Places, s3, s3_address
from tests.support.s3_server import Alike
from tests.support.supabase_server import SupabaseDouble

KEY = "project_film/misc/fox_0123_abcd.png"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def places(tmp_path: Path, supabase: SupabaseDouble, moto_url: str) -> Places:
    return Places(folder=tmp_path, supabase=supabase, moto_url=moto_url)


async def refusal(storage: ObjectStorage) -> ImageJobsError:
    with pytest.raises(ImageJobsError) as caught:
        await storage.put(KEY, b"picture", "image/png")
    return caught.value


async def test_c4_an_object_lies_below_the_prefix_with_its_type_and_caching(places: Places) -> None:
    storage = s3(places)
    await storage.put(KEY, b"picture", "image/png")
    address = storage.public_url(KEY)
    assert address.startswith(f"{places.moto_url}/b-")
    assert address.endswith(f"/film/pictures/{KEY}")
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(address)
    assert answer.content == b"picture"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_s12_a_signed_address_opens(places: Places) -> None:
    storage = s3(places)
    await storage.put(KEY, b"picture", "image/png")
    async with httpx2.AsyncClient() as browser:
        assert (await browser.get(await storage.sign(KEY, 60))).content == b"picture"


async def test_s3_what_is_already_ours_is_not_sent_twice_and_a_part_is_replaced(places: Places) -> None:
    storage = s3(places)
    await storage.put(KEY, b"pict", "image/png")
    await storage.put(KEY, b"picture", "image/png")
    found = await storage.get(KEY)
    assert found is not None
    assert found.data == b"picture"


async def test_s7_a_missing_bucket_is_refused_and_never_taken_for_a_missing_object(moto_url: str) -> None:
    storage = ObjectStorage(s3_address(moto_url, "no-such-bucket"))
    error = await refusal(storage)
    assert isinstance(error, StorageRejected)
    assert "no such bucket" in error.detail
    with pytest.raises(StorageRejected):
        await storage.get(KEY)
    assert not (await storage.check()).ok


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", StorageKeyRejected),  # S1
        (403, "ExpiredToken", StorageKeyRejected),  # S8
        (401, "Unauthorized", StorageKeyRejected),
        (413, "EntityTooLarge", StorageRejected),  # S4
        (400, "InvalidRequest", StorageRejected),
        (301, "PermanentRedirect", StorageRejected),  # S7: another region
        (400, "AuthorizationHeaderMalformed", StorageRejected),  # S7: the same, of newer regions
        (429, "TooManyRequests", StorageThrottled),  # S2
        (503, "SlowDown", StorageThrottled),
        (503, "ServiceUnavailable", StorageUnavailable),  # S5
        (500, "InternalError", StorageUnavailable),
    ],
)
async def test_s1_s2_s4_s5_s8_each_answer_has_its_meaning_and_is_asked_for_once(
    status: int, code: str, expected: type[ImageJobsError]
) -> None:
    said = f"<Error><Code>{code}</Code><Message>no, a-secret-key</Message></Error>".encode()
    with Alike(status, said).serving() as server:
        error = await refusal(ObjectStorage(s3_address(server.url, "bucket")))
    assert type(error) is expected
    assert "a-secret-key" not in error.detail
    assert ("region" in error.detail) == (code == "PermanentRedirect")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 412], ids=["not there", "left by an earlier check"])
async def test_s1_a_key_that_may_only_write_is_well_and_opens_a_way_that_was_closed(status: int) -> None:
    """Else one refusal that passes, such as of a token that is just being renewed, would stop purchases until a restart."""
    with Alike(status, refused=frozenset(("GET", "HEAD", "POST", "DELETE"))).serving() as server:
        assert (await ObjectStorage(s3_address(server.url, "bucket")).check()).ok


SECRET = "canary+of/the+storage0123456789ABCDEFGHI"  # noqa: S105 - planted
ECHOES = (
    f"<Error><Code>No</Code><Message>no, {SECRET}</Message></Error>",
    f"no, {SECRET}\nand {SECRET}",
    f'{{"error": "invalid_client", "error_description": "client_secret={quote(SECRET, safe="")}"}}',
)
AMAZON = {"AWS_ENDPOINT_URL": "URL", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}
AZURE = {"AZURE_STORAGE_ENDPOINT": "URL", "AZURE_AUTHORITY_HOST": "URL", "AZURE_STORAGE_ACCOUNT_NAME": "film"}
CLOUDS = {
    "s3": ("s3://bucket", {**AMAZON, "AWS_SECRET_ACCESS_KEY": SECRET}),
    "s3, a session": ("s3://bucket", {**AMAZON, "AWS_SECRET_ACCESS_KEY": "another", "AWS_SESSION_TOKEN": SECRET}),
    "azure": ("az://container", {**AZURE, "AZURE_STORAGE_ACCOUNT_KEY": SECRET}),
    "azure, a client": (
        "az://container",
        {**AZURE, "AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": SECRET},
    ),
}


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_key_that_the_storage_echoes_is_in_no_error_and_in_no_traceback(cloud: str) -> None:
    url, options = CLOUDS[cloud]
    for status in (400, 401, 403, 413, 429, 500):
        for echo in ECHOES:
            with Alike(status, echo.encode()).serving() as server:
                named = {name: server.url if value == "URL" else value for name, value in options.items()}
                storage = ObjectStorage(Address(url=url, options=named))
                error, health = await refusal(storage), await storage.check()
            assert server.asked
            for told in (error.detail, health.detail, "".join(traceback.format_exception(error))):
                assert SECRET not in told, (status, echo)


async def test_s5_a_storage_that_is_away_is_away() -> None:
    assert isinstance(await refusal(ObjectStorage(s3_address(NOWHERE, "bucket"))), StorageUnavailable)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://bucket", {"AWS_REGION": "eu-west-1", "AWS_METADATA_ENDPOINT": "URL"}),
        ("gs://bucket", {}),
        ("az://container", {"AZURE_STORAGE_ACCOUNT_NAME": "film", "AZURE_MSI_ENDPOINT": "URL"}),
    ],
)
async def test_s1_without_credentials_nobody_is_asked_for_any(
    url: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Alike(200, b"{}").serving() as server:  # in the place of the cloud's own that hands out credentials
        monkeypatch.setenv("GCE_METADATA_HOST", server.url.removeprefix("http://"))
        named = {name: server.url if value == "URL" else value for name, value in options.items()}
        error = await refusal(ObjectStorage(Address(url=url, options=named)))
    assert isinstance(error, StorageKeyRejected)
    assert "credentials" in error.detail
    assert not server.asked


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (Address(url="s3://b/p", options={"AWS_REGION": "eu-west-1"}), "https://b.s3.eu-west-1.amazonaws.com/p"),
        (Address(url="s3://b", options={"AWS_ENDPOINT_URL": "https://minio.example/"}), "https://minio.example/b"),
        (Address(url="gs://b/p/"), "https://storage.googleapis.com/b/p"),
        (Address(url="az://c/p", options={"AZURE_STORAGE_ACCOUNT_NAME": "f"}), "https://f.blob.core.windows.net/c/p"),
        (Address(url="s3://b/p", public_base="https://cdn.example/p/"), "https://cdn.example/p"),
    ],
)
def test_c4_the_public_address_is_the_settings_else_the_storages_own(address: Address, public: str) -> None:
    assert ObjectStorage(address).public_url(KEY) == f"{public}/{KEY}"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ftp://bucket", {}),
        ("bucket", {}),
        ("s3://", {}),
        ("s3://bucket", {"AWS_ACCESS_KEY_ID": "half-a-pair"}),
        ("az://container", {}),
        ("gs://bucket", {"GOOGLE_SERVICE_ACCOUNT": "/no/such/file"}),
        ("gs://bucket", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}),
    ],
)
def test_d1_what_cannot_work_is_refused_at_start_naming_the_setting(url: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEJOBS_STORAGE_URL"):
        ObjectStorage(Address(url=url, options=options))


async def test_google_takes_an_object_with_its_type() -> None:
    with Alike(200).serving() as server:
        account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": "", "private_key": ""}
        key = json.dumps({**account, "private_key_id": ""})
        storage = ObjectStorage(Address(url="gs://bucket/film", options={"GOOGLE_SERVICE_ACCOUNT_KEY": key}))
        await storage.put("fox.png", b"1", "image/png")
    (asked,) = server.asked
    assert (asked.method, asked.headers["content-type"]) == ("PUT", "image/png")
    assert asked.headers["x-goog-if-generation-match"] == "0"
