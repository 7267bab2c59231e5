"""Wavefront OBJ: vertices, texture coordinates and polygons, each corner with its own UV. Objects, groups and materials are joined;
the names of several materials are kept. UVs are those at which the materials show their textures (wavefront_materials.py).

Curves, lines, points and normals are passed over. v runs up in OBJ, as in MESH. One pass over the bytes counts, a second one
reads: a million triangles take a fraction of a second.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.files.meshes import wavefront_materials
from backend.files.meshes.compiling import njit
from backend.files.meshes.plain_text import with_newlines, with_points
from backend.files.meshes.polygons import BrokenMesh, Polygons

_SPACE, _NEWLINE, _SLASH, _MINUS, _PLUS, _POINT = (ord(c) for c in " \n/-+.")
_ZERO, _NINE, _V, _T, _F, _E, _BIG_E = (ord(c) for c in "09vtfeE")
_POWERS = 10.0 ** np.arange(23)  # exact in float64
_MOST_DIGITS = 18  # of a mantissa that an int64 holds
_NUMBER_LINES = re.compile(rb"^[ \t]*v[tn]?[ \t].*$", re.MULTILINE)
_MATERIAL_LINES = re.compile(rb"^[ \t]*usemtl[ \t]+(.*?)[ \t\r]*$", re.MULTILINE)
_LIBRARY_LINES = re.compile(rb"^[ \t]*mtllib[ \t]+(.*?)[ \t\r]*$", re.MULTILINE)


def decode(data: bytes, folder: Path | None = None) -> Polygons:
    """folder: where the material files that it names are looked for; without it none is read.

    Raises BrokenMesh for lines that are cut short, for faces of anything but numbers, and for material files that are none.
    """
    data = with_newlines(data)
    if b"\\\n" in data or b"\\\r\n" in data:
        data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")  # a line goes on behind a backslash
    data = with_points(data, _NUMBER_LINES)
    text = np.frombuffer(data + b"\n", np.uint8)
    vertices, textures, faces, corners = _count(text)
    polygons = Polygons(
        positions=np.empty((vertices, 3)),
        sizes=np.empty(faces, np.int64),
        corners=np.empty(corners, np.int64),
        uvs=np.empty((textures, 2)),
        uv_corners=np.empty(corners, np.int64),
    )
    line = _parse(text, polygons.positions, polygons.uvs, polygons.sizes, polygons.corners, polygons.uv_corners)
    if line:
        raise BrokenMesh(f"cannot be understood in line {line}")
    return _with_materials(polygons, data, folder)


def _with_materials(polygons: Polygons, data: bytes, folder: Path | None) -> Polygons:
    """The faces after each usemtl have its material; those before the first have the one named ""."""
    found = list(_MATERIAL_LINES.finditer(data)) if b"usemtl" in data else []
    libraries = [_text(line) for line in _LIBRARY_LINES.finditer(data)] if found and b"mtllib" in data else []
    numbers: dict[str, int] = {"": 0}
    chosen = [numbers.setdefault(_text(line), len(numbers)) for line in found]
    placements = wavefront_materials.placements(libraries, folder) if folder is not None and libraries else {}
    if len(numbers) <= 2 and not placements:
        return polygons
    starts = np.array([0, *(line.start() for line in found)])
    text = np.frombuffer(data, np.uint8)
    faces = [_count(np.append(text[a:b], np.uint8(_NEWLINE)))[2] for a, b in zip(starts, [*starts[1:], len(text)])]
    of_faces = np.repeat([0, *chosen], faces)
    polygons = wavefront_materials.placed(polygons, tuple(numbers), of_faces, placements)
    return polygons if len(numbers) <= 2 else replace(polygons, materials=tuple(numbers), face_materials=of_faces)


def _text(line: re.Match[bytes]) -> str:
    return line.group(1).decode("utf-8", "replace")


@njit(cache=True)
def _skip(text, at):
    while text[at] <= _SPACE and text[at] != _NEWLINE:  # every byte up to the space is white
        at += 1
    return at


@njit(cache=True)
def _word_end(text, at):
    while text[at] > _SPACE:
        at += 1
    return at


@njit(cache=True)
def _line_end(text, at):
    while text[at] != _NEWLINE:
        at += 1
    return at


@njit(cache=True)
def _keyword(text, at):
    """1 for v, 2 for vt, 3 for f, else 0, and where the numbers start."""
    end = _word_end(text, at)
    if end == at + 1 and text[at] == _V:
        return 1, end
    if end == at + 2 and text[at] == _V and text[at + 1] == _T:
        return 2, end
    if end == at + 1 and text[at] == _F:
        return 3, end
    return 0, end


@njit(cache=True)
def _count(text):
    vertices, textures, faces, corners, at = 0, 0, 0, 0, 0
    while at < text.size:
        word, at = _keyword(text, _skip(text, at))
        if word == 1:
            vertices += 1
        elif word == 2:
            textures += 1
        elif word == 3:
            faces += 1
            at = _skip(text, at)
            while text[at] != _NEWLINE:
                corners += 1
                at = _skip(text, _word_end(text, at))
        at = _line_end(text, at) + 1
    return vertices, textures, faces, corners


@njit(cache=True)
def _integer(text, at):
    """A whole number and where it ends; it ends where it starts if there is none."""
    negative, first = text[at] == _MINUS, at
    at += 1 if negative else 0
    digits, value = at, 0
    while _ZERO <= text[at] <= _NINE:
        value = value * 10 + np.int64(text[at] - _ZERO)
        at += 1
    return (-value if negative else value), (first if at == digits else at)


@njit(cache=True)
def _real(text, at):
    """A decimal number, NaN for a word that is none, and where the word ends. Wrong by 1e-16 of itself at most."""
    end, negative = _word_end(text, at), text[at] == _MINUS
    if negative or text[at] == _PLUS:
        at += 1
    mantissa, power, digits, kept, seen_point = np.int64(0), 0, 0, 0, False
    while at < end and (_ZERO <= text[at] <= _NINE or (text[at] == _POINT and not seen_point)):
        if text[at] == _POINT:
            seen_point = True
        else:
            digits += 1
            power -= 1 if seen_point else 0
            if kept < _MOST_DIGITS:
                mantissa = mantissa * 10 + np.int64(text[at] - _ZERO)
                kept += 1 if mantissa else 0
            else:
                power += 1
        at += 1
    if digits and at < end and (text[at] == _E or text[at] == _BIG_E):
        at += 2 if text[at + 1] == _PLUS else 1
        exponent, stop = _integer(text, at)
        power += exponent
        at = stop if stop > at else end + 1
    if not digits or at != end:
        return np.nan, end
    value = np.float64(mantissa)
    while power > 0 and value != 0.0 and value < np.inf:
        step = min(power, 22)
        value *= _POWERS[step]
        power -= step
    while power < 0 and value != 0.0:
        step = min(-power, 22)
        value /= _POWERS[step]
        power += step
    return (-value if negative else value), end


@njit(cache=True)
def _reals(text, at, out, needed):
    """Numbers of a line into out, NaN for words that are none, 0 beyond the line's end; False if fewer than needed are there."""
    for index in range(out.size):
        at = _skip(text, at)
        out[index] = 0.0
        if text[at] == _NEWLINE:
            if index < needed:
                return False
        else:
            out[index], at = _real(text, at)
    return True


