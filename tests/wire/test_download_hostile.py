"""File hosts that mean no good: what is published is the whole video or nothing, and nobody is told our secrets."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from films import film as make_film
from sockets import listening, read_request
from tls import Https

from airflow_provider_kling import fetching
from airflow_provider_kling.api import video as video_module
from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.api.video import Download, open_video
from airflow_provider_kling.saving import save
from airflow_provider_kling.simulator import KlingSimulator, faults
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[[], Render]

pytestmark = [
    pytest.mark.kling_simulator(render_seconds=1e6, speed=1),
    pytest.mark.usefixtures("no_pauses", "long_film"),
]
SIZE = 1_000_000
ATTEMPTS = 4


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where an older video is already."""
    (tmp_path / "fox.mp4").write_bytes(b"older")
    return tmp_path / "fox.mp4"


def brings(ask: Ask, target: Path, film: bytes) -> None:
    _, saved = save(ask, Target(str(target)))
    assert hashlib.sha256(target.read_bytes()).hexdigest() == hashlib.sha256(film).hexdigest() == saved.sha256
    assert list(target.parent.iterdir()) == [target]


def brings_nothing(ask: Ask, target: Path, why: str) -> None:
    with pytest.raises(VideoUnavailable, match=why) as caught:
        save(ask, Target(str(target)))
    assert caught.value.bought == "yes"
    assert "sign=" not in f"{caught.value} {caught.value.__cause__!r}"
    assert [(path, path.read_bytes()) for path in target.parent.iterdir()] == [(target, b"older")]


class TestRedirects:
    def test_one_is_followed(self, ask: Ask, kling_simulator: KlingSimulator, target: Path, long_film: bytes) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.Redirect(link), on="download")
        brings(ask, target, long_film)
        assert kling_simulator.downloads == 2

    def test_what_is_missing_is_asked_for_behind_one_too(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, long_film: bytes
    ) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.Torn(), on="download")
        kling_simulator.inject(faults.Redirect(link, 307), on="download")
        brings(ask, target, long_film)
        assert [(r.headers.get("range"), r.answered) for r in kling_simulator.requests if "/files/" in r.path] == [
            (None, 200),
            (f"bytes={SIZE // 2}-", 307),
            (f"bytes={SIZE // 2}-", 206),
        ]

    def test_a_loop_ends(self, ask: Ask, kling_simulator: KlingSimulator, target: Path) -> None:
        kling_simulator.inject(faults.Redirect(str(ask().video_url)), on="download", times=None)
        brings_nothing(ask, target, "redirects more than 5 times")
        assert kling_simulator.downloads == 6 * ATTEMPTS

    def test_another_host_learns_neither_key_nor_cookies(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, long_film: bytes
    ) -> None:
        heard: list[bytes] = []

        def tears_once(connection: socket.socket, number: int) -> None:
            heard.append(read_request(connection))
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nSet-Cookie: b=hush\r\n\r\n" % SIZE
            connection.sendall(head + (long_film if number else long_film[:-1]))

        with listening(tears_once) as elsewhere:
            away = {"Location": f"http://localhost:{elsewhere.port}/x.mp4", "Set-Cookie": "a=hush"}
            kling_simulator.inject(faults.RawAnswer(302, b"", away), on="download", times=2)
            brings(ask, target, long_film)
        heard.append(str([r.headers for r in kling_simulator.requests if "/files/" in r.path]).encode())
        assert len(heard) == 3
        for words in heard:
            assert b"authorization" not in words.lower()
            assert b"cookie" not in words.lower()
            assert kling_simulator.api_key.encode() not in words

    @pytest.mark.parametrize("place", ["http://192.0.2.1/x.mp4", "ftp://127.0.0.1/x.mp4", "file:///etc/passwd"])
    def test_one_that_may_not_be_followed_is_not(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, place: str
    ) -> None:
        kling_simulator.inject(faults.Redirect(place), on="download", times=None)
        brings_nothing(ask, target, "is not https: not followed")
        assert kling_simulator.downloads == ATTEMPTS


