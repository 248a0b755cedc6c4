"""Real object stores for the tests, one server each: S3, Google Cloud Storage, Azure Blob; 127.0.0.1 only."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import httpx

from airflow_provider_kling.demo.sessions import Guardian

if TYPE_CHECKING:
    import subprocess

# gcsfs reads this when it is first imported. Otherwise it asks by gRPC what kind of bucket each one is, which no
# emulator understands, and it asks again for a minute before each upload.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"


def find_program(name: str) -> str | None:
    """A program, beside this Python (where pip and npm put it) or on the PATH; None if there is none."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))


class Server(ABC):
    """A server with buckets, started when it is first asked for; a context manager."""

    scheme: ClassVar[str]
    program: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]
    install: ClassVar[str]

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"kling-{self.scheme}-"))
        self._guardian = Guardian()
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._port: int = server.getsockname()[1]

    @classmethod
    def missing(cls) -> str | None:
        """What keeps it from running here, and the way out; None when all is there."""
        absent = [name for name in cls.modules if not _is_installed(name)]
        if not find_program(cls.program):
            absent.insert(0, cls.program)
        return f"{cls.scheme}: {', '.join(absent)} not found ({cls.install})" if absent else None

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    @abstractmethod
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that leads here."""

    @abstractmethod
    def create(self, bucket: str) -> None:
        """Create an empty bucket."""

    @abstractmethod
    def names(self, bucket: str) -> list[str]:
        """The objects that everybody sees, sorted."""

    @abstractmethod
    def read(self, bucket: str, name: str) -> bytes:
        """All of one object."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def __enter__(self) -> Server:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and leave nothing behind."""
        self._guardian.end_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start, and return when it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = self._guardian.spawn(
                self._command(), env=self._environment(), log=log.fileno(), cwd=str(self._folder)
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.program} does not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop at once, cutting every connection, as when its machine is lost."""
        assert self._process, "not started"
        self._process.kill()
        self._process.wait(30)

    def _answers(self) -> bool:
        try:
            httpx.get(self.endpoint, timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        return True

    def _get(self, path: str, **query: str) -> httpx.Response:
        answer = httpx.get(self.endpoint + path, params=query, timeout=60, trust_env=False)
        return answer.raise_for_status()


class S3(Server):
    """Amazon's protocol, spoken by moto; it keeps everything in memory."""

    scheme = "s3"
    program = "moto_server"
    modules = ("airflow.providers.amazon", "s3fs")
    install = "pip install 'airflow-provider-kling[stores]'"

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that leads here."""
        return {
            "conn_type": "aws",
            "login": "testing",
            "password": "testing",
            "extra": {
                "endpoint_url": self.endpoint,
                "region_name": "us-east-1",
                "config_kwargs": {"read_timeout": 120},  # it takes its time to join the parts of a large object
            },
        }

    def create(self, bucket: str) -> None:
        """Create an empty bucket."""
        self._client.create_bucket(Bucket=bucket)

    def names(self, bucket: str) -> list[str]:
        """The objects that everybody sees, sorted."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def read(self, bucket: str, name: str) -> bytes:
        """All of one object."""
        content: bytes = self._client.get_object(Bucket=bucket, Key=name)["Body"].read()
        return content

    @cached_property
    def _client(self) -> Any:
        import boto3

        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.endpoint, **keys)

    def _command(self) -> list[str]:
        return [_found(self.program), "-H", "127.0.0.1", "-p", str(self._port)]


class GoogleCloudStorage(Server):
    """Google's protocol; the server keeps everything in memory."""

    scheme = "gs"
    program = "gcp-storage-emulator"
    modules = ("airflow.providers.google", "gcsfs")
    install = "pip install 'airflow-provider-kling[stores]'"

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that leads here."""
        extra = {"is_anonymous": True, "project": "testing", "gcs.endpoint": self.endpoint}
        return {"conn_type": "google_cloud_platform", "extra": extra}

    def create(self, bucket: str) -> None:
        """Create an empty bucket."""
        url = f"{self.endpoint}/storage/v1/b"
        httpx.post(url, json={"name": bucket}, timeout=60, trust_env=False).raise_for_status()

    def names(self, bucket: str) -> list[str]:
        """The objects that everybody sees, sorted."""
        return sorted(item["name"] for item in self._get(f"/storage/v1/b/{bucket}/o").json().get("items", []))

    def read(self, bucket: str, name: str) -> bytes:
        """All of one object."""
        return self._get(f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}", alt="media").content

    def _command(self) -> list[str]:
        return [_found(self.program), "start", "--host=127.0.0.1", f"--port={self._port}", "--in-memory"]


class AzureBlob(Server):
    """Microsoft's protocol, spoken by Azurite."""

    scheme = "abfs"
    program = "azurite-blob"
    modules = ("airflow.providers.microsoft.azure", "adlfs")
    install = "pip install 'airflow-provider-kling[stores]'; npm install --global azurite"

    @cached_property
    def _key(self) -> str:
        return base64.b64encode(secrets.token_bytes(64)).decode()

    @property
    def _connection_string(self) -> str:
        account = f"AccountName=testing;AccountKey={self._key}"
        return f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={self.endpoint}/testing;"

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that leads here."""
        return {"conn_type": "adls", "extra": {"connection_string": self._connection_string}}

    def create(self, bucket: str) -> None:
        """Create an empty bucket."""
        self._client.create_container(bucket)

    def names(self, bucket: str) -> list[str]:
        """The objects that everybody sees, sorted."""
        return sorted(self._client.get_container_client(bucket).list_blob_names())

    def read(self, bucket: str, name: str) -> bytes:
        """All of one object."""
        content: bytes = self._client.get_blob_client(bucket, name).download_blob().readall()
        return content

    @cached_property
    def _client(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient.from_connection_string(self._connection_string)

    def _command(self) -> list[str]:
        here = ["--blobHost", "127.0.0.1", "--blobPort", str(self._port), "--location", str(self._folder)]
        return [_found(self.program), *here, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "AZURITE_ACCOUNTS": f"testing:{self._key}"}


SERVERS: dict[str, type[Server]] = {kind.scheme: kind for kind in (S3, GoogleCloudStorage, AzureBlob)}


class Store:
    """A bucket of its own on a server, under a connection of its own: Airflow remembers connections by their name."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bucket = f"videos-{secrets.token_hex(6)}"
        self.conn_id = f"store_{secrets.token_hex(6)}"
        server.create(self.bucket)

    @property
    def connection_json(self) -> str:
        """The connection, as the environment takes it."""
        return json.dumps(self.server.connection)

    @property
    def variable(self) -> str:
        """The environment variable where Airflow looks the connection up."""
        return f"AIRFLOW_CONN_{self.conn_id.upper()}"

    def url(self, name: str) -> str:
        """Address of an object."""
        return f"{self.server.scheme}://{self.bucket}/{name}"

    def names(self) -> list[str]:
        """The objects that everybody sees, sorted."""
        return self.server.names(self.bucket)

    def read(self, name: str) -> bytes:
        """All of one object."""
        return self.server.read(self.bucket, name)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


def _found(program: str) -> str:
    path = find_program(program)
    assert path, f"{program} not found"
    return path
