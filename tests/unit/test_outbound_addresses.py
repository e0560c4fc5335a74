"""Where a request goes: what is cheap to take apart is taken apart as the library would."""

import httpx2
import pytest
from hypothesis import given, strategies as st

from imagejobs.net.http import place_of

hosts = st.from_regex(
    r"[a-z]([a-z0-9.-]{0,20}[a-z0-9])?|127\.0\.0\.1|\[::1\]|EXAMPLE\.com|xn--bcher-kva\.example", fullmatch=True
)
ports = st.one_of(st.just(""), st.sampled_from([":80", ":443", ":8080", ":59999", ":65535"]))
segments = st.from_regex(r"[A-Za-z0-9._~%@:+ ä-]{0,12}", fullmatch=True)
paths = st.lists(segments, max_size=4).map(lambda parts: "".join(f"/{part}" for part in parts))
queries = st.sampled_from(["", "?", "?a=1&b=ä", "#part"])


@given(st.sampled_from(["http", "https"]), hosts, ports, paths, queries)
def test_an_address_leads_where_the_library_would_send_it(scheme: str, host: str, port: str, path: str, query: str) -> None:
    address = f"{scheme}://{host}{port}{path}{query}"
    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL:
        with pytest.raises(httpx2.InvalidURL):
            place_of(address)
        return
    place, host = place_of(address)
    assert (place.scheme, place.host, place.port) == (url.raw_scheme, url.raw_host, url.port)
    assert place.target == url.raw_path
    assert host == url.netloc.decode()
