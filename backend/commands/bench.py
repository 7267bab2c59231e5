"""`bench`: the claims of docs/performance.md, measured side by side on this machine. Each bench is a file of benchmarks/."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from backend.cli import DONE, FAILED, PROGRAM, Parser
from backend.commands import tasks


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        prog=f"{PROGRAM} bench",
        usage=f"{PROGRAM} bench NAME|all|list [options of the bench]",
        description="Measures a claim against its peers on this machine; results go to benchmarks/results.",
    )
    parser.add_argument("name", nargs="?", default="list", help="a bench, all of them, or list [default: list]")
    name = parser.parse_args(argv[:1]).name
    found = tasks.find(tasks.SOURCE / "benchmarks")
    if name == "list":
        print(tasks.table(found))
        return DONE
    if name != "all":
        return FAILED if tasks.run("benchmarks", tasks.check(name, found, "bench"), argv[1:]) else DONE
    failed = [name for name in found if tasks.run("benchmarks", name, argv[1:]) != 0]
    if failed:
        print(f"relievo: these benches failed or fell short: {', '.join(failed)}.", file=sys.stderr)
    return FAILED if failed else DONE
