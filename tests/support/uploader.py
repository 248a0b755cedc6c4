"""A worker process that publishes one file: `STORE_CONN_ID=... STORE_FILE=... python uploader.py <url>`.

It says "uploading" when the store has taken a first part, and at the end how many bytes its memory grew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////nowhere/no.db")

from airflow_provider_kling.targets import Target


def peak() -> int:
    """The most memory this process has held, in bytes, since it was last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    raise RuntimeError("this system does not tell")


def main(url: str) -> None:
    """Publish."""
    target, file = Target(url, os.environ["STORE_CONN_ID"]), Path(os.environ["STORE_FILE"])
    small = file.with_name("warm-up")
    small.write_bytes(b"x")
    warm_up = Target(url + ".warm-up", target.conn_id)
    warm_up.publish(small)  # imports, sessions, TLS
    warm_up._remote().fs.rm_file(warm_up._remote().path)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    print("uploading", flush=True)
    target.publish(file)
    print(peak() - before, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
