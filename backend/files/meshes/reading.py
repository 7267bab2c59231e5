"""What a mesh file means: triangles in the file's own axes and unit, with their UVs where it has some."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.files.kinds import Reading
from backend.files.meshes import geomview, gltf, stanford, stereolithography, wavefront
from backend.files.meshes.polygons import BrokenMesh, Polygons, to_triangles
from shared.arrays import MESH, Array, check
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

_DECODERS: dict[str, Callable[[Path, bytes], Polygons]] = {
    ".obj": lambda _, data: wavefront.decode(data),
    ".ply": lambda _, data: stanford.decode(data),
    ".off": lambda _, data: geomview.decode(data),
    ".stoff": lambda _, data: geomview.decode(data),
    ".glb": lambda path, data: gltf.decode(data, path.parent),
    ".gltf": lambda path, data: gltf.decode(data, path.parent),
    ".stl": lambda _, data: stereolithography.decode(data),
}
FORMATS = tuple(_DECODERS)


def read_port(path: Path, reading: Reading) -> Array:
    """What a port takes from a mesh file."""
    return read(path)


def read(path: str | Path) -> Array:
    """A MESH from OBJ, PLY (text, binary), OFF, STOFF, GLB, glTF or STL; quads and polygons as triangles, all objects joined.

    u and v are NaN where the file has none. Raises InvalidInput, with what to do, for a file that is missing, of another
    format, damaged, without faces, or with vertices with NaN or infinite coordinates.
    """
    path = Path(path)
    decoder = _DECODERS.get(path.suffix.lower())
    if decoder is None:
        raise InvalidInput(
            f"{path.name} is not a supported mesh format.",
            hint=f"Available: {', '.join(FORMATS)}.",
            field=str(path),
        )
    try:
        polygons = decoder(path, _bytes(path))
    except BrokenMesh as error:
        raise InvalidInput(
            f"{path.name} {error}.", hint="Is it complete? Export it again, for example as OBJ.", field=str(path)
        ) from error
    array = check(Array(MESH, to_triangles(polygons, str(path))), path.name)
    _tell(path, array.values)
    return array


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(
            f"There is no file {path}.", hint="Check its spelling and folder.", field=str(path)
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.", field=str(path)) from error


def _tell(path: Path, mesh: np.ndarray) -> None:
    bare = int(np.isnan(mesh[:, :, 3:]).any(axis=(1, 2)).sum())
    corners = mesh[:, :, :3].reshape(-1, 3)
    sides = corners.max(axis=0) - corners.min(axis=0)
    without = "" if not bare else " without UVs" if bare == len(mesh) else f", {bare} of them without UVs"
    logger.info("%s: %d triangles%s, %.3g x %.3g x %.3g m", path.name, len(mesh), without, *sides)
