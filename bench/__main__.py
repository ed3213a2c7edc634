"""`script/bench`: measures, and prints one table after the other."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

from bench.measurements import ALL, FULL, HOUR, QUICK, Sizes, head, run
from bench.usage import load


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("what", nargs="*", default=["all"], help=f"{', '.join(ALL)}, or all")
    parser.add_argument("--quick", action="store_true", help="small sizes, some minutes")
    parser.add_argument("--hour", action="store_true", help="middle sizes, about an hour")
    parser.add_argument("--loans", type=int, help="loans to pay in each case")
    parser.add_argument("--known", type=int, help="loans of the poll")
    parser.add_argument("--seconds", type=int, help="length of the pace measurement")
    parser.add_argument("--tracked", type=int, help="loans behind the pages")
    given = parser.parse_args()
    names = list(ALL) if "all" in given.what else given.what
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        parser.error(f"no measurement '{', '.join(unknown)}'; there are {', '.join(ALL)}")
    sizes = _sizes(given)
    print(f"{head()}\nSizes: {sizes}", flush=True)
    for table in run(names, sizes):
        print(
            f"\n{time.strftime('%Y-%m-%d %H:%M')}, load {load():.1f}\n\n{table.text()}", flush=True
        )
    return 0


def _sizes(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else HOUR if given.hour else FULL
    wanted = {name: getattr(given, name) for name in ("loans", "known", "seconds", "tracked")}
    return replace(sizes, **{name: value for name, value in wanted.items() if value is not None})


if __name__ == "__main__":
    sys.exit(main())
