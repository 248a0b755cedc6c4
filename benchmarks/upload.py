"""How much memory does an upload take, and how long?

    make stores ARGS=--collect-only && .venv/stores/bin/python benchmarks/upload.py [--megabytes 2048] [--only s3]

One file to each store (a real server for each, on this machine), by a worker process of its own, which says how far its
memory grew. The servers for S3 and Google keep objects in memory: they take a few times the size of the file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

from download import make_video  # noqa: E402
from stores import SERVERS, Store  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--only", choices=list(SERVERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder, "video.mp4")
        make_video(video, options.megabytes << 20)
        for scheme in [options.only] if options.only else SERVERS:
            if missing := SERVERS[scheme].missing():
                print(f"{scheme:5} {missing}")
                continue
            with SERVERS[scheme]() as server:
                store = Store(server)
                began = time.monotonic()
                done = subprocess.run(
                    [sys.executable, str(SUPPORT / "uploader.py"), store.url("video.mp4")],
                    env={
                        **os.environ,
                        store.variable: store.connection_json,
                        "STORE_CONN_ID": store.conn_id,
                        "STORE_FILE": str(video),
                    },
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                took = time.monotonic() - began
                grown = int(done.stdout.split()[-1]) / 1e6
                print(f"{scheme:5} {options.megabytes} MiB in {took:.0f} s, memory grew by {grown:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
