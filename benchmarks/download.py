"""How fast is a download, sha256 and fsync included, beside `curl -o` from the same server in the same run?

    python benchmarks/download.py [--megabytes 2048] [--rounds 5]

Prints both, their ratio, and how far the memory of this process grew. The server sends with sendfile(2) over loopback,
so that it is never what limits; over a real network both are limited by the network.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.mp4 import check_mp4
from airflow_provider_kling.saving import save
from airflow_provider_kling.targets import Target


def make_video(path: Path, size: int) -> None:
    """The frame of an MP4 with noise for pictures."""
    head = b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08moov"
    with path.open("wb") as file:
        file.write(head + b"\0\0\0\x01mdat" + (size - len(head)).to_bytes(8, "big"))
        block = os.urandom(1 << 20)
        while (left := size - file.tell()) > 0:
            file.write(block[:left])
    check_mp4(path)


def serve(path: Path, listener: socket.socket) -> None:
    """Send the file to whoever asks."""
    while True:
        client, _ = listener.accept()
        with client, path.open("rb") as file:
            client.recv(65536)
            head = f'HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\nETag: "it"\r\n\r\n'
            client.sendall(head.encode())
            client.sendfile(file)


def timed_curl(url: str, to: Path) -> float:
    began = time.monotonic()
    subprocess.run(["curl", "-s", "-o", str(to), url], check=True)
    return time.monotonic() - began


def timed_save(url: str, to: Path) -> float:
    render = Render(task_id="benchmark", status=RenderStatus.SUCCEED, video_url=url)
    began = time.monotonic()
    save(lambda: render, Target(str(to)))
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = options.megabytes << 20
    with tempfile.TemporaryDirectory() as folder:
        video, copy = Path(folder, "video.mp4"), Path(folder, "copy.mp4")
        make_video(video, size)
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/video.mp4"
        server = multiprocessing.get_context("fork").Process(target=serve, args=(video, listener), daemon=True)
        server.start()
        timed_save(url, copy)  # imports, TLS context
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pairs = []
        for _ in range(options.rounds):
            copy.unlink()
            curl = timed_curl(url, copy)
            copy.unlink()
            pairs.append((curl, timed_save(url, copy)))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        server.kill()
    for name, times in zip(("curl -o", "save()"), zip(*pairs, strict=True), strict=True):
        rates = sorted(size / 1e6 / seconds for seconds in times)
        print(f"{name:8} {statistics.median(rates):6.0f} MB/s (min {rates[0]:.0f}, max {rates[-1]:.0f})")
    ratios = sorted(curl / ours for curl, ours in pairs)
    print(f"ratio    {statistics.median(ratios):6.2f}      (min {ratios[0]:.2f}, max {ratios[-1]:.2f})")
    print(f"memory grew by {grown / 1024:.1f} MB")


if __name__ == "__main__":
    main()
