"""`python -m sandbox`: both systems on their ports until a signal comes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from sandbox.options import Options
from sandbox.server import announcement, run
from sandbox.state import Sandbox
from sandbox.world import generate, partner_rows, small_world


def read_arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--mifos-port", type=int, default=8101, help="0 = any free port")
    parser.add_argument("--mpesa-port", type=int, default=8102, help="0 = any free port")
    parser.add_argument("--mifos-latency", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--mpesa-latency", type=float, default=0.0)
    parser.add_argument("--callback-delay", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenarios", action="store_true", help="amounts choose what happens")
    parser.add_argument("--world", type=Path, help="a world document (JSON)")
    parser.add_argument("--small", action="store_true", help="one lender with a few loans")
    parser.add_argument("--generate", type=int, metavar="N", help="make N loans")
    parser.add_argument("--tenants", type=int, default=2, help="lenders for --generate")
    parser.add_argument("--partners-out", type=Path, help="write the file for load_partners")
    return parser.parse_args(given)


def main() -> int:
    arguments = read_arguments()
    options = Options(
        seed=arguments.seed,
        mifos_latency=arguments.mifos_latency,
        mpesa_latency=arguments.mpesa_latency,
        callback_delay=arguments.callback_delay,
        scenarios=arguments.scenarios,
    )
    documents = []
    if arguments.world is not None:
        documents.append(json.loads(arguments.world.read_text(encoding="utf-8")))
    if arguments.small:
        documents.append(small_world(seed=arguments.seed).document)
    if arguments.generate:
        made = generate(tenants=arguments.tenants, loans=arguments.generate, seed=arguments.seed)
        documents.append(made.document)

    def started(sandbox: Sandbox) -> None:
        if arguments.partners_out is not None:
            rows = [
                row for document in documents for row in partner_rows(document, sandbox.mifos_url)
            ]
            arguments.partners_out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(announcement(sandbox, os.getpid()) + "\n")
        sys.stdout.write(f"Mifos X  {sandbox.mifos_url}\nDaraja   {sandbox.mpesa_url}\n")
        sys.stdout.flush()

    asyncio.run(
        run(
            options,
            host=arguments.host,
            mifos_port=arguments.mifos_port,
            mpesa_port=arguments.mpesa_port,
            documents=tuple(documents),
            started=started,
            signals=True,
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
