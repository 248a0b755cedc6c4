"""All measurements, one after the other, or those that are named.

python benchmarks/run.py [imports | peers | growth | outage | questions | submitting | download | slots | campaign |
                          gallery ...]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

TOPICS = {
    "imports": ["import_time.py"],
    "peers": ["polling.py peers"],
    "growth": ["polling.py growth --renders 100 1000", "polling.py growth --renders 10000 --cap 400"],
    "outage": [
        "polling.py outage --kind 429",
        "polling.py outage --kind 429 --retry-after 30",
        "polling.py outage --kind dead",
    ],
    "questions": ["questions.py simulate", "questions.py live"],
    "submitting": ["submitting.py"],
    "download": ["download.py"],
    "slots": ["real_airflow.py slots"],
    "campaign": ["real_airflow.py campaign"],
    "gallery": ["gallery.py"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="topic", help=f"one of {', '.join(TOPICS)}; default: all")
    chosen = parser.parse_args().topics or list(TOPICS)
    if unknown := set(chosen) - set(TOPICS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(TOPICS)}")
    # Ctrl-C reaches the measurement itself, which may have an Airflow to stop: it is waited for.
    signal.signal(signal.SIGINT, lambda *_: None)
    for command in [command for topic in chosen for command in TOPICS[topic]]:
        print(f"== {command}\n", flush=True)
        script, *arguments = command.split()
        with subprocess.Popen([sys.executable, str(Path(__file__).with_name(script)), *arguments]) as measurement:
            if code := measurement.wait():
                sys.exit(code)
        print(flush=True)


if __name__ == "__main__":
    main()
