"""A server with a certificate of its own, for https on this machine."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sockets import read_request

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path


class Https:
    """Answers over TLS, with a certificate that only its own `client` trusts.

    :param folder: where to put the certificate
    """

    def __init__(self, folder: Path) -> None:
        key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "key.pem").write_bytes(secret)
        (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self.client = ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    def script(self, answer: bytes) -> Callable[[socket.socket, int], None]:
        """A script for `sockets.listening`.

        :param answer: head and body that everybody gets
        """

        def serve(connection: socket.socket, _: int) -> None:
            with self._server.wrap_socket(connection, server_side=True) as secured:
                read_request(secured)
                secured.sendall(answer)

        return serve