@njit(cache=True)
def _corner(text, at, vertices, textures):
    """Position and UV number of one corner (v, v/t, v//n or v/t/n, negative ones from the last), -2 if it is neither."""
    end = _word_end(text, at)
    vertex, at_slash = _integer(text, at)
    if at_slash == at:
        return -2, -1, end
    texture = 0
    if text[at_slash] == _SLASH:
        texture, stop = _integer(text, at_slash + 1)
        texture = 0 if stop == at_slash + 1 else texture
    elif at_slash != end:
        return -2, -1, end
    vertex = vertex - 1 if vertex > 0 else vertices + vertex
    if texture == 0:
        return vertex, -1, end
    return vertex, (texture - 1 if texture > 0 else max(textures + texture, -1)), end


@njit(cache=True)
def _parse(text, positions, uvs, sizes, corners, uv_corners):
    """Fills the lists; returns the first line that cannot be understood, 0 if there is none."""
    vertex, texture, face, corner, at, line = 0, 0, 0, 0, 0, 0
    while at < text.size:
        line += 1
        word, at = _keyword(text, _skip(text, at))
        if word == 1:
            if not _reals(text, at, positions[vertex], 3):
                return line
            vertex += 1
        elif word == 2:
            if not _reals(text, at, uvs[texture], 1):
                return line
            texture += 1
        elif word == 3:
            first, at = corner, _skip(text, at)
            while text[at] != _NEWLINE:
                corners[corner], uv_corners[corner], at = _corner(text, at, vertex, texture)
                if corners[corner] == -2:
                    return line
                corner += 1
                at = _skip(text, at)
            sizes[face] = corner - first
            face += 1
        at = _line_end(text, at) + 1
    return 0
