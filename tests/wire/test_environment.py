"""Proxies and certificate authorities come from the environment."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sockets import closed_port, listening, read_request

from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import AsyncKlingClient, KlingClient
from airflow_provider_kling.api.environment import ssl_context
from airflow_provider_kling.api.errors import InvalidConnection, PollFailed, Unreachable, VideoUnavailable
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.api.video import open_video

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_kling.simulator import KlingSimulator

FOX = TextToVideo(prompt="a fox", duration=3)


def submit(url: str) -> str:
    with KlingClient(Account("sk_hush", base_url=url, timeout=5)) as client:
        return client.submit(FOX)


def ask(url: str) -> None:
    async def go() -> None:
        client = AsyncKlingClient(Account("sk_hush", base_url=url, timeout=5))
        try:
            await client.get_render("abc")
        finally:
            await client.close()

    asyncio.run(go())


class TestProxies:
    @pytest.fixture(autouse=True)
    def _proxies_allowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)

    def test_a_proxy_that_is_down_means_never_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
        with pytest.raises(Unreachable):
            submit("https://api.highwayapi.invalid")

    def test_a_proxy_that_refuses_the_way_means_never_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def refuse(connection: socket.socket, _: int) -> None:
            asked.append(read_request(connection))
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        with listening(refuse) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(Unreachable, match="407"):
                submit("https://api.highwayapi.invalid")
        assert len(asked) == 1
        assert asked[0].startswith(b"CONNECT api.highwayapi.invalid:443 ")
        assert b"hush" not in asked[0]  # the proxy never sees the key

    @pytest.mark.usefixtures("way")
    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_questions_take_the_same_way_and_hide_the_key_from_it(
        self, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        asked = []

        def refuse(connection: socket.socket, _: int) -> None:
            asked.append(read_request(connection))
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        with listening(refuse) as proxy:
            monkeypatch.setenv(variable, f"127.0.0.1:{proxy.port}")
            with pytest.raises(PollFailed, match="407"):
                ask("https://api.highwayapi.invalid")
        assert asked[0].startswith(b"CONNECT api.highwayapi.invalid:443 ")
        assert b"hush" not in b"".join(asked)

    @pytest.mark.usefixtures("way")
    @pytest.mark.parametrize("exempt", ["*", "highwayapi.invalid", ".highwayapi.invalid", "a, api.highwayapi.invalid"])
    def test_questions_to_an_exempted_host_take_none(self, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
        with listening(lambda connection, _: None) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", exempt)
            with pytest.raises(PollFailed):
                ask("https://api.highwayapi.invalid")
            assert proxy.connections == 0

    @pytest.mark.usefixtures("way")
    @pytest.mark.parametrize("proxy", ["gopher://x:1", "http://x:port"])
    def test_a_proxy_that_is_none_is_told(self, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(InvalidConnection, match="HTTPS_PROXY"):
            ask("https://api.highwayapi.invalid")

    def test_what_is_meant_for_this_machine_goes_through_no_proxy(
        self, kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(connection: socket.socket, _: int) -> None:
            connection.sendall(b"HTTP/1.1 500 Seen the key\r\nContent-Length: 0\r\n\r\n")

        with listening(refuse) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            with KlingClient(Account(kling_simulator.api_key, base_url=kling_simulator.base_url)) as client:
                task_id = client.submit(FOX)
            assert task_id == kling_simulator.accepted[0].task_id
            assert proxy.connections == 0

    def test_downloads_use_the_proxy_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
        with pytest.raises(VideoUnavailable, match="ConnectError"), open_video("https://192.0.2.1/fox.mp4"):
            pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, signed by itself, and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kling tests")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def fresh_context() -> Iterator[Callable[[], None]]:
    """The context of the process is built once; these tests build their own."""
    ssl_context.cache_clear()
    yield ssl_context.cache_clear
    ssl_context.cache_clear()


class TestCertificates:
    @staticmethod
    def answer(authority: Path) -> Callable[[socket.socket, int], None]:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(authority)

        def accept(connection: socket.socket, _: int) -> None:
            with server.wrap_socket(connection, server_side=True) as secure, contextlib.suppress(OSError):
                read_request(secure)
                body = b'{"task_id": "over-tls"}'
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        return accept

    @pytest.mark.usefixtures("fresh_context")
    def test_an_authority_of_ones_own_is_trusted_by_ssl_cert_file(
        self, authority: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        with listening(self.answer(authority)) as server:
            assert submit(f"https://127.0.0.1:{server.port}") == "over-tls"

    @pytest.mark.usefixtures("fresh_context")
    def test_a_certificate_of_an_unknown_authority_means_never_sent(
        self, authority: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with listening(self.answer(authority)) as server:
            with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
                submit(f"https://127.0.0.1:{server.port}")
            with pytest.raises(VideoUnavailable), open_video(f"https://127.0.0.1:{server.port}/fox.mp4"):
                pass

    @pytest.mark.usefixtures("fresh_context")
    def test_a_certificate_for_another_host_means_never_sent(
        self, authority: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        with listening(self.answer(authority)) as server, pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            submit(f"https://localhost:{server.port}")

    def test_one_context_serves_the_whole_process(self) -> None:
        assert ssl_context() is ssl_context()
