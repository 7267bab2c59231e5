"""`train MODEL`: recreates what ships with Relievo from its recipe. Each model is a file of backend/training/ with a main()."""

from __future__ import annotations

from collections.abc import Sequence

from backend.cli import DONE, PROGRAM, Parser
from backend.commands import tasks


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        prog=f"{PROGRAM} train",
        usage=f"{PROGRAM} train MODEL|list [options of the model]",
        description="Recreates what ships with Relievo: simulated exemplars, trained weights.",
    )
    parser.add_argument("model", nargs="?", default="list", help="what to make, or list [default: list]")
    name = parser.parse_args(argv[:1]).model
    found = tasks.find(tasks.SOURCE / "backend" / "training")
    if name == "list":
        print(tasks.table(found))
        return DONE
    return tasks.become("backend.training", tasks.check(name, found, "model"), argv[1:])
