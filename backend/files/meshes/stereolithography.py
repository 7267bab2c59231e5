"""STL, binary and text: bare triangles, without UVs."""

from __future__ import annotations

import re

import numpy as np

from backend.files.meshes.plain_text import with_newlines, with_points
from backend.files.meshes.polygons import BrokenMesh, Polygons, without_uvs

_HEADER, _COUNT = 80, 4
_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
_VERTEX_LINES = re.compile(rb"\bvertex[ \t].*$", re.MULTILINE)


def decode(data: bytes) -> Polygons:
    """Raises BrokenMesh for a file that is neither form, or cut short."""
    body = _HEADER + _COUNT
    if len(data) >= body:
        count = int.from_bytes(data[_HEADER:body], "little")
        if len(data) >= body + count * _ROW.itemsize and not _is_text(data):
            return _bare(np.frombuffer(data, _ROW, count, body)["corners"].reshape(-1, 3))
    if not _is_text(data):
        raise BrokenMesh("is not an STL file, or ends before its triangles")
    words = with_points(with_newlines(data), _VERTEX_LINES).split()
    places = [index for index, word in enumerate(words) if word == b"vertex"]
    try:
        rows = np.array([words[index + 1 : index + 4] for index in places], dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise BrokenMesh("has a vertex that is not three numbers") from error
    if len(rows) % 3:
        raise BrokenMesh("ends within a triangle")
    return _bare(rows)


def _is_text(data: bytes) -> bool:
    """Binary files may begin with `solid` as well, so the first facet must follow."""
    return data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")[:5].lower() == b"solid" and (
        b"facet" in data[:1024] or b"endsolid" in data[:1024]
    )


def _bare(corners: np.ndarray) -> Polygons:
    return without_uvs(corners, np.full(len(corners) // 3, 3), np.arange(len(corners)))
