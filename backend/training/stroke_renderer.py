"""`train stroke-renderer`: the network that de Guevara et al. 2023 draw strokes with, from strokes drawn at random."""

from __future__ import annotations

from backend.training.architectures.stroke_renderer import StrokeRenderers
from backend.training.command_line import main as command


def main(argv: list[str] | None = None) -> int:
    return command(StrokeRenderers, argv)


if __name__ == "__main__":
    raise SystemExit(main())
