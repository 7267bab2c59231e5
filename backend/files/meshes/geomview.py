"""OFF and its textured form STOFF, as Geomview has them: text; vertices x y z, in STOFF x y z u v, v up.

Normals (N) and colours (C) between the two are passed over, as are the colours of faces. Binary and four-dimensional files are
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from backend.files.meshes.plain_text import with_newlines, with_points
from backend.files.meshes.polygons import BrokenMesh, Polygons, with_vertex_uvs, without_uvs

_LINES = re.compile(rb"^[^#\n]*$", re.MULTILINE)
_HEADER = re.compile(r"(ST)?(C)?(N)?OFF\b")


def decode(data: bytes) -> Polygons:
    """Raises BrokenMesh for a header that is none, lines that are no numbers and a file that ends early."""
    lines = _lines(with_points(with_newlines(data), _LINES))
    head = next(lines, "")
    header = _HEADER.match(head)
    if header is None or "BINARY" in head:
        raise BrokenMesh("has no supported OFF header (OFF, STOFF, COFF or NOFF, as text)")
    counts = (head[header.end() :].strip() or next(lines, "")).split()
    try:
        vertices, faces = int(counts[0]), int(counts[1])
        rows = [next(lines).split() for _ in range(vertices)]
        table = np.array(rows, dtype=np.float64) if rows else np.empty((0, 3))
        sizes, corners = _faces(lines, faces)
    except (IndexError, ValueError) as error:
        raise BrokenMesh("has a line that is cut short or not numeric") from error
    except StopIteration as error:
        raise BrokenMesh(f"ends before its {vertices} vertices and {faces} faces are complete") from error
    if header.group(1):
        if table.shape[1] < 5:
            raise BrokenMesh("is STOFF but has no u and v after its vertices")
        return with_vertex_uvs(table[:, :3], table[:, -2:], sizes, corners)
    return without_uvs(table[:, :3], sizes, corners)


def _faces(lines: Iterator[str], count: int) -> tuple[np.ndarray, np.ndarray]:
    sizes: list[int] = []
    corners: list[str] = []
    for _ in range(count):
        words = next(lines).split()
        size = int(words[0])
        if not 0 < size < len(words):
            raise ValueError("a face of fewer corners than it says")
        sizes.append(size)
        corners += words[1 : size + 1]
    return np.array(sizes, dtype=np.int64), np.array(corners, dtype=np.int64)


def _lines(data: bytes) -> Iterator[str]:
    for line in data.decode("ascii", "replace").splitlines():
        content = line.partition("#")[0].strip()
        if content:
            yield content
