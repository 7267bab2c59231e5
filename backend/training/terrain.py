"""`train terrain`: maps of classes to heights and colour. --architecture says which networks learn it.

compact             what ships: class-adaptive, heights as a Laplacian pyramid, shading by a formula
spade               SPADE-Terrain-GAN 1.0 as it was published, for comparison: 90 million parameters
spade-modulated     its version 1.1: modulated convolutions in place of normalisation
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.training.architectures.compact import Compact
from backend.training.architectures.spade import Spade, SpadeModulated
from backend.training.command_line import Choice
from backend.training.command_line import main as command
from backend.training.training import Training

ARCHITECTURES: Mapping[str, type[Training]] = {
    "compact": Compact,
    "spade": Spade,
    "spade-modulated": SpadeModulated,
}


def main(argv: list[str] | None = None) -> int:
    return command(
        Choice(command="terrain", name="architecture", help="which networks learn", kinds=ARCHITECTURES), argv
    )


if __name__ == "__main__":
    raise SystemExit(main())
