"""Only what lies below a folder that the administrator has named is found, whatever a card says."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_kling.plugins.roots import Root, find, parse_roots, previewable, read_roots
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from logs import Logs

VIDEOS = Root("s3", "bucket", ("videos",), "aws_default")
LOCAL = Root("file", "", ("data", "videos"))
ROOTS = (VIDEOS, LOCAL)


@pytest.fixture(autouse=True)
def _read_afresh() -> None:
    parse_roots.cache_clear()


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("s3://aws_default@bucket/videos", VIDEOS),
        ("S3://aws_default@bucket/videos/", VIDEOS),
        ("s3://bucket", Root("s3", "bucket", ())),
        ("s3://bucket/", Root("s3", "bucket", ())),
        ("gs://gcp@clips/a/b", Root("gs", "clips", ("a", "b"), "gcp")),
        ("abfs://wasb@container/videos", Root("abfs", "container", ("videos",), "wasb")),
        ("abfss://wasb@$web/videos", Root("abfss", "$web", ("videos",), "wasb")),
        ("sftp://ssh@host:22/srv/videos", Root("sftp", "host:22", ("srv", "videos"), "ssh")),
        ("file:///data/videos", LOCAL),
        ("/data/videos/", LOCAL),
        ("/data/Größe 5", Root("file", "", ("data", "Größe 5"))),
    ],
)
def test_a_root_is_read_as_object_storage_path_would(text: str, root: Root) -> None:
    assert parse_roots(text) == (root,)


def test_roots_are_divided_by_commas_and_line_breaks() -> None:
    assert parse_roots("\n s3://aws_default@bucket/videos ,\n\n file:///data/videos,,\n") == ROOTS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/", "whole machine"),
        ("//", "whole machine"),
        ("file:///", "whole machine"),
        ("file://", "whole machine"),
        ("sftp://ssh@host/", "names no folder or bucket"),
        ("memory://host", "names no folder or bucket"),
        ("s3://", "neither"),
        ("s3:///videos", "names no folder or bucket"),
        ("s3://conn@", "names no folder or bucket"),
        ("file://host/data", "neither"),
        ("~/videos", "neither"),
        ("videos", "neither"),
        ("C:\\videos", "neither"),
        ("/data/../etc", "neither"),
        ("/data//videos", "neither"),
        ("/data/./videos", "neither"),
        ("s3://bucket/%2e%2e/x", "neither"),
        ("s3://conn@buc%6bet/videos", "neither"),
        ("s3://conn@buc ket/videos", "neither"),
        ("s3://bucket/videos?x=1", "neither"),
        ("s3://bucket/vi\0deos", "neither"),
        ("https://files.example/videos", "nothing that videos are saved to"),
        ("local:///data/videos", "nothing that videos are saved to"),
        ("abfs://container@account.dfs.core.windows.net/videos", "names an account"),
        ("s3://key:hunter2@bucket/videos", "has a password"),
        ("/" + "x" * 5000, "neither"),
    ],
)
def test_a_root_that_is_none_is_left_out_with_a_word_about_it(text: str, why: str, logs: Logs) -> None:
    for _ in range(2):
        assert parse_roots(f"{text}, file:///data/videos") == (LOCAL,)
    (line,) = (line for line in logs.warnings if "preview_roots" in line)
    assert why in line
    assert "hunter2" not in line


def test_they_come_from_airflows_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__KLING__PREVIEW_ROOTS", raising=False)
    assert read_roots() == ()
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", "s3://aws_default@bucket/videos\nfile:///data/videos")
    assert read_roots() == ROOTS


@pytest.mark.parametrize(
    ("saved_to", "root", "rest"),
    [
        ("s3://bucket/videos/fox.mp4", VIDEOS, "fox.mp4"),
        ("S3://bucket/videos/a/b/fox.mp4", VIDEOS, "a/b/fox.mp4"),
        ("s3://other_conn@bucket/videos/fox.mp4", VIDEOS, "fox.mp4"),
        ("s3://user:password@bucket/videos/fox.mp4", VIDEOS, "fox.mp4"),
        ("s3://a@b@bucket/videos/fox.mp4", VIDEOS, "fox.mp4"),
        ("s3://bucket/videos/100% größer.mp4", VIDEOS, "100% größer.mp4"),
        ("s3://bucket/videos/100%2525 fox.mp4", VIDEOS, "100%2525 fox.mp4"),
        ("s3://bucket/videos/...mp4", VIDEOS, "...mp4"),
        ("/data/videos/fox.mp4", LOCAL, "fox.mp4"),
        ("file:///data/videos/fox.mp4", LOCAL, "fox.mp4"),
        ("/data/videos/who? #1.mp4", LOCAL, "who? #1.mp4"),
        ("/data/videos/2026/狐.mp4", LOCAL, "2026/狐.mp4"),
    ],
)
def test_what_lies_below_a_root_is_found(saved_to: str, root: Root, rest: str) -> None:
    assert find(saved_to, ROOTS) == (root, rest)
    assert previewable(saved_to, ROOTS)


@pytest.mark.parametrize("path", ["/data/videos/fox.mp4", "file:///data/videos/fox.mp4", "s3://bucket/videos/fox.mp4"])
def test_what_an_operator_saves_there_is_found(path: str) -> None:
    assert previewable(Target(path).name, ROOTS)


OUTSIDE: dict[str, Any] = {
    "nothing": None,
    "empty": "",
    "a number": 7,
    "a list": ["/data/videos/fox.mp4"],
    "an object": {"path": "/data/videos/fox.mp4"},
    "bytes": b"/data/videos/fox.mp4",
    "far too long": "/data/videos/" + "x" * 5000,
    "far too deep": "/data/videos" + "/x" * 5000,
    "the password file": "file:///etc/passwd",
    "a plain path": "/etc/passwd",
    "a relative path": "data/videos/fox.mp4",
    "the root itself": "/data/videos",
    "the root itself with a slash": "/data/videos/",
    "beside the root": "/data/videos-secret/fox.mp4",
    "beside it in the bucket": "s3://bucket/videos-secret/fox.mp4",
    "above it": "s3://bucket/fox.mp4",
    "in another case": "s3://bucket/Videos/fox.mp4",
    "up": "/data/videos/../secret/fox.mp4",
    "up and back": "/data/videos/../videos/fox.mp4",
    "up in a bucket": "s3://bucket/videos/../secret/fox.mp4",
    "up at the end": "/data/videos/..",
    "here": "/data/videos/./fox.mp4",
    "two slashes": "/data/videos//etc/passwd",
    "two slashes at first": "//data/videos/fox.mp4",
    "backslashes": "/data/videos/..\\..\\secret",
    "a backslash in the host": "s3://evil\\@bucket/videos/fox.mp4\\",
    "encoded dots": "/data/videos/%2e%2e/secret",
    "encoded dot and dot": "/data/videos/.%2E/secret",
    "encoded slash": "s3://bucket/videos/..%2fsecret",
    "encoded twice": "s3://bucket/videos/%252e%252e/secret",
    "encoded five times": "s3://bucket/videos/%252525252e%252525252e/secret",
    "encoded backslash": "s3://bucket/videos/..%5csecret",
    "encoded zero byte": "/data/videos/fox.mp4%00.txt",
    "overlong UTF-8": "/data/videos/%c0%ae%c0%ae/secret",
    "full-width dots": "/data/videos/\uff0e\uff0e/secret",
    "two-dot leader": "/data/videos/\u2025/secret",
    "full-width slash": "/data/videos/a\uff0f..\uff0fb",
    "zero byte": "/data/videos/fox.mp4\0",
    "line break": "/data/videos/fox.mp4\nX-Header: 1",
    "tab in the scheme": "s3:/\t/bucket/videos/fox.mp4",
    "C1 control": "/data/videos/\x85fox.mp4",
    "half a character": "/data/videos/\ud800.mp4",
    "blank at first": " /data/videos/fox.mp4",
    "a query": "s3://bucket/videos/fox.mp4?versionId=1",
    "a fragment": "s3://bucket/videos/fox.mp4#x",
    "a host for a file": "file://evil/data/videos/fox.mp4",
    "one slash": "file:/data/videos/fox.mp4",
    "no bucket": "s3:///videos/fox.mp4",
    "another bucket": "s3://other/videos/fox.mp4",
    "bucket as a user": "s3://bucket@other/videos/fox.mp4",
    "bucket and more": "s3://bucket.evil.example/videos/fox.mp4",
    "bucket in another case": "s3://BUCKET/videos/fox.mp4",
    "bucket with a port": "s3://bucket:80/videos/fox.mp4",
    "bucket encoded": "s3://%62ucket/videos/fox.mp4",
    "another scheme": "gs://bucket/videos/fox.mp4",
    "its other spelling": "s3a://bucket/videos/fox.mp4",
    "a local scheme": "local:///data/videos/fox.mp4",
    "a chain": "simplecache::s3://bucket/videos/fox.mp4",
    "a chain to a file": "s3://bucket/videos/x::file:///etc/passwd",
    "http": "http://bucket/videos/fox.mp4",
    "ftp": "ftp://bucket/videos/fox.mp4",
    "memory": "memory://bucket/videos/fox.mp4",
    "data": "data:video/mp4;base64,AAAA",
    "javascript": "javascript:alert(1)//data/videos/fox.mp4",
    "an account of Azure": "abfs://bucket@account.dfs.core.windows.net/videos/fox.mp4",
}


@pytest.mark.parametrize("saved_to", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_else_is_found(saved_to: Any) -> None:
    assert find(saved_to, ROOTS) is None
    assert not previewable(saved_to, ROOTS)


def test_without_roots_nothing_is() -> None:
    assert not previewable("/data/videos/fox.mp4", ())


def test_the_nearest_root_counts() -> None:
    inner = Root("s3", "bucket", ("videos", "mine"), "mine")
    for roots in ((VIDEOS, inner), (inner, VIDEOS)):
        assert find("s3://bucket/videos/mine/fox.mp4", roots) == (inner, "fox.mp4")
        assert find("s3://bucket/videos/yours/fox.mp4", roots) == (VIDEOS, "yours/fox.mp4")


def test_a_whole_bucket_may_be_a_root() -> None:
    bucket = Root("s3", "bucket", ())
    assert find("s3://bucket/fox.mp4", (bucket,)) == (bucket, "fox.mp4")
    assert find("s3://bucket", (bucket,)) is None


def test_an_address_is_made_from_the_root() -> None:
    assert VIDEOS.url("a/fox.mp4") == "s3://bucket/videos/a/fox.mp4"
    assert Root("s3", "bucket", ()).url("fox.mp4") == "s3://bucket/fox.mp4"
    assert LOCAL.url("fox.mp4") == "file:///data/videos/fox.mp4"


NAMES = st.sampled_from([
    "videos", "data", "etc", "passwd", "", ".", "..", "%2e%2e", "%2E.", "..%2f", "%252e%252e", "\\..\\", "..;", "~",
    "\u2025", "\uff0e\uff0e", "\u2024\u2024", "%c0%ae", "a%2fb", "x?y", "#", "@bucket", ":", "%", "%%2e", "\t..",
    ".. ", "\0",
]) | st.text(max_size=6)  # fmt: skip
HEADS = st.sampled_from([
    "/data/videos/", "file:///data/videos/", "s3://bucket/videos/", "s3://x@bucket/videos/", "s3://bucket@evil/videos/",
    "file://x@/data/videos/", "S3://bucket/videos/", "/", "file:", "", "s3:", "//",
])  # fmt: skip
LAYERS = st.integers(0, 3)


@given(head=HEADS, names=st.lists(NAMES, max_size=6), layers=LAYERS)
@example(head="/data/videos/", names=["..", "..", "etc", "passwd"], layers=0)
def test_no_address_leads_out_of_its_root(head: str, names: list[str], layers: int) -> None:
    path = "/".join(names)
    for _ in range(layers):
        path = quote(path.encode("utf-8", "replace"), safe="")
    if (found := find(head + path, ROOTS)) is None:
        return
    root, rest = found
    for _ in range(6):  # a store may decode what it is given, or not
        whole = posixpath.join(root.folder, rest)
        assert posixpath.normpath(whole) == whole
        assert whole.startswith(root.folder + "/")
        assert not set("\\\0\n\r") & set(whole)
        rest = unquote(rest)
