"""Each way in which a download may go wrong, as a client sees it."""

from __future__ import annotations

import gzip
import time
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from airflow_provider_kling.simulator import KlingSimulator


def received(url: str, **headers: str) -> tuple[httpx.Headers, bytes, Exception | None]:
    """Return what arrived of a download, and what ended it."""
    parts: list[bytes] = []
    with httpx.Client(trust_env=False) as client, client.stream("GET", url, headers=headers) as answer:
        try:
            parts.extend(answer.iter_raw())
        except httpx.TransportError as broken:
            return answer.headers, b"".join(parts), broken
        return answer.headers, b"".join(parts), None


@pytest.fixture
def link(caller: Any) -> str:
    return str(caller.link())


def test_torn(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    for fraction in (0.25, 0):
        simulator.inject(faults.Torn(fraction), on="download")
        headers, part, broken = received(link)
        assert int(headers["content-length"]) == len(whole)
        assert part == whole[: int(len(whole) * fraction)]
        assert isinstance(broken, httpx.RemoteProtocolError)


def test_wrong_length(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.WrongLength(+10), on="download")
    headers, part, broken = received(link)
    assert (int(headers["content-length"]), part) == (len(whole) + 10, whole)
    assert isinstance(broken, httpx.RemoteProtocolError)
    simulator.inject(faults.WrongLength(-10), on="download")
    headers, part, broken = received(link)
    assert (int(headers["content-length"]), part, broken) == (len(whole) - 10, whole[:-10], None)


def test_framings(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.NoLength(), on="download")
    simulator.inject(faults.Chunked(), on="download")
    closed, chunked = received(link), received(link)
    assert "content-length" not in closed[0]
    assert "content-length" not in chunked[0]
    assert chunked[0]["transfer-encoding"] == "chunked"
    assert closed[1:] == chunked[1:] == (whole, None)


def test_cut_behind_header(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.CutBehindHeader(), on="download")
    headers, part, broken = received(link)
    assert (int(headers["content-length"]), broken) == (len(part), None)
    assert whole.startswith(part)
    assert b"moov" in part
    assert b"mdat" not in part


def test_stall(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.Stall(0.5, 0.5), on="download")
    began = time.perf_counter()
    with httpx.Client(trust_env=False) as client, client.stream("GET", link) as answer:
        parts = [(part, time.perf_counter() - began) for part in answer.iter_raw()]
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(parts)]
    assert max(gaps) > 0.4
    early = parts[: gaps.index(max(gaps)) + 1]
    assert b"".join(part for part, _ in early) == whole[: len(whole) // 2]
    assert b"".join(part for part, _ in parts) == whole


def test_redirected_download(link: str, simulator: KlingSimulator) -> None:
    simulator.inject(faults.Redirect(link), on="download")
    answer = httpx.get(link, follow_redirects=True, trust_env=False)
    assert [r.status_code for r in (*answer.history, answer)] == [302, 200]


def test_torn_after_so_many_bytes_also_when_chunked(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.Torn(after=100), on="download", times=2)
    simulator.inject(faults.Both(faults.Torn(after=100), faults.Chunked()), on="download")
    assert received(link)[1] == whole[:100]
    assert received(link, Range="bytes=50-")[1] == whole[50:150]
    _, part, broken = received(link)
    assert part == whole[:100]
    assert isinstance(broken, httpx.RemoteProtocolError)


def test_drip(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.Drip(len(whole) // 4 + 1, 0.05), on="download")
    began = time.perf_counter()
    headers, drops, broken = received(link)
    assert time.perf_counter() - began >= 0.15  # the client need not wait after the last drop
    assert (int(headers["content-length"]), drops, broken) == (len(whole), whole, None)


def test_endless(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.Endless(), on="download")
    with httpx.Client(trust_env=False) as client, client.stream("GET", link) as answer:
        start = b"".join(islice(answer.iter_raw(1 << 20), 3))
    assert "content-length" not in answer.headers
    assert start == whole + bytes((3 << 20) - len(whole))
    simulator.inject(faults.Endless(), on="download")
    assert httpx.head(link, trust_env=False).status_code == 200


def test_gzip(link: str, simulator: KlingSimulator) -> None:
    plain, whole, _ = received(link)
    simulator.inject(faults.Gzip(), on="download")
    headers, packed, _ = received(link, **{"Accept-Encoding": "identity"})
    assert (headers["content-encoding"], headers["etag"]) == ("gzip", plain["etag"])
    assert gzip.decompress(packed) == whole


def test_no_ranges(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.NoRanges(), on="download")
    headers, body, _ = received(link, Range="bytes=50-")
    assert body == whole
    assert not {"accept-ranges", "content-range"} & headers.keys()
    assert simulator.requests[-1].headers["range"] == "bytes=50-"  # noted as it came


def test_other_video(link: str, simulator: KlingSimulator) -> None:
    before, whole, _ = received(link)
    simulator.inject(faults.OtherVideo(), on="download", times=2)
    headers, body, _ = received(link, Range="bytes=50-")
    assert body == whole + b"\0\0\0\x08free"
    assert headers["etag"] != before["etag"]
    assert received(link.partition("?")[0])[1].startswith(b"<?xml")  # a bad link stays one


def test_other_headers(link: str, simulator: KlingSimulator) -> None:
    simulator.inject(faults.OtherHeaders({"etag": None, "Content-Range": "odd"}), on="download")
    headers, _, _ = received(link, Range="bytes=50-")
    assert "etag" not in headers
    assert headers.get_list("content-range") == ["odd"]


def test_both(link: str, simulator: KlingSimulator) -> None:
    _, whole, _ = received(link)
    simulator.inject(faults.Both(faults.NoRanges(), faults.Torn()), on="download")
    assert received(link, Range="bytes=50-")[1] == whole[: len(whole) // 2]


@pytest.mark.parametrize("nonsense", [faults.NoLink(), faults.Never(), {}, None])
def test_both_takes_only_faults_of_downloads(nonsense: Any) -> None:
    for pair in ((nonsense, faults.Torn()), (faults.Torn(), nonsense)):
        with pytest.raises(ValueError, match="makes no sense in Both"):
            faults.Both(*pair)
