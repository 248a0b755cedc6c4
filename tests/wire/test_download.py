"""From a finished render to a file: fetched over the wire, verified, and whole or not there at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sockets import closed_port, listening, read_request

from airflow_provider_kling import fetching
from airflow_provider_kling.api.errors import PollFailed, VideoUnavailable
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.api.video import open_video
from airflow_provider_kling.fetching import ask_for_link
from airflow_provider_kling.mp4 import check_mp4
from airflow_provider_kling.saving import Saved, save
from airflow_provider_kling.simulator import KlingSimulator, faults
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.kling_simulator(render_seconds=1e6, speed=1, short_side=90),
    pytest.mark.usefixtures("no_pauses"),
]
ATTEMPTS = 4
Ask = Callable[[], Render]


def failed(ask: Ask, target: Path) -> VideoUnavailable:
    with pytest.raises(VideoUnavailable) as caught:
        save(ask, Target(str(target)))
    assert "sign=" not in f"{caught.value} {caught.value.__cause__!r}"
    assert caught.value.bought == "yes"
    return caught.value


def fetch(url: str, **options: float) -> bytes:
    with open_video(url, **options) as video:  # type: ignore[arg-type]
        return b"".join(video.chunks)


def test_a_video_is_saved_as_it_is(ask: Ask, film: bytes, tmp_path: Path, kling_simulator: KlingSimulator) -> None:
    target = tmp_path / "new" / "folders" / "fox.mp4"
    render, saved = save(ask, Target(str(target)))
    assert render.status is RenderStatus.SUCCEED
    assert saved == Saved(str(target), len(film), hashlib.sha256(film).hexdigest(), 3.0)
    assert target.read_bytes() == film
    assert list(target.parent.iterdir()) == [target]
    assert (kling_simulator.polls, kling_simulator.downloads, kling_simulator.submits) == (1, 1, 0)


@pytest.mark.parametrize("prefix", ["~/", "file://~/", "file://{home}/"])
def test_home_folders_and_file_urls_are_understood(
    ask: Ask, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _, saved = save(ask, Target(prefix.format(home=tmp_path) + "fox.mp4"))
    assert saved.path == str(tmp_path / "fox.mp4")
    assert (tmp_path / "fox.mp4").read_bytes() == film


def test_without_a_path_only_the_link_is_asked_for(ask: Ask, kling_simulator: KlingSimulator) -> None:
    assert ask_for_link(ask).video_url
    assert (kling_simulator.polls, kling_simulator.downloads) == (1, 0)


WRONG_AS_A_WHOLE = [
    faults.WrongLength(-1),
    faults.WrongLength(-100),
    faults.Html(),
    faults.CutBehindHeader(),
    faults.RawAnswer(200),
]
"""What comes whole and is no video: the host has nothing better, so it is not asked for long."""
BREAKS = [
    faults.Torn(),
    faults.Torn(0.0),
    faults.Torn(0.999),
    faults.ExpiredLink(),
    faults.BadGateway(),
    faults.RateLimited(),
    faults.Drop(),
    faults.Hang(0),
    faults.Redirect("http://192.0.2.1/fox.mp4"),
    faults.Redirect("http://[oops/"),
    faults.Redirect("ftp://127.0.0.1/fox.mp4"),
    faults.Redirect("https://xn--zzzzz99999.invalid/"),
    faults.RawAnswer(302),
    faults.RawAnswer(204),
    faults.RawAnswer(206, b"part"),
    faults.RawAnswer(416, b"", {"Content-Range": "bytes */0"}),
    faults.RawAnswer(200, b"zipped", {"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize(
    ("fault", "downloads"),
    [pytest.param(fault, 3, id=str(fault)[:70]) for fault in WRONG_AS_A_WHOLE]
    + [pytest.param(fault, ATTEMPTS, id=str(fault)[:70]) for fault in BREAKS],
)
class TestADownloadThatBreaks:
    def test_it_is_repeated_with_a_fresh_link(
        self,
        ask: Ask,
        kling_simulator: KlingSimulator,
        *,
        film: bytes,
        tmp_path: Path,
        fault: faults.Fault,
        downloads: int,
    ) -> None:
        kling_simulator.inject(fault, on="download")
        save(ask, Target(str(tmp_path / "fox.mp4")))
        assert (tmp_path / "fox.mp4").read_bytes() == film
        assert (kling_simulator.polls, kling_simulator.downloads) == (2, 2)
        links = [request.query["sign"] for request in kling_simulator.requests if request.path.startswith("/files/")]
        assert len(set(links)) == 2

    def test_it_leaves_things_as_they_were_when_it_keeps_breaking(
        self, ask: Ask, tmp_path: Path, kling_simulator: KlingSimulator, fault: faults.Fault, downloads: int
    ) -> None:
        (tmp_path / "older.mp4").write_bytes(b"older")
        for name in ("fox.mp4", "older.mp4"):
            kling_simulator.reset()
            kling_simulator.inject(fault, on="download", times=None)
            failed(ask, tmp_path / name)
            assert (kling_simulator.downloads, kling_simulator.submits) == (downloads, 0)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("older.mp4", b"older")]


@pytest.mark.parametrize("fault", [faults.Chunked(), faults.NoLength(), faults.Stall(0.5, 0.05)], ids=str)
def test_a_video_of_unknown_length_or_with_a_pause_is_fine(
    ask: Ask, film: bytes, tmp_path: Path, kling_simulator: KlingSimulator, fault: faults.Fault
) -> None:
    kling_simulator.inject(fault, on="download")
    save(ask, Target(str(tmp_path / "fox.mp4")))
    assert (tmp_path / "fox.mp4").read_bytes() == film
    assert kling_simulator.downloads == 1


def test_an_older_video_is_replaced_in_one_step(
    ask: Ask, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "fox.mp4"
    target.write_bytes(b"older")
    seen = []

    def look(part: Path) -> float | None:
        seen.append(target.read_bytes())
        assert part.parent.parent == tmp_path  # the same file system, so that the rename is one step
        return check_mp4(part)

    monkeypatch.setattr(fetching, "check_mp4", look)
    with target.open("rb") as reader:
        save(ask, Target(str(target)))
        assert reader.read() == b"older"  # who reads it while it is replaced reads it whole
    assert seen == [b"older"]
    assert target.read_bytes() == film


class TestLinks:
    def test_an_expired_link_is_told_with_its_status(self, ask: Ask, kling_simulator: KlingSimulator) -> None:
        kling_simulator.link_ttl = -1
        link = str(ask().video_url)
        with pytest.raises(VideoUnavailable, match="HTTP 403") as caught:
            fetch(link)
        assert caught.value.http_status == 403
        assert "sign" not in str(caught.value)

    @pytest.mark.parametrize("status", [201, 204, 206])
    def test_only_200_is_a_video(self, ask: Ask, kling_simulator: KlingSimulator, status: int) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.RawAnswer(status), on="download")
        with pytest.raises(VideoUnavailable, match=f"HTTP {status}"):
            fetch(link)

    def test_a_redirect_is_followed(self, ask: Ask, film: bytes, kling_simulator: KlingSimulator) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.Redirect(link.removeprefix(kling_simulator.base_url)), on="download")
        assert fetch(link) == film
        assert kling_simulator.downloads == 2

    def test_a_redirect_loop_ends(self, ask: Ask, kling_simulator: KlingSimulator) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.Redirect(link), on="download", times=None)
        with pytest.raises(VideoUnavailable, match="redirects more than 5 times"):
            fetch(link)
        assert kling_simulator.downloads == 6

    def test_a_redirect_to_plain_http_on_another_machine_is_refused(
        self, ask: Ask, kling_simulator: KlingSimulator
    ) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.Redirect("http://192.0.2.1/fox.mp4?sign=1"), on="download")
        with pytest.raises(VideoUnavailable, match=r"'192.0.2.1' is not https: not followed"):
            fetch(link)

    @pytest.mark.parametrize(
        "link",
        ["http://files.example/a.mp4", "ftp://127.0.0.1/a", "file:///etc/passwd", "a.mp4", "", "https://[", "//"],
    )
    def test_a_link_that_is_not_https_is_not_opened(self, link: str) -> None:
        with pytest.raises(VideoUnavailable, match=r"not https|no URL"):
            fetch(link)

    @pytest.mark.parametrize("link", ["https://", "https://\x00/", "https://999.9.9.9/a", "https://nothing.invalid/a"])
    def test_a_link_that_leads_nowhere_is_told(self, link: str) -> None:
        with pytest.raises(VideoUnavailable, match="broke off"):
            fetch(link)

    def test_a_file_host_that_is_down_is_told(self) -> None:
        with pytest.raises(VideoUnavailable, match=r"broke off \(ConnectError\)"):
            fetch(f"http://127.0.0.1:{closed_port()}/fox.mp4?sign=1")

    def test_a_file_host_that_falls_silent_is_given_up(self, ask: Ask, kling_simulator: KlingSimulator) -> None:
        link = str(ask().video_url)
        kling_simulator.inject(faults.Stall(0.5, 30), on="download")
        with pytest.raises(VideoUnavailable, match=r"broke off \(ReadTimeout\)"):
            fetch(link, timeout=0.2)

    def test_the_key_stays_with_the_service(self, ask: Ask, tmp_path: Path, kling_simulator: KlingSimulator) -> None:
        with KlingSimulator() as elsewhere:
            kling_simulator.inject(faults.Redirect(f"{elsewhere.base_url}/files/x.mp4"), on="download")
            save(ask, Target(str(tmp_path / "fox.mp4")))
            downloads = [request for request in kling_simulator.requests if request.path.startswith("/files/")]
            downloads += elsewhere.requests
        assert len(downloads) == 3
        assert not any(request.authorized for request in downloads)
        assert all(request.authorized for request in kling_simulator.requests if request not in downloads)

    def test_neither_cookies_nor_a_netrc_login_go_to_the_file_host(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login fox password hush\n")
        monkeypatch.setenv("NETRC", str(netrc))
        asked: list[bytes] = []

        def once(connection: object, _: int) -> None:
            asked.append(read_request(connection))  # type: ignore[arg-type]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # type: ignore[attr-defined]

        with listening(once) as server:
            assert fetch(f"http://127.0.0.1:{server.port}/fox.mp4") == b"ok"
        assert b"authorization" not in asked[0].lower()
        assert b"cookie" not in asked[0].lower()


class TestQuestionsOnTheWay:
    def test_a_question_that_fails_is_asked_again(
        self, ask: Ask, film: bytes, tmp_path: Path, kling_simulator: KlingSimulator
    ) -> None:
        kling_simulator.inject(faults.BadGateway(), on="poll")
        kling_simulator.inject(faults.NoLink(), on="poll")
        save(ask, Target(str(tmp_path / "fox.mp4")))
        assert (tmp_path / "fox.mp4").read_bytes() == film
        assert kling_simulator.polls == 3

    @pytest.mark.parametrize("saves", [False, True])
    def test_questions_that_keep_failing_end_as_a_video_that_is_not_there_now(
        self, ask: Ask, tmp_path: Path, kling_simulator: KlingSimulator, saves: bool
    ) -> None:
        kling_simulator.inject(faults.NotFound(), on="poll", times=None)
        target = Target(str(tmp_path / "fox.mp4"))
        with pytest.raises(VideoUnavailable) as caught:
            _ = save(ask, target) if saves else ask_for_link(ask)
        assert (caught.value.reason, caught.value.http_status) == ("TASK_NOT_FOUND", 404)
        assert not isinstance(caught.value, PollFailed)
        assert kling_simulator.polls == ATTEMPTS
        assert list(tmp_path.iterdir()) == []
