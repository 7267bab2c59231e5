"""What a terrain of a given size costs Blender: vertices and memory, by what it becomes. Said before Generate, and again where a
large one stands. No bpy: draw() asks at every redraw.

Measured in Blender 5.2 with grids of 1 to 17 million vertices: 110 bytes a vertex for the mesh and 150 more once a view has drawn
it; a packed image takes 16 bytes a pixel for its pixels and up to as many for its file.
"""

from __future__ import annotations

from dataclasses import dataclass

MESH_BYTES, DRAWN_BYTES, RAISED_BYTES, IMAGE_BYTES = 110, 150, 24, 32
HEAVY_VERTICES = 6_000_000  # from here on a view takes seconds to draw it, or a minute on a slow graphics card
_RAISED = ("GEOMETRY_NODES", "DISPLACE")


@dataclass(frozen=True)
class Cost:
    """vertices: of the mesh; 0 where there is none to speak of. memory: bytes."""

    vertices: int
    memory: int

    @property
    def is_heavy(self) -> bool:
        return self.vertices >= HEAVY_VERTICES

    @property
    def sentence(self) -> str:
        """ "16.8 million vertices, about 4.4 GB" """
        size = (
            f"about {self.memory / 1e9:.1f} GB"
            if self.memory >= 1e9
            else f"about {max(1, round(self.memory / 1e6))} MB"
        )
        return f"{_count(self.vertices)} vertices, {size}" if self.vertices else size


def of(choice: str, rows: int, columns: int) -> Cost:
    """The cost of a terrain of rows x columns heights as one of the choices of its form."""
    pixels = rows * columns
    if choice in ("IMAGES", "ADAPTIVE"):
        return Cost(0, pixels * IMAGE_BYTES)
    extra = RAISED_BYTES + IMAGE_BYTES if choice in _RAISED else 0
    return Cost(pixels, pixels * (MESH_BYTES + DRAWN_BYTES + extra))


def _count(number: int) -> str:
    return f"{number / 1e6:.1f} million" if number >= 1e6 else f"{number:,}"
