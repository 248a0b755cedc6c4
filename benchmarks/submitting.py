"""How often does a crowd of mapped renders start, how long does it take, and does it keep the order?

    python benchmarks/submitting.py [--tasks 500] [--setting 30]

A simulation in pure Python of 16 workers before an API with a limit per minute: lining up, as the operator does, beside
everybody backing off alone. It ends within a minute; `ideal` is the time that the limit itself takes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from crowds import LIMITS, Crowd, backing_off, lining_up


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--setting", type=float, default=30, help="submits_per_minute of the connection")
    options = parser.parse_args()
    print(f"{'':12} {'starts/render':>13} {'worst':>6} {'submits':>8} {'minutes':>8} {'out of place':>13}")
    for limit in (30, 10, 100, 200):
        for tell in (False, True):
            for kind, make in LIMITS.items():
                print(f"{limit} per {kind}{', Retry-After' if tell else ''}; ideal {options.tasks / limit - 1:.1f} min")
                for name, rule in {"alone": backing_off, "in line": lining_up(options.setting)}.items():
                    crowd = Crowd(options.tasks, make(limit), rule, tell=tell).play()
                    print(
                        f"{name:>12} {crowd.starts_per_render:13.2f} {max(crowd.starts):6} {crowd.submits:8}"
                        f" {crowd.minutes:8.1f} {crowd.out_of_place:13}"
                    )


if __name__ == "__main__":
    main()