class TestHttps:
    @pytest.fixture
    def https(self, tmp_path_factory: pytest.TempPathFactory) -> Https:
        return Https(tmp_path_factory.mktemp("https"))

    @staticmethod
    def link(port: int) -> Render:
        url = f"https://127.0.0.1:{port}/x.mp4"
        return Render(task_id="t", status=RenderStatus.SUCCEED, video_url=url)

    def test_a_video_comes_over_it(
        self, https: Https, target: Path, long_film: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(video_module, "ssl_context", lambda: https.client)
        with listening(https.script(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + long_film)) as server:
            brings(lambda: self.link(server.port), target, long_film)

    @pytest.mark.parametrize("scheme", ["http", "HTTP"])
    def test_it_is_not_left_for_http_not_even_on_this_machine(
        self, ask: Ask, kling_simulator: KlingSimulator, https: Https, *, target: Path, scheme: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(video_module, "ssl_context", lambda: https.client)
        place = str(ask().video_url).replace("http", scheme, 1)
        answer = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(https.script(answer)) as server:
            brings_nothing(lambda: self.link(server.port), target, "from https to http: not followed")
        assert server.connections == ATTEMPTS
        assert kling_simulator.downloads == 0

    def test_a_certificate_that_nobody_knows_is_refused(self, https: Https, target: Path) -> None:
        with listening(https.script(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as server:
            brings_nothing(lambda: self.link(server.port), target, "broke off")


class TestBodies:
    @pytest.mark.parametrize(
        "fault", [faults.Html(), faults.CutBehindHeader(), faults.WrongLength(-1)], ids=lambda f: type(f).__name__
    )
    def test_what_is_no_whole_video_is_given_up_after_three(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, fault: faults.Fault
    ) -> None:
        kling_simulator.inject(fault, on="download", times=None)
        brings_nothing(ask, target, "no whole MP4")
        assert kling_simulator.downloads == 3

    @pytest.mark.parametrize(
        "fault",
        [
            faults.WrongLength(10),
            faults.OtherHeaders({"Content-Encoding": "br"}),
            faults.OtherHeaders({"Content-Encoding": "gzip, gzip"}),
        ],
    )
    def test_what_may_be_a_part_or_can_not_be_read_is_not_taken(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, fault: faults.Fault
    ) -> None:
        kling_simulator.inject(fault, on="download", times=None)
        brings_nothing(ask, target, "announced|packs the video as|broke off")

    @pytest.mark.parametrize("fault", [faults.Gzip(), faults.OtherHeaders({"ETag": None})])
    def test_what_can_be_read_after_all_is_taken(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, long_film: bytes, fault: faults.Fault
    ) -> None:
        kling_simulator.inject(fault, on="download", times=None)
        brings(ask, target, long_film)

    @pytest.mark.parametrize(
        "fault", [faults.Endless(), faults.Both(faults.Endless(), faults.Chunked())], ids=["close", "chunked"]
    )
    def test_an_endless_one_ends(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, fault: faults.Fault,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(fetching, "MAX_BYTES", 2 * SIZE)
        kling_simulator.inject(fault, on="download", times=None)
        brings_nothing(ask, target, f"more than {2 * SIZE} bytes, that is no clip")
        assert kling_simulator.downloads == 1

    def test_a_video_of_just_the_limit_is_taken(
        self, ask: Ask, target: Path, long_film: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching, "MAX_BYTES", SIZE)
        brings(ask, target, long_film)

    @pytest.mark.parametrize("times", [1, None])
    def test_a_stalled_one_is_a_break(
        self, ask: Ask, kling_simulator: KlingSimulator, *, target: Path, long_film: bytes, times: int | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(fetching, "open_video", functools.partial(open_video, timeout=0.5))
        kling_simulator.inject(faults.Stall(0.5, 60), on="download", times=times)
        if times:
            brings(ask, target, long_film)
            assert kling_simulator.requests[-1].headers["range"] == f"bytes={SIZE // 2}-"
        else:
            brings_nothing(ask, target, "broke off")

    @pytest.mark.parametrize("times", [1, None])
    def test_a_dripping_one_is_a_break(
        self, ask: Ask, kling_simulator: KlingSimulator, *, target: Path, long_film: bytes, times: int | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(fetching, "_GRACE", 0.2)
        monkeypatch.setattr(fetching, "_SLOWEST", 100_000.0)
        kling_simulator.inject(faults.Drip(100, 0.01), on="download", times=times)
        if times:
            brings(ask, target, long_film)
            assert kling_simulator.requests[-1].answered == 206
        else:
            brings_nothing(ask, target, r"the file host sent \d+ bytes in 0 s")

    def test_a_slow_one_that_is_not_too_slow_is_borne(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, monkeypatch: pytest.MonkeyPatch, long_film: bytes
    ) -> None:
        monkeypatch.setattr(fetching, "_GRACE", 0.05)
        kling_simulator.inject(faults.Drip(100_000, 0.02), on="download", times=None)
        brings(ask, target, long_film)
        assert kling_simulator.downloads == 1


class TestRoom:
    @pytest.fixture
    def disk(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """A small disk: what is in the target's folder takes room on it, and some is never for a video."""
        disk = SimpleNamespace(size=SIZE)

        def usage(folder: Path) -> Any:
            assert folder.parent == target.parent
            taken = sum(path.stat().st_size for path in folder.iterdir())
            return SimpleNamespace(free=fetching._RESERVE + disk.size - taken)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        return disk

    @pytest.fixture
    def _unread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A body of which no byte may be asked for."""

        def untouched() -> Iterator[bytes]:
            pytest.fail("the body is read")
            yield b""

        @contextlib.contextmanager
        def open_unread(*args: Any, **kwargs: Any) -> Iterator[Download]:
            with open_video(*args, **kwargs) as video:
                yield Download(video.piece, untouched())

        monkeypatch.setattr(fetching, "open_video", open_unread)

    @pytest.mark.usefixtures("_unread")
    def test_a_video_larger_than_the_room_is_refused_before_a_byte_comes(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, disk: SimpleNamespace
    ) -> None:
        disk.size = SIZE - 1
        brings_nothing(ask, target, rf"video is 1.0 MB long, only 1000.0 kB are free in {target.parent}$")
        assert kling_simulator.downloads == 1

    @pytest.mark.usefixtures("_unread")
    def test_a_length_that_no_video_has_is_refused_before_a_byte_comes(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 60))
        kling_simulator.inject(faults.WrongLength(10 << 30), on="download")
        brings_nothing(ask, target, r"video is 10.74 GB long, that is no clip$")
        assert kling_simulator.downloads == 1

    def test_what_is_here_already_needs_no_more_room(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, disk: SimpleNamespace, long_film: bytes
    ) -> None:
        kling_simulator.inject(faults.Torn(), on="download", times=2)
        brings(ask, target, long_film)
        assert [r.answered for r in kling_simulator.requests if "/files/" in r.path] == [200, 206, 206]

    def test_room_that_is_too_small_for_a_video_of_unknown_length_is_found_out_on_the_way(
        self, ask: Ask, kling_simulator: KlingSimulator, target: Path, disk: SimpleNamespace
    ) -> None:
        disk.size = 0
        kling_simulator.inject(faults.Chunked(), on="download")
        brings_nothing(ask, target, "more than 0 bytes, only 0.0 kB are free")
        disk.size = -fetching._RESERVE
        kling_simulator.inject(faults.Chunked(), on="download")
        brings_nothing(ask, target, "more than 0 bytes, only 0.0 kB are free")


def test_the_length_that_was_expected_is_looked_at(ask: Ask, kling_simulator: KlingSimulator, target: Path) -> None:
    with pytest.raises(VideoUnavailable, match=r"plays for 3.0 s, 5 s were expected"):
        save(ask, Target(str(target)), seconds=5)
    assert (kling_simulator.downloads, target.read_bytes()) == (1, b"older")
    save(ask, Target(str(target)), seconds=4)
    assert target.read_bytes() == make_film(SIZE)
